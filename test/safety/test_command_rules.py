"""What a row of policy efforts leads to: floods, wrong stamps, what is no number, joints that do not get there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.command_rules import CommandRules
from humanoid_rl_ros.safety.limits import SafetyLimits

MS = 1_000_000
ROBOT = RobotSpec("two", (JointSpec("hip", -1.0, 1.0, 10.0), JointSpec("knee", -1.0, 1.0, 5.0)))
ALLOWED = np.array([8.0, 4.0])


def make(**limits: float) -> CommandRules:
    return CommandRules(ROBOT, SafetyLimits(**limits))


def state(stamp_ns: int = 0, position: Sequence[float] = (0.0, 0.0)) -> RobotState:
    return RobotState(stamp_ns, np.array(position), np.zeros(2), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3))


def effort(stamp_ns: int = 0) -> JointEffort:
    return JointEffort(stamp_ns, np.zeros(2))


def judge(
    rules: CommandRules,
    at_ns: int,
    sent: Sequence[float] = (0.0, 0.0),
    *,
    non_finite: bool = False,
    target: Sequence[float] | None = None,
    position: Sequence[float] = (0.0, 0.0),
) -> Violation | None:
    wanted = None if target is None else np.array(target)
    measured = state(at_ns, position)
    rules.judge(at_ns, np.array(sent), ALLOWED, measured, non_finite=non_finite, target=wanted)
    return rules.performance


def test_at_first_nothing_is_wrong() -> None:
    rules = make()
    assert (rules.flood, rules.finite, rules.performance) == (None, None, None)


# Floods and stamps.


def second(rules: CommandRules, at_ns: int, each: int) -> None:
    """States every 10 ms for 0.2 s, each answered so many times, and the state after them."""
    for k in range(20):
        rules.state_came(at_ns + 10 * MS * k)
        for _ in range(each):
            rules.effort_came(effort(), state())
    rules.state_came(at_ns + 200 * MS)


def test_a_policy_may_answer_a_state_a_few_times() -> None:
    rules = make(flood_efforts=2.0)
    second(rules, 0, 2)
    assert rules.flood is None
    rules = make(flood_efforts=2.0)
    second(rules, 0, 3)
    assert rules.flood == Violation("command_flood", "60 policy efforts for 20 states, limit 2 for one")


def test_one_effort_too_many_is_a_flood() -> None:
    rules = make(flood_efforts=2.0)
    rules.state_came(0)
    rules.state_came(1)
    for _ in range(5):
        rules.effort_came(effort(), state())
    rules.state_came(200 * MS - 1)
    assert rules.flood is None  # not yet a whole window
    rules.effort_came(effort(), state())
    rules.effort_came(effort(), state())
    rules.state_came(200 * MS)
    assert rules.flood == Violation("command_flood", "7 policy efforts for 3 states, limit 2 for one")


def test_a_flood_ends_with_the_next_window_that_is_none() -> None:
    rules = make(flood_efforts=2.0)
    second(rules, 0, 3)
    for k in range(1, 20):
        rules.state_came((200 + 10 * k) * MS)
        rules.effort_came(effort(), state())
    assert rules.flood is not None
    rules.state_came(400 * MS)
    assert rules.flood is None


def test_each_window_counts_its_own() -> None:
    rules = make(flood_efforts=2.0)
    for at_ms, efforts in ((0, 2), (200, 3)):
        rules.state_came(at_ms * MS)
        for _ in range(efforts):
            rules.effort_came(effort(), state())
    assert rules.flood is None
    rules.state_came(400 * MS)
    assert rules.flood == Violation("command_flood", "3 policy efforts for 1 states, limit 2 for one")


@pytest.mark.parametrize("anew", [lambda rules: rules.arm(), lambda rules: rules.state_came(-1)])
def test_arming_and_a_clock_that_went_back_begin_a_window(anew: object) -> None:
    rules = make(flood_efforts=2.0)
    rules.state_came(0)
    for _ in range(50):
        rules.effort_came(effort(), state())
    anew(rules)  # type: ignore[operator]
    rules.state_came(199 * MS)
    rules.effort_came(effort(), state())
    rules.state_came(400 * MS)
    assert rules.flood is None


def test_efforts_before_the_first_state_are_no_flood() -> None:
    rules = make(flood_efforts=2.0)
    for _ in range(50):
        rules.effort_came(effort(), state())
    rules.state_came(900 * MS)
    assert rules.flood is None
    rules.state_came(1100 * MS)
    assert rules.flood is None


def test_a_clock_that_stands_still_begins_no_window() -> None:
    rules = make(flood_efforts=2.0)
    rules.state_came(0)
    for _ in range(5):
        rules.effort_came(effort(), state())
    rules.state_came(0)
    rules.state_came(200 * MS)
    assert rules.flood == Violation("command_flood", "5 policy efforts for 2 states, limit 2 for one")


def test_an_effort_with_the_stamp_of_no_recent_state_is_told() -> None:
    rules = make(answer_age=0.25)
    assert rules.effort_came(effort(250 * MS), state(0)) is None
    assert rules.effort_came(effort(0), state(250 * MS)) is None
    assert rules.effort_came(effort(0), state(300 * MS)) == Violation(
        "command_stamp", "the stamp of the policy effort is 0.300 s behind the last state's, limit 0.25 s"
    )
    assert rules.effort_came(effort(300 * MS), state(0)) == Violation(
        "command_stamp", "the stamp of the policy effort is 0.300 s ahead of the last state's, limit 0.25 s"
    )


# What is no number.


def test_efforts_that_are_no_numbers_are_counted_in_a_row() -> None:
    rules = make(non_finite_limit=3)
    for k, bad in enumerate((True, True, False, True, True)):
        judge(rules, k, non_finite=bad)
        assert rules.finite is None
    judge(rules, 5, non_finite=True)
    assert rules.finite == Violation("non_finite", "3 policy efforts in a row were not finite")
    judge(rules, 6)
    assert rules.finite is None


def test_the_first_are_counted_as_all_others_are() -> None:
    rules = make(non_finite_limit=2)
    for _ in range(2):
        judge(rules, 0, non_finite=True)
        assert rules.finite is None
        judge(rules, 1, non_finite=True)
        assert rules.finite is not None
        rules.arm()


# All it has.


def test_a_joint_that_gives_nearly_all_it_may_for_long_is_told() -> None:
    # 0.75 of 8 and 4 N·m: 6 and 3.
    limits = {"saturation_share": 0.75, "saturation_time": 0.5}
    rules = make(**limits)
    for sign in (1.0, -1.0):
        rules.arm()
        assert judge(rules, 100 * MS, (0.0, sign * 3.0)) is None
        assert judge(rules, 600 * MS, (0.0, sign * 3.0)) is None
        assert judge(rules, 600 * MS + 1000, (0.0, sign * 3.0)) == Violation(
            "effort_saturated", "joint 'knee' has given all it may for 0.50 s, limit 0.5 s"
        )
    assert judge(rules, 700 * MS, (0.0, 2.9)) is None
    assert judge(rules, 5000 * MS, (5.9, 2.9)) is None


def test_a_break_begins_anew() -> None:
    rules = make(saturation_share=0.75, saturation_time=0.5)
    for at_ms, knee in ((0, 4.0), (300, 1.0), (400, 4.0), (900, 4.0)):
        assert judge(rules, at_ms * MS, (0.0, knee)) is None
    assert judge(rules, 901 * MS, (0.0, 4.0)) is not None


def test_an_effort_that_chatters_between_its_limits_is_not_held_at_one() -> None:
    rules = make(saturation_share=0.75, saturation_time=0.5)
    for k in range(200):
        assert judge(rules, 10 * MS * k, ((-1.0) ** k * 8.0, -((-1.0) ** (k // 2)) * 4.0)) is None


def test_one_joint_that_chatters_does_not_hide_another_that_is_held() -> None:
    rules = make(saturation_share=0.75, saturation_time=0.5)
    found = [judge(rules, 10 * MS * k, ((-1.0) ** k * 8.0, -4.0)) for k in range(52)]
    assert found[:51] == 51 * [None]
    assert found[51] == Violation("effort_saturated", "joint 'knee' has given all it may for 0.51 s, limit 0.5 s")


# Where it should be.


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_joint_that_stays_far_from_its_target_is_told(sign: float) -> None:
    rules = make(tracking_error=1.5, tracking_time=0.25)
    near, far = (sign * 1.75, 0.0), (sign * 1.76, 0.0)
    for at_ms in (0, 1000):
        assert judge(rules, at_ms * MS, target=near, position=(sign * 0.25, 0.0)) is None
    for at_ms in (2000, 2250):
        assert judge(rules, at_ms * MS, target=far, position=(sign * 0.25, 0.0)) is None
    assert judge(rules, 2251 * MS, target=far, position=(sign * 0.25, 0.0)) == Violation(
        "tracking", "joint 'hip' has been more than 1.5 rad from its target for 0.25 s, limit 0.25 s"
    )
    assert judge(rules, 2252 * MS, target=near, position=(sign * 0.25, 0.0)) is None


def test_what_has_no_target_is_not_astray() -> None:
    rules = make(tracking_error=1.5, tracking_time=0.25)
    assert judge(rules, 0, target=(9.0, 0.0)) is None
    assert judge(rules, 900 * MS) is None


def test_an_effort_without_a_target_is_a_break() -> None:
    rules = make(tracking_error=1.5, tracking_time=0.25)
    judge(rules, 0, target=(9.0, 0.0))
    judge(rules, 100 * MS)
    assert judge(rules, 900 * MS, target=(9.0, 0.0)) is None


def test_saturation_is_told_before_tracking() -> None:
    rules = make(saturation_time=0.25, tracking_time=0.25)
    for at_ms in (0, 300):
        found = judge(rules, at_ms * MS, (8.0, 0.0), target=(9.0, 0.0))
    assert found is not None
    assert found.code == "effort_saturated"
    found = judge(rules, 301 * MS, target=(9.0, 0.0))
    assert found is not None
    assert found.code == "tracking"


def test_arm_forgets_everything() -> None:
    rules = make(saturation_time=0.25, tracking_time=0.25, non_finite_limit=2, flood_efforts=2.0)
    second(rules, 0, 3)
    for at_ms in (0, 300, 301):
        judge(rules, at_ms * MS, (8.0, 0.0), target=(9.0, math.inf), non_finite=True)
    assert None not in (rules.flood, rules.finite, rules.performance)
    rules.arm()
    assert (rules.flood, rules.finite, rules.performance) == (None, None, None)
    assert judge(rules, 400 * MS, (8.0, 0.0), target=(9.0, 0.0), non_finite=True) is None
    assert rules.finite is None
    assert judge(rules, 401 * MS, target=(9.0, 0.0)) is None
