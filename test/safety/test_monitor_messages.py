"""What the monitor makes of messages that are unreadable, repeated or from another time, and what it notes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from monitored_robot import MS, ROBOT, MonitoredRobot

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.status import SafetyState

S = SafetyState
HOUR_MS = 3_600_000
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
DAMPED = pytest.approx([-2.0, -0.5], abs=1e-3)  # −kd·q̇ at 1 rad/s


def moving() -> MonitoredRobot:
    robot = MonitoredRobot().armed()
    robot.velocity = 1.0
    return robot.steps(0.05)


def notes(robot: MonitoredRobot, kind: str) -> list[tuple[str, str, str]]:
    return [(e.state, e.code, e.text) for e in robot.monitor.events(robot.ms * MS) if e.kind == kind]


# Refused.


@pytest.mark.parametrize("source", Source)
def test_three_in_a_row_that_cannot_be_read_end_active_by_name_with_damping_at_once(source: Source) -> None:
    robot = moving()
    now = robot.ms * MS
    assert robot.monitor.reject(now, source, "wrong_joints", "joint 'knee' is missing") is None
    assert robot.monitor.reject(now, source, "wrong_joints", "joint 'hip' is missing") is None
    assert robot.monitor.state is S.ACTIVE
    command = robot.monitor.reject(now, source, "wrong_joints", "joint 'toe' is unknown")
    assert command is not None
    assert command.stamp_ns == now
    assert command.effort.tolist() == DAMPED
    assert robot.where == (S.DISARMED, "wrong_joints")
    text = f"{source.value} refused: joint 'toe' is unknown (3 in a row)"
    assert robot.monitor.status.text == text
    assert robot.monitor.status.last_fault == f"wrong_joints: {text}"
    assert robot.monitor.status.counters.rejected == 3
    assert robot.monitor.reject(now, source, "wrong_joints", "again") is None  # damping is on its way already
    first = notes(robot, "refused")[0]
    assert first == ("ACTIVE", "wrong_joints", f"{source.value} refused: joint 'knee' is missing")


@pytest.mark.parametrize("source", Source)
def test_one_that_can_be_read_makes_noise_of_those_before_it(source: Source) -> None:
    robot = moving()
    for _ in range(5):
        for _ in range(2):
            robot.monitor.reject(robot.ms * MS, source, "malformed", "cut off")
        if source is Source.IMU:
            robot.monitor.imu_came(robot.ms * MS, robot.ms * MS)
        robot.step()
    assert robot.monitor.state is S.ACTIVE


def test_an_effort_for_another_time_is_refused_and_three_end_active() -> None:
    robot = moving()
    robot.answers = False
    late = JointEffort((robot.ms - HOUR_MS) * MS, np.zeros(2))
    for _ in range(2):
        assert robot.monitor.judge(robot.ms * MS, late, meant_for=S.ACTIVE) is None
        assert robot.monitor.state is S.ACTIVE
    command = robot.monitor.judge(robot.ms * MS, late, meant_for=S.ACTIVE)
    assert command is not None
    assert command.effort.tolist() == DAMPED
    assert robot.where == (S.DISARMED, "command_stamp")
    assert robot.monitor.status.text == (
        "policy effort refused: the stamp of the policy effort is 3600.000 s behind the last state's, limit 0.5 s "
        "(3 in a row)"
    )
    assert robot.monitor.status.counters.rejected == 3
    assert robot.monitor.status.counters.commands < 20


@pytest.mark.parametrize("source", [Source.STATE, Source.COMMAND])
def test_a_heartbeat_or_a_state_that_can_be_read_ends_the_run_of_refusals(source: Source) -> None:
    robot = MonitoredRobot()
    robot.until(S.READY)
    for _ in range(3):
        robot.monitor.reject(robot.ms * MS, source, "malformed", "cut off")
    assert robot.where == (S.DISARMED, "malformed")
    robot.step()
    assert robot.monitor.state is S.READY


def test_a_flood_of_efforts_ends_active_by_name() -> None:
    robot = moving()
    for _ in range(40):
        robot.step()
        for _ in range(5):
            robot.monitor.judge(robot.ms * MS, JointEffort(robot.ms * MS, np.zeros(2)), meant_for=S.ACTIVE)
    assert robot.monitor.status.last_fault == "command_flood: 120 policy efforts for 20 states, limit 4 for one"


# Repeated.


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        (Source.STATE, "joints_frozen", "the joint state repeats one stamp: no joint state with IMU for 0.101 s"),
        (Source.COMMAND, "policy_frozen", "the policy effort repeats one stamp: no policy effort for 0.101 s"),
    ],
)
def test_what_repeats_one_stamp_is_late_by_another_name(source: Source, code: str, text: str) -> None:
    robot = moving()
    since = robot.ms
    for ms in (30, 60, 100):
        robot.monitor.repeat((since + ms) * MS, source)
        robot.monitor.tick((since + ms) * MS)
        if source is Source.COMMAND:
            robot.answers = False
            while robot.ms < since + ms:
                robot.step()
    assert robot.monitor.state is S.ACTIVE
    robot.monitor.tick((since + 101) * MS)
    assert robot.where == (S.DISARMED, code)
    assert robot.monitor.status.text == f"{text}, limit 0.1 s"


class WithoutNoise(MonitoredRobot):
    """At rest, measured the same every time."""

    def measured(self, at_ms: int) -> RobotState:
        return RobotState(at_ms * MS, ROBOT.default_position, np.zeros(2), UPRIGHT, np.zeros(3))


def test_a_robot_at_rest_may_be_measured_the_same_until_a_policy_moves_it() -> None:
    robot = WithoutNoise().steps(2.0)
    assert robot.where == (S.READY, "")
    robot.armed()
    assert robot.until(S.DISARMED) == pytest.approx(0.46, abs=0.011)  # 0.5 s, of which 0.05 s have passed
    assert robot.where == (S.DISARMED, "joints_frozen")


def test_what_repeated_itself_long_ago_is_simply_late() -> None:
    robot = moving()
    robot.monitor.repeat(robot.ms * MS, Source.STATE)
    robot.monitor.tick((robot.ms + 101) * MS)
    assert robot.where == (S.DISARMED, "state_timeout")


# Other times.


def test_an_imu_whose_clock_jumps_ends_active() -> None:
    robot = moving()
    for _ in range(3):
        robot.monitor.imu_came(robot.ms * MS, robot.ms * MS)
        robot.step()
    robot.monitor.imu_came(robot.ms * MS, (robot.ms + 498) * MS)
    assert robot.monitor.state is S.ACTIVE
    command = robot.monitor.imu_came(robot.ms * MS, (robot.ms + HOUR_MS) * MS)
    assert robot.where == (S.DISARMED, "clock_jump")
    assert command is not None
    assert command.effort.tolist() == DAMPED
    assert robot.monitor.status.last_fault.startswith("clock_jump: stamps of the IMU jumped 3599.50")
    transition = [e for e in robot.monitor.events(robot.ms * MS) if e.kind == "transition"][-1]
    assert transition.time_ns == robot.ms * MS


def test_a_second_publisher_is_answered_with_damping_at_once_and_once() -> None:
    robot = moving()
    found = Violation("second_policy", "2 publishers")
    command = robot.monitor.report(robot.ms * MS, found)
    assert command is not None
    assert command.effort.tolist() == DAMPED
    assert robot.monitor.report(robot.ms * MS, found) is None
    assert robot.monitor.report(robot.ms * MS, None) is None


def test_an_effort_that_finds_the_sensors_silent_is_answered_with_zero_at_once() -> None:
    robot = moving()
    later = (robot.ms + 101) * MS
    command = robot.monitor.judge(later, JointEffort(robot.ms * MS, np.ones(2)), meant_for=S.ACTIVE)
    assert robot.where == (S.DISARMED, "state_timeout")
    assert command is not None
    assert command.effort.tolist() == [0.0, 0.0]


def test_an_imu_whose_clock_jumps_is_no_fault_while_nothing_passes() -> None:
    robot = MonitoredRobot()
    robot.until(S.READY)
    robot.monitor.imu_came(robot.ms * MS, robot.ms * MS)
    robot.monitor.imu_came(robot.ms * MS, (robot.ms + HOUR_MS) * MS)
    assert robot.monitor.state is S.READY
    assert robot.monitor.status.counters.faults == 0


def test_an_imu_that_speaks_by_itself_is_heard() -> None:
    robot = moving()
    since = robot.ms * MS
    robot.monitor.imu_came(since + 90 * MS, since + 90 * MS)
    robot.monitor.tick(since + 101 * MS)
    assert robot.where == (S.DISARMED, "state_timeout")
    robot = moving()
    state = robot.last_state
    since = robot.ms * MS
    for ms in (50, 101):
        robot.monitor.observe(since + ms * MS, robot.measured(robot.ms + ms), imu_seen_ns=since)
        if ms == 50:
            robot.monitor.judge(since + ms * MS, JointEffort(since + ms * MS, np.zeros(2)), meant_for=S.ACTIVE)
    assert state is not None
    assert robot.where == (S.DISARMED, "imu_timeout")


def test_an_imu_that_speaks_between_two_states_counts_as_heard() -> None:
    robot = moving()
    since = robot.ms
    robot.monitor.observe((since + 90) * MS, robot.measured(since + 90), imu_seen_ns=since * MS)
    robot.monitor.judge((since + 90) * MS, JointEffort((since + 90) * MS, np.zeros(2)), meant_for=S.ACTIVE)
    robot.monitor.imu_came((since + 95) * MS, (since + 95) * MS)
    robot.monitor.tick((since + 120) * MS)
    assert robot.monitor.state is S.ACTIVE


def test_states_whose_clock_jumps_end_active() -> None:
    robot = moving()
    command = robot.monitor.observe(robot.ms * MS, robot.measured(robot.ms + HOUR_MS))
    assert robot.where == (S.DISARMED, "clock_jump")
    assert command is not None
    assert command.effort.tolist() == DAMPED


def test_after_the_world_was_reset_the_policy_has_one_time_out_to_be_heard_again() -> None:
    robot = moving()
    robot.monitor.restart()
    later = (robot.ms + 5000) * MS
    robot.monitor.observe(later, robot.measured(0))
    assert robot.monitor.state is S.ACTIVE
    robot.monitor.tick(later + 100 * MS)
    assert robot.monitor.state is S.ACTIVE
    robot.monitor.observe(later + 100 * MS, robot.measured(100))
    robot.monitor.tick(later + 101 * MS)
    assert robot.where == (S.DISARMED, "command_timeout")


def test_a_reset_of_the_world_begins_every_count_anew() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.steps(0.45)  # of the half second for which it must lie still
    robot.monitor.restart()
    robot.steps(0.45)
    assert robot.monitor.state is S.FALLING
    robot.until(S.FALLEN, 0.2)


def test_a_reset_of_the_world_gives_a_try_its_whole_time_again() -> None:
    robot = MonitoredRobot(recovery_time=1.0).armed().fallen()
    robot.until(S.RECOVERING)
    robot.steps(0.9)
    robot.monitor.restart()
    since = robot.ms
    robot.until(S.FALLING)
    assert robot.ms - since == 1000 + 20  # from the first state after it


def test_a_state_asked_for_again_is_judged_once() -> None:
    robot = moving()
    robot.velocity = 31.0
    robot.step()
    again = robot.last_state
    assert again is not None
    for _ in range(10):
        robot.monitor.observe(robot.ms * MS, again)
    assert robot.monitor.state is S.ACTIVE


# Passed on.


def test_the_rate_of_an_effort_goes_by_the_state_that_it_answers() -> None:
    robot = MonitoredRobot(effort_rate=10.0).armed()  # 100 N·m/s of the hip: 1 N·m in 10 ms
    robot.efforts = [0.0, 0.0]
    robot.steps(0.05)
    robot.answers = False
    robot.step()
    for stamp_ms, allowed in ((robot.ms, 1.0), (robot.ms, 1.0), (robot.ms + 5, 1.5)):
        effort = JointEffort(stamp_ms * MS, np.array([9.0, 0.0]))
        command = robot.monitor.judge(robot.ms * MS, effort, meant_for=S.ACTIVE)
        assert command is not None
        assert command.stamp_ns == stamp_ms * MS
        assert command.effort.tolist() == pytest.approx([allowed, 0.0])


def test_a_joint_that_does_not_get_where_it_should_degrades() -> None:
    robot = MonitoredRobot().armed()
    robot.target_offset = 1.6
    robot.until(S.DEGRADED, 0.6)
    assert robot.where == (S.DEGRADED, "tracking")
    assert robot.monitor.status.text == (
        "joint 'hip' has been more than 1.5 rad from its target for 0.51 s, limit 0.5 s"
    )
    robot.target_offset = 1.4
    robot.until(S.ACTIVE, 1.1)


def test_an_effort_for_other_joints_is_refused_by_name() -> None:
    robot = moving()
    with pytest.raises(StateError, match="effort has 3 values, expected 2") as caught:
        robot.monitor.judge(robot.ms * MS, JointEffort(robot.ms * MS, np.zeros(3)))
    assert caught.value.code == "wrong_joints"


# Boundaries, in milliseconds.


def test_each_wait_lasts_as_long_as_it_should_to_the_state() -> None:
    robot = MonitoredRobot().armed().fallen()
    lies_since = robot.ms
    robot.until(S.RECOVERING)
    assert robot.ms - lies_since == 500 + 10  # it is got up from the state after the one in which it is known to lie
    robot.stand()
    stands_since = robot.ms
    robot.until(S.VERIFYING)
    assert robot.ms - stands_since == 300 + 10  # the first state in which it stands begins the time
    verifies_since = robot.ms
    robot.until(S.ACTIVE)
    assert robot.ms - verifies_since == 1000


@pytest.mark.parametrize(("limit", "text"), [("recovery_time", "not upright after 2 s, try 1 of 3")])
def test_a_try_lasts_as_long_as_it_may_to_the_state(limit: str, text: str) -> None:
    robot = MonitoredRobot(**{limit: 2.0}).armed().fallen()
    robot.until(S.RECOVERING)
    since = robot.ms
    robot.until(S.FALLING)
    assert robot.ms - since == 2000 + 10
    assert robot.monitor.status.text == text


def test_verifying_lasts_as_long_as_it_may_to_the_state() -> None:
    robot = MonitoredRobot(verify_limit=2.0).armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.VERIFYING)
    since, robot.spin = robot.ms, 1.0
    robot.until(S.FALLING)
    assert robot.ms - since == 2000 + 10
    assert robot.monitor.status.text == "not still on its feet after 2 s"
    assert robot.monitor.status.last_fault == "verify_timeout: not still on its feet after 2 s"


# Noted.


@pytest.mark.parametrize(
    ("ask", "note"),
    [
        (lambda m, now: m.arm(now), "arm: refused in ESTOP: emergency stop by the operator"),
        (lambda m, now: m.disarm(now), "disarm: refused in ESTOP: use reset"),
        (lambda m, now: m.emergency_stop(now), "emergency stop: emergency stop"),
        (lambda m, now: m.reset(now), "reset: reset"),
    ],
)
def test_every_request_and_its_answer_are_noted(ask: Callable[..., tuple[bool, str]], note: str) -> None:
    robot = MonitoredRobot()
    robot.until(S.READY)
    robot.monitor.emergency_stop(robot.ms * MS)
    answer = ask(robot.monitor, robot.ms * MS)
    assert notes(robot, "operator")[-1][2] == note
    assert note.endswith(answer[1])
    assert notes(robot, "operator")[0] == ("ESTOP", "", "emergency stop: emergency stop")


def test_arming_what_is_armed_disarming_and_resetting_what_is_sound_are_noted_too() -> None:
    robot = MonitoredRobot().armed()
    now = robot.ms * MS
    assert robot.monitor.arm(now) == (True, "armed already")
    assert robot.monitor.reset(now) == (True, "nothing is latched in ACTIVE")
    assert robot.monitor.disarm(now) == (True, "disarmed")
    assert [text for _, _, text in notes(robot, "operator")][-3:] == [
        "arm: armed already",
        "reset: nothing is latched in ACTIVE",
        "disarm: disarmed",
    ]
    assert robot.monitor.status.text == "disarmed by the operator"


def test_a_fall_is_told_as_it_goes() -> None:
    robot = MonitoredRobot().armed().fallen()
    robot.until(S.RECOVERING)
    robot.stand()
    robot.until(S.ACTIVE)
    told = {state: text for state, _, text in notes(robot, "transition")}
    assert told["FALLEN"] == "the robot lies still (prone)"
    assert told["RECOVERING"] == "lies prone, try 1"
    assert told["VERIFYING"].startswith("upright, tilt 0.0")
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    robot.until(S.FALLEN)
    robot.spin = 1.0
    robot.until(S.FALLING)
    assert robot.monitor.status.text.startswith("the base turns at 0.6")
    robot.monitor.emergency_stop(robot.ms * MS)
    robot.stand()
    robot.step()
    robot.monitor.reset(robot.ms * MS)
    assert robot.monitor.status.text == "reset by the operator"
    assert notes(robot, "operator")[-2][2] == "emergency stop: emergency stop"


def test_a_reset_that_is_refused_is_noted_with_why() -> None:
    robot = MonitoredRobot(can_get_up=False).armed().fallen()
    done, text = robot.monitor.reset(robot.ms * MS)
    assert not done
    assert notes(robot, "operator")[-1][2] == f"reset: {text}"


def test_arming_one_that_lies_is_noted() -> None:
    robot = MonitoredRobot()
    robot.lie()
    robot.until(S.READY)
    robot.monitor.arm(robot.ms * MS)
    assert notes(robot, "operator")[-1][2] == "arm: armed: the robot lies (prone) and will get up"


def test_every_fault_changes_the_status() -> None:
    robot = MonitoredRobot()
    seen = [robot.monitor.changes]
    for _ in range(3):
        robot.armed()
        seen.append(robot.monitor.changes)
        robot.monitor.report(robot.ms * MS, Violation("second_policy", "2 publishers"))
        seen.append(robot.monitor.changes)
        robot.monitor.report(robot.ms * MS, None)
    assert seen == sorted(set(seen))


def test_what_degrades_is_noted_again_and_again_as_one_event() -> None:
    robot = MonitoredRobot().armed()
    robot.efforts = [10.0, 0.0]
    robot.until(S.DEGRADED)
    robot.steps(0.5)
    found = [e for e in robot.monitor.events(robot.ms * MS) if e.kind == "violation"]
    assert [(e.state, e.code) for e in found] == [("ACTIVE", "effort_saturated"), ("DEGRADED", "effort_saturated")]
    assert found[1].count > 40
    assert found[0].text == "joint 'hip' has given all it may for 1.01 s, limit 1 s"


def test_changes_grow_with_what_the_status_says_and_with_nothing_else() -> None:
    robot = MonitoredRobot()
    robot.until(S.READY)
    before = robot.monitor.changes
    robot.steps(0.5)
    assert robot.monitor.changes == before
    robot.monitor.arm(robot.ms * MS)
    assert robot.monitor.changes == before + 1
    robot.monitor.report(robot.ms * MS, Violation("second_policy", "2 publishers"))
    assert robot.monitor.changes > before + 1
    now = robot.monitor.changes
    robot.monitor.report(robot.ms * MS, None)
    robot.steps(0.05)
    assert robot.monitor.changes == now + 1  # READY again


def test_the_last_word_before_any_state_has_no_stamp() -> None:
    assert MonitoredRobot().monitor.farewell().stamp_ns == 0
