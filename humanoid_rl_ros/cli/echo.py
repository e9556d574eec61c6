"""A bare rclpy node that sends every joint state back: the floor that latencies are compared with."""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.nodes.quality import qos

ECHO_TOPIC = "echo"


def main() -> None:
    """Echo `joint_states` on `echo` with the default executor, until SIGINT."""
    rclpy.init()
    node = Node("echo")
    publisher = node.create_publisher(JointState, ECHO_TOPIC, qos(topics.POLICY_EFFORT))
    node.create_subscription(JointState, topics.JOINT_STATES.name, publisher.publish, qos(topics.JOINT_STATES))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
