"""The picture of a demo, whatever of it was heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("matplotlib")

from humanoid_rl_ros.cli.demo_report import draw, summarise
from humanoid_rl_ros.cli.observer import Recording
from humanoid_rl_ros.resources import find_robot

pytestmark = pytest.mark.ros
RUN = {"robot": "r", "policy": "p", "mode": "lockstep", "command": (0.5, 0.0, 0.0)}


@pytest.mark.parametrize(
    "safety",
    [
        [],
        [(0.0, "ACTIVE")],
        [(0.0, "ACTIVE"), (0.5, "FALLING"), (1.0, "FALLEN"), (1.0, "RECOVERING"), (1.8, "VERIFYING"), (2.0, "ACTIVE")],
    ],
)
def test_a_picture_is_drawn_whatever_the_monitor_was_heard_to_say(
    tmp_path: Path, safety: list[tuple[float, str]]
) -> None:
    times = np.linspace(0.0, 2.0, 21).tolist()
    record = Recording(times, times, [0.7] * 21, [0.1] * 21, [np.zeros(3)] * 21, safety=safety)
    result = summarise(record, {}, {"state": "ACTIVE"}, run=RUN)
    draw(record, result, find_robot("reference"), tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_one_that_fell_and_got_up_is_told_from_one_that_stood_and_one_that_lies() -> None:
    record = Recording([0.0, 1.0], [0.0, 1.0], [0.7, 0.1], [0.1, 1.5], [np.zeros(3)] * 2)
    counters = {"safety_monitor": {"falls": "2", "recoveries": "1"}}
    up = summarise(record, counters, {"state": "DEGRADED"}, run=RUN)
    assert (up.fell, up.stood, up.on_its_feet) == (True, False, True)
    assert up.outcome == "fell, got up and went on (1 of 2 falls)"
    assert summarise(record, counters, {"state": "ESTOP"}, run=RUN).outcome == "FELL"
    upright = Recording([0.0, 1.0], [0.0, 1.0], [0.7, 0.7], [0.1, 0.1], [np.zeros(3)] * 2)
    assert summarise(upright, {}, {"state": "ACTIVE"}, run=RUN).outcome == "stood to the end"
    assert summarise(upright, {}, {"state": "DISARMED"}, run=RUN).outcome == "did not stand under control"
