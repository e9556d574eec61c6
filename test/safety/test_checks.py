"""Each rule of the safety monitor by itself: what just passes, what just does not, and what it says then."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.checks import (
    Violation,
    check_age,
    check_answer,
    check_clock,
    check_command_flood,
    check_falling,
    check_finite,
    check_flood,
    check_frozen,
    check_joint_speed,
    check_overrun,
    check_pose,
    check_predicted_position,
    check_publishers,
    check_refused,
    check_saturation,
    check_tilt,
    check_tracking,
    check_warmth,
)
from humanoid_rl_ros.safety.fall import attitude
from humanoid_rl_ros.safety.limits import SafetyLimits

X, Y, Z = np.eye(3)
NAMES = ("hip", "knee", "ankle")
S = 1_000_000_000


def leaning(axis: FloatArray, angle: float) -> RobotState:
    return RobotState(0, np.zeros(1), np.zeros(1), rotations.from_axis_angle(axis, angle), np.zeros(3))


def above(value: float) -> float:
    """The next number."""
    return math.nextafter(value, math.inf)


# What must come, and how.


@pytest.mark.parametrize(
    ("age_ns", "fresh"),
    [
        (0, True),
        (100_000_000, True),
        (100_000_001, False),
        # A stamp from the future is no proof of freshness.
        (-100_000_000, True),
        (-100_000_001, False),
        (-(10**18), False),
        (None, False),
    ],
)
def test_a_message_is_fresh_within_its_time_out_on_either_side(age_ns: int | None, fresh: bool) -> None:
    assert (check_age("late", "IMU message", age_ns, 0.1) is None) is fresh


def test_a_nanosecond_above_two_seconds_is_above_two_seconds() -> None:
    limits = SafetyLimits(frozen_time=2.0, clock_jump=2.0)
    for check in (
        lambda ns: check_age("late", "IMU message", ns, 2.0),
        lambda ns: check_frozen("imu_frozen", "the IMU", ns, limits),
        lambda ns: check_clock("IMU", ns, limits),
    ):
        assert check(2 * S) is None
        assert check(2 * S + 1) is not None


def test_an_age_is_told_with_its_limit() -> None:
    old = Violation("late", "no IMU message for 0.250 s, limit 0.1 s")
    assert check_age("late", "IMU message", 250_000_000, 0.1) == old
    assert check_age("late", "IMU message", -250_000_000, 0.1) == old
    assert check_age("late", "IMU message", None, 0.1) == Violation("late", "no IMU message has arrived")


def test_a_sensor_may_repeat_itself_for_a_while() -> None:
    limits = SafetyLimits(frozen_time=0.25)
    assert check_frozen("imu_frozen", "the IMU", 250_000_000, limits) is None
    assert check_frozen("imu_frozen", "the IMU", 250_000_001, limits) is not None
    found = check_frozen("imu_frozen", "the IMU", 1_500_000_000, limits)
    assert found == Violation("imu_frozen", "the IMU has not changed by a bit for 1.50 s, limit 0.25 s")


def test_stamps_may_fall_back_and_not_jump_ahead() -> None:
    limits = SafetyLimits(clock_jump=0.25)
    assert check_clock("IMU", -(10**15), limits) is None
    assert check_clock("IMU", 250_000_000, limits) is None
    assert check_clock("IMU", 250_000_001, limits) is not None
    found = check_clock("IMU", 1_500_000_000, limits)
    assert found == Violation("clock_jump", "stamps of the IMU jumped 1.500 s ahead, limit 0.25 s")


def test_a_rate_up_to_the_limit_is_no_flood() -> None:
    limits = SafetyLimits(flood_rate=2000.0)
    assert check_flood("joint states", 2000.0, limits) is None
    assert check_flood("joint states", above(2000.0), limits) is not None
    found = check_flood("joint states", 2500.4, limits)
    assert found == Violation("sensor_flood", "joint states come at 2500 Hz, limit 2000 Hz")


@pytest.mark.parametrize(("states", "most"), [(1, 4), (3, 12), (0, 4)])
def test_a_state_may_be_answered_a_few_times(states: int, most: int) -> None:
    limits = SafetyLimits(flood_efforts=4.0)
    assert check_command_flood(most, states, limits) is None
    assert check_command_flood(most + 1, states, limits) == Violation(
        "command_flood", f"{most + 1} policy efforts for {states} states, limit 4 for one"
    )


@pytest.mark.parametrize(
    ("stamp_ns", "state_ns", "text"),
    [
        (10 * S, 10 * S, None),
        (10 * S + 500_000_000, 10 * S, None),
        (10 * S - 500_000_000, 10 * S, None),
        (
            10 * S + 500_000_001,
            10 * S,
            "the stamp of the policy effort is 0.500 s ahead of the last state's, limit 0.5 s",
        ),
        (
            10 * S - 500_000_001,
            10 * S,
            "the stamp of the policy effort is 0.500 s behind the last state's, limit 0.5 s",
        ),
        (0, 7_250_000_000, "the stamp of the policy effort is 7.250 s behind the last state's, limit 0.5 s"),
    ],
)
def test_an_effort_answers_a_recent_state(stamp_ns: int, state_ns: int, text: str | None) -> None:
    found = check_answer(stamp_ns, state_ns, SafetyLimits(answer_age=0.5))
    assert found == (None if text is None else Violation("command_stamp", text))


def test_a_few_messages_may_be_unreadable() -> None:
    limits = SafetyLimits(reject_limit=2, non_finite_limit=7)
    assert check_refused("wrong_joints", "no 'knee'", 1, limits) is None
    assert check_refused("wrong_joints", "no 'knee'", 2, limits) == Violation("wrong_joints", "no 'knee' (2 in a row)")
    assert check_refused("wrong_joints", "no 'knee'", 3, limits) == Violation("wrong_joints", "no 'knee' (3 in a row)")


def test_a_few_efforts_may_be_no_numbers() -> None:
    limits = SafetyLimits(non_finite_limit=2, reject_limit=7)
    assert check_finite(1, limits) is None
    assert check_finite(2, limits) == Violation("non_finite", "2 policy efforts in a row were not finite")
    assert check_finite(3, limits) == Violation("non_finite", "3 policy efforts in a row were not finite")


def test_one_publisher_or_none_yet_is_right_and_two_are_not() -> None:
    assert check_publishers("two", "commands", 0) is None
    assert check_publishers("two", "commands", 1) is None
    assert check_publishers("two", "commands", 2) == Violation("two", "2 publishers on commands, expected 1")


def test_the_monitor_itself_may_be_a_little_late() -> None:
    assert check_overrun(-2 * S, SafetyLimits(tick_overrun=1.0)) is None
    assert check_overrun(S, SafetyLimits(tick_overrun=1.0)) is None
    assert check_overrun(S + 1, SafetyLimits(tick_overrun=1.0)) is not None
    assert check_overrun(200_000_000, SafetyLimits(tick_overrun=0.125)) == Violation(
        "tick_overrun", "the monitor was 0.200 s late, limit 0.125 s: is the machine overloaded?"
    )


# What the robot does.


@pytest.mark.parametrize("axis", [X, Y, -X, (X + Y) / math.sqrt(2.0)])
def test_tilt_counts_in_every_direction(axis: FloatArray) -> None:
    limits = SafetyLimits(tilt_limit=0.5)
    assert check_tilt(attitude(leaning(axis, 0.49)).tilt, limits) is None
    found = check_tilt(attitude(leaning(axis, 0.51)).tilt, limits)
    assert found == Violation("tilt", "tilt 0.51 rad, limit 0.5 rad")


def test_the_tilt_limit_itself_is_allowed() -> None:
    limits = SafetyLimits(tilt_limit=0.5)
    assert check_tilt(0.5, limits) is None
    assert check_tilt(above(0.5), limits) is not None


def test_turning_on_the_spot_is_no_tilt() -> None:
    assert check_tilt(attitude(leaning(Z, 3.0)).tilt, SafetyLimits(tilt_limit=0.5)) is None


def test_an_orientation_that_is_not_a_number_is_a_tilt() -> None:
    state = RobotState(0, np.zeros(1), np.zeros(1), np.full(4, np.nan), np.zeros(3))
    found = check_tilt(attitude(state).tilt, SafetyLimits())
    assert found is not None
    assert found.code == "tilt"


FALLING = {"tilt_limit": 1.0, "falling_tilt": 0.5, "falling_rate": 1.0}


@pytest.mark.parametrize(
    ("horizon", "tilt", "rate", "falls"),
    [
        # Tilted enough: 0.5 is not, whatever the rate.
        (0.25, 0.5, 100.0, False),
        (0.25, above(0.5), 100.0, True),
        # Fast enough: 1 rad/s is not, though 0.9 + 0.25·1 passes 1.
        (0.25, 0.9, 1.0, False),
        (0.25, 0.9, above(1.0), True),
        (0.25, 0.9, -4.0, False),
        # Far enough: 0.75 + 0.125·2 is 1 and no more; with twice the horizon it is 1.25.
        (0.125, 0.75, 2.0, False),
        (0.125, 0.75, 2.0 + 1e-9, True),
        (0.25, 0.75, 2.0, True),
    ],
)
def test_a_robot_falls_when_it_is_tilted_and_fast_and_will_pass_the_limit(
    horizon: float, tilt: float, rate: float, falls: bool
) -> None:
    found = check_falling(tilt, rate, SafetyLimits(**FALLING, falling_horizon=horizon))
    assert (found is not None) is falls


def test_a_fall_is_told_with_where_it_leads() -> None:
    assert check_falling(0.75, 2.0, SafetyLimits(**FALLING, falling_horizon=0.25)) == Violation(
        "falling", "tilt 0.75 rad grows by 2.0 rad/s, to 1.25 rad in 0.25 s; limit 1 rad"
    )


def test_the_joint_that_is_too_fast_for_the_longest_is_named() -> None:
    limits = SafetyLimits(joint_speed=1.5, joint_speed_count=3, position_count=9)
    speed = np.array([9.0, 1.75, 0.0])
    assert check_joint_speed(speed, np.array([1, 2, 0]), NAMES, limits) is None
    assert check_joint_speed(speed, np.array([1, 3, 0]), NAMES, limits) == Violation(
        "joint_speed", "joint 'knee' moves at 1.75 of its velocity limit in 3 states in a row, limit 1.5"
    )
    assert check_joint_speed(speed, np.array([1, 4, 0]), NAMES, limits) is not None


def test_the_joint_that_is_on_its_way_through_its_stop_for_the_longest_is_named() -> None:
    limits = SafetyLimits(position_count=3, position_horizon=0.05, position_margin=0.125, joint_speed_count=9)
    beyond = np.array([9.0, 0.0, 0.25])
    assert check_predicted_position(beyond, np.array([1, 0, 2]), NAMES, limits) is None
    assert check_predicted_position(beyond, np.array([1, 0, 3]), NAMES, limits) == Violation(
        "predicted_position",
        "joint 'ankle' will be 0.25 rad beyond its limits in 0.05 s, in 3 states in a row; limit 0.125 rad",
    )
    assert check_predicted_position(beyond, np.array([1, 0, 4]), NAMES, limits) is not None


@pytest.mark.parametrize(
    ("check", "limits", "limit", "found"),
    [
        (
            check_pose,
            SafetyLimits(pose_margin=0.25),
            0.25,
            Violation("pose", "joint 'knee' is 0.50 rad beyond its limits, limit 0.25 rad"),
        ),
        (
            check_tracking,
            SafetyLimits(tracking_time=0.25, tracking_error=2.5),
            0.25,
            Violation("tracking", "joint 'knee' has been more than 2.5 rad from its target for 0.50 s, limit 0.25 s"),
        ),
        (
            check_saturation,
            SafetyLimits(saturation_time=0.25),
            0.25,
            Violation("effort_saturated", "joint 'knee' has given all it may for 0.50 s, limit 0.25 s"),
        ),
        (
            check_warmth,
            SafetyLimits(thermal_derate=0.25),
            0.25,
            Violation("thermal", "joint 'knee' is at 0.50 of its rated warming, derated from 0.25"),
        ),
    ],
)
def test_the_worst_joint_is_held_to_the_limit_and_named(
    check: Callable[..., Violation | None], limits: SafetyLimits, limit: float, found: Violation
) -> None:
    assert check(np.array([-1.0, 0.5, limit]), NAMES, limits) == found
    assert check(np.array([-1.0, limit, 0.0]), NAMES, limits) is None
    assert check(np.array([-1.0, above(limit), 0.0]), NAMES, limits) is not None
