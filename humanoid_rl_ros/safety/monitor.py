"""The state machine between a policy and the motors. It knows no ROS; time comes in as an argument."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.checks import Violation, check_age, check_tilt
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.status import Counters, SafetyState, SafetyStatus


class SafetyMonitor:
    """Judges every effort; answers every state.

    Args:
        robot: joint order and limits.
        limits: thresholds.

    `observe` with every state, `judge` with every policy effort, `tick` from a timer; each may change the status, and
    gives the effort to send, if one is to be sent. `now_ns` is a monotonic clock read at the arrival of the message;
    stamps order messages and never say how fresh they are.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self._robot = robot
        self._limits = limits
        self._envelope = Envelope(robot, limits)
        self._state: RobotState | None = None
        self._state_seen_ns: int | None = None
        self._imu_seen_ns: int | None = None
        self._command_seen_ns: int | None = None
        self._tilted_since_ns: int | None = None
        self._estop_ns: int | None = None
        self._estop_damped = False
        self._restarted = False
        self._non_finite_run = 0
        self._external: Violation | None = None
        self._tilt: Violation | None = None
        self._mode = SafetyState.DISARMED
        self._reason, self._text, self._last_fault = "startup", "not armed yet", ""
        self._commands = self._clamped = self._non_finite = self._rejected = self._damped = 0
        self._faults = self._armings = 0

    @property
    def state(self) -> SafetyState:
        """Where it is now."""
        return self._mode

    @property
    def status(self) -> SafetyStatus:
        """State, reason and counters now."""
        counters = Counters(
            self._commands,
            self._clamped,
            self._non_finite,
            self._rejected,
            self._damped,
            self._faults,
            self._armings,
        )
        return SafetyStatus(self._mode, self._reason, self._text, self._last_fault, counters)

    def _go(self, state: SafetyState, reason: str = "", text: str = "") -> None:
        self._mode, self._reason, self._text = state, reason, text

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
        self._state = state
        self._tilt = check_tilt(state, self._limits)
        self._state_seen_ns = now_ns
        if self._restarted:
            # The clock began anew: what was heard before counts as heard now, and has one time-out to be heard again.
            self._restarted = False
            self._command_seen_ns = None if self._command_seen_ns is None else now_ns
        self._imu_seen_ns = now_ns if imu_seen_ns is None else imu_seen_ns
        self._update(now_ns)
        if self._mode is SafetyState.ACTIVE:
            return None
        return self._damping(now_ns)

    def judge(self, now_ns: int, effort: JointEffort) -> JointEffort | None:
        """A policy effort came, in the robot's joint order.

        Args:
            now_ns: monotonic time of its arrival [ns].
            effort: what the policy asks.

        Returns:
            What to send: the clamped effort while ACTIVE, damping when this effort ended ACTIVE, otherwise None.

        Raises:
            StateError: it has the wrong length.
        """
        if effort.effort.shape != (self._robot.n_joints,):
            raise StateError(f"effort has {effort.effort.size} values, expected {self._robot.n_joints}")
        self._command_seen_ns = now_ns
        self._update(now_ns)
        if self._mode is not SafetyState.ACTIVE or self._state is None:
            return None
        clamped = self._envelope.clamp(effort.effort, self._state, effort.stamp_ns)
        self._commands += 1
        self._clamped += int(clamped.any_changed)
        self._non_finite += int(clamped.non_finite)
        self._non_finite_run = self._non_finite_run + 1 if clamped.non_finite else 0
        if self._non_finite_run >= self._limits.non_finite_limit:
            self._fault(Violation("non_finite", f"{self._non_finite_run} policy efforts in a row were not finite"))
            return self._damping(now_ns)
        return JointEffort(effort.stamp_ns, clamped.effort)

    def heartbeat(self, now_ns: int) -> None:
        """The policy is alive and ready, and asks for nothing yet; it does not keep an armed robot going."""
        if self._mode is not SafetyState.ACTIVE:
            self._command_seen_ns = now_ns
            self._update(now_ns)

    def tick(self, now_ns: int) -> JointEffort | None:
        """Time has passed.

        Args:
            now_ns: monotonic time [ns].

        Returns:
            What to send when no state comes that could be answered, or when a time-out ended ACTIVE just now.
        """
        before = self._mode
        self._update(now_ns)
        ended = before is SafetyState.ACTIVE and self._mode is not SafetyState.ACTIVE
        if ended or (self._mode is not SafetyState.ACTIVE and self._stale(now_ns)):
            return self._damping(now_ns)
        return None

    def reject(self) -> None:
        """A message was refused before it became a state or an effort; it counts as not having come."""
        self._rejected += 1

    def report(self, violation: Violation | None) -> None:
        """A violation that only the outside can see (a second publisher), or None when it is gone."""
        self._external = violation
        if violation is not None and self._mode is SafetyState.ACTIVE:
            self._fault(violation)

    def farewell(self) -> JointEffort:
        """The last effort before nobody answers any more: zero, since a damping effort held for ever is not damping."""
        return JointEffort(0 if self._state is None else self._state.stamp_ns, np.zeros(self._robot.n_joints))

    def policy_lost(self, text: str) -> None:
        """The policy is known to be gone, though the clock of the states stands still (lock-step)."""
        self._command_seen_ns = None
        if self._mode is SafetyState.ACTIVE:
            self._fault(Violation("command_timeout", text))

    def restart(self) -> None:
        """The simulated world was reset: forget the state and the last effort; what is latched stays latched."""
        self._state = None
        self._restarted = True
        self._tilt = None
        self._tilted_since_ns = None
        self._envelope.reset()

    # What an operator asks.

    def arm(self, now_ns: int) -> tuple[bool, str]:
        """READY → ACTIVE, or the reason why not."""
        self._update(now_ns)
        if self._mode is SafetyState.ACTIVE:
            return True, "armed already"
        if self._mode is not SafetyState.READY:
            return False, f"refused in {self._mode.value}: {self._text}"
        self._envelope.reset()
        self._non_finite_run = 0
        self._command_seen_ns = now_ns  # the policy has one time-out to answer
        self._armings += 1
        self._go(SafetyState.ACTIVE)
        return True, "armed"

    def disarm(self, now_ns: int) -> tuple[bool, str]:
        """ACTIVE or READY → DISARMED; damping follows. A latched state stays."""
        if self._mode in (SafetyState.FALLING, SafetyState.ESTOP):
            return False, f"refused in {self._mode.value}: use reset"
        self._go(SafetyState.DISARMED, "operator", "disarmed by the operator")
        return True, "disarmed"

    def emergency_stop(self, now_ns: int) -> tuple[bool, str]:
        """Any state → ESTOP."""
        if self._mode is not SafetyState.ESTOP:
            self._estop_ns, self._estop_damped = now_ns, False
            self._go(SafetyState.ESTOP, "operator", "emergency stop by the operator")
        return True, "emergency stop"

    def reset(self, now_ns: int) -> tuple[bool, str]:
        """Leave a latched state for DISARMED; refused while the fault stands."""
        if self._mode not in (SafetyState.FALLING, SafetyState.ESTOP):
            return True, f"nothing is latched in {self._mode.value}"
        standing = self._violation(now_ns, with_command=False)
        if standing is not None:
            return False, f"refused, the fault stands: {standing.text}"
        self._estop_ns = None
        self._go(SafetyState.DISARMED, "reset", "reset by the operator")
        return True, "reset"

    # What follows.

    def _violation(self, now_ns: int, *, with_command: bool) -> Violation | None:
        """The first rule that does not hold now, sensors first."""

        def age(seen_ns: int | None) -> int | None:
            return None if seen_ns is None else now_ns - seen_ns

        limits = self._limits
        found = check_age("state_timeout", "joint state with IMU", age(self._state_seen_ns), limits.state_timeout)
        found = found or check_age("imu_timeout", "IMU message", age(self._imu_seen_ns), limits.imu_timeout)
        if found is None and self._state is not None:
            found = self._tilt
        found = found or self._external
        if found is None and with_command:
            found = check_age("command_timeout", "policy effort", age(self._command_seen_ns), limits.command_timeout)
        return found

    def _update(self, now_ns: int) -> None:
        if self._mode in (SafetyState.FALLING, SafetyState.ESTOP):
            return
        found = self._violation(now_ns, with_command=True)
        if self._mode is not SafetyState.ACTIVE:
            if found is not None:
                self._go(SafetyState.DISARMED, found.code, found.text)
            elif self._mode is SafetyState.DISARMED:
                self._go(SafetyState.READY)
            return
        if found is None or found.code != "tilt":
            self._tilted_since_ns = None
        if found is None:
            return
        if found.code == "tilt":
            if self._tilted_since_ns is None:
                self._tilted_since_ns = now_ns
            if now_ns - self._tilted_since_ns < self._limits.tilt_time * 1e9:
                return
        self._fault(found)

    def _fault(self, found: Violation) -> None:
        self._tilted_since_ns = None
        self._faults += 1
        self._last_fault = f"{found.code}: {found.text}"
        self._go(SafetyState.FALLING if found.code == "tilt" else SafetyState.DISARMED, found.code, found.text)

    def _stale(self, now_ns: int) -> bool:
        age_ns = None if self._state_seen_ns is None else now_ns - self._state_seen_ns
        return check_age("state_timeout", "joint state", age_ns, self._limits.state_timeout) is not None

    def _damping(self, now_ns: int) -> JointEffort:
        """Damping from a fresh state; zero when there is none, or after the emergency stop has damped long enough."""
        state = self._state
        if self._estop_ns is not None and now_ns - self._estop_ns > self._limits.estop_damping_time * 1e9:
            self._estop_damped = True  # kept: the clock of a simulation may begin anew
        expired = self._mode is SafetyState.ESTOP and self._estop_damped
        self._damped += 1
        if state is None or expired or self._stale(now_ns):
            return JointEffort(0 if state is None else state.stamp_ns, np.zeros(self._robot.n_joints))
        return JointEffort(state.stamp_ns, self._envelope.damping(state))
