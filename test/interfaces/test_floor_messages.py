"""Maps, ways and poses on the floor as messages, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import Refuses
from floors import floor_of
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.serialization import serialize_message

from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.occupancy import FREE, OCCUPIED, UNKNOWN
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.interfaces.cdr_messages import read_odometry
from humanoid_rl_ros.interfaces.floor_messages import (
    occupancy_map,
    occupancy_message,
    path_message,
    planar_pose,
    twist_message,
)

pytestmark = pytest.mark.ros


def test_a_map_is_told_row_after_row_from_its_origin_and_read_back() -> None:
    found = floor_of((".#", "?."), 0.05, PlanarPose(-1.0, 2.0, 0.5))
    message = occupancy_message(found, 1_500_000_000, "map")
    assert list(message.data) == [UNKNOWN, FREE, FREE, OCCUPIED]
    assert (message.info.width, message.info.height, message.header.frame_id) == (2, 2, "map")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    back = occupancy_map(message)
    np.testing.assert_array_equal(back.squares, found.squares)
    assert back.resolution == 0.05  # a float32 on the way
    assert (back.origin.x, back.origin.y, back.origin.yaw) == pytest.approx((-1.0, 2.0, 0.5))


def test_probabilities_become_free_occupied_or_unknown() -> None:
    message = OccupancyGrid()
    message.info.width, message.info.height, message.info.resolution = 6, 1, 1.0
    message.data = [0, 19, 20, 64, 65, 100]
    assert occupancy_map(message).squares.tolist() == [[FREE, FREE, UNKNOWN, UNKNOWN, OCCUPIED, OCCUPIED]]


def _with(path: str, value: Any) -> Callable[[OccupancyGrid], None]:
    def change(message: OccupancyGrid) -> None:
        *parents, last = path.split(".")
        target: Any = message
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_with("info.width", 3), "3 × 2 squares came with 4 values"),
        (_with("data", []), "came with 0 values"),
        (_with("data", [0, 0, 0, 101]), "found 0 to 101"),
        (_with("data", [0, 0, 0, -2]), "found -2 to 0"),
        (_with("info.resolution", 0.0), "resolution"),
        (_with("info.resolution", math.nan), "resolution"),
        (_with("info.origin.position.x", math.inf), "finite"),
        (_with("info.origin.orientation.x", 0.7), "no"),
        (_with("info.origin.orientation.w", math.nan), "not finite"),
    ],
)
def test_a_message_that_is_no_map_is_refused(
    change: Callable[[OccupancyGrid], None], words: str, refuses: Refuses
) -> None:
    message = occupancy_message(floor_of(("..", "..")), 0, "map")
    change(message)
    with refuses(ConfigError, words):
        occupancy_map(message)


def odometry(x: float, y: float, quaternion: tuple[float, float, float, float]) -> Odometry:
    message = Odometry()
    pose = message.pose.pose
    pose.position.x, pose.position.y = x, y
    pose.orientation.w, pose.orientation.x, pose.orientation.y, pose.orientation.z = quaternion
    return message


def test_odometry_is_a_place_on_the_floor_and_a_tilt() -> None:
    """A quarter turn about the vertical; then half a radian about the body's y."""
    pose, tilt = planar_pose(read_odometry(serialize_message(odometry(1.0, 2.0, (0.5**0.5, 0.0, 0.0, 0.5**0.5)))))
    assert (pose.x, pose.y, pose.yaw, tilt) == pytest.approx((1.0, 2.0, math.pi / 2.0, 0.0), abs=1e-9)
    leaning = odometry(0.0, 0.0, (math.cos(0.25), 0.0, math.sin(0.25), 0.0))
    assert planar_pose(read_odometry(serialize_message(leaning)))[1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (odometry(math.nan, 0.0, (1.0, 0.0, 0.0, 0.0)), "not finite"),
        (odometry(0.0, 0.0, (math.inf, 0.0, 0.0, 0.0)), "not finite"),
        (odometry(0.0, 0.0, (0.0, 0.0, 0.0, 0.0)), "not a unit quaternion"),
        (odometry(0.0, 1e9, (1.0, 0.0, 0.0, 0.0)), "1e+09 m from its origin"),
    ],
)
def test_odometry_that_is_no_place_is_refused(message: Odometry, words: str, refuses: Refuses) -> None:
    with refuses(StateError, words):
        planar_pose(read_odometry(serialize_message(message)))


def test_a_way_heads_from_each_point_to_the_next() -> None:
    message = path_message(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), 0, "map")
    headings = [2.0 * math.atan2(p.pose.orientation.z, p.pose.orientation.w) for p in message.poses]
    assert headings == pytest.approx([0.0, math.pi / 2.0, math.pi / 2.0])
    assert [(p.pose.position.x, p.pose.position.y) for p in message.poses] == [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    assert {p.header.frame_id for p in message.poses} == {"map"}
    assert len(path_message(np.array([[2.0, 3.0]]), 0, "map").poses) == 1


def test_a_command_is_a_twist_with_a_time() -> None:
    message = twist_message(VelocityCommand(0.4, 0.1, -0.2), 2_000_000_001, "base_link")
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (2, 1, "base_link")
    assert (message.twist.linear.x, message.twist.linear.y, message.twist.angular.z) == (0.4, 0.1, -0.2)
