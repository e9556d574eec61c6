"""How the base of the robot stands, lies and turns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.status import FallDirection

# Where gravity is nearer to the base's z axis than this the robot sits or kneels: the cosine of 45 degrees.
_SITTING = math.sqrt(0.5)
# Time constant of the mean rate of the base, in which the noise of a gyro goes under [s].
_SMOOTHING = 0.1


@dataclass(frozen=True)
class Attitude:
    """How the base stands.

    Attributes:
        tilt: angle between its z axis and up [rad].
        tilt_rate: how fast that grows [rad/s]; 0 where it stands upright or on its head, where it has no direction.
        gravity: unit vector of gravity [base frame].
    """

    tilt: float
    tilt_rate: float
    gravity: tuple[float, float, float]


def attitude(state: RobotState) -> Attitude:
    """Tilt and its rate from orientation and gyro.

    With g the unit vector of gravity in the base frame and ω the rates, ġ = −ω × g, and cos tilt = −g_z: so
    tilt' = −(ω_x·g_y − ω_y·g_x)/sin tilt.
    """
    g_x, g_y, g_z = map(float, rotations.projected_gravity(state.orientation))
    w_x, w_y, _ = map(float, state.angular_velocity)
    sine = math.hypot(g_x, g_y)
    rate = -(w_x * g_y - w_y * g_x) / sine if sine > 1e-6 else 0.0
    return Attitude(float(rotations.tilt(state.orientation)), rate, (g_x, g_y, g_z))


def direction_of(gravity: tuple[float, float, float]) -> FallDirection:
    """The side on which a robot lies.

    Args:
        gravity: unit vector of gravity [base frame, x forward, y to the left, z up].
    """
    forward, left, up = gravity
    if -up > _SITTING:
        return FallDirection.SITTING
    if abs(forward) >= abs(left):
        return FallDirection.PRONE if forward > 0.0 else FallDirection.SUPINE
    return FallDirection.LEFT if left > 0.0 else FallDirection.RIGHT


class MeanRate:
    """The rate of the base without its noise: a first-order filter of the gyro's vector."""

    def __init__(self) -> None:
        self._mean: FloatArray | None = None
        self._seen_ns = 0

    def reset(self) -> None:
        """Forget it."""
        self._mean = None

    def update(self, now_ns: int, rate: FloatArray) -> float:
        """Its size, now that the gyro says this [rad/s; base frame; Shape (3,)] -> [rad/s]."""
        if self._mean is None or not np.isfinite(self._mean).all():
            self._mean = rate
        else:
            passed = max(now_ns - self._seen_ns, 0) * 1e-9
            self._mean = self._mean - math.expm1(-passed / _SMOOTHING) * (rate - self._mean)
        self._seen_ns = now_ns
        return float(np.sqrt(self._mean @ self._mean))
