"""Whatever happens in whatever order: efforts sent are finite and within the limits; unless ACTIVE, damping or zero."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import SafetyState

JOINTS = (JointSpec("hip", -1.0, 1.0, 10.0, kd=2.0), JointSpec("knee", -math.inf, math.inf, 5.0, kd=0.5))
LIMIT, KD = np.array([10.0, 5.0]), np.array([2.0, 0.5])
MS = 1_000_000
SAFE = (SafetyState.DISARMED, SafetyState.READY, SafetyState.FALLING, SafetyState.ESTOP)

any_pair = st.tuples(*[st.floats()] * 2).map(np.array)
sane_pair = st.tuples(*[st.floats(-20.0, 20.0)] * 2).map(np.array)
pair = sane_pair | any_pair
tilt = st.sampled_from([0.0, 0.0, 0.0, 0.9, 1.1, 3.0, math.nan])
# Mostly a control period, sometimes longer than a time-out, sometimes backwards.
passing_ms = st.sampled_from([0, 2, 2, 2, 20, 20, 90, 101, 5000, -50, -5000])


class Anything(RuleBasedStateMachine):
    """A monitor in a world without rules."""

    def __init__(self) -> None:
        super().__init__()
        self.monitor = SafetyMonitor(RobotSpec("two", JOINTS), SafetyLimits())
        self.now = 0
        self.velocity: np.ndarray | None = None
        self.latched: SafetyState | None = None

    def check(self, command: JointEffort | None) -> None:
        if command is None:
            return
        effort = command.effort
        assert effort.shape == (2,)
        assert np.isfinite(effort).all()
        assert (np.abs(effort) <= LIMIT).all()
        if self.monitor.status.state in SAFE:
            self.check_damping(effort)

    def check_damping(self, effort: np.ndarray) -> None:
        if (effort == 0.0).all():
            return
        assert self.velocity is not None
        with np.errstate(all="ignore"):
            wanted = -KD * self.velocity
        wanted = np.where(np.isfinite(self.velocity), np.clip(wanted, -LIMIT, LIMIT), 0.0)
        assert effort.tolist() == wanted.tolist()

    @rule(by=passing_ms)
    def time_passes(self, by: int) -> None:
        self.now += by * MS

    @rule(position=pair, velocity=pair, tilt=tilt, imu_age=st.sampled_from([0, 0, 0, 50, 200, -200]))
    def a_state_comes(self, position: np.ndarray, velocity: np.ndarray, tilt: float, imu_age: int) -> None:
        self.velocity = velocity
        orientation = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), tilt)
        state = RobotState(self.now, position, velocity, orientation, np.zeros(3))
        self.check(self.monitor.observe(self.now, state, imu_seen_ns=self.now - imu_age * MS))

    @rule(asked=pair)
    def an_effort_comes(self, asked: np.ndarray) -> None:
        command = self.monitor.judge(self.now, JointEffort(self.now, asked))
        self.check(command)

    @rule(asked=sane_pair, velocity=sane_pair)
    def all_is_well_and_the_operator_arms(self, asked: np.ndarray, velocity: np.ndarray) -> None:
        # Without this the machine would seldom be ACTIVE.
        self.a_state_comes(np.zeros(2), velocity, 0.0, 0)
        self.monitor.heartbeat(self.now)
        self.monitor.arm(self.now)
        self.an_effort_comes(asked)

    @rule()
    def a_heartbeat_comes(self) -> None:
        self.monitor.heartbeat(self.now)

    @rule()
    def the_timer_ticks(self) -> None:
        self.check(self.monitor.tick(self.now))

    @rule(found=st.none() | st.just(Violation("second_policy", "2 publishers")))
    def the_graph_is_looked_at(self, found: Violation | None) -> None:
        self.monitor.report(self.now, found)

    @rule()
    def the_operator_arms(self) -> None:
        before = self.monitor.status.state
        done, _ = self.monitor.arm(self.now)
        assert done == (self.monitor.status.state is SafetyState.ACTIVE)
        assert not (done and before in (SafetyState.FALLING, SafetyState.ESTOP))

    @rule()
    def the_operator_disarms(self) -> None:
        self.monitor.disarm(self.now)
        assert self.monitor.status.state is not SafetyState.ACTIVE

    @rule()
    def the_operator_stops_it(self) -> None:
        self.monitor.emergency_stop(self.now)
        assert self.monitor.status.state is SafetyState.ESTOP

    @rule()
    def the_operator_resets(self) -> None:
        done, _ = self.monitor.reset(self.now)
        if done:
            self.latched = None

    @rule()
    def the_world_is_reset(self) -> None:
        self.monitor.restart()

    @rule()
    def it_says_farewell(self) -> None:
        assert self.monitor.farewell().effort.tolist() == [0.0, 0.0]

    @invariant()
    def only_a_reset_leaves_a_latched_state(self) -> None:
        state = self.monitor.status.state
        if self.latched is SafetyState.ESTOP:
            assert state is SafetyState.ESTOP
        if self.latched is SafetyState.FALLING:
            assert state in (SafetyState.FALLING, SafetyState.ESTOP)
        if state in (SafetyState.FALLING, SafetyState.ESTOP):
            self.latched = state

    @invariant()
    def a_status_gives_its_reason(self) -> None:
        status = self.monitor.status
        assert bool(status.reason) == (status.state not in (SafetyState.READY, SafetyState.ACTIVE))


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
