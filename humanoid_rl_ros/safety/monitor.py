"""The guard between a policy and the motors. It knows no ROS; time comes in as an argument."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation, check_overrun
from humanoid_rl_ros.safety.machine import SafetyMachine
from humanoid_rl_ros.safety.status import DOWN, PASSING, SafetyState


class SafetyMonitor(SafetyMachine):
    """Judges every effort; answers every state.

    Args:
        robot: joint order and limits.
        limits: thresholds.
        settles: whether `ready_time` must pass before READY; in lock-step nothing can be late, and it need not.

    `observe` with every state, `judge` with every policy effort, `tick` from a timer; each may change the status, and
    gives the effort to send, if one is to be sent. `now_ns` is a monotonic clock read at the arrival of the message;
    stamps order messages and never say how fresh they are.
    """

    # What arrives.

    def observe(self, now_ns: int, state: RobotState, *, imu_seen_ns: int | None = None) -> JointEffort | None:
        """A measured state came.

        Args:
            now_ns: monotonic time of its arrival [ns].
            state: in the robot's joint order.
            imu_seen_ns: monotonic arrival of the IMU message in it [ns]; the same as `now_ns` if not given.

        Returns:
            Damping to send, while no policy effort may pass; otherwise None.
        """
        repeated = self._state is not None and state.stamp_ns == self._state.stamp_ns
        self._state = state
        self._rested = self.state is SafetyState.FALLEN
        if self._restarted:
            # The clock began anew: what was heard before counts as heard now, and has one time-out to be heard again.
            self._restarted = False
            if self._arrivals.has_come(Source.COMMAND):
                self._arrivals.came(Source.COMMAND, now_ns)
        self._came(Source.STATE, now_ns)
        self._arrivals.readable(Source.STATE)
        self._came(Source.IMU, now_ns if imu_seen_ns is None else imu_seen_ns)
        jump = None
        if not repeated:  # in lock-step the simulation asks again, and what was measured is judged once
            jump = self._states.judge(now_ns, state, moving=self.state in PASSING)
            self._commands.state_came(now_ns)
        self._update(now_ns, jump)
        return None if self.state in PASSING else self._damping(now_ns)

    def imu_came(self, now_ns: int, stamp_ns: int) -> JointEffort | None:
        """An IMU message came that could be read, whether or not a state follows from it.

        Returns:
            Damping to send when this ended that efforts pass, otherwise None.
        """
        self._arrivals.readable(Source.IMU)
        self._came(Source.IMU, now_ns)
        return self._end(now_ns, self._states.imu_came(now_ns, stamp_ns))

    def judge(
        self,
        now_ns: int,
        effort: JointEffort,
        *,
        meant_for: SafetyState | None = None,
        target: FloatArray | None = None,
    ) -> JointEffort | None:
        """A policy effort came, in the robot's joint order.

        Args:
            now_ns: monotonic time of its arrival [ns].
            effort: what the policy asks.
            meant_for: the state it was computed for; efforts that are to get the robot up pass in RECOVERING, all
                others where the robot is on its feet. None: on its feet.
            target: the joint positions that it is to reach, where there are such [rad; Shape (n,)].

        Returns:
            What to send: the clamped effort where efforts pass, damping when this effort ended that, otherwise None.

        Raises:
            StateError: it has the wrong length.
        """
        if effort.effort.shape != (self._robot.n_joints,):
            raise StateError(f"effort has {effort.effort.size} values, expected {self._robot.n_joints}", "wrong_joints")
        if self._state is not None:
            wrong = self._commands.effort_came(effort, self._state)
            if wrong is not None:
                return self.reject(now_ns, Source.COMMAND, wrong.code, wrong.text)
        self._arrivals.readable(Source.COMMAND)
        getting_up = meant_for is SafetyState.RECOVERING
        before = self.state
        if before not in PASSING or getting_up == (before is SafetyState.RECOVERING):
            self._came(Source.COMMAND, now_ns)
        self._update(now_ns)
        if self.state not in PASSING or self._state is None:
            return self._ended(now_ns, before)
        if getting_up != (self.state is SafetyState.RECOVERING):
            return None
        return self._pass(now_ns, effort, self._state, target)

    def _pass(self, now_ns: int, effort: JointEffort, state: RobotState, target: FloatArray | None) -> JointEffort:
        scale = self._limits.recovery_effort_scale if self.state is SafetyState.RECOVERING else 1.0
        allowed = self._envelope.allowed(scale)
        clamped = self._envelope.clamp(effort.effort, state, effort.stamp_ns, scale=scale)
        self._count(commands=1, clamped=int(clamped.any_changed), non_finite=int(clamped.non_finite))
        self._commands.judge(now_ns, clamped.effort, allowed, state, non_finite=clamped.non_finite, target=target)
        return self._end(now_ns, self._commands.finite) or JointEffort(effort.stamp_ns, clamped.effort)

    def heartbeat(self, now_ns: int, *, can_get_up: bool = False, refusal: str = "") -> None:
        """The policy node is alive and ready, and asks for nothing yet; it does not keep an armed robot going.

        Args:
            now_ns: monotonic time of its arrival [ns].
            can_get_up: whether it says that it can get this robot up.
            refusal: why it says that the policy may not take over from the pose the robot is in, or empty.
        """
        self._arrivals.readable(Source.COMMAND)
        self._can_get_up = can_get_up
        self._start = Violation("start_pose", refusal) if refusal else None
        if self.state not in PASSING:
            self._came(Source.COMMAND, now_ns)
            self._update(now_ns)

    def tick(self, now_ns: int, *, late_ns: int = 0) -> JointEffort | None:
        """Time has passed.

        Args:
            now_ns: monotonic time [ns].
            late_ns: how late the timer itself came [ns].

        Returns:
            What to send when no state comes that could be answered, or when a time-out ended ACTIVE just now.
        """
        before = self.state
        self._overrun = check_overrun(late_ns, self._limits)
        self._update(now_ns)
        self._overrun = None
        if self.state not in PASSING and self._arrivals.late(Source.STATE, now_ns) is not None:
            return self._damping(now_ns)
        return self._ended(now_ns, before)

    def reject(self, now_ns: int, source: Source, code: str, text: str) -> JointEffort | None:
        """A message was refused before it became a state or an effort; it counts as not having come.

        Args:
            now_ns: monotonic time of its arrival [ns].
            source: what it should have been.
            code, text: why it was refused.

        Returns:
            Damping to send when this was one too many, otherwise None.
        """
        self._count(rejected=1)
        self._note(now_ns, "refused", code, f"{source.value} refused: {text}")
        self._arrivals.refuse(source, code, f"{source.value} refused: {text}")
        before = self.state
        self._update(now_ns)
        return self._ended(now_ns, before)

    def repeat(self, now_ns: int, source: Source) -> None:
        """A message came again with the stamp of the one before; it counts as not having come."""
        self._arrivals.repeat(source, now_ns)

    def report(self, now_ns: int, violation: Violation | None) -> JointEffort | None:
        """A violation that only the outside can see (a second publisher), or None when it is gone.

        Returns:
            Damping to send when this ended that efforts pass, otherwise None.
        """
        self._external = violation
        return self._end(now_ns, violation)

    def farewell(self) -> JointEffort:
        """The last effort before nobody answers any more: zero, since a damping effort held for ever is not damping."""
        return JointEffort(0 if self._state is None else self._state.stamp_ns, np.zeros(self._robot.n_joints))

    def policy_lost(self, now_ns: int, text: str) -> None:
        """The policy is known to be gone, though the clock of the states stands still (lock-step)."""
        self._arrivals.came(Source.COMMAND, None)
        if self.state in PASSING:
            self._fault(now_ns, SafetyState.DISARMED, Violation("command_timeout", text))

    def restart(self) -> None:
        """The simulated world was reset: forget the state and the last effort; what is latched stays latched."""
        self._state = None
        self._restarted = True
        self._began_ns = None
        self._states.reset()
        self._envelope.restart()
        for lasting in (self._sound, self._still, self._up, self._stood, self._settled):
            lasting.reset()

    # What an operator asks.

    def arm(self, now_ns: int) -> tuple[bool, str]:
        """READY → ACTIVE, or FALLEN where the robot lies and can get up; or the reason why not."""
        self._update(now_ns)
        if self.state in PASSING:
            return self._answer(now_ns, "arm", True, "armed already")
        if self.state is not SafetyState.READY:
            return self._answer(now_ns, "arm", False, f"refused in {self.state.value}: {self._status.text}")
        self._count(armings=1)
        self._tries = 0
        if self._states.tilt is not None:
            self._lie_down(now_ns)
            return self._answer(now_ns, "arm", True, f"armed: the robot lies ({self._side}) and will get up")
        self._enter(now_ns, SafetyState.ACTIVE)
        return self._answer(now_ns, "arm", True, "armed")

    def disarm(self, now_ns: int) -> tuple[bool, str]:
        """Any state but ESTOP → DISARMED; damping follows."""
        if self.state is SafetyState.ESTOP:
            return self._answer(now_ns, "disarm", False, "refused in ESTOP: use reset")
        self._go(now_ns, SafetyState.DISARMED, "operator", "disarmed by the operator")
        return self._answer(now_ns, "disarm", True, "disarmed")

    def emergency_stop(self, now_ns: int) -> tuple[bool, str]:
        """Any state → ESTOP."""
        if self.state is not SafetyState.ESTOP:
            self._stop(now_ns, Violation("operator", "emergency stop by the operator"))
        return self._answer(now_ns, "emergency stop", True, "emergency stop")

    def reset(self, now_ns: int) -> tuple[bool, str]:
        """Leave a latched state for DISARMED; refused while the fault stands."""
        self.record_due = "reset"
        if self.state is not SafetyState.ESTOP and self.state not in DOWN:
            return self._answer(now_ns, "reset", True, f"nothing is latched in {self.state.value}")
        standing = self._sensors(now_ns) or self._external or self._states.motion
        if standing is None and not (self._may_get_up() and self._status.reason != "recovery_failed"):
            standing = self._states.tilt
        if standing is not None:
            return self._answer(now_ns, "reset", False, f"refused, the fault stands: {standing.text}")
        self._estop_ns = None
        self._go(now_ns, SafetyState.DISARMED, "reset", "reset by the operator")
        return self._answer(now_ns, "reset", True, "reset")

    def _answer(self, now_ns: int, request: str, done: bool, text: str) -> tuple[bool, str]:
        self._note(now_ns, "operator", "", f"{request}: {text}")
        return done, text

    # What goes out otherwise.

    def _end(self, now_ns: int, found: Violation | None) -> JointEffort | None:
        """A violation ends that efforts pass, and damping answers; None where there is none, or nothing to end."""
        if found is None or self.state not in PASSING:
            return None
        self._fault(now_ns, SafetyState.DISARMED, found)
        return self._damping(now_ns)

    def _ended(self, now_ns: int, before: SafetyState) -> JointEffort | None:
        """Damping, where efforts passed before and pass no more."""
        return self._damping(now_ns) if before in PASSING and self.state not in PASSING else None

    def _damping(self, now_ns: int) -> JointEffort:
        """Damping from a fresh state; zero when there is none, or after the emergency stop has damped long enough."""
        state = self._state
        if self._estop_ns is not None and now_ns - self._estop_ns > self._limits.estop_damping_time * 1e9:
            self._estop_damped = True  # kept: the clock of a simulation may begin anew
        expired = self.state is SafetyState.ESTOP and self._estop_damped
        self._count(damped=1)
        if state is None or expired or self._arrivals.late(Source.STATE, now_ns) is not None:
            return JointEffort(0 if state is None else state.stamp_ns, np.zeros(self._robot.n_joints))
        return JointEffort(state.stamp_ns, self._envelope.damping(state))
