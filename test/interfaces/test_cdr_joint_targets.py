"""Joint targets as bytes, against what ROS makes of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Duration
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr_joint_targets import JointTargetsWriter, read_joint_targets
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns

Refuses = Callable[..., AbstractContextManager[None]]
pytestmark = pytest.mark.ros
STAMP_NS = 12_345_678_901
FIRST, SECOND = np.arange(3.0) / 3.0, -np.arange(3.0) / 7.0


@pytest.mark.parametrize("names", [["a", "b", "c"], ["left_hip", "k", "an_ankle_of_another_length"]])
@pytest.mark.parametrize("ends", [[20_000_000], [5_000_000, 1_020_000_000]])
def test_ros_reads_what_was_written(names: list[str], ends: list[int]) -> None:
    writer = JointTargetsWriter(names)
    writer.write(7, [(np.ones(3), 1)])
    points = list(zip((FIRST, SECOND), ends, strict=False))
    raw = writer.write(STAMP_NS, points)
    message = deserialize_message(raw, JointTrajectory)
    assert message.joint_names == names
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert [point.positions.tolist() for point in message.points] == [position.tolist() for position, _ in points]
    assert [stamp_to_ns(point.time_from_start) for point in message.points] == ends
    found = read_joint_targets(raw)
    assert (found.stamp_ns, found.frame_id, found.name) == (STAMP_NS, "", names)
    assert [(position.tolist(), until) for position, until in found.points] == [(p.tolist(), t) for p, t in points]


def test_what_ros_writes_is_read_and_what_is_not_used_passed_over() -> None:
    message = JointTrajectory(joint_names=["a", "b"])
    message.header.stamp, message.header.frame_id = ns_to_stamp(STAMP_NS), "ACTIVE"
    for k in range(2):
        message.points.append(
            JointTrajectoryPoint(
                positions=[1.0 + k, 2.0],
                velocities=[0.5],
                accelerations=[0.1, 0.2, 0.3],
                effort=[9.0, 9.0],
                time_from_start=Duration(nanosec=k + 1),
            )
        )
    found = read_joint_targets(serialize_message(message))
    assert (found.stamp_ns, found.frame_id, found.name) == (STAMP_NS, "ACTIVE", ["a", "b"])
    assert [(position.tolist(), until) for position, until in found.points] == [([1.0, 2.0], 1), ([2.0, 2.0], 2)]


def test_anything_else_is_refused(refuses: Refuses) -> None:
    raw = JointTargetsWriter(["a", "b", "c"]).write(STAMP_NS, [(FIRST, 1), (SECOND, 2)])
    for cut in range(len(raw)):
        with refuses(StateError):
            read_joint_targets(raw[:cut])
    with refuses(StateError, "no point"):
        read_joint_targets(serialize_message(JointTrajectory(joint_names=["a"])))
    with refuses(StateError, "encapsulation"):
        read_joint_targets(b"\x00\x00" + raw[2:])
