"""Where states come as they may, READY takes half a second in which nothing was missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import SafetyState

MS = 1_000_000
STEP = 10


class Robot:
    """Says a state and a heartbeat every 10 ms."""

    def __init__(self, *, settles: bool = True, **limits: float) -> None:
        spec = RobotSpec("one", (JointSpec("hip", -1.0, 1.0, 10.0),))
        self.monitor = SafetyMonitor(spec, SafetyLimits(**limits), settles=settles)
        self.at = 0

    def state(self) -> None:
        noise = 1e-9 * self.at  # sensors that measure give some
        state = RobotState(self.at * MS, np.full(1, noise), np.zeros(1), np.array([1.0, 0, 0, 0]), np.full(3, noise))
        self.monitor.observe(self.at * MS, state)

    def goes_on(self, duration: int, *, states: bool = True, heartbeats: bool = True, ticks: bool = True) -> None:
        for _ in range(duration // STEP):
            self.at += STEP
            if ticks:
                self.monitor.tick(self.at * MS)
            if heartbeats:
                self.monitor.heartbeat(self.at * MS)
            if states:
                self.state()

    @property
    def where(self) -> tuple[SafetyState, str]:
        return self.monitor.status.state, self.monitor.status.reason


DISARMED, READY = SafetyState.DISARMED, SafetyState.READY


def test_it_is_ready_when_all_has_been_well_for_the_time() -> None:
    robot = Robot()
    robot.goes_on(500)
    assert robot.where == (DISARMED, "settling")
    done, text = robot.monitor.arm(robot.at * MS)
    assert (done, text) == (False, "refused in DISARMED: all must be well for 0.5 s before the robot may be armed")
    robot.goes_on(STEP)
    assert robot.where == (READY, "")
    assert robot.monitor.arm(robot.at * MS)[0]


def test_the_time_is_the_limits_and_in_lockstep_it_is_none() -> None:
    robot = Robot(ready_time=2.0)
    robot.goes_on(2000)
    assert robot.where == (DISARMED, "settling")
    robot.goes_on(20)
    assert robot.where == (READY, "")
    at_once = Robot(settles=False)
    at_once.goes_on(STEP)
    assert at_once.where == (READY, "")


@pytest.mark.parametrize("ticks", [True, False], ids=["a tick sees the gap", "the message after it shows it"])
@pytest.mark.parametrize("missing", ["states", "heartbeats"])
def test_a_gap_begins_the_time_anew(missing: str, ticks: bool) -> None:
    robot = Robot()
    robot.goes_on(490)
    robot.goes_on(120, **{missing: False}, ticks=ticks)
    robot.goes_on(500)
    assert robot.where == (DISARMED, "settling")
    robot.goes_on(20)
    assert robot.where == (READY, "")
    # Of one that is READY too, however short its stay there was.
    robot.goes_on(120, **{missing: False}, ticks=ticks)
    robot.goes_on(STEP)
    assert robot.where[0] is DISARMED
    robot.goes_on(480)
    assert robot.where == (DISARMED, "settling")
    robot.goes_on(30)
    assert robot.where == (READY, "")


def test_a_stall_in_which_nothing_was_seen_is_a_gap() -> None:
    robot = Robot()
    robot.goes_on(600)
    robot.at += 300
    robot.state()  # the first of what has piled up
    assert robot.where[0] is DISARMED
    assert not robot.monitor.arm(robot.at * MS)[0]


def test_a_gap_that_no_other_message_shows_is_one_and_is_told() -> None:
    robot = Robot(command_timeout=1.0)
    robot.goes_on(600)
    robot.at += 300
    robot.state()
    assert robot.where == (DISARMED, "settling")
    told = [(event.code, event.text) for event in robot.monitor.events(robot.at * MS)][-2]
    assert told == ("state_timeout", "no joint state with IMU for 0.300 s, limit 0.1 s")
    robot.goes_on(490)
    assert robot.where == (DISARMED, "settling")
    robot.goes_on(STEP)
    assert robot.where == (READY, "")


def test_messages_now_and_then_never_make_it_ready() -> None:
    robot = Robot()
    seen = set()
    for _ in range(40):
        robot.at += 150
        robot.monitor.heartbeat(robot.at * MS)
        robot.state()
        seen.add(robot.where[0])
        assert not robot.monitor.arm(robot.at * MS)[0]
    assert seen == {DISARMED}


@pytest.mark.parametrize(
    "ends",
    [
        lambda m, now: m.disarm(now),
        lambda m, now: m.report(now, Violation("second_commander", "2 publishers")),
        lambda m, now: (m.emergency_stop(now), m.reset(now)),
    ],
    ids=["the operator", "a fault", "a stop and a reset"],
)
def test_after_it_was_armed_it_settles_again(ends: Callable[[SafetyMonitor, int], object]) -> None:
    robot = Robot()
    robot.goes_on(600)
    assert robot.monitor.arm(robot.at * MS)[0]
    robot.monitor.judge(robot.at * MS, JointEffort(robot.at * MS, np.zeros(1)))
    ends(robot.monitor, robot.at * MS)
    robot.monitor.report(robot.at * MS, None)
    robot.goes_on(490)
    assert robot.where == (DISARMED, "settling")
    robot.goes_on(30)
    assert robot.where == (READY, "")
