"""What is measured and what is commanded: frozen records of named, typed arrays.

Arrays are in the joint order of the `RobotSpec` they belong to. A batch of robots adds leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, frozen

_ZERO3 = frozen(np.zeros(3))


@dataclass(frozen=True, eq=False)
class RobotState:
    """One measurement of the robot.

    Attributes:
        stamp_ns: time of the measurement on the source's clock [ns].
        joint_position: [rad; Shape (..., n)].
        joint_velocity: [rad/s; Shape (..., n)].
        orientation: IMU frame in the world [wxyz, unit; Shape (..., 4)].
        angular_velocity: [rad/s; IMU frame; Shape (..., 3)].
        linear_acceleration: specific force [m/s²; IMU frame; Shape (..., 3)].
        base_linear_velocity: [m/s; IMU frame; Shape (..., 3)], or None: no sensor of a robot gives it.
    """

    stamp_ns: int
    joint_position: FloatArray
    joint_velocity: FloatArray
    orientation: FloatArray
    angular_velocity: FloatArray
    linear_acceleration: FloatArray = field(default_factory=lambda: _ZERO3)
    base_linear_velocity: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("joint_position", "joint_velocity", "orientation", "angular_velocity", "linear_acceleration"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        if self.base_linear_velocity is not None:
            object.__setattr__(self, "base_linear_velocity", frozen(self.base_linear_velocity))


@dataclass(frozen=True)
class VelocityCommand:
    """The velocity asked of the robot, in its own frame.

    Attributes:
        linear_x: forward [m/s].
        linear_y: to the left [m/s].
        angular_z: counter-clockwise [rad/s].
    """

    linear_x: float = 0.0
    linear_y: float = 0.0
    angular_z: float = 0.0

    def as_array(self) -> FloatArray:
        """(linear_x, linear_y, angular_z) [Shape (3,)]."""
        return np.array([self.linear_x, self.linear_y, self.angular_z])


@dataclass(frozen=True, eq=False)
class JointTarget:
    """What the PD law should reach, for all joints of the robot.

    Attributes:
        position: [rad; Shape (..., n)].
        feedforward_effort: added to the PD law [N·m; Shape (..., n)].
    """

    position: FloatArray
    feedforward_effort: FloatArray


@dataclass(frozen=True, eq=False)
class JointEffort:
    """An effort for every joint of the robot, answering one measured state.

    Attributes:
        stamp_ns: the stamp of the state it answers [ns].
        effort: [N·m; Shape (..., n)].
    """

    stamp_ns: int
    effort: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "effort", frozen(self.effort))
