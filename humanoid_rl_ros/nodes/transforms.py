"""The base's transform, where tf2_msgs is installed; the wheels of rclpy come without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry

from humanoid_rl_ros.interfaces.topics import Topic


def transform_publisher(publish_on: Callable[[Topic], Any]) -> Callable[[Odometry], None] | None:
    """A function that publishes an odometry message as the transform it says.

    Args:
        publish_on: makes a publisher.

    Returns:
        The function, or None where tf2_msgs is not installed.
    """
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    publisher = publish_on(Topic("/tf", "tf2_msgs/msg/TFMessage", depth=100))

    def publish(odometry: Odometry) -> None:
        transform = TransformStamped(header=odometry.header, child_frame_id=odometry.child_frame_id)
        position = odometry.pose.pose.position
        transform.transform.translation.x = position.x
        transform.transform.translation.y = position.y
        transform.transform.translation.z = position.z
        transform.transform.rotation = odometry.pose.pose.orientation
        publisher.publish(TFMessage(transforms=[transform]))

    return publish
