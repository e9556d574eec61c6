"""Falling, lying, getting up, standing, walking on: the monitor's way through a fall, with times chosen by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from monitored_robot import MS, SIDES, MonitoredRobot

from humanoid_rl_ros.core.state import JointEffort
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.status import TRANSITIONS, FallDirection, SafetyState

S = SafetyState


def test_a_fall_is_known_before_it_is_over() -> None:
    robot = MonitoredRobot().armed()
    # 0.5 rad and 2.4 rad/s: past 1.0 rad in 0.21 s, which is within the horizon of 0.25 s.
    robot.tilt, robot.spin = 0.5, 2.4
    assert robot.until(S.FALLING) == pytest.approx(0.05)  # 0.04 s, from the first state on
    assert robot.where == (S.FALLING, "falling")
    assert robot.monitor.status.text == ("tilt 0.50 rad grows by 2.4 rad/s, to 1.10 rad in 0.25 s; limit 1 rad")
    assert robot.monitor.status.counters.falls == 1


@pytest.mark.parametrize("side", SIDES)
def test_it_lies_is_classified_gets_up_stands_and_walks_on(side: FallDirection) -> None:
    robot = MonitoredRobot().armed().fallen(side)
    robot.velocity = 1.0
    robot.step()
    assert robot.sent == pytest.approx([-2.0, -0.5], abs=1e-3)  # limp: damping, and no effort of the policy
    robot.velocity = 0.0
    assert robot.until(S.RECOVERING) == pytest.approx(0.5, abs=0.03)  # FALLEN lasts until the policy is heard
    assert robot.monitor.status.direction is side
    assert robot.where == (S.RECOVERING, "fallen")
    assert robot.monitor.status.text == f"lies {side.value}, try 1"
    robot.efforts = [10.0, -5.0]
    robot.step()
    assert robot.sent == [8.0, -4.0]  # 80 % of the limits
    robot.steps(1.0)
    robot.stand()
    assert robot.until(S.VERIFYING) == pytest.approx(0.3, abs=0.35)  # the mean rate has to come down too
    assert robot.monitor.status.direction is side
    robot.step()
    assert robot.sent == [10.0, -5.0]
    assert robot.until(S.ACTIVE) == pytest.approx(1.0, abs=0.03)
    assert robot.where == (S.ACTIVE, "")
    status = robot.monitor.status
    assert (status.direction, status.tries) == (None, 1)
    assert (status.counters.falls, status.counters.recoveries, status.counters.armings) == (1, 1, 1)


@pytest.mark.parametrize("late", [False, True])
def test_the_first_state_it_is_got_up_from_does_not_hang_on_when_the_policy_is_heard(late: bool) -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.answers = False
    since = None
    while robot.monitor.state is not S.RECOVERING:
        if not late:
            robot.monitor.heartbeat(robot.ms * MS, can_get_up=True)  # of the state before
            assert robot.monitor.state is not S.RECOVERING  # that one was answered with damping
        lay = robot.monitor.state is S.FALLEN
        robot.step()
        if late:
            robot.monitor.heartbeat(robot.ms * MS - 1, can_get_up=True)
        since = robot.ms if lay and since is None else since
    assert robot.monitor.status.since_ns == robot.ms * MS == since * MS


def test_the_tilt_does_not_stop_what_gets_the_robot_up_and_every_other_rule_does() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.spin, robot.tilt = 3.0, 2.5
    robot.steps(2.0)
    assert robot.monitor.state is S.RECOVERING
    robot.velocity = 31.0  # 1.55 of its velocity limit
    robot.steps(0.04)
    assert robot.monitor.state is S.RECOVERING
    robot.step()
    assert robot.where == (S.ESTOP, "joint_speed")


@pytest.mark.parametrize("state", [S.ACTIVE, S.RECOVERING, S.VERIFYING])
def test_a_policy_that_dies_on_the_way_leaves_it_damped_and_disarmed(state: SafetyState) -> None:
    robot = MonitoredRobot().armed()
    if state is not S.ACTIVE:
        robot.fallen().until(S.RECOVERING)
        robot.steps(0.2)
    if state is S.VERIFYING:
        robot.stand()
        robot.until(state)
        robot.steps(0.2)
    robot.answers, robot.velocity = False, 1.0
    robot.steps(0.1)
    assert robot.monitor.state is state
    robot.step()
    assert robot.where == (S.DISARMED, "command_timeout")
    assert robot.sent == pytest.approx([-2.0, -0.5], abs=1e-3)


def test_an_effort_of_the_wrong_behaviour_goes_nowhere_and_is_no_sign_of_life() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.answers = False
    for _ in range(10):
        robot.step()
        effort = JointEffort(robot.ms * MS, np.ones(2))
        assert robot.monitor.judge(robot.ms * MS, effort, meant_for=S.ACTIVE) is None
    robot.step()
    assert robot.where == (S.DISARMED, "command_timeout")
    robot = MonitoredRobot().armed()
    robot.answers = False
    for _ in range(6):
        robot.step()
        effort = JointEffort(robot.ms * MS, np.ones(2))
        assert robot.monitor.judge(robot.ms * MS, effort, meant_for=S.RECOVERING) is None
    robot.until(S.DISARMED, 0.2)


def test_three_tries_that_fail_end_in_the_emergency_stop_damped() -> None:
    robot = MonitoredRobot(recovery_time=1.0).armed().fallen()
    for tries in (1, 2, 3):
        robot.until(S.RECOVERING)
        assert robot.monitor.status.tries == tries
        robot.steps(1.0)
        assert robot.monitor.state is S.RECOVERING
        robot.step()
        assert robot.monitor.state is (S.FALLING if tries < 3 else S.ESTOP)
    assert robot.where == (S.ESTOP, "recovery_failed")
    assert robot.monitor.status.text == ("3 tries to get up have failed; the last: not upright after 1 s, try 3 of 3")
    robot.velocity = 1.0
    robot.step()
    assert robot.sent == pytest.approx([-2.0, -0.5], abs=1e-3)
    assert robot.monitor.reset(robot.ms * MS)[0] is False  # it lies: somebody must set it up
    robot.steps(2.0)
    assert robot.sent == [0.0, 0.0]
    robot.velocity = 0.0
    robot.stand()
    robot.step()
    assert robot.monitor.reset(robot.ms * MS) == (True, "reset")


def test_one_that_falls_again_before_it_has_stood_for_long_has_the_same_tries_left() -> None:
    robot = MonitoredRobot().armed()
    for tries in (1, 2, 3):
        robot.fallen().until(S.RECOVERING)
        assert robot.monitor.status.tries == tries
        robot.stand()
        robot.until(S.ACTIVE)
        robot.steps(1.0)
    robot.lie()
    robot.until(S.ESTOP)
    assert robot.where == (S.ESTOP, "recovery_failed")


def test_one_that_has_stood_for_long_has_all_its_tries_again() -> None:
    robot = MonitoredRobot().armed()
    for _ in range(4):
        robot.fallen().until(S.RECOVERING)
        assert robot.monitor.status.tries == 1
        robot.stand()
        robot.until(S.ACTIVE)
        robot.steps(5.0)
        assert robot.monitor.status.tries == 1
        robot.steps(0.02)
        assert robot.monitor.status.tries == 0


def test_falling_while_it_is_verified_is_a_failed_try() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.VERIFYING)
    robot.fallen()
    assert robot.monitor.status.counters.falls == 2
    robot.until(S.RECOVERING)
    assert robot.monitor.status.tries == 2


def test_one_that_sways_too_long_is_let_down_again() -> None:
    robot = MonitoredRobot(verify_limit=2.0).armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.VERIFYING)
    robot.spin = 1.0
    assert robot.until(S.FALLING) == pytest.approx(2.0, abs=0.03)
    assert robot.where == (S.FALLING, "verify_timeout")


@pytest.mark.parametrize("spoil", ["tilt", "spin", "position"])
def test_upright_is_low_tilt_and_rate_and_the_joints_where_it_stands(spoil: str) -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    setattr(robot, spoil, {"tilt": 0.31, "spin": 0.65, "position": 0.71}[spoil])
    robot.steps(2.0)
    assert robot.monitor.state is S.RECOVERING
    setattr(robot, spoil, {"tilt": 0.29, "spin": 0.55, "position": 0.69}[spoil])
    robot.until(S.VERIFYING, 0.7)


def test_nothing_gets_up_a_robot_whose_policy_cannot() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.until(S.FALLEN)
    assert robot.monitor.status.text == "the robot lies still (prone), and nothing here gets it up"
    robot.steps(3.0)
    assert robot.monitor.state is S.FALLEN
    assert robot.monitor.reset(robot.ms * MS)[1].startswith("refused, the fault stands: tilt 1.50 rad")
    robot.stand()
    robot.step()
    assert robot.monitor.reset(robot.ms * MS) == (True, "reset")


def test_recovery_can_be_forbidden() -> None:
    robot = MonitoredRobot(recover=False).armed().fallen()
    robot.until(S.FALLEN)
    robot.steps(3.0)
    assert robot.monitor.state is S.FALLEN


def test_it_does_not_begin_to_get_up_while_somebody_else_commands() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.until(S.FALLEN)
    robot.monitor.report(robot.ms * MS, Violation("second_policy", "2 publishers"))
    robot.can_get_up = True
    robot.steps(1.0)
    assert robot.monitor.state is S.FALLEN
    robot.monitor.report(robot.ms * MS, None)
    robot.until(S.RECOVERING, 0.1)


def test_it_does_not_begin_to_get_up_blind() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.until(S.FALLEN)
    late = robot.ms + 101
    robot.monitor.tick(late * MS)
    robot.monitor.heartbeat(late * MS, can_get_up=True)
    assert robot.monitor.state is S.FALLEN


def test_one_that_is_moved_while_it_lies_must_come_to_rest_again() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.until(S.FALLEN)
    robot.spin = 0.5
    robot.steps(1.0)
    assert robot.monitor.state is S.FALLEN
    robot.spin = 0.7
    robot.until(S.FALLING, 1.0)
    assert robot.where == (S.FALLING, "moves")
    robot.lie(FallDirection.LEFT)
    robot.until(S.FALLEN)
    assert robot.monitor.status.direction is FallDirection.LEFT


def test_what_is_not_seen_is_not_still() -> None:
    robot = MonitoredRobot().armed().fallen()
    for ms in range(0, 2000, 10):
        robot.monitor.tick((robot.ms + ms) * MS)
    assert robot.monitor.state is S.FALLING


def test_a_robot_that_lies_is_armed_to_get_up() -> None:
    robot = MonitoredRobot()
    robot.lie(FallDirection.SUPINE)
    robot.until(S.READY)
    assert robot.monitor.arm(robot.ms * MS) == (True, "armed: the robot lies (supine) and will get up")
    assert robot.monitor.state is S.FALLEN
    robot.until(S.RECOVERING, 0.1)
    robot.stand()
    robot.until(S.ACTIVE)
    assert robot.monitor.status.counters.faults == 0


@pytest.mark.parametrize("why", ["cannot", "moves", "forbidden"])
def test_one_that_lies_and_may_not_get_up_is_not_ready(why: str) -> None:
    robot = MonitoredRobot(can_get_up=why != "cannot", recover=why != "forbidden")
    robot.lie()
    robot.spin = 0.3 if why == "moves" else 0.0
    robot.steps(1.0)
    assert robot.where == (S.DISARMED, "tilt")


@pytest.mark.parametrize("state", [S.FALLING, S.FALLEN, S.RECOVERING, S.VERIFYING])
def test_the_operator_can_stop_it_on_the_way(state: SafetyState) -> None:
    def on_the_way() -> MonitoredRobot:
        robot = MonitoredRobot(can_get_up=state is not S.FALLEN).armed().fallen()
        if state is S.VERIFYING:
            robot.until(S.RECOVERING)
            robot.stand()
        robot.until(state)
        return robot

    robot = on_the_way()
    assert robot.monitor.disarm(robot.ms * MS) == (True, "disarmed")
    assert robot.where == (S.DISARMED, "operator")
    robot = on_the_way()
    robot.monitor.emergency_stop(robot.ms * MS)
    assert robot.where == (S.ESTOP, "operator")
    robot.velocity = 1.0
    robot.step()
    assert robot.sent == pytest.approx([-2.0, -0.5], abs=1e-3)


def test_after_an_operators_stop_one_that_lies_and_can_get_up_may_be_reset() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.monitor.emergency_stop(robot.ms * MS)
    robot.steps(0.5)
    assert robot.monitor.reset(robot.ms * MS) == (True, "reset")
    robot.until(S.READY)


# DEGRADED.


def test_a_joint_that_gives_all_it_has_for_long_degrades_and_what_is_over_for_long_is_over() -> None:
    robot = MonitoredRobot().armed()
    robot.efforts = [10.0, 0.0]
    robot.steps(1.0)
    assert robot.monitor.state is S.ACTIVE
    robot.steps(0.03)
    assert robot.where == (S.DEGRADED, "effort_saturated")
    assert robot.sent == [10.0, 0.0]  # it still holds the robot
    robot.efforts = [9.0, 0.0]
    robot.steps(0.5)
    robot.efforts = [10.0, 0.0]
    robot.steps(1.1)
    robot.efforts = [9.0, 0.0]
    assert robot.until(S.ACTIVE) == pytest.approx(1.0, abs=0.03)
    assert robot.where == (S.ACTIVE, "")
    assert robot.monitor.status.counters.faults == 0


def test_a_monitor_that_is_late_degrades() -> None:
    robot = MonitoredRobot().armed()
    robot.monitor.tick(robot.ms * MS, late_ns=50 * MS)
    assert robot.monitor.state is S.ACTIVE
    robot.monitor.tick(robot.ms * MS, late_ns=50 * MS + 1)
    assert robot.where == (S.DEGRADED, "tick_overrun")


def test_a_warm_joint_degrades_and_is_given_less() -> None:
    robot = MonitoredRobot(thermal_time=10.0).armed()
    robot.efforts = [10.0, 0.0]
    # Twice the continuous effort warms by 4·(1 − e^(−t/10)): 0.8 after 2.2 s.
    robot.steps(1.5)
    robot.efforts = [9.8, 0.0]
    robot.until(S.DEGRADED, 0.5 + 2.0)
    robot.steps(2.0)
    assert robot.where == (S.DEGRADED, "effort_saturated") or robot.monitor.status.warmest > 0.8
    assert robot.sent[0] < 9.8


@pytest.mark.parametrize(
    ("spoil", "state", "reason"),
    [
        (lambda r: setattr(r, "velocity", 31.0), S.ESTOP, "joint_speed"),
        (lambda r: setattr(r, "position", 2.3), S.ESTOP, "predicted_position"),
        (lambda r: r.lie(), S.FALLING, "tilt"),
        (lambda r: setattr(r, "answers", False), S.DISARMED, "command_timeout"),
        (lambda r: r.monitor.report(r.ms * MS, Violation("second_policy", "two")), S.DISARMED, "second_policy"),
    ],
)
def test_degraded_is_guarded_as_active_is(
    spoil: Callable[[MonitoredRobot], None], state: SafetyState, reason: str
) -> None:
    robot = MonitoredRobot().armed()
    robot.efforts = [10.0, 0.0]
    robot.until(S.DEGRADED)
    spoil(robot)
    robot.until(state, 0.3)
    assert robot.where == (state, reason)


def test_a_joint_that_is_moved_too_fast_or_out_of_place_cannot_be_armed() -> None:
    robot = MonitoredRobot()
    robot.velocity = 31.0
    robot.steps(0.5)
    assert robot.where == (S.DISARMED, "joint_speed")
    robot.velocity, robot.position = 0.0, 2.11
    robot.steps(0.1)
    assert robot.where == (S.DISARMED, "pose")
    assert robot.monitor.arm(robot.ms * MS) == (
        False,
        "refused in DISARMED: joint 'hip' is 0.11 rad beyond its limits, limit 0.1 rad",
    )
    robot.position = 2.09
    robot.until(S.READY, 0.1)


def test_the_table_of_transitions_leads_everywhere_and_out_again() -> None:
    assert set(TRANSITIONS) == set(S)
    assert set().union(*TRANSITIONS.values()) == set(S)
    assert all(S.ESTOP in following for state, following in TRANSITIONS.items() if state is not S.ESTOP)
    assert all(S.DISARMED in following for state, following in TRANSITIONS.items() if state is not S.DISARMED)


# What is there to read afterwards.


def test_the_events_tell_the_whole_story_and_a_record_is_due_at_every_fault_and_reset() -> None:
    robot = MonitoredRobot().armed()
    assert robot.monitor.record_due == ""
    robot.fallen()
    assert robot.monitor.record_due == "tilt"
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.ACTIVE)
    events = robot.monitor.events(robot.ms * MS)
    transitions = [(e.state, e.code) for e in events if e.kind == "transition"]
    assert transitions[-7:] == [
        ("READY", ""),
        ("ACTIVE", ""),
        ("FALLING", "tilt"),
        ("FALLEN", "fallen"),
        ("RECOVERING", "fallen"),
        ("VERIFYING", "recovered"),
        ("ACTIVE", ""),
    ]
    assert ("operator", "arm: armed") in [(e.kind, e.text) for e in events]
    robot.monitor.record_due = ""
    robot.monitor.reset(robot.ms * MS)
    assert robot.monitor.record_due == "reset"


def test_a_fall_counts_until_the_robot_has_been_on_its_feet_for_longer_than_five_seconds() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.ACTIVE)
    robot.steps(5.0)
    assert robot.monitor.status.tries == 1
    robot.monitor.tick(robot.ms * MS + 1)
    assert robot.monitor.status.tries == 0
