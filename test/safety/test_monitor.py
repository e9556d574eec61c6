"""The monitor's transitions one by one, with times chosen by hand: command and sensor time-outs of 100 ms."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import SafetyState, SafetyStatus

Refuses = Callable[..., AbstractContextManager[None]]
MS = 1_000_000
NOW = 1 * MS
VELOCITY = [2.0, -3.0]
DAMPING = [-4.0, 1.5]  # −kd·q̇ of the robot below
ASKED = [3.0, -2.0]


def make(**limits: float) -> SafetyMonitor:
    joints = (JointSpec("hip", -1.0, 1.0, 10.0, kd=2.0), JointSpec("knee", -1.0, 1.0, 5.0, kd=0.5))
    return SafetyMonitor(RobotSpec("two", joints), SafetyLimits(**limits))


def state(at_ms: float, tilt: float = 0.0, velocity: object = VELOCITY) -> RobotState:
    orientation = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), tilt)
    # Sensors that measure give a little noise.
    position = np.full(2, 1e-9 * at_ms)
    return RobotState(round(at_ms * MS), position, np.array(velocity), orientation, np.full(3, 1e-9 * at_ms))


def effort(at_ms: float, values: object = ASKED) -> JointEffort:
    return JointEffort(round(at_ms * MS), np.array(values))


def observe(monitor: SafetyMonitor, at_ms: float, tilt: float = 0.0) -> list[float] | None:
    return sent(monitor.observe(round(at_ms * MS), state(at_ms, tilt)))


def judge(monitor: SafetyMonitor, at_ms: float, values: object = ASKED) -> list[float] | None:
    return sent(monitor.judge(round(at_ms * MS), effort(at_ms, values)))


def tick(monitor: SafetyMonitor, at_ms: float) -> list[float] | None:
    return sent(monitor.tick(round(at_ms * MS)))


def sent(command: JointEffort | None) -> list[float] | None:
    return None if command is None else command.effort.tolist()


def ready(**limits: float) -> SafetyMonitor:
    """At 0 ms."""
    monitor = make(**limits)
    monitor.heartbeat(0)
    observe(monitor, 0)
    assert monitor.status.state is SafetyState.READY
    return monitor


def active(**limits: float) -> SafetyMonitor:
    """At 0 ms."""
    monitor = ready(**limits)
    assert monitor.arm(0) == (True, "armed")
    assert monitor.status.state is SafetyState.ACTIVE
    return monitor


def where(monitor: SafetyMonitor) -> tuple[SafetyState, str]:
    return monitor.status.state, monitor.status.reason


# Getting ready and armed.


def test_it_starts_disarmed_and_says_what_is_missing() -> None:
    monitor = make()
    assert where(monitor) == (SafetyState.DISARMED, "startup")
    assert tick(monitor, 0) == [0.0, 0.0]
    assert where(monitor) == (SafetyState.DISARMED, "state_timeout")
    assert monitor.status.text == "no joint state with IMU has arrived"
    assert observe(monitor, 1) == DAMPING
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")
    monitor.heartbeat(2 * MS)
    assert where(monitor) == (SafetyState.READY, "")


def test_before_anything_has_happened_it_says_so() -> None:
    monitor = make()
    assert monitor.status == SafetyStatus(SafetyState.DISARMED, reason="startup", text="not armed yet")
    assert monitor.changes == 0
    monitor.emergency_stop(NOW)
    assert monitor.status.since_ns == 0
    assert [event.stamp_ns for event in monitor.events(NOW)] == [None, None]


def test_states_and_events_are_stamped_as_the_last_measurement_was() -> None:
    monitor = make()
    observe(monitor, 3)
    monitor.emergency_stop(5 * MS)
    assert monitor.status.since_ns == 3 * MS
    assert [event.stamp_ns for event in monitor.events(5 * MS)] == [3 * MS] * 3


def test_a_policy_heard_before_the_first_state_is_not_heard_anew_with_it() -> None:
    monitor = make()
    monitor.heartbeat(0)
    observe(monitor, 90)
    assert monitor.state is SafetyState.READY
    observe(monitor, 101)
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")


def test_a_robot_that_lies_is_not_ready_for_a_policy_that_never_said_it_gets_up() -> None:
    monitor = make()
    for at in range(20):
        observe(monitor, at, tilt=1.5)
        judge(monitor, at)
    assert where(monitor) == (SafetyState.DISARMED, "tilt")


def test_a_policy_that_may_not_start_from_here_keeps_the_robot_from_being_armed() -> None:
    monitor = make()
    why = Violation("start_pose", "hip is 1.20 rad away")
    for at in (0, 10):
        assert observe(monitor, at) == DAMPING
        monitor.heartbeat(at * MS, refusal=why.text)
    assert where(monitor) == (SafetyState.DISARMED, "start_pose")
    assert monitor.gate(10 * MS) == {
        **dict.fromkeys(("sensors", "upright", "joints", "graph", "policy")),
        "start_pose": why,
    }
    assert monitor.arm(10 * MS) == (False, "refused in DISARMED: hip is 1.20 rad away")
    assert judge(monitor, 11) is None
    assert observe(monitor, 12) == DAMPING
    monitor.heartbeat(13 * MS)
    assert where(monitor) == (SafetyState.READY, "")
    monitor.heartbeat(14 * MS, refusal="hip is 1.20 rad away")
    assert where(monitor) == (SafetyState.DISARMED, "start_pose")


def test_one_that_lies_and_can_get_up_is_armed_from_any_pose() -> None:
    monitor = make()
    for at in range(0, 1000, 10):
        observe(monitor, at, tilt=1.5)
        monitor.heartbeat(at * MS, can_get_up=True, refusal="hip is 1.20 rad away")
    assert where(monitor) == (SafetyState.READY, "")


def test_an_effort_makes_it_ready_and_goes_nowhere() -> None:
    monitor = make()
    observe(monitor, 0)
    assert judge(monitor, 1) is None
    assert monitor.status.state is SafetyState.READY


@pytest.mark.parametrize("make_one", [ready, active])
def test_where_nothing_is_wrong_there_is_no_reason_and_no_text(make_one: Callable[[], SafetyMonitor]) -> None:
    status = make_one().status
    assert (status.reason, status.text) == ("", "")


def test_ready_answers_states_with_damping_and_passes_no_effort() -> None:
    monitor = ready()
    assert observe(monitor, 1) == DAMPING
    assert judge(monitor, 1) is None
    assert tick(monitor, 2) is None
    assert monitor.status.counters.commands == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: tick(m, 101), "state_timeout"),
        (lambda m: m.observe(101 * MS, state(101), imu_seen_ns=0), "imu_timeout"),
        (lambda m: m.observe(101 * MS, state(101)), "command_timeout"),
        (lambda m: observe(m, 1, tilt=1.1), "tilt"),
        (lambda m: (m.report(NOW, Violation("second_policy", "2 publishers")), tick(m, 1)), "second_policy"),
    ],
)
def test_what_goes_missing_takes_ready_away_at_once_and_arming_is_refused_with_the_reason(
    spoil: Callable[[SafetyMonitor], object], reason: str
) -> None:
    monitor = ready()
    spoil(monitor)
    assert where(monitor) == (SafetyState.DISARMED, reason)
    done, text = monitor.arm(1 * MS if reason in ("tilt", "second_policy") else 101 * MS)
    assert not done
    assert text == f"refused in DISARMED: {monitor.status.text}"
    assert monitor.status.counters.faults == 0


def test_arm_looks_at_the_time_itself() -> None:
    monitor = ready()
    assert monitor.arm(101 * MS)[0] is False
    assert where(monitor) == (SafetyState.DISARMED, "state_timeout")


def test_arming_twice_is_no_error() -> None:
    assert active().arm(1 * MS) == (True, "armed already")


def test_active_passes_an_effort_with_the_stamp_it_answers_and_leaves_states_to_the_policy() -> None:
    monitor = active()
    assert observe(monitor, 1) is None
    command = monitor.judge(2 * MS, effort(1))
    assert command is not None
    assert (command.stamp_ns, command.effort.tolist()) == (1 * MS, ASKED)
    assert tick(monitor, 3) is None


def test_active_passes_an_effort_clamped_and_counts_it() -> None:
    monitor = active()
    assert judge(monitor, 1, [99.0, -99.0]) == [10.0, -5.0]
    assert judge(monitor, 1.5, [10.0, -5.0]) == [10.0, -5.0]
    counters = monitor.status.counters
    assert (counters.commands, counters.clamped, counters.non_finite) == (2, 1, 0)


def test_the_first_effort_after_arming_is_not_held_to_one_from_long_ago() -> None:
    monitor = active(effort_rate=1.0)
    judge(monitor, 1, [10.0, 5.0])
    monitor.disarm(2 * MS)
    observe(monitor, 3)
    assert monitor.arm(3 * MS)[0]
    assert judge(monitor, 3, [-10.0, -5.0]) == [-10.0, -5.0]


def test_an_effort_of_the_wrong_length_is_refused(refuses: Refuses) -> None:
    monitor = active()
    with refuses(StateError, "3 values", "expected 2"):
        monitor.judge(0, effort(0, [1.0, 2.0, 3.0]))
    with refuses(StateError, "1 values"):
        monitor.judge(0, effort(0, [1.0]))


# Time-outs while ACTIVE.


def test_an_armed_policy_has_one_time_out_to_answer() -> None:
    monitor = ready()
    observe(monitor, 90)
    assert monitor.arm(95 * MS)[0]
    for at in (150, 190, 195):
        assert observe(monitor, at) is None
    assert observe(monitor, 196) == DAMPING
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")


def test_when_efforts_stop_the_next_state_is_answered_with_damping() -> None:
    monitor = active()
    judge(monitor, 50)
    assert observe(monitor, 150) is None
    assert observe(monitor, 151) == DAMPING
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")
    assert monitor.status.last_fault == "command_timeout: no policy effort for 0.101 s, limit 0.1 s"
    assert monitor.status.counters.faults == 1
    assert observe(monitor, 152) == DAMPING  # every state, not once


def test_when_efforts_stop_a_tick_sends_damping_without_waiting_for_a_state() -> None:
    monitor = active()
    observe(monitor, 100)
    assert tick(monitor, 101) == DAMPING
    assert tick(monitor, 102) is None  # states are fresh: they are answered one by one


def test_an_effort_that_comes_after_the_time_out_starts_nothing() -> None:
    monitor = active()
    observe(monitor, 99)
    tick(monitor, 101)
    assert judge(monitor, 102) is None
    assert monitor.status.state is SafetyState.READY


def test_efforts_keep_it_going_and_a_heartbeat_does_not() -> None:
    fed, waiting = active(), active()
    for at in (40, 80, 120):
        observe(fed, at)
        observe(waiting, at)
        judge(fed, at)
        waiting.heartbeat(at * MS)
    assert fed.status.state is SafetyState.ACTIVE
    assert where(waiting) == (SafetyState.READY, "")
    assert waiting.status.last_fault.startswith("command_timeout")


def test_when_states_stop_zero_is_sent_again_and_again() -> None:
    # There is no velocity to damp any more; the last one would be held as a constant torque.
    monitor = active()
    judge(monitor, 100)
    assert tick(monitor, 100) is None
    assert tick(monitor, 101) == [0.0, 0.0]
    assert where(monitor) == (SafetyState.DISARMED, "state_timeout")
    assert tick(monitor, 102) == [0.0, 0.0]
    assert judge(monitor, 103) is None


def test_an_effort_cannot_pass_on_a_stale_state() -> None:
    monitor = active()
    judge(monitor, 60)
    assert judge(monitor, 101) == [0.0, 0.0]
    assert where(monitor) == (SafetyState.DISARMED, "state_timeout")


def test_fresh_joints_do_not_hide_a_silent_imu() -> None:
    monitor = active()
    judge(monitor, 99)
    assert sent(monitor.observe(100 * MS, state(100), imu_seen_ns=0)) is None
    assert sent(monitor.observe(101 * MS, state(101), imu_seen_ns=0)) == DAMPING
    assert where(monitor) == (SafetyState.DISARMED, "imu_timeout")


@pytest.mark.parametrize("shift_ms", [-10_000, 10_000])
def test_a_clock_that_jumps_either_way_ends_active(shift_ms: int) -> None:
    monitor = active()
    judge(monitor, 1)
    assert tick(monitor, shift_ms) == [0.0, 0.0]
    assert monitor.status.state is SafetyState.DISARMED


# Falling.


def test_a_tilt_must_last_before_it_is_a_fall() -> None:
    monitor = active()
    for at in range(10, 110, 10):
        assert observe(monitor, at, tilt=1.01) is None
        assert judge(monitor, at) == ASKED
    assert observe(monitor, 110, tilt=1.01) == DAMPING
    assert where(monitor) == (SafetyState.FALLING, "tilt")
    assert monitor.status.last_fault == "tilt: tilt 1.01 rad, limit 1 rad"


def test_an_upright_moment_starts_the_tilt_time_anew() -> None:
    monitor = active()
    for at in range(10, 300, 10):
        observe(monitor, at, tilt=0.99 if at % 100 == 0 else 1.01)
        judge(monitor, at)
    assert monitor.status.state is SafetyState.ACTIVE


def test_a_fall_is_latched_upright_or_not() -> None:
    monitor = active(tilt_time=0.01)
    observe(monitor, 1, tilt=1.5)
    assert observe(monitor, 11, tilt=1.5) == DAMPING
    assert observe(monitor, 20) == DAMPING
    assert judge(monitor, 20) is None
    assert where(monitor) == (SafetyState.FALLING, "tilt")
    assert monitor.arm(20 * MS) == (False, "refused in FALLING: tilt 1.50 rad, limit 1 rad")
    assert monitor.disarm(20 * MS) == (True, "disarmed")
    assert where(monitor) == (SafetyState.DISARMED, "operator")


def test_a_fall_is_reset_only_when_upright_again() -> None:
    monitor = active(tilt_time=0.01)
    observe(monitor, 1, tilt=1.5)
    observe(monitor, 11, tilt=1.5)
    assert monitor.reset(12 * MS) == (False, "refused, the fault stands: tilt 1.50 rad, limit 1 rad")
    observe(monitor, 20, tilt=0.1)
    assert monitor.reset(21 * MS) == (True, "reset")
    assert where(monitor) == (SafetyState.DISARMED, "reset")
    monitor.heartbeat(22 * MS)
    assert monitor.status.state is SafetyState.READY
    assert monitor.arm(22 * MS)[0]


# Efforts that are not numbers.


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_run_of_efforts_that_are_not_finite_disarms_and_each_is_damping(bad: float) -> None:
    monitor = active()
    answers = []
    for at, values in enumerate([[bad, -2.0], [bad, bad], [1.0, bad]], 1):
        assert monitor.status.state is SafetyState.ACTIVE
        observe(monitor, at)
        answers.append(judge(monitor, at, values))
    assert answers == [[DAMPING[0], -2.0], DAMPING, DAMPING]
    assert where(monitor) == (SafetyState.DISARMED, "non_finite")
    counters = monitor.status.counters
    assert (counters.commands, counters.non_finite, counters.clamped, counters.faults) == (3, 3, 3, 1)


def test_a_finite_effort_and_arming_anew_both_end_the_run() -> None:
    monitor = active()
    for at, values in enumerate([[math.nan, 0.0], [math.nan, 0.0], ASKED, [math.nan, 0.0], [math.nan, 0.0]], 1):
        judge(monitor, at, values)
    assert monitor.status.state is SafetyState.ACTIVE
    monitor.disarm(6 * MS)
    observe(monitor, 6)
    monitor.arm(6 * MS)
    judge(monitor, 7, [math.nan, 0.0])
    assert monitor.status.state is SafetyState.ACTIVE


# The operator.


def test_disarm_answers_the_next_state_with_damping() -> None:
    monitor = active()
    assert monitor.disarm(1 * MS) == (True, "disarmed")
    assert where(monitor) == (SafetyState.DISARMED, "operator")
    assert judge(monitor, 1) is None
    assert observe(monitor, 2) == DAMPING


def test_emergency_stop_damps_for_its_time_and_then_sends_zero() -> None:
    monitor = active()
    assert monitor.emergency_stop(10 * MS) == (True, "emergency stop")
    assert where(monitor) == (SafetyState.ESTOP, "operator")
    for at in (11, 1000, 2010):
        assert judge(monitor, at) is None
        assert observe(monitor, at) == DAMPING
    for at in (2010.000001, 2011, 3000, 9000):
        assert observe(monitor, at) == [0.0, 0.0]


def test_what_goes_out_without_a_fresh_state_is_zero_stamped_as_the_last_was_and_every_one_is_counted() -> None:
    monitor = make()
    first = monitor.tick(0)
    assert first is not None
    assert (first.stamp_ns, first.effort.tolist()) == (0, [0.0, 0.0])
    observe(monitor, 3)
    late = monitor.tick(104 * MS)
    assert late is not None
    assert (late.stamp_ns, late.effort.tolist()) == (3 * MS, [0.0, 0.0])
    assert monitor.status.counters.damped == 3


def test_a_second_press_does_not_start_the_damping_anew() -> None:
    monitor = active()
    monitor.emergency_stop(0)
    assert monitor.emergency_stop(1999 * MS)[0]
    assert observe(monitor, 2001) == [0.0, 0.0]


@pytest.mark.parametrize("before", ["startup", "ready", "active", "falling"])
def test_emergency_stop_works_from_anywhere_and_is_latched(before: str) -> None:
    monitor = {"startup": make, "ready": ready, "active": active, "falling": active}[before]()
    if before == "falling":
        for at in (1, 101):
            observe(monitor, at, tilt=1.5)
        assert monitor.status.state is SafetyState.FALLING
    monitor.emergency_stop(102 * MS)
    observe(monitor, 103)
    monitor.heartbeat(103 * MS)
    assert monitor.status.state is SafetyState.ESTOP
    assert monitor.arm(103 * MS) == (False, "refused in ESTOP: emergency stop by the operator")
    assert monitor.disarm(103 * MS)[0] is False
    assert monitor.status.state is SafetyState.ESTOP


def test_emergency_stop_is_reset_only_while_nothing_is_wrong() -> None:
    monitor = active()
    monitor.emergency_stop(1 * MS)
    assert monitor.reset(200 * MS) == (
        False,
        "refused, the fault stands: no joint state with IMU for 0.200 s, limit 0.1 s",
    )
    monitor.observe(200 * MS, state(200), imu_seen_ns=0)
    assert monitor.reset(200 * MS)[1].startswith("refused, the fault stands: no IMU message")
    observe(monitor, 201, tilt=1.2)
    assert monitor.reset(201 * MS)[1].startswith("refused, the fault stands: tilt")
    observe(monitor, 202)
    monitor.report(NOW, Violation("second_policy", "2 publishers on policy/joint_effort, expected 1"))
    assert monitor.reset(202 * MS)[1].startswith("refused, the fault stands: 2 publishers")
    assert monitor.status.state is SafetyState.ESTOP
    monitor.report(NOW, None)
    assert monitor.reset(203 * MS) == (True, "reset")  # the policy may be silent; arming will ask for it
    assert monitor.status.state is SafetyState.DISARMED


def test_a_new_emergency_stop_damps_for_its_full_time() -> None:
    monitor = active()
    monitor.emergency_stop(0)
    observe(monitor, 5000)
    monitor.reset(5000 * MS)
    monitor.emergency_stop(5001 * MS)
    assert observe(monitor, 5002) == DAMPING


def test_reset_with_nothing_latched_changes_nothing() -> None:
    monitor = active()
    assert monitor.reset(1 * MS) == (True, "nothing is latched in ACTIVE")
    assert monitor.status.state is SafetyState.ACTIVE


# What only the outside sees.


def test_a_second_publisher_ends_active_and_keeps_it_from_coming_back() -> None:
    monitor = active()
    monitor.report(NOW, Violation("second_policy", "2 publishers on policy/joint_effort, expected 1"))
    assert where(monitor) == (SafetyState.DISARMED, "second_policy")
    assert judge(monitor, 1) is None
    assert observe(monitor, 1) == DAMPING
    assert monitor.arm(1 * MS) == (False, "refused in DISARMED: 2 publishers on policy/joint_effort, expected 1")
    monitor.report(NOW, None)
    assert observe(monitor, 2) == DAMPING
    assert monitor.status.state is SafetyState.READY  # and stays so until an operator arms it


def test_rejected_messages_are_counted_and_count_as_not_having_come() -> None:
    monitor = active()
    for at in (30, 99):
        observe(monitor, at)
        monitor.reject(at * MS, Source.COMMAND, "malformed", "cut off")
    assert monitor.status.state is SafetyState.ACTIVE
    observe(monitor, 101)
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")
    assert monitor.status.counters.rejected == 2


def test_a_policy_known_to_be_lost_ends_active_and_must_show_itself_before_arming() -> None:
    monitor = active()
    judge(monitor, 1)
    monitor.policy_lost(NOW, "no policy effort for 5.0 s of wall time")
    assert where(monitor) == (SafetyState.DISARMED, "command_timeout")
    assert monitor.status.last_fault == "command_timeout: no policy effort for 5.0 s of wall time"
    assert observe(monitor, 2) == DAMPING
    assert not monitor.arm(2 * MS)[0]
    monitor.heartbeat(3 * MS)
    assert monitor.arm(3 * MS)[0]


@pytest.mark.parametrize("latched", [True, False])
def test_a_policy_lost_while_nothing_passes_is_no_fault(latched: bool) -> None:
    monitor = ready()
    if latched:
        monitor.emergency_stop(0)
    monitor.policy_lost(NOW, "gone")
    assert monitor.status.counters.faults == 0
    assert monitor.state is (SafetyState.ESTOP if latched else SafetyState.READY)
    assert not monitor.arm(0)[0]


def test_the_last_word_is_zero() -> None:
    monitor = active()
    observe(monitor, 7)
    farewell = monitor.farewell()
    assert (farewell.stamp_ns, farewell.effort.tolist()) == (7 * MS, [0.0, 0.0])
    assert make().farewell().effort.tolist() == [0.0, 0.0]


# The simulated world is reset.


def test_a_restart_forgets_state_tilt_and_last_effort() -> None:
    monitor = active(effort_rate=1.0)
    observe(monitor, 50, tilt=1.5)
    judge(monitor, 50, [10.0, 5.0])
    monitor.restart()
    assert judge(monitor, 51) is None  # nothing to clamp it against
    assert sent(monitor.observe(52 * MS, state(0))) is None
    assert sent(monitor.judge(53 * MS, effort(0, [-10.0, -5.0]))) == [-10.0, -5.0]
    monitor.observe(149 * MS, state(97, tilt=1.5))
    monitor.judge(149 * MS, effort(97))
    assert monitor.status.state is SafetyState.ACTIVE


def test_a_restart_sends_zero_until_a_state_comes() -> None:
    monitor = active()
    monitor.restart()
    monitor.disarm(1 * MS)
    assert tick(monitor, 200) == [0.0, 0.0]


@pytest.mark.parametrize("latch", ["estop", "fall"])
def test_a_restart_leaves_what_is_latched(latch: str) -> None:
    monitor = active()
    if latch == "estop":
        monitor.emergency_stop(1 * MS)
    else:
        for at in (1, 101):
            observe(monitor, at, tilt=1.5)
    before = where(monitor)
    monitor.restart()
    observe(monitor, 102)
    assert where(monitor) == before
    assert before[0] in (SafetyState.ESTOP, SafetyState.FALLING)
