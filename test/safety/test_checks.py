"""Each rule of the safety monitor by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.checks import Violation, check_age, check_publishers, check_tilt
from humanoid_rl_ros.safety.fall import attitude
from humanoid_rl_ros.safety.limits import SafetyLimits

X, Y, Z = np.eye(3)


def leaning(axis: FloatArray, angle: float) -> RobotState:
    return RobotState(0, np.zeros(1), np.zeros(1), rotations.from_axis_angle(axis, angle), np.zeros(3))


@pytest.mark.parametrize(
    ("age_ns", "fresh"),
    [
        (0, True),
        (100_000_000, True),
        (100_000_001, False),
        # A stamp from the future is no proof of freshness.
        (-100_000_001, False),
        (-(10**18), False),
        (None, False),
    ],
)
def test_a_message_is_fresh_within_its_time_out_on_either_side(age_ns: int | None, fresh: bool) -> None:
    assert (check_age("late", "IMU message", age_ns, 0.1) is None) is fresh


def test_an_age_is_told_with_its_limit() -> None:
    assert check_age("late", "IMU message", 250_000_000, 0.1) == Violation(
        "late", "no IMU message for 0.250 s, limit 0.1 s"
    )
    assert check_age("late", "IMU message", None, 0.1) == Violation("late", "no IMU message has arrived")


@pytest.mark.parametrize("axis", [X, Y, -X, (X + Y) / math.sqrt(2.0)])
def test_tilt_counts_in_every_direction(axis: FloatArray) -> None:
    limits = SafetyLimits(tilt_limit=0.5)
    assert check_tilt(attitude(leaning(axis, 0.49)).tilt, limits) is None
    found = check_tilt(attitude(leaning(axis, 0.51)).tilt, limits)
    assert found == Violation("tilt", "tilt 0.51 rad, limit 0.5 rad")


def test_turning_on_the_spot_is_no_tilt() -> None:
    assert check_tilt(attitude(leaning(Z, 3.0)).tilt, SafetyLimits(tilt_limit=0.5)) is None


def test_an_orientation_that_is_not_a_number_is_a_tilt() -> None:
    state = RobotState(0, np.zeros(1), np.zeros(1), np.full(4, np.nan), np.zeros(3))
    found = check_tilt(attitude(state).tilt, SafetyLimits())
    assert found is not None
    assert found.code == "tilt"


def test_one_publisher_or_none_yet_is_right_and_two_are_not() -> None:
    assert check_publishers("two", "commands", 0) is None
    assert check_publishers("two", "commands", 1) is None
    assert check_publishers("two", "commands", 2) == Violation("two", "2 publishers on commands, expected 1")
