"""The code does what it did when the reference bags were recorded: a fall in lock-step, and one in real time.

Where a change is meant to change what a robot does, or what the nodes say of it, the bags are recorded anew:
`humanoid_rl bag record` beside `humanoid_rl demo --push '3 2.5 0' --seconds 9`, and with `--mode realtime`; then cut to
the fall. Where a change is not meant to, this says what it changed. Bags of earlier formats stay: they must be readable
for as long as anybody keeps one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("onnxruntime")
pytest.importorskip("rosbags")

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.action import ActionProcessor
from humanoid_rl_ros.core.controller import EntryBlend
from humanoid_rl_ros.interfaces.cdr_messages import read_uint8_array
from humanoid_rl_ros.interfaces.journal import KEY, read_batch
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.state_rules import StateRules

BAGS = Path(__file__).parent / "reference_bags"


def test_the_code_does_what_it_did(tmp_path: Path) -> None:
    arguments = ["bag", "verify", str(BAGS), "--json", str(tmp_path / "v.json")]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    bags = json.loads((tmp_path / "v.json").read_text())["bags"]
    assert [Path(name).name for name in bags] == ["lockstep_fall", "realtime_fall"]
    for found in bags.values():
        assert found["same"]
        assert found["compared"] > 500
        assert len(found["nodes"]) == 2
        assert found["flawless"]


@pytest.mark.parametrize(
    ("kind", "attribute", "change"),
    [
        (Envelope, "_damping", lambda value: 1.01 * value),
        (Envelope, "_rate", lambda value: 0.1 * value),
        (ActionProcessor, "_scale", lambda value: 1.001 * value),
        (PolicyBehaviour, "_period_ns", lambda value: 2 * value),
        (StateRules, "_slowness", lambda value: 3.0 * value),
        (EntryBlend, "_usual_ns", lambda value: value + 1_000_000_000),
    ],
)
def test_a_change_of_what_is_computed_beforehand_is_seen(
    monkeypatch: pytest.MonkeyPatch, kind: Any, attribute: str, change: Any
) -> None:
    made = kind.__init__

    def another(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        setattr(self, attribute, change(getattr(self, attribute)))

    monkeypatch.setattr(kind, "__init__", another)
    done = CliRunner().invoke(app, ["bag", "verify", str(BAGS), "--jobs", "1"], env={"COLUMNS": "250"})
    assert done.exit_code == 1, done.output


@pytest.mark.parametrize("name", ["lockstep_fall", "realtime_fall"])
def test_bags_of_the_first_formats_stay_readable(name: str) -> None:
    with Bag(BAGS / name) as bag:
        assert bag.problems == ()
        assert bag.custom["humanoid_rl_schema"] == "1"
        assert bag.count > 500
        states = [
            entry.data
            for message in bag.messages(["/policy/journal", "/safety/journal"])
            for entry in read_batch(read_uint8_array(message.data)).entries
            if entry.kind == KEY
        ]
    assert {json.loads(state)["format"] for state in states} == {1}
