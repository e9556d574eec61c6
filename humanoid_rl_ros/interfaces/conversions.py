"""Messages ↔ core types, for what is not read and written in its serialised form. ROS's stamps and parallel arrays."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.interfaces.cdr import NANOSECONDS, stamp_ns


def stamp_to_ns(stamp: Time) -> int:
    """A ROS stamp as integer nanoseconds.

    Raises:
        StateError: it has a second or more of nanoseconds, which no clock gives and no answer could carry back.
    """
    return stamp_ns(stamp.sec, stamp.nanosec)


def ns_to_stamp(time_ns: int) -> Time:
    """Integer nanoseconds as a ROS stamp."""
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def odometry_message(
    stamp_ns: int,
    frames: tuple[str, str],
    position: FloatArray,
    orientation: FloatArray,
    linear_velocity: FloatArray,
    angular_velocity: FloatArray,
) -> Odometry:
    """Pose in the world and velocity in the base frame, as nav_msgs wants them.

    Args:
        stamp_ns: time [ns].
        frames: world and base frame ids.
        position: [m; world; Shape (3,)].
        orientation: [wxyz; Shape (4,)].
        linear_velocity: [m/s; base frame; Shape (3,)].
        angular_velocity: [rad/s; base frame; Shape (3,)].
    """
    message = Odometry()
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id, message.child_frame_id = frames
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y, pose.position.z = map(float, position)
    w, x, y, z = map(float, orientation)
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = x, y, z, w
    twist.linear.x, twist.linear.y, twist.linear.z = map(float, linear_velocity)
    twist.angular.x, twist.angular.y, twist.angular.z = map(float, angular_velocity)
    return message
