"""Where one robot of a team is and how it moves, as its odometry says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.errors import StateError

FURTHEST = 1e6
"""No odometry goes on so far; numbers beyond are of something else [m]."""


@dataclass(frozen=True, eq=False)
class MemberMotion:
    """One odometry of one robot.

    Attributes:
        stamp_ns: of its measurement, on its source's clock [ns].
        frame: in which its position is.
        position: of the base on the floor [m; Shape (2,)].
        heading: [rad].
        velocity: (forward, left, turn rate), along its heading [m/s, m/s, rad/s; Shape (3,)].
        tilt: from upright [rad].
        height: of the base in that frame [m].
    """

    stamp_ns: int
    frame: str
    position: FloatArray
    heading: float
    velocity: FloatArray
    tilt: float
    height: float = 0.0

    def __post_init__(self) -> None:
        for name in ("position", "velocity"):
            object.__setattr__(self, name, frozen(getattr(self, name)))


def member_motion(
    stamp_ns: int, frame: str, position: FloatArray, orientation: FloatArray, linear: FloatArray, angular: FloatArray
) -> MemberMotion:
    """Work it out of a pose, and of a velocity in the base's own axes.

    Args:
        stamp_ns: [ns].
        frame: of the pose.
        position: [m; Shape (3,)].
        orientation: [wxyz; Shape (4,)].
        linear, angular: [m/s, rad/s; base frame; Shape (3,)].

    Raises:
        StateError: a number is not finite or too large, or the quaternion is no rotation.
    """
    if not all(np.isfinite(part).all() for part in (position, orientation, linear, angular)):
        raise StateError("the odometry is not finite", "non_finite")
    if np.abs(position).max() > FURTHEST:
        raise StateError(f"the odometry is {np.abs(position).max():.3g} m from its origin")
    upright = rotations.unit(orientation)
    heading = float(rotations.roll_pitch_yaw(upright)[2])
    moving, turning = rotations.rotate(upright, linear), rotations.rotate(upright, angular)
    cos, sin = math.cos(heading), math.sin(heading)
    along = np.array([cos * moving[0] + sin * moving[1], cos * moving[1] - sin * moving[0], turning[2]])
    return MemberMotion(
        stamp_ns, frame, position[:2], heading, along, float(rotations.tilt(upright)), float(position[2])
    )


class MeanMotion:
    """Follows the odometry of one robot and averages its velocity over about a stride.

    Args:
        averaging: time constant of the exponential mean [s]; 0 for none.

    Attributes:
        last: the newest odometry; None before the first.
        velocity: (forward, left, turn rate) [Shape (3,)].
        heard_ns: monotonic time of the newest [ns].
        highest: height of the base so far [m].
    """

    def __init__(self, averaging: float) -> None:
        self._averaging = averaging
        self.forget()

    def forget(self) -> None:
        """As before the first."""
        self.last: MemberMotion | None = None
        self.velocity: FloatArray = np.zeros(3)
        self.heard_ns = 0
        self.highest = -math.inf

    def hear(self, motion: MemberMotion, now_ns: int) -> None:
        """Take the next odometry, which came now [ns]; one that is not newer starts the mean anew."""
        passed = 0.0 if self.last is None else 1e-9 * (motion.stamp_ns - self.last.stamp_ns)
        if passed <= 0.0 or self._averaging <= 0.0:
            self.velocity = np.array(motion.velocity)
        else:
            self.velocity = self.velocity + (1.0 - math.exp(-passed / self._averaging)) * (
                motion.velocity - self.velocity
            )
        self.last, self.heard_ns = motion, now_ns
        self.highest = max(self.highest, motion.height)
