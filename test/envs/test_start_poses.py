"""Robots that lie before they get up: still, low, and on all four sides."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.rotations import projected_gravity, rotate
from humanoid_rl_ros.envs.start_poses import down_states, fallen_states, lying_states
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation

ROBOT = find_robot("reference")
N = 32


@pytest.fixture(scope="module")
def simulation() -> BatchSimulation:
    return make_batch("get_up", "reference", N, threads=1, overrides={"randomisation": None}).simulation


@pytest.fixture(scope="module")
def lying(simulation: BatchSimulation) -> FloatArray:
    return lying_states(simulation, ROBOT.default_position, np.random.default_rng(0))


def test_they_lie_on_the_side_they_were_dropped_on(simulation: BatchSimulation, lying: FloatArray) -> None:
    """Gravity is along +x of a base that lies on its front, −x on its back, +y on its left, −y on its right.

    None is turned by more than 37 degrees from that, and all touch the floor.
    """
    gravity = projected_gravity(lying[:, 3:7])
    np.testing.assert_allclose(np.linalg.norm(lying[:, 3:7], axis=1), 1.0, atol=1e-9)
    prone, supine, left, right = (gravity[i::4] for i in range(4))
    for along in (prone[:, 0], -supine[:, 0], left[:, 1], -right[:, 1]):
        assert along.min() > 0.8
    assert (np.abs(gravity[:, 2]) < 0.6).all()  # nobody sits or stands on the head
    assert np.abs(simulation.lowest_point(lying)).max() < 0.02


def test_those_that_stay_where_they_fell_have_come_to_rest(simulation: BatchSimulation) -> None:
    found = lying_states(simulation, ROBOT.default_position, np.random.default_rng(2))
    settled = (found == simulation.qpos).all(axis=1)
    prone, supine, *_ = (settled[i::4] for i in range(4))
    assert prone.mean() > 0.6
    assert supine.mean() > 0.6


def test_they_lie_still_and_low(simulation: BatchSimulation, lying: FloatArray) -> None:
    lying_states(simulation, ROBOT.default_position, np.random.default_rng(1))
    speed = np.abs(simulation.qvel).max(axis=1)
    assert np.median(speed) < 0.1
    assert speed.max() < 1.0
    assert (simulation.base_height < 0.4 * simulation.initial_qpos[2]).all()
    for heights in (simulation.base_height, lying[:, 2]):
        assert (heights > 0.03).all()
        assert (heights < 0.6 * simulation.initial_qpos[2]).all()


def test_they_look_in_all_directions_and_no_two_are_alike(simulation: BatchSimulation, lying: FloatArray) -> None:
    prone = lying[0::4]
    head = rotate(prone[:, 3:7], np.tile([0.0, 0.0, 1.0], (len(prone), 1)))
    heading = np.arctan2(head[:, 1], head[:, 0])
    assert np.ptp(heading) > 1.0
    joints = lying[:, simulation.layout.qpos]
    assert (np.ptp(joints, axis=0) > 0.2).all()
    assert (joints > ROBOT.lower - 0.1).all()
    assert (joints < ROBOT.upper + 0.1).all()


def test_a_seed_is_a_set_of_poses(simulation: BatchSimulation, lying: FloatArray) -> None:
    again = lying_states(simulation, ROBOT.default_position, np.random.default_rng(0))
    np.testing.assert_array_equal(again, lying)


@pytest.fixture(scope="module")
def fallen(simulation: BatchSimulation) -> FloatArray:
    return fallen_states(simulation, ROBOT.default_position, np.random.default_rng(0))


def test_every_other_robot_that_fell_limp_lies_still_and_touches_the_floor(
    simulation: BatchSimulation, fallen: FloatArray
) -> None:
    settled = fallen[0::2]
    np.testing.assert_array_equal(settled, simulation.qpos[0::2])
    assert np.abs(simulation.qvel[0::2]).max() < 1.0
    assert (settled[:, 2] < 0.5 * simulation.initial_qpos[2]).all()
    assert np.abs(simulation.lowest_point(settled)).max() < 0.02


def test_the_others_are_caught_anywhere_on_the_way_down(simulation: BatchSimulation, fallen: FloatArray) -> None:
    share = fallen[1::2, 2] / simulation.initial_qpos[2]
    assert share.min() < 0.5
    assert share.max() > 0.8
    assert ((share > 0.4) & (share < 0.8)).any()


def test_they_fall_to_all_sides(fallen: FloatArray) -> None:
    settled = fallen[0::2]
    gravity = projected_gravity(settled[:, 3:7])
    assert gravity[:, 0].max() > 0.8
    assert gravity[:, 0].min() < -0.8


def test_a_seed_is_a_set_of_falls(simulation: BatchSimulation, fallen: FloatArray) -> None:
    again = fallen_states(simulation, ROBOT.default_position, np.random.default_rng(0))
    np.testing.assert_array_equal(again, fallen)


def test_those_that_fell_are_besides_those_that_lie(simulation: BatchSimulation, lying: FloatArray) -> None:
    pose = ROBOT.default_position
    only, all_kinds = (down_states(start, simulation, pose, np.random.default_rng(0)) for start in ("lying", "fallen"))
    np.testing.assert_array_equal(only, lying)
    np.testing.assert_array_equal(all_kinds[:N], lying)
    assert len(all_kinds) == 4 * N
    assert len(np.unique(all_kinds, axis=0)) == 4 * N
