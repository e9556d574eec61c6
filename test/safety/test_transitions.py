"""Every transition of the table, from a monitor that is in one state to the other, with the reason it gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from monitored_robot import MS, MonitoredRobot

from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.status import TRANSITIONS, SafetyState

S = SafetyState
Step = Callable[[MonitoredRobot], object]


def _in(state: SafetyState) -> MonitoredRobot:
    """A robot whose monitor is there."""
    robot = MonitoredRobot(recovery_time=1.0, verify_limit=2.0)
    if state is S.DISARMED:
        return robot.steps(0.0)
    if state is S.READY:
        robot.until(S.READY)
        return robot
    robot.can_get_up = state is not S.FALLEN
    robot.armed()
    if state is S.DEGRADED:
        robot.efforts = [10.0, 0.0]
        robot.until(S.DEGRADED)
    elif state is S.ESTOP:
        robot.monitor.emergency_stop(robot.ms * MS)
    elif state is not S.ACTIVE:
        robot.fallen()
        if state is not S.FALLING:
            robot.until(S.FALLEN if state is S.FALLEN else S.RECOVERING)
        if state is S.VERIFYING:
            robot.stand()
            robot.until(S.VERIFYING)
    assert robot.monitor.state is state
    return robot


def _stop(robot: MonitoredRobot) -> None:
    robot.monitor.emergency_stop(robot.ms * MS)


def _disarm(robot: MonitoredRobot) -> None:
    assert robot.monitor.disarm(robot.ms * MS)[0]


def _silence(robot: MonitoredRobot) -> None:
    robot.answers = False


def _get_up_again(robot: MonitoredRobot) -> None:
    robot.can_get_up = True


def _spin(robot: MonitoredRobot) -> None:
    robot.spin = 1.0


def _lie_and_arm(robot: MonitoredRobot) -> None:
    robot.lie()
    robot.steps(1.0)
    assert robot.monitor.arm(robot.ms * MS)[0]


def _arm(robot: MonitoredRobot) -> None:
    assert robot.monitor.arm(robot.ms * MS)[0]


def _work_less(robot: MonitoredRobot) -> None:
    robot.efforts = [1.0, 0.0]


def _work_hard(robot: MonitoredRobot) -> None:
    robot.efforts = [10.0, 0.0]


def _rush(robot: MonitoredRobot) -> None:
    robot.velocity = 40.0


def _reset(robot: MonitoredRobot) -> None:
    robot.step()
    assert robot.monitor.reset(robot.ms * MS)[0]


def _intrude(robot: MonitoredRobot) -> None:
    robot.monitor.report(robot.ms * MS, Violation("second_policy", "2 publishers"))


def _nothing(robot: MonitoredRobot) -> None:
    pass


WAYS: list[tuple[SafetyState, SafetyState, str, Step]] = [
    (S.DISARMED, S.READY, "", _nothing),
    (S.DISARMED, S.ESTOP, "operator", _stop),
    (S.READY, S.DISARMED, "operator", _disarm),
    (S.READY, S.DISARMED, "command_timeout", _silence),
    (S.READY, S.DISARMED, "second_policy", _intrude),
    (S.READY, S.ACTIVE, "", _arm),
    (S.READY, S.FALLEN, "fallen", _lie_and_arm),
    (S.READY, S.ESTOP, "operator", _stop),
    (S.ACTIVE, S.DISARMED, "command_timeout", _silence),
    (S.ACTIVE, S.DISARMED, "operator", _disarm),
    (S.ACTIVE, S.DISARMED, "second_policy", _intrude),
    (S.ACTIVE, S.DEGRADED, "effort_saturated", _work_hard),
    (S.ACTIVE, S.FALLING, "tilt", MonitoredRobot.lie),
    (S.ACTIVE, S.ESTOP, "joint_speed", _rush),
    (S.ACTIVE, S.ESTOP, "operator", _stop),
    (S.DEGRADED, S.DISARMED, "command_timeout", _silence),
    (S.DEGRADED, S.ACTIVE, "", _work_less),
    (S.DEGRADED, S.FALLING, "tilt", MonitoredRobot.lie),
    (S.DEGRADED, S.ESTOP, "joint_speed", _rush),
    (S.FALLING, S.DISARMED, "operator", _disarm),
    (S.FALLING, S.FALLEN, "fallen", lambda robot: setattr(robot, "can_get_up", False)),
    (S.FALLING, S.ESTOP, "operator", _stop),
    (S.FALLEN, S.DISARMED, "operator", _disarm),
    (S.FALLEN, S.FALLING, "moves", _spin),
    (S.FALLEN, S.RECOVERING, "fallen", _get_up_again),
    (S.FALLEN, S.ESTOP, "operator", _stop),
    (S.RECOVERING, S.DISARMED, "command_timeout", _silence),
    (S.RECOVERING, S.FALLING, "recovery_timeout", _nothing),
    (S.RECOVERING, S.VERIFYING, "recovered", MonitoredRobot.stand),
    (S.RECOVERING, S.ESTOP, "joint_speed", _rush),
    (S.VERIFYING, S.DISARMED, "command_timeout", _silence),
    (S.VERIFYING, S.ACTIVE, "", _nothing),
    (S.VERIFYING, S.FALLING, "tilt", MonitoredRobot.lie),
    (S.VERIFYING, S.FALLING, "verify_timeout", _spin),
    (S.VERIFYING, S.ESTOP, "joint_speed", _rush),
    (S.ESTOP, S.DISARMED, "reset", _reset),
]


@pytest.mark.parametrize(("before", "after", "reason", "way"), WAYS)
def test_it_goes(before: SafetyState, after: SafetyState, reason: str, way: Step) -> None:
    robot = _in(before)
    since = robot.ms
    way(robot)
    robot.until(after, 3.0)
    assert robot.where == (after, reason)
    assert robot.monitor.status.since_ns >= min(since, robot.ms) * MS
    last = [e for e in robot.monitor.events(robot.ms * MS) if e.kind == "transition"][-1]
    assert (last.state, last.code) == (after.value, reason)


def test_no_transition_of_the_table_is_left_out() -> None:
    tried = {(before, after) for before, after, _, _ in WAYS}
    assert tried == {(before, after) for before, following in TRANSITIONS.items() for after in following}
