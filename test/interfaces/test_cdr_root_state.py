"""The root's state as bytes, against what ROS makes of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Transform, Twist
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import MultiDOFJointState

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr_root_state import RootStateWriter, read_root_state
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns

Refuses = Callable[..., AbstractContextManager[None]]
pytestmark = pytest.mark.ros
STAMP_NS = 12_345_678_901
POSE, VELOCITY = np.arange(1.0, 8.0) / 3.0, -np.arange(1.0, 7.0) / 7.0


@pytest.mark.parametrize("names", [("odom", "base_link"), ("", "b"), ("a_world", "a_base_of_another_length")])
def test_ros_reads_what_was_written(names: tuple[str, str]) -> None:
    writer = RootStateWriter(*names)
    writer.write(0, np.zeros(7), np.zeros(6))
    raw = writer.write(STAMP_NS, POSE, VELOCITY)
    message = deserialize_message(raw, MultiDOFJointState)
    assert (message.header.frame_id, message.joint_names) == (names[0], [names[1]])
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    (pose,), (twist,) = message.transforms, message.twist
    place, turn = pose.translation, pose.rotation
    np.testing.assert_array_equal([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w], POSE)
    linear, angular = twist.linear, twist.angular
    np.testing.assert_array_equal([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z], VELOCITY)
    assert not message.wrench
    found = read_root_state(raw)
    assert found.stamp_ns == STAMP_NS
    np.testing.assert_array_equal(found.pose, POSE)
    np.testing.assert_array_equal(found.velocity, VELOCITY)


def test_what_ros_writes_is_read() -> None:
    message = MultiDOFJointState(joint_names=["root"], transforms=[Transform()], twist=[Twist()])
    message.header.stamp = ns_to_stamp(STAMP_NS)
    message.transforms[0].rotation.z = 0.5
    message.twist[0].angular.x = -2.0
    found = read_root_state(serialize_message(message))
    assert found.stamp_ns == STAMP_NS
    np.testing.assert_array_equal(found.pose, [0, 0, 0, 0, 0, 0.5, 1])
    np.testing.assert_array_equal(found.velocity, [0, 0, 0, -2, 0, 0])


def test_anything_else_is_refused(refuses: Refuses) -> None:
    raw = RootStateWriter("odom", "base_link").write(STAMP_NS, POSE, VELOCITY)
    for cut in range(len(raw) - 4):  # the last four say that there is no wrench
        with pytest.raises(StateError):
            read_root_state(raw[:cut])
    two = MultiDOFJointState(joint_names=["a", "b"], transforms=[Transform()] * 2, twist=[Twist()] * 2)
    with refuses(StateError, "expected one of each"):
        read_root_state(serialize_message(two))
    with refuses(StateError, "expected one of each"):
        read_root_state(serialize_message(MultiDOFJointState(joint_names=["a"])))
