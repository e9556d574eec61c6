"""The clamp, always last: whatever comes in, what goes out is finite, within every limit, and of the right length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.limits import SafetyLimits

# Below this relative change an effort counts as untouched: the clamp's arithmetic may cost the last bit.
UNTOUCHED = 1e-9
# How far an effort's stamp may be ahead of the last state: in a time T an effort changes by rate·(T + this) at most.
OVERTAKING_NS = 20_000_000


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

    Order: not finite → damping; soft position limits; rate; effort limit. The effort limit is last and has the last
    word over the others.

    Args:
        robot: joint order and limits.
        limits: thresholds.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self._limit = robot.effort_limit * limits.effort_scale
        self._untouched = UNTOUCHED * self._limit
        self._rate = robot.effort_limit * limits.effort_rate
        self._damping = robot.kd * limits.damping_scale
        # Of a range narrower than both margins, a quarter on each side.
        margin = np.minimum(limits.soft_position_margin, 0.25 * (robot.upper - robot.lower))
        self._soft_lower = robot.lower + margin
        self._soft_upper = robot.upper - margin
        self._stiffness = limits.soft_position_stiffness * self._limit / margin
        self._previous: FloatArray | None = None
        self._previous_ns = 0

    def reset(self) -> None:
        """Forget the last effort; the next is not rate-limited."""
        self._previous = None

    def damping(self, state: RobotState) -> FloatArray:
        """−kd·q̇ within the effort limits [N·m; Shape (n,)]; zero for a joint whose velocity is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            effort = np.clip(-self._damping * state.joint_velocity, -self._limit, self._limit)
        return np.where(np.isfinite(state.joint_velocity), effort, 0.0)

    def clamp(self, effort: FloatArray, state: RobotState, stamp_ns: int | None = None) -> Clamped:
        """Bring a policy's effort into the limits.

        Args:
            effort: what the policy asks [N·m; Shape (n,)].
            state: the last state.
            stamp_ns: stamp of the state the effort answers, for the rate [ns]; that of `state` if not given. Efforts
                may come in bursts that meet the same last state, or overtake a state; one that claims a state much
                later than the last is not believed.

        Returns:
            The effort that may be sent.
        """
        finite = np.isfinite(effort)
        non_finite = not finite.all()
        wanted = np.where(finite, effort, self.damping(state)) if non_finite else effort
        bounded = self._soft_position(wanted, state)
        answered_ns = state.stamp_ns if stamp_ns is None else min(stamp_ns, state.stamp_ns + OVERTAKING_NS)
        bounded = self._limit_rate(bounded, answered_ns)
        bounded = np.minimum(np.maximum(bounded, -self._limit), self._limit)
        changed = np.abs(bounded - wanted) > self._untouched
        if non_finite:
            changed |= ~finite
        self._previous, self._previous_ns = bounded, answered_ns
        return Clamped(bounded, changed, bool(changed.any()), non_finite)

    def _soft_position(self, effort: FloatArray, state: RobotState) -> FloatArray:
        """Effort pushing outward shrinks to zero over the margin before a limit, and reverses beyond the limit.

        At a distance x inside the soft limit the outward effort may be at most limit − stiffness·x (x > 0 towards the
        stop): the joint_soft_limiter law of ros2_control, on effort against position.
        """
        position = state.joint_position
        past_upper = position - self._soft_upper
        past_lower = self._soft_lower - position
        if not (past_upper > 0.0).any() and not (past_lower > 0.0).any():
            return effort
        ceiling = np.where(past_upper > 0.0, self._limit - self._stiffness * past_upper, np.inf)
        floor = np.where(past_lower > 0.0, self._stiffness * past_lower - self._limit, -np.inf)
        return np.minimum(np.maximum(effort, floor), ceiling)

    def _limit_rate(self, effort: FloatArray, stamp_ns: int) -> FloatArray:
        if self._previous is None:
            return effort
        # A step back in time or none at all allows no change; otherwise dt ≤ 0 would switch the limiter off.
        step = self._rate * max((stamp_ns - self._previous_ns) * 1e-9, 0.0)
        return np.minimum(np.maximum(effort, self._previous - step), self._previous + step)
