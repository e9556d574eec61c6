"""A robot put into a state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.placement import Placement, placement_of

Refuses = Callable[..., AbstractContextManager[None]]
HALF = np.sqrt(0.5)


@pytest.fixture(scope="module")
def backend() -> MujocoBackend:
    return MujocoBackend(find_robot("reference"), state_rate=200.0, timestep=0.005)


def test_it_is_where_it_was_put_and_elsewhere_as_it_was(backend: MujocoBackend) -> None:
    first = backend.reset()
    n = backend.robot.n_joints
    put = Placement(
        base_position=np.array([1.0, 2.0, 3.0]),
        base_orientation=np.array([HALF, 0.0, 0.0, HALF]),
        joint_velocity=np.arange(n) * 0.1,
    )
    state = backend.place(put)
    pose, velocity = backend.root_state
    np.testing.assert_array_equal(pose, [1.0, 2.0, 3.0, HALF, 0.0, 0.0, HALF])
    np.testing.assert_array_equal(velocity, 0.0)
    np.testing.assert_array_equal(state.joint_position, first.joint_position)
    np.testing.assert_array_equal(state.joint_velocity, np.arange(n) * 0.1)
    assert state.stamp_ns == first.stamp_ns
    # In the air, whatever it weighs, it falls as everything does.
    backend.place(Placement(joint_velocity=np.zeros(n), mass=np.array([3.0])))
    before = backend.root_state[1][2]
    for _ in range(10):
        backend.step(np.zeros(n))
    assert backend.root_state[1][2] - before == pytest.approx(-9.81 * 0.05, rel=0.02)


def test_a_body_of_its_own_lasts_until_the_reset(backend: MujocoBackend) -> None:
    backend.reset()
    nominal = backend.model.body_mass.copy(), backend.model.geom_friction.copy(), backend.model.body_ipos.copy()
    backend.place(Placement(mass=np.array([1.2]), friction=np.array([0.4])))
    backend.place(Placement(centre_of_mass=np.array([0.01, 0.0, 0.0])))  # and the rest of the body stays
    np.testing.assert_allclose(backend.model.body_mass, 1.2 * nominal[0])
    np.testing.assert_array_equal(backend.model.geom_friction[:, 0], 0.4)
    shift = backend.model.body_ipos[backend.layout.root_body] - nominal[2][backend.layout.root_body]
    np.testing.assert_allclose(shift, [0.01, 0.0, 0.0], atol=1e-12)
    # The same floor, and a fifth more on the feet.
    for _ in range(3):
        backend.step(np.zeros(backend.robot.n_joints))
    backend.reset()
    np.testing.assert_array_equal(backend.model.body_mass, nominal[0])
    np.testing.assert_array_equal(backend.model.geom_friction, nominal[1])
    np.testing.assert_array_equal(backend.model.body_ipos, nominal[2])


def test_what_cannot_be_is_refused_and_nothing_moves(backend: MujocoBackend, refuses: Refuses) -> None:
    backend.reset()
    before = backend.root_state[0].copy()
    for values, words in (
        ({"height": np.ones(1)}, ["height", "did you mean|known"]),
        ({"base_position": np.ones(2)}, ["base_position", "(2,)", "(3,)"]),
        ({"joint_position": np.ones((2, 2))}, ["joint_position", "one number a joint"]),
        ({"base_position": np.array([0.0, np.nan, 0.0])}, ["base_position", "finite"]),
        ({"base_orientation": np.array([1.0, 1.0, 0.0, 0.0])}, ["base_orientation", "unit"]),
        ({"mass": np.zeros(1)}, ["mass", "above 0"]),
    ):
        with refuses(StateError, *[word for word in words if "|" not in word]):
            placement_of(values)
    with refuses(StateError, "joint_position", f"({backend.robot.n_joints},)"):
        backend.place(Placement(base_position=np.array([5.0, 5.0, 5.0]), joint_position=np.zeros(2)))
    np.testing.assert_array_equal(backend.root_state[0], before)
    assert np.isnan(placement_of({"friction": np.array([np.nan])}).friction[0])  # the model's own
