"""Walls of a map in the simulated world."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Refuses
from floors import floor_of

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.obstacles import Box, boxes_of
from humanoid_rl_ros.simulation.team_model import StartPlace


def test_rectangles_become_boxes_where_their_frame_stands() -> None:
    """A frame at (1, 0), turned by a quarter: its point (2, 1) is the world's (0, 2)."""
    (box,) = boxes_of(np.array([[2.0, 1.0, 0.5, 0.25]]), PlanarPose(1.0, 0.0, math.pi / 2.0))
    assert (box.pose.x, box.pose.y, box.pose.yaw) == pytest.approx((0.0, 2.0, math.pi / 2.0))
    assert (box.half_x, box.half_y) == (0.5, 0.25)


def test_a_map_of_too_many_pieces_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "3000 rectangles", "coarser"):
        boxes_of(np.ones((3000, 4)), PlanarPose())


def test_a_robot_starts_where_it_is_told_beside_walls_and_stands_as_without() -> None:
    """The same robot 3 m further, turned: the same height, joints and specific force."""
    robot = find_robot("reference")
    wall = Box(PlanarPose(5.0, 0.0, 0.0), 0.1, 2.0)
    plain = MujocoBackend(robot)
    moved = MujocoBackend(robot, start=StartPlace(3.0, -1.0, 2.0), obstacles=[wall])
    truth, other = plain.ground_truth(), moved.ground_truth()
    np.testing.assert_allclose(other.base_position - truth.base_position, [3.0, -1.0, 0.0], atol=1e-9)
    w, *_, z = other.base_orientation
    assert 2.0 * math.atan2(z, w) == pytest.approx(2.0)
    assert other.base_height == pytest.approx(truth.base_height)
    assert moved.foot_names == plain.foot_names
    state, again = moved.read(), moved.reset()
    np.testing.assert_array_equal(state.joint_position, again.joint_position)
    np.testing.assert_allclose(moved.ground_truth().base_position, other.base_position)


def test_a_robot_that_starts_in_a_wall_is_refused(refuses: Refuses) -> None:
    wall = Box(PlanarPose(0.0, 0.0, 0.3), 0.5, 0.5)
    with refuses(ModelError, "does not fit where it starts, (0.00, 0.00)", "obstacle"):
        MujocoBackend(find_robot("reference"), obstacles=[wall])


def test_a_wall_stops_a_robot_that_is_shoved_at_it() -> None:
    """Its body is flung forward at 3 m/s, limp; without the wall it slides past where the wall's face would be."""
    robot = find_robot("reference")
    boxes = boxes_of(
        floor_of(("#", "#", "#", "#"), 1.0, PlanarPose(1.0, -2.0, 0.0)).rectangles(), PlanarPose(1.0, -2.0)
    )
    furthest = []
    for obstacles in ((), boxes):
        backend = MujocoBackend(robot, obstacles=obstacles)
        backend.push(np.array([3.0, 0.0, 1.0]))
        for _ in range(500):
            backend.step(np.zeros(robot.n_joints))
        own = backend.model.body_rootid[backend.model.geom_bodyid] == backend.layout.root_body
        furthest.append(float(backend.data.geom_xpos[own, 0].max()))
    assert furthest[0] > 1.3
    assert furthest[1] < 1.0
