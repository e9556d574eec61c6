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
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import PASSING, TRANSITIONS, SafetyState

JOINTS = (JointSpec("hip", -1.0, 1.0, 10.0, kd=2.0), JointSpec("knee", -math.inf, math.inf, 5.0, kd=0.5))
LIMIT, KD = np.array([10.0, 5.0]), np.array([2.0, 0.5])
MS = 1_000_000

any_pair = st.tuples(*[st.floats()] * 2).map(np.array)
sane_pair = st.tuples(*[st.floats(-20.0, 20.0)] * 2).map(np.array)
pair = sane_pair | any_pair
tilt = st.sampled_from([0.0, 0.0, 0.0, 0.9, 1.1, 1.5, 1.5, 3.0, math.nan])
# Mostly a control period, sometimes longer than a time-out, sometimes backwards.
passing_ms = st.sampled_from([0, 2, 2, 2, 20, 20, 90, 101, 5000, -50, -5000])


class Watched(SafetyMonitor):
    """Remembers where it went."""

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        super().__init__(robot, limits)
        self.went: list[tuple[SafetyState, SafetyState]] = []

    def _go(self, now_ns: int, state: SafetyState, reason: str = "", text: str = "") -> None:
        if state is not self.state:
            self.went.append((self.state, state))
        super()._go(now_ns, state, reason, text)


class Anything(RuleBasedStateMachine):
    """A monitor in a world without rules."""

    def __init__(self) -> None:
        super().__init__()
        self.monitor = Watched(RobotSpec("two", JOINTS), SafetyLimits())
        self.now = 0
        self.velocity: np.ndarray | None = None
        self.stopped = False

    def check(self, command: JointEffort | None) -> None:
        if command is None:
            return
        effort = command.effort
        assert effort.shape == (2,)
        assert np.isfinite(effort).all()
        assert (np.abs(effort) <= LIMIT).all()
        if self.monitor.state not in PASSING:
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

    @rule(
        asked=pair, meant_for=st.none() | st.sampled_from(SafetyState), late_ms=st.sampled_from([0, 0, 0, 5, 600, -600])
    )
    def an_effort_comes(self, asked: np.ndarray, meant_for: SafetyState | None = None, late_ms: int = 0) -> None:
        before = self.monitor.state
        effort = JointEffort(self.now - late_ms * MS, asked)
        command = self.monitor.judge(self.now, effort, meant_for=meant_for, target=asked)
        self.check(command)
        if command is not None and before not in PASSING:
            assert self.monitor.state not in PASSING  # no effort lets itself pass

    @rule(tilt=st.sampled_from([0.0, 1.5]), step_ms=st.sampled_from([5, 50]), times=st.integers(5, 200))
    def it_stays_as_it_is_for_a_while(self, tilt: float, step_ms: int, times: int) -> None:
        """Lying or standing still, with a policy that answers everything that is asked of it."""
        for _ in range(times):
            self.now += step_ms * MS
            noise = 1e-6 * (self.now % 1000 / 1000 + 1.0)
            orientation = rotations.from_axis_angle(np.array([1.0, 0.0, 0.0]), tilt)
            self.velocity = np.full(2, noise)
            state = RobotState(self.now, np.full(2, noise), self.velocity, orientation, np.full(3, noise))
            self.check(self.monitor.observe(self.now, state))
            if self.monitor.state in PASSING:
                self.check(
                    self.monitor.judge(self.now, JointEffort(self.now, np.ones(2)), meant_for=self.monitor.state)
                )
            else:
                self.monitor.heartbeat(self.now, can_get_up=True)

    @rule(source=st.sampled_from(Source))
    def something_cannot_be_read(self, source: Source) -> None:
        self.check(self.monitor.reject(self.now, source, "malformed", "cut off"))

    @rule(source=st.sampled_from(Source))
    def something_comes_again(self, source: Source) -> None:
        self.monitor.repeat(self.now, source)

    @rule(jump_ms=st.sampled_from([0, 0, 2, 3_600_000, -3_600_000]))
    def an_imu_message_comes(self, jump_ms: int) -> None:
        self.monitor.imu_came(self.now, self.now + jump_ms * MS)

    @rule(asked=sane_pair, velocity=sane_pair)
    def all_is_well_and_the_operator_arms(self, asked: np.ndarray, velocity: np.ndarray) -> None:
        # Without this the machine would seldom be ACTIVE.
        self.a_state_comes(np.zeros(2), velocity, 0.0, 0)
        self.monitor.heartbeat(self.now)
        self.monitor.arm(self.now)
        self.an_effort_comes(asked)

    @rule(can_get_up=st.booleans())
    def a_heartbeat_comes(self, can_get_up: bool) -> None:
        self.monitor.heartbeat(self.now, can_get_up=can_get_up)

    @rule(late_ms=st.sampled_from([0, 0, 0, 60, 1000]))
    def the_timer_ticks(self, late_ms: int) -> None:
        self.check(self.monitor.tick(self.now, late_ns=late_ms * MS))

    @rule()
    def the_policy_is_known_to_be_lost(self) -> None:
        self.monitor.policy_lost(self.now, "gone")

    @rule(found=st.none() | st.just(Violation("second_policy", "2 publishers")))
    def the_graph_is_looked_at(self, found: Violation | None) -> None:
        self.monitor.report(self.now, found)

    @rule()
    def the_operator_arms(self) -> None:
        before = self.monitor.state
        done, text = self.monitor.arm(self.now)
        assert done == (
            self.monitor.state in PASSING or (self.monitor.state is SafetyState.FALLEN and "will get up" in text)
        )
        assert not (done and before is SafetyState.ESTOP)

    @rule()
    def the_operator_disarms(self) -> None:
        self.monitor.disarm(self.now)
        assert self.monitor.state in (SafetyState.DISARMED, SafetyState.ESTOP)

    @rule()
    def the_operator_stops_it(self) -> None:
        self.monitor.emergency_stop(self.now)
        assert self.monitor.state is SafetyState.ESTOP

    @rule()
    def the_operator_resets(self) -> None:
        done, _ = self.monitor.reset(self.now)
        if done:
            self.stopped = False

    @rule()
    def the_world_is_reset(self) -> None:
        self.monitor.restart()

    @rule()
    def it_says_farewell(self) -> None:
        assert self.monitor.farewell().effort.tolist() == [0.0, 0.0]

    @invariant()
    def only_a_reset_leaves_the_emergency_stop(self) -> None:
        assert not self.stopped or self.monitor.state is SafetyState.ESTOP
        self.stopped = self.monitor.state is SafetyState.ESTOP

    @invariant()
    def it_goes_only_where_the_table_says(self) -> None:
        assert [pair for pair in self.monitor.went if pair[1] not in TRANSITIONS[pair[0]]] == []

    @invariant()
    def a_status_gives_its_reason(self) -> None:
        status = self.monitor.status
        assert bool(status.reason) == (status.state not in (SafetyState.READY, SafetyState.ACTIVE))
        assert status.tries <= SafetyLimits().recovery_tries
        assert 0.0 <= status.warmest < 1.1


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
