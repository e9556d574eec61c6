"""Robots that lie before they get up: still, low, and on all four sides."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.rotations import projected_gravity, rotate
from humanoid_rl_ros.envs.start_poses import lying_states
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation

ROBOT = find_robot("reference")
N = 24


@pytest.fixture(scope="module")
def simulation() -> BatchSimulation:
    gains = PDGains(0.3 * ROBOT.kp, 0.3 * ROBOT.kd, ROBOT.effort_limit)
    return BatchSimulation(
        ROBOT, gains, N, timestep=0.005, substeps=4, initial_position=ROBOT.default_position, threads=1
    )


@pytest.fixture(scope="module")
def lying(simulation: BatchSimulation) -> FloatArray:
    return lying_states(simulation, ROBOT.default_position, np.random.default_rng(0))


def test_a_quarter_lies_on_each_side(simulation: BatchSimulation, lying: FloatArray) -> None:
    """Gravity along +x of a base that lies on its front, −x on its back, +y on its left, −y on its right."""
    gravity = projected_gravity(lying[:, 3:7])
    for i, down in enumerate(([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0])):
        side = gravity[i::4, :2]
        # Those on a side may have rolled over; most have not.
        assert np.median(side @ down) > 0.8
    np.testing.assert_allclose(np.linalg.norm(lying[:, 3:7], axis=1), 1.0, atol=1e-9)


def test_they_lie_still_and_low(simulation: BatchSimulation, lying: FloatArray) -> None:
    simulation.place(np.arange(N), lying, np.zeros((N, simulation.model.nv)))
    height = simulation.base_height
    assert (height > 0.03).all()
    assert (height < 0.4 * simulation.initial_qpos[2]).all()
    # Held as they lie, they stay where they are.
    for _ in range(25):
        simulation.step(lying[:, simulation.layout.qpos])
    assert np.abs(simulation.base_position - lying[:, :3]).max() < 0.1
    turned = np.sum(simulation.base_orientation * lying[:, 3:7], axis=1)
    assert np.abs(turned).min() > np.cos(0.25)


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
