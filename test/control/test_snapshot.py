"""The state of a control, taken in the middle of a run, is all that a fresh one needs to go on to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_policy import write_robot
from wild_run import WildRun, controls, feed

from humanoid_rl_ros.bags.coupled import CoupledControls
from humanoid_rl_ros.control import migrations
from humanoid_rl_ros.control import snapshot as snapshots
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.interfaces.cdr_messages import read_diagnostic_status
from humanoid_rl_ros.safety.envelope import Envelope

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RobotSpec]:
    folder = tmp_path_factory.mktemp("wild")
    return folder, load_robot(write_robot(folder))


def _pair(coupled: CoupledControls) -> tuple[Snapshot, Snapshot]:
    return Snapshot(coupled.policy), Snapshot(coupled.safety)


@pytest.mark.parametrize("lockstep", [False, True])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 1.0))
def test_a_fresh_control_goes_on_to_the_bit(
    place: tuple[Path, RobotSpec], lockstep: bool, seed: int, share: float
) -> None:
    folder, robot = place
    entries = WildRun(robot, seed).entries(400)
    cut = int(share * len(entries))
    whole = controls(folder, robot, lockstep=lockstep)
    taken = _pair(whole)
    feed(whole, entries[:cut])
    states = [snapshot.capture() for snapshot in taken]
    assert [snapshot.lost for snapshot in taken] == [[], []]
    expected = feed(whole, entries[cut:])
    fresh = controls(folder, robot, lockstep=lockstep)
    for snapshot, state in zip(_pair(fresh), states, strict=True):
        snapshot.restore(state)
        assert snapshot.capture() == state
    assert feed(fresh, entries[cut:]) == expected


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_used_control_goes_on_to_the_bit_too(place: tuple[Path, RobotSpec], lockstep: bool) -> None:
    folder, robot = place
    whole, used = (controls(folder, robot, lockstep=lockstep) for _ in range(2))
    taken, set_again = _pair(whole), _pair(used)
    for seed in range(8):
        entries = WildRun(robot, seed).entries(150)
        feed(used, WildRun(robot, 100 + seed).entries(60))  # what is left of that must not matter
        for snapshot, other in zip(taken, set_again, strict=True):
            state = snapshot.capture()
            other.restore(state)
            assert other.capture() == state
        assert feed(used, entries) == feed(whole, entries)


def test_what_a_control_computes_when_it_is_made_is_no_state(
    place: tuple[Path, RobotSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, robot = place
    entries = WildRun(robot, 5).entries(300)
    whole = controls(folder, robot, lockstep=False)
    taken = _pair(whole)
    feed(whole, entries)
    states = [snapshot.capture() for snapshot in taken]
    made = Envelope.__init__

    def another(self: Envelope, *arguments: Any) -> None:
        made(self, *arguments)
        self._damping = 2.0 * self._damping

    monkeypatch.setattr(Envelope, "__init__", another)
    changed = controls(folder, robot, lockstep=False)
    for snapshot, state in zip(_pair(changed), states, strict=True):
        snapshot.restore(state)
    assert changed.safety.monitor._envelope._damping.tolist() == (2.0 * robot.kd).tolist()
    for state in states:
        assert "_damping" not in state.decode()
        assert len(state) < 12_000


def test_the_random_runs_are_worth_it(place: tuple[Path, RobotSpec]) -> None:
    folder, robot = place
    seen: set[str] = set()
    topics: set[str] = set()
    for seed in range(12):
        said = feed(controls(folder, robot, lockstep=False), WildRun(robot, seed).entries(400))
        topics |= {name for name, _ in said}
        seen |= {read_diagnostic_status(data).values["state"] for name, data in said if name == "safety/status"}
    assert seen == {"DISARMED", "READY", "ACTIVE", "FALLING", "FALLEN", "RECOVERING", "VERIFYING", "ESTOP"} | (
        seen & {"DEGRADED"}
    )
    assert len(topics) == 5


def test_without_its_state_a_fresh_control_says_something_else(place: tuple[Path, RobotSpec]) -> None:
    folder, robot = place
    entries = WildRun(robot, 3).entries(400)
    whole, fresh = (controls(folder, robot, lockstep=False) for _ in range(2))
    feed(whole, entries[:300])
    assert feed(whole, entries[300:]) != feed(fresh, entries[300:])


def _edit(text: bytes, change: Callable[[Any], None]) -> bytes:
    document = json.loads(text)
    change(document)
    return json.dumps(document).encode()


def _attribute(document: Any) -> None:
    document["state"]["state"]["shell"] = "rm"


def _kind(document: Any) -> None:
    document["state"]["state"]["monitor"]["object"] = "Popen"


def _record(document: Any) -> None:
    document["state"]["state"]["_imu_seen_ns"] = {"record": ["Popen", {"args": "ls"}]}


def _objects(document: Any) -> None:
    document["state"]["state"]["_imu_seen_ns"] = {"array": ["|O", [1], "AAAAAAAAAAA=", True, False]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_attribute, ["'shell'", "does not know"]),
        (_kind, ["Popen"]),
        (_record, ["not the state"]),
        (_objects, ["array of", "|O"]),
        (lambda d: d.update(format=99), ["99", "later version"]),
        (lambda d: d.update(format="1"), ["'1'"]),
        (lambda d: d.pop("state"), ["not the state"]),
    ],
)
def test_what_is_no_such_state_is_refused(
    place: tuple[Path, RobotSpec], refuses: Any, change: Callable[[Any], None], words: list[str]
) -> None:
    folder, robot = place
    snapshot = Snapshot(controls(folder, robot, lockstep=False).safety)
    with refuses(BagError, *words):
        snapshot.restore(_edit(snapshot.capture(), change))


@given(data=st.data())
def test_a_damaged_state_is_refused_or_is_a_state(place: tuple[Path, RobotSpec], data: st.DataObject) -> None:
    folder, robot = place
    coupled = controls(folder, robot, lockstep=False)
    snapshot = Snapshot(coupled.safety)
    text = bytearray(snapshot.capture())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(HumanoidError):
        snapshot.restore(bytes(text))


def test_an_earlier_format_is_led_on_to_this_one(
    place: tuple[Path, RobotSpec], monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    folder, robot = place
    coupled = controls(folder, robot, lockstep=False)
    then = Snapshot(coupled.safety)
    feed(coupled, WildRun(robot, 1).entries(50))
    now = Snapshot(controls(folder, robot, lockstep=False).safety)

    def earlier(document: Any) -> None:
        document["format"] = migrations.STATE_FORMAT
        document["state"]["state"]["_late_ns"] = document["state"]["state"].pop("_wall_ns")

    text = _edit(then.capture(), earlier)
    with refuses(BagError, "'_late_ns'"):
        now.restore(text)

    def renamed(document: dict[str, Any]) -> dict[str, Any]:
        document["state"]["state"]["_wall_ns"] = document["state"]["state"].pop("_late_ns")
        return document

    monkeypatch.setattr(snapshots, "STATE_FORMAT", migrations.STATE_FORMAT + 1)
    with refuses(BagError, "cannot be read any more"):
        now.restore(text)
    monkeypatch.setattr(snapshots, "STATE_MIGRATIONS", {migrations.STATE_FORMAT: renamed})
    assert not now.comparable(text)
    now.restore(text)
    assert np.isfinite(json.loads(now.capture())["state"]["state"]["_wall_ns"])


def test_the_state_kept_inside_a_torchscript_file_is_kept_too(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from humanoid_rl_ros.policies.torchscript_policy import TorchScriptPolicy

    class Adds(torch.nn.Module):
        def __init__(self):  # TorchScript takes what is not annotated for a tensor
            super().__init__()
            self.register_buffer("sum", torch.zeros(1, 3))

        def forward(self, seen):
            self.sum[:] = self.sum + seen
            return self.sum[:, :2].clone()

    torch.jit.script(Adds()).save(str(tmp_path / "adds.pt"))
    one, other = (TorchScriptPolicy(tmp_path / "adds.pt", observation_size=3, action_size=2) for _ in range(2))
    seen = np.array([0.5, -0.25, 3.0], dtype=np.float32)
    one.infer(seen)
    other.restore_state(one.captured_state())
    assert one.infer(seen).tolist() == other.infer(seen).tolist() == [1.0, -0.5]
