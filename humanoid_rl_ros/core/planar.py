"""Positions and headings on the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError


@dataclass(frozen=True)
class PlanarPose:
    """A pose on the floor, or the frame that stands there.

    Attributes:
        x, y: position [m].
        yaw: heading, counter-clockwise from x [rad].
    """

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.x, self.y, self.yaw)):
            raise ConfigError(f"a pose must be finite, found x {self.x:g}, y {self.y:g}, yaw {self.yaw:g}")

    def outward(self, points: FloatArray) -> FloatArray:
        """Points of this frame in the frame that the pose is given in [m; Shape (..., 2)]."""
        return np.asarray(points) @ self._rotation() + (self.x, self.y)

    def inward(self, points: FloatArray) -> FloatArray:
        """Points of the frame that the pose is given in, in this frame [m; Shape (..., 2)]."""
        return (np.asarray(points) - (self.x, self.y)) @ self._rotation().T

    def compose(self, inner: PlanarPose) -> PlanarPose:
        """A pose of this frame in the frame that this pose is given in."""
        x, y = self.outward(np.array([inner.x, inner.y]))
        return PlanarPose(float(x), float(y), wrapped(self.yaw + inner.yaw))

    def _rotation(self) -> FloatArray:
        """Transposed: what rows are multiplied with."""
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[cosine, sine], [-sine, cosine]])


def wrapped(angle: float) -> float:
    """The same angle in [−π, π] [rad]."""
    return math.remainder(angle, math.tau)
