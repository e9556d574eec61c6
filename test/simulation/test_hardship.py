"""One robot on hills, with a load, and with a weak joint, as the graph has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.hardship import Hardship
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.team_model import StartPlace

Refuses = Callable[..., AbstractContextManager[None]]
ROBOT = find_robot("reference")


def test_hills_lie_around_an_even_place_and_end() -> None:
    backend = MujocoBackend(ROBOT, hardship=Hardship(terrain=0.1))
    backend.show(backend.data.qpos + np.array([100.0, *np.zeros(len(backend.data.qpos) - 1)]))  # out of the way

    def height(x: float, y: float) -> float:
        hit = np.zeros(1, dtype=np.int32)
        start, down = np.array([x, y, 2.0]), np.array([0.0, 0.0, -1.0])
        return 2.0 - float(mujoco.mj_ray(backend.model, backend.data, start, down, None, 1, -1, hit, None))

    rng = np.random.default_rng(0)
    assert [height(*place) for place in rng.uniform(-0.25, 0.25, (20, 2))] == pytest.approx([0.001] * 20)
    hilly = np.array([height(*place) for place in rng.uniform(-12.0, 12.0, (500, 2))])
    assert 0.08 < hilly.max() < 0.1015
    assert hilly.min() < 0.02
    assert [height(25.0, 3.0), height(-19.0, 19.0)] == pytest.approx([0.0, 0.001])
    again, other = (MujocoBackend(ROBOT, hardship=Hardship(terrain=0.1, seed=seed)).model for seed in (0, 1))
    np.testing.assert_array_equal(again.hfield_data, backend.model.hfield_data)
    assert np.abs(other.hfield_data - backend.model.hfield_data).max() > 0.5


def test_a_weak_joint_is_one_that_is_asked_for_less() -> None:
    rng, share = np.random.default_rng(1), np.ones(ROBOT.n_joints)
    share[ROBOT.joint_names.index("left_knee_joint")] = 0.4
    weak = MujocoBackend(ROBOT, hardship=Hardship(weak_joint="left_knee_joint", weak_share=0.4))
    plain = MujocoBackend(ROBOT)
    for _ in range(50):
        effort = rng.uniform(-20.0, 20.0, ROBOT.n_joints)
        one, other = weak.step(effort), plain.step(effort * share)
        np.testing.assert_allclose(one.joint_position, other.joint_position, atol=1e-9)
    assert np.abs(plain.reset().joint_position - one.joint_position).max() > 0.01


def test_a_load_stays_on_through_resets_and_bears_on_the_floor() -> None:
    backend = MujocoBackend(ROBOT, hardship=Hardship(payload=0.2, payload_on="*torso*"))
    assert backend.model.body_mass.sum() == pytest.approx(1.2 * 35.0)
    state = backend.reset()
    for _ in range(200):
        state = backend.step(
            ROBOT.kp * (ROBOT.default_position - state.joint_position) - ROBOT.kd * state.joint_velocity
        )
    assert sum(foot.force for foot in backend.ground_truth().feet) == pytest.approx(1.2 * 35.0 * 9.81, rel=0.1)


def test_what_cannot_be_borne_is_refused(refuses: Refuses) -> None:
    for wrong in ({"terrain": -0.1}, {"terrain": 2.0}, {"payload": float("nan")}, {"weak_share": 1.5}):
        with refuses(ConfigError, f"'{next(iter(wrong))}' must be from 0"):
            Hardship(**wrong)
    with refuses(ConfigError, "'weak_joint'", "no joint 'left_kneee_joint'", "did you mean 'left_knee_joint'?"):
        MujocoBackend(ROBOT, hardship=Hardship(weak_joint="left_kneee_joint"))
    with refuses(ConfigError, "hills begin around the origin"):
        MujocoBackend(ROBOT, start=StartPlace(3.0, 0.0), hardship=Hardship(terrain=0.1))
    with refuses(ConfigError, "'payload_on'", "no body"):
        MujocoBackend(ROBOT, hardship=Hardship(payload=0.1, payload_on="*hat*"))
