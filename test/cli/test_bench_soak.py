"""A soak: what is counted, what fails it, and a short one of the real graph."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from humanoid_rl_ros.cli.process_samples import ProcessUse
from humanoid_rl_ros.cli.soak_report import Bounds, SoakResult

USE = ProcessUse("policy_node", 3600.0, 118.0, 77.0, 56.0, 0.1, 0.1, 0.1, 20, 0, 21, 0, 0.2)
GOOD = SoakResult(
    robot="r",
    policy="p",
    rate=500,
    seconds=3600.0,
    asked_seconds=3600.0,
    warm_up=60.0,
    ended="",
    processes=[USE],
    answered=1_800_000,
    missed=12,
    interval_ms={"p50": 2.0, "max": 9.0},
    late_intervals=3,
    late_steps=0,
    late_ticks=0,
    own_damping=0,
    refused=0,
    rejected=0,
    faults=0,
    falls=0,
    set_up=0,
    safety_state="ACTIVE",
    visits={},
    changes=[],
    walked=1800.0,
    highest_tilt_deg=4.0,
    lowest_height=0.65,
    real_time_factor=1.0,
)


def test_a_soak_in_which_nothing_grew_is_good() -> None:
    assert GOOD.failures(Bounds()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ended": "policy_node was killed by SIGKILL"}, "policy_node was killed by SIGKILL"),
        ({"ended": "interrupted after 12 s", "safety_state": "ESTOP"}, "interrupted after 12 s"),
        ({"falls": 2, "faults": 2}, "the robot fell (2 times)"),
        ({"faults": 1}, "took the motors from the policy (1 times)"),
        ({"safety_state": "DISARMED"}, "was DISARMED at the end"),
        ({"processes": [replace(USE, growth=8.1)]}, "policy_node: memory grew by 8.1 MB, bound 8 MB"),
        ({"processes": [replace(USE, more_threads=3)]}, "policy_node: threads grew by 3, bound 2"),
        ({"processes": [replace(USE, more_descriptors=5)]}, "policy_node: descriptors grew by 5, bound 4"),
    ],
)
def test_what_went_wrong_is_said(changed: dict[str, object], words: str) -> None:
    (line,) = replace(GOOD, **changed).failures(Bounds())  # type: ignore[arg-type]  # of any field
    assert words in line


@pytest.mark.ros
def test_commands_are_matched_with_states_by_their_stamps() -> None:
    pytest.importorskip("rclpy")
    from humanoid_rl_ros.cli.soak_observer import CommandWatch

    watch = CommandWatch(0.002)
    # Answered are the states at 0, 2, 4 (twice) and 10 ms, not those at 6 and 8; then time begins anew, at 0 and 2.
    later = 5_000_000_000
    for stamp_ms, arrived_ms in ((0, 0), (2, 2), (4, 5), (4, 6), (10, 10)):
        watch.add(later + stamp_ms * 10**6, arrived_ms * 10**6)
    for stamp_ms, arrived_ms in ((0, 20), (2, 23)):
        watch.add(stamp_ms * 10**6, arrived_ms * 10**6)
    assert (watch.answered, watch.missed) == (4, 2)
    assert watch.intervals.longest == 5.0
    assert watch.real_time_factor == pytest.approx(12.0 / 13.0)


@pytest.mark.ros
@pytest.mark.slow
def test_ctrl_c_shows_what_was_measured_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    out = tmp_path / "soak.json"
    command = [sys.executable, "-m", "humanoid_rl_ros", "bench", "soak", "--rate", "200", "--warm-up", "1"]
    with subprocess.Popen(
        [*command, "--json", str(out), "--png", str(tmp_path / "soak.png")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "100", "ROS_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    ) as soak:
        assert soak.stdout is not None
        for line in soak.stdout:
            if "ACTIVE" in line:
                break
        children = Path(f"/proc/{soak.pid}/task/{soak.pid}/children").read_text().split()
        assert len(children) == 3
        time.sleep(6.0)
        soak.send_signal(signal.SIGINT)
        text = soak.stdout.read()
        assert soak.wait(20.0) == 1, text
    assert "failed: interrupted" in text
    assert "Traceback" not in text
    assert (tmp_path / "soak.png").stat().st_size > 10_000
    result = json.loads(out.read_text())
    assert result["answered"] > 200
    assert [use["name"] for use in result["processes"]][-1] == "this command"
    assert not any(Path(f"/proc/{child}").exists() for child in children)
