"""Sensor messages, efforts and velocities as read from their serialised form → core types.

The only place that knows ROS's xyzw and its parallel arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import ImuSample, JointSample, VelocitySample
from humanoid_rl_ros.core.state import JointEffort, VelocityCommand
from humanoid_rl_ros.interfaces.cdr import RawImu, RawJointState
from humanoid_rl_ros.interfaces.cdr_messages import RawOdometry, RawPoseArray, RawTwist


def _named(values: FloatArray, names: Sequence[str], permutation: IndexArray, what: str) -> FloatArray:
    if values.size != len(names):
        raise StateError(f"joint state has {len(names)} names but {values.size} values of {what}")
    ordered: FloatArray = values[permutation]
    ordered.setflags(write=False)  # nobody else has it: the state need not copy it
    if not np.isfinite(ordered).all():
        bad = permutation[int(np.flatnonzero(~np.isfinite(ordered))[0])]
        raise StateError(f"{what} of joint '{names[bad]}' is {values[bad]}", "non_finite")
    return ordered


def joint_sample(message: RawJointState, matcher: JointMatcher) -> JointSample:
    """Positions and velocities in the robot's order.

    Args:
        message: joints in any order; `effort` is not read.
        matcher: the robot's joints.

    Returns:
        [rad; Shape (n,)], [rad/s; Shape (n,)].

    Raises:
        StateError: a joint is missing, unknown or listed twice, the arrays differ in length, or a value is NaN or Inf.
    """
    permutation = matcher.permutation(message.name)
    return JointSample(
        message.stamp_ns,
        _named(message.position, message.name, permutation, "position"),
        _named(message.velocity, message.name, permutation, "velocity"),
    )


def effort_of(message: RawJointState, matcher: JointMatcher) -> JointEffort:
    """Efforts in the robot's order; NaN and Inf are passed on for the monitor to count.

    Raises:
        StateError: a joint is missing, unknown or listed twice, or the arrays differ in length.
    """
    permutation = matcher.permutation(message.name)
    values = message.effort
    if values.size != len(message.name):
        raise StateError(f"joint effort has {len(message.name)} names but {values.size} values")
    return JointEffort(message.stamp_ns, values[permutation])


def target_of(message: RawJointState, matcher: JointMatcher) -> FloatArray | None:
    """The positions that an effort is to reach, in the robot's order [rad; Shape (n,)]; None where it says none.

    Raises:
        StateError: there are some, but not one for each joint.
    """
    values = message.position
    if values.size == 0:
        return None
    if values.size != len(message.name):
        raise StateError(f"joint effort has {len(message.name)} names but {values.size} target positions")
    return np.asarray(values[matcher.permutation(message.name)])


def imu_sample(message: RawImu) -> ImuSample:
    """Orientation, rates and acceleration.

    Raises:
        StateError: the IMU says it has no orientation or no rates, a value is NaN or Inf, or the quaternion is no
            rotation.
    """
    numbers = message.numbers
    if numbers[4] == -1.0:
        raise StateError("the IMU gives no orientation (orientation_covariance[0] is -1)")
    if numbers[16] == -1.0:
        raise StateError("the IMU gives no angular velocity (angular_velocity_covariance[0] is -1)")
    values = numbers[_IMU_ORDER]
    if numbers[28] == -1.0:
        values[7:] = 0.0
    if not np.isfinite(values).all():
        names = ("orientation", "angular_velocity", "linear_acceleration")
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise StateError(f"IMU {names[0 if first < 4 else 1 if first < 7 else 2]} is not finite", "non_finite")
    return ImuSample(message.stamp_ns, rotations.unit(values[:4]), values[4:7], values[7:])


WXYZ = [3, 0, 1, 2]
"""Where the quaternion stands in the numbers of an IMU message."""
_IMU_ORDER = np.array([*WXYZ, 13, 14, 15, 25, 26, 27])
"""Where wxyz, the rates and the acceleration stand in the numbers of an IMU message."""


def xyzw(orientation: FloatArray) -> FloatArray:
    """ROS's order of a wxyz quaternion [Shape (4,)]."""
    return orientation[[1, 2, 3, 0]]


def velocity_sample(message: RawOdometry) -> VelocitySample:
    """The linear velocity of an odometry message, in its child frame."""
    return VelocitySample(message.stamp_ns, message.twist[:3])


def hand_targets(message: RawPoseArray, frame: str) -> FloatArray:
    """Where the left and the right hand are to be [m; the frame; Shape (2, 3)].

    Args:
        message: two poses, of the left hand first; orientations are not read.
        frame: that the policy reads them in; a prefix with a slash may stand before it, as tf2 names several robots'.

    Raises:
        StateError: there are not two poses, they are in another frame, or not finite.
    """
    if message.frame_id.rpartition("/")[2] != frame:
        raise StateError(f"hand targets in frame '{message.frame_id}', expected '{frame}'; transform them")
    if len(message.poses) != 2:
        raise StateError(f"hand targets have {len(message.poses)} poses, expected 2: left hand, right hand")
    targets = np.array(message.poses[:, :3])
    if not np.isfinite(targets).all():
        raise StateError("hand targets are not finite", "non_finite")
    return targets


def velocity_command(message: RawTwist) -> VelocityCommand:
    """The planar part of a twist.

    Raises:
        StateError: a component is NaN or Inf.
    """
    x, y, _, _, _, yaw = map(float, message.numbers)
    command = VelocityCommand(x, y, yaw)
    if not np.isfinite(command.as_array()).all():
        raise StateError(f"velocity command is not finite: {command}", "non_finite")
    return command
