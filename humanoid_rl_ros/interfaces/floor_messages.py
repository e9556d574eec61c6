"""Maps, ways and poses on the floor as messages, and back."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Pose, PoseStamped, TwistStamped
from nav_msgs.msg import OccupancyGrid, Path

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyMap
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.interfaces.cdr_messages import RawOdometry
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp
from humanoid_rl_ros.interfaces.measurements import WXYZ

OCCUPIED_FROM, FREE_TO = 65, 19
"""Probabilities in percent from which on a square counts as occupied, and up to which as free; nav2's thresholds."""
LEVEL_RAD = 0.01
FURTHEST_M = 1e6
"""No odometry goes on so far; numbers beyond are of something else."""


def occupancy_message(found: OccupancyMap, stamp_ns: int, frame: str) -> OccupancyGrid:
    """A map as nav_msgs has it, row after row from its origin."""
    message = OccupancyGrid()
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    message.info.map_load_time = message.header.stamp
    message.info.resolution = float(found.resolution)
    message.info.height, message.info.width = map(int, found.squares.shape)
    message.info.origin = _pose(found.origin)
    message.data = found.squares.ravel().tolist()
    return message


def occupancy_map(message: OccupancyGrid) -> OccupancyMap:
    """The map of a message; squares whose probability says neither free nor occupied are unknown.

    Raises:
        ConfigError: its sizes contradict each other, a number cannot be, or its origin is not level.
    """
    info = message.info
    data = np.asarray(message.data, dtype=np.int16)
    if data.size != info.width * info.height or not data.size:
        raise ConfigError(f"a map of {info.width} × {info.height} squares came with {data.size} values")
    if data.min() < UNKNOWN or data.max() > OCCUPIED:
        raise ConfigError(f"a map's values are −1 to 100, found {data.min()} to {data.max()}")
    squares = np.full(data.shape, UNKNOWN, dtype=np.int8)
    squares[data >= OCCUPIED_FROM] = OCCUPIED
    squares[(data >= 0) & (data <= FREE_TO)] = FREE
    # A float32 there: as many digits as it has.
    resolution = float(f"{info.resolution:.7g}")
    position, q = info.origin.position, info.origin.orientation
    wxyz = np.array([q.w, q.x, q.y, q.z])
    if not np.isfinite(wxyz).all():
        raise ConfigError("the orientation of the map's origin is not finite")
    if not wxyz.any():  # left out, which many publishers do
        wxyz[0] = 1.0
    try:
        wxyz = rotations.unit(wxyz)
    except StateError as error:
        raise ConfigError(f"the orientation of the map's origin: {error}") from None
    if float(rotations.tilt(wxyz)) > LEVEL_RAD:
        raise ConfigError(f"the map's origin is not level: it leans by {float(rotations.tilt(wxyz)):.3f} rad")
    yaw = float(rotations.roll_pitch_yaw(wxyz)[2])
    return OccupancyMap(squares.reshape(info.height, info.width), resolution, PlanarPose(position.x, position.y, yaw))


def path_message(points: FloatArray, stamp_ns: int, frame: str) -> Path:
    """Points on the floor, each pose heading for the next [m; Shape (n, 2)]."""
    message = Path()
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    headings = np.zeros(len(points))
    if len(points) > 1:
        along = np.diff(points, axis=0)
        headings[:-1] = np.arctan2(along[:, 1], along[:, 0])
        headings[-1] = headings[-2]
    for (x, y), yaw in zip(points.tolist(), headings.tolist(), strict=True):
        message.poses.append(PoseStamped(header=message.header, pose=_pose(PlanarPose(x, y, yaw))))
    return message


def _pose(planar: PlanarPose) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y = float(planar.x), float(planar.y)
    pose.orientation.z, pose.orientation.w = math.sin(0.5 * planar.yaw), math.cos(0.5 * planar.yaw)
    return pose


def planar_pose(message: RawOdometry) -> tuple[PlanarPose, float]:
    """Where an odometry message puts the robot on the floor, and its tilt [rad].

    Raises:
        StateError: a number is NaN or Inf, or the quaternion is no rotation.
    """
    if not np.isfinite(message.pose).all():
        raise StateError("the pose of the odometry is not finite", "non_finite")
    orientation = rotations.unit(message.pose[3:][WXYZ])
    yaw = float(rotations.roll_pitch_yaw(orientation)[2])
    x, y = (float(value) for value in message.pose[:2])
    if max(abs(x), abs(y)) > FURTHEST_M:
        raise StateError(f"the odometry is {max(abs(x), abs(y)):.3g} m from its origin")
    return PlanarPose(x, y, yaw), float(rotations.tilt(orientation))


def twist_message(command: VelocityCommand, stamp_ns: int, frame: str) -> TwistStamped:
    """A velocity command with its time."""
    message = TwistStamped()
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    twist = message.twist
    twist.linear.x, twist.linear.y = float(command.linear_x), float(command.linear_y)
    twist.angular.z = float(command.angular_z)
    return message
