"""The PD law, and the blend that brings a robot from the pose it is in to the pose a controller wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.state import JointTarget, RobotState


@dataclass(frozen=True, eq=False)
class PDGains:
    """Gains and limits of the PD law, in the robot's joint order.

    Attributes:
        kp: [N·m/rad; Shape (n,)].
        kd: [N·m·s/rad; Shape (n,)].
        effort_limit: bound of the effort, the feed-forward included [N·m; Shape (n,)].
        low_pass: weight of the new effort in a first-order filter at the rate of the law; 1 is none.
    """

    kp: FloatArray
    kd: FloatArray
    effort_limit: FloatArray
    low_pass: float = 1.0

    def __post_init__(self) -> None:
        for name in ("kp", "kd", "effort_limit"):
            value = frozen(getattr(self, name))
            if not np.isfinite(value).all() or (value < 0.0).any():
                raise ConfigError(f"PD {name} must be finite and at least 0")
            object.__setattr__(self, name, value)
        if not 0.0 < self.low_pass <= 1.0:
            raise ConfigError(f"PD low_pass must be in (0, 1], found {self.low_pass:g}")


class PDController:
    """effort = clip(kp·(target − q) − kd·q̇ + feed-forward, ±limit), computed at every state.

    Args:
        gains: gains and limits.
        joints: names for errors.
    """

    def __init__(self, gains: PDGains, joints: Sequence[str] = ()) -> None:
        self.gains = gains
        self._joints = tuple(joints)
        self._filtered: FloatArray | None = None

    def reset(self) -> None:
        """Forget the effort filter."""
        self._filtered = None

    def effort(self, target: JointTarget, state: RobotState) -> FloatArray:
        """The effort for a measured state.

        Args:
            target: what to reach [rad, N·m; Shape (..., n)].
            state: the measured state.

        Returns:
            [N·m; Shape (..., n)], within the limits.

        Raises:
            StateError: the effort would not be finite; names the joint.
        """
        g = self.gains
        # Summed in the order of a MuJoCo actuator, gain·control + bias, so that physics that carries the law inside
        # rounds as a node does.
        bias = -g.kp * state.joint_position - g.kd * state.joint_velocity
        effort = (g.kp * target.position + bias) + target.feedforward_effort
        if not np.isfinite(effort).all():
            bad = int(np.argwhere(~np.isfinite(effort))[0][-1])
            name = f"joint '{self._joints[bad]}'" if self._joints else f"joint {bad}"
            raise StateError(f"position, velocity or target of {name} is not finite")
        if g.low_pass != 1.0:
            before = effort if self._filtered is None else self._filtered
            effort = self._filtered = g.low_pass * effort + (1.0 - g.low_pass) * before
        # minimum and maximum are what np.clip calls, without its Python wrapper: this runs at every joint state.
        return np.minimum(np.maximum(effort, -g.effort_limit), g.effort_limit)

    def reachable(self, state: RobotState) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest target whose effort is within the limits now [rad; Shape (..., n)]; ±inf where kp is 0."""
        g = self.gains
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = state.joint_position + g.kd * state.joint_velocity / g.kp
            reach = g.effort_limit / g.kp
            lower, upper = middle - reach, middle + reach
        return np.where(g.kp > 0.0, lower, -np.inf), np.where(g.kp > 0.0, upper, np.inf)


class TargetFilter:
    """First-order filter of the target at the rate of the PD law: y ← weight·x + (1 − weight)·y.

    Args:
        weight: of the new target, in (0, 1]; 1 for none.
    """

    def __init__(self, weight: float) -> None:
        if not 0.0 < weight <= 1.0:
            raise ConfigError(f"target low_pass must be in (0, 1], found {weight:g}")
        self._weight = weight
        self._filtered: JointTarget | None = None

    def reset(self) -> None:
        """Begin at the next target."""
        self._filtered = None

    def apply(self, target: JointTarget) -> JointTarget:
        """The filtered target."""
        before, w = self._filtered, self._weight
        if w == 1.0:
            return target
        if before is None:
            before = target
        self._filtered = JointTarget(
            w * target.position + (1.0 - w) * before.position,
            w * target.feedforward_effort + (1.0 - w) * before.feedforward_effort,
        )
        return self._filtered


def blend_weight(passed_ns: int, duration_ns: int) -> float:
    """Share of the new after part of a blend, from 0 to 1.

    weight(t) = 10s³ − 15s⁴ + 6s⁵ with s = t/duration: zero velocity and acceleration at both ends.
    """
    if duration_ns <= 0:
        return 1.0
    s = min(max(passed_ns / duration_ns, 0.0), 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s)


PEAK_BLEND_RATE = 1.875
"""Of `blend_weight`, in the middle: 30·s²·(1 − s)² at s = ½, per duration."""


class EntryBlend:
    """Leads from the pose measured at entry to the target, over a given time, by `blend_weight`.

    Args:
        duration: [s]; 0 for none.
    """

    def __init__(self, duration: float) -> None:
        self._usual_ns = self._duration_ns = _blend_ns(duration)
        self._start_ns = 0
        self._pose: FloatArray | None = None

    @property
    def usual(self) -> float:
        """The duration given [s]."""
        return self._usual_ns * 1e-9

    def enter(self, state: RobotState, duration: float | None = None) -> None:
        """Start from this measured state, for another duration where one is given [s]."""
        self._duration_ns = self._usual_ns if duration is None else _blend_ns(duration)
        self._start_ns = state.stamp_ns
        self._pose = state.joint_position

    def weight(self, now_ns: int) -> float:
        """Share of the target, from 0 at entry to 1."""
        return 1.0 if self._pose is None else blend_weight(now_ns - self._start_ns, self._duration_ns)

    def apply(self, target: JointTarget, now_ns: int) -> JointTarget:
        """The target on the way, at time `now_ns` on the clock of the states."""
        weight = self.weight(now_ns)
        if weight >= 1.0 or self._pose is None:
            return target
        position = self._pose + weight * (target.position - self._pose)
        return JointTarget(position, weight * target.feedforward_effort)


def _blend_ns(duration: float) -> int:
    if not (np.isfinite(duration) and duration >= 0.0):
        raise ConfigError(f"blend time must be finite and at least 0 s, found {duration}")
    return round(duration * 1e9)
