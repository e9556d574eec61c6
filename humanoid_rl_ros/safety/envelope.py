"""The clamp, always last: whatever comes in, what goes out is finite, within every limit, and of the right length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.thermal import LONGEST_HELD_S, ThermalEstimate

# Below this relative change an effort counts as untouched: the clamp's arithmetic may cost the last bit.
UNTOUCHED = 1e-9
# How far an effort's stamp may be ahead of the last state: in a time T an effort changes by rate·(T + this) at most.
OVERTAKING_NS = 20_000_000
# The longest time that counts as having passed between two efforts: a gap says nothing of what was held in it.
LONGEST_STEP_NS = round(LONGEST_HELD_S * 1e9)


@dataclass(frozen=True, eq=False)
class Clamped:
    """An effort that may go to the motors.

    Attributes:
        effort: [N·m; Shape (n,)].
        changed: the joints whose effort was altered [Shape (n,)].
        any_changed: whether any was.
        non_finite: whether any effort that came in was NaN or Inf.
    """

    effort: FloatArray
    changed: BoolArray
    any_changed: bool
    non_finite: bool


class Envelope:
    """Clamps the efforts of one robot.

    Order: not finite → damping; rate; soft position limits; effort limit, less where a joint is warm; speed–torque
    curve; power. Each has the last word over those before it: what limits a motor does not yield to the rate, and a
    joint is turned back from its stop as fast as it comes near.

    Args:
        robot: joint order and limits.
        limits: thresholds.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self.thermal = ThermalEstimate(robot, limits)
        self._scale = limits.effort_scale
        self._full = robot.effort_limit * limits.effort_scale
        self._untouched = UNTOUCHED * self._full
        self._rate = robot.effort_limit * limits.effort_rate
        self._damping = robot.kd * limits.damping_scale
        # Of a range narrower than both margins, a quarter on each side.
        margin = np.minimum(limits.soft_position_margin, 0.25 * (robot.upper - robot.lower))
        self._soft_lower = robot.lower + margin
        self._soft_upper = robot.upper - margin
        self._stiffness = limits.soft_position_stiffness * self._full / margin
        self._slowness = 1.0 / robot.velocity_limit  # 0 where there is no limit
        self._corner = limits.speed_corner
        self._power = limits.power_limit
        self._previous: FloatArray | None = None
        self._sent: FloatArray | None = None
        self._sent_ns = 0

    def reset(self) -> None:
        """Forget the last effort; the next is not rate-limited. How warm the joints are is not forgotten."""
        self._previous = self._sent = None

    def restart(self) -> None:
        """Forget everything: the simulated world was reset."""
        self.reset()
        self.thermal.reset()

    def allowed(self, scale: float = 1.0) -> FloatArray:
        """The largest effort of each joint now, at low speed [N·m; Shape (n,)]."""
        return self.thermal.allowed() * (self._scale * scale)

    def damping(self, state: RobotState) -> FloatArray:
        """−kd·q̇ within the effort limits [N·m; Shape (n,)]; zero for a joint whose velocity is not finite.

        It opposes the motion: neither the speed–torque curve nor the power limit has anything to take from it.
        """
        effort = self._damped(state, self.allowed())
        self._account(effort, state.stamp_ns)
        return effort

    def _damped(self, state: RobotState, limit: FloatArray) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            effort = np.minimum(np.maximum(-self._damping * state.joint_velocity, -limit), limit)
        return np.where(np.isfinite(state.joint_velocity), effort, 0.0)

    def clamp(
        self, effort: FloatArray, state: RobotState, stamp_ns: int | None = None, *, scale: float = 1.0
    ) -> Clamped:
        """Bring a policy's effort into the limits.

        Args:
            effort: what the policy asks [N·m; Shape (n,)].
            state: the last state.
            stamp_ns: stamp of the state the effort answers, for the rate [ns]; that of `state` if not given. Efforts
                may come in bursts that meet the same last state, or overtake a state; one that claims a state much
                later than the last is not believed.
            scale: share of the effort limits allowed now, in (0, 1].

        Returns:
            The effort that may be sent.
        """
        limit = self.allowed(scale)
        finite = np.isfinite(effort)
        non_finite = not finite.all()
        wanted = np.where(finite, effort, self._damped(state, limit)) if non_finite else effort
        answered_ns = state.stamp_ns if stamp_ns is None else min(stamp_ns, state.stamp_ns + OVERTAKING_NS)
        bounded = self._limit_rate(wanted, answered_ns)
        bounded = self._soft_position(bounded, state)
        bounded = np.minimum(np.maximum(bounded, -limit), limit)
        bounded = self._limit_power(self._speed_torque(bounded, limit, state), state)
        changed = np.abs(bounded - wanted) > self._untouched
        if non_finite:
            changed |= ~finite
        self._previous = bounded
        self._account(bounded, answered_ns)
        return Clamped(bounded, changed, bool(changed.any()), non_finite)

    def _limit_rate(self, effort: FloatArray, stamp_ns: int) -> FloatArray:
        if self._previous is None:
            return effort
        step = self._rate * (self._passed_ns(stamp_ns) * 1e-9)
        return np.minimum(np.maximum(effort, self._previous - step), self._previous + step)

    def _passed_ns(self, stamp_ns: int) -> int:
        """Time since the last effort: a step back is none, or dt ≤ 0 would switch a limiter off."""
        return min(max(stamp_ns - self._sent_ns, 0), LONGEST_STEP_NS)

    def _soft_position(self, effort: FloatArray, state: RobotState) -> FloatArray:
        """Effort pushing outward shrinks to zero over the margin before a limit, and reverses beyond the limit.

        At a distance x inside the soft limit the outward effort may be at most limit − stiffness·x (x > 0 towards the
        stop): the joint_soft_limiter law of ros2_control, on effort against position.
        """
        position = state.joint_position
        with np.errstate(invalid="ignore"):
            past_upper = position - self._soft_upper
            past_lower = self._soft_lower - position
        if not (past_upper > 0.0).any() and not (past_lower > 0.0).any():
            return effort
        with np.errstate(over="ignore"):
            ceiling = np.where(past_upper > 0.0, self._full - self._stiffness * past_upper, np.inf)
            floor = np.where(past_lower > 0.0, self._stiffness * past_lower - self._full, -np.inf)
        return np.minimum(np.maximum(effort, floor), ceiling)

    def _speed_torque(self, effort: FloatArray, limit: FloatArray, state: RobotState) -> FloatArray:
        """Effort that drives a joint on falls from the corner speed to zero at its velocity limit; braking does not."""
        with np.errstate(invalid="ignore", over="ignore"):
            speed = state.joint_velocity * self._slowness
        fast = np.abs(speed) > self._corner
        if not fast.any():
            return effort
        left = limit * (np.maximum(1.0 - np.abs(speed), 0.0) / (1.0 - self._corner))
        ceiling = np.where(fast & (speed > 0.0), left, np.inf)
        floor = np.where(fast & (speed < 0.0), -left, -np.inf)
        return np.minimum(np.maximum(effort, floor), ceiling)

    def _limit_power(self, effort: FloatArray, state: RobotState) -> FloatArray:
        """Where the joints are driven with more than the power limit, all that are driven get the same share less."""
        with np.errstate(over="ignore", invalid="ignore"):
            power = effort * state.joint_velocity
            driven = power > 0.0
            total = power.sum(where=driven)
        if not total > self._power:
            return effort
        return np.where(driven, effort * (self._power / total), effort)

    def _account(self, effort: FloatArray, stamp_ns: int) -> None:
        """Warm the joints by what they held until now."""
        if self._sent is None:
            self._sent_ns = stamp_ns
        else:
            self.thermal.advance(self._sent, self._passed_ns(stamp_ns) * 1e-9)
        # Stamps that go to and fro must not add up to time that never passed.
        self._sent, self._sent_ns = effort, max(self._sent_ns, stamp_ns)
