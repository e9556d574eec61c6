"""What ros_gz_bridge passes from Gazebo to ROS, on the names of the topic table."""

from __future__ import annotations

import yaml

from humanoid_rl_ros.description.gazebo_tags import imu_topic, odometry_topic, transform_topic
from humanoid_rl_ros.description.options import WORLD_CONTROL_TYPE, ExportOptions, world_control
from humanoid_rl_ros.interfaces.topics import CLOCK, IMU, ODOMETRY, Topic
from humanoid_rl_ros.simulation.links import LinkTree

BASE_TRANSFORM = Topic("tf", "tf2_msgs/msg/TFMessage", depth=100)


def bridge_text(tree: LinkTree, options: ExportOptions) -> str:
    """The file: clock, IMU, and the truth about the base, as odometry and as a transform.

    The IMU is bridged, not read by `imu_sensor_broadcaster`: its messages keep the stamp of what they measured.
    """
    entries = [
        (CLOCK, "/clock", "gz.msgs.Clock"),
        (IMU, imu_topic(tree, options), "gz.msgs.IMU"),
        (ODOMETRY, odometry_topic(tree, options), "gz.msgs.Odometry"),
        (BASE_TRANSFORM, transform_topic(tree, options), "gz.msgs.Pose_V"),
    ]
    body = [
        {
            "ros_topic_name": topic.name,
            "gz_topic_name": gazebo_topic,
            "ros_type_name": topic.type_name,
            "gz_type_name": gazebo_type,
            "direction": "GZ_TO_ROS",
        }
        for topic, gazebo_topic, gazebo_type in entries
    ]
    head = (
        f"# Written by `humanoid_rl robot export` for robot '{tree.robot.name}'.\n"
        f"# Not every version reads services from here; the bridge takes this one as an argument instead:\n"
        f"# {control_argument()}\n"
    )
    return head + yaml.safe_dump(body, sort_keys=False)


def control_argument() -> str:
    """The argument with which `parameter_bridge` offers the service that steps the world."""
    return f"{world_control()}@{WORLD_CONTROL_TYPE}"
