"""Each term by hand, and that each gives the width it announces."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from humanoid_rl_ros.core import observation_terms
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_spec import BlockSpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput, TermLayout, find_term, register_term, term_names
from humanoid_rl_ros.core.state import RobotState

Refuses = Callable[..., AbstractContextManager[None]]
SIN60 = math.sqrt(0.75)
LAYOUT = TermLayout(np.array([2, 0]), np.array([0.5, 0.25]), 3, 2, np.array([8.0, 9.0]), 0.1)


def _inputs(batch: tuple[int, ...] = ()) -> ObservationInput:
    def repeated(values: list[float]) -> FloatArray:
        return np.broadcast_to(values, (*batch, len(values)))

    state = RobotState(
        0,
        repeated([1.0, 2.0, 3.0]),
        repeated([4.0, 5.0, 6.0]),
        repeated([SIN60, 0.0, 0.5, 0.0]),  # pitched by 60°, nose down
        repeated([0.1, 0.2, 0.3]),
        repeated([0.4, 0.5, 9.8]),
        repeated([0.7, 0.8, 0.9]),
    )
    return ObservationInput(
        state,
        repeated([0.5, -0.5, 1.0]),
        repeated([1.0, 2.0, 3.0]),
        repeated([0.0, 1.0]),
        repeated([1.0, 0.0]),
        repeated([0.3, 0.2, 0.1, 0.31, -0.21, 0.11]),
    )


BY_HAND = {
    "base_ang_vel": [0.1, 0.2, 0.3],
    "projected_gravity": [SIN60, 0.0, -0.5],
    "base_lin_vel": [0.7, 0.8, 0.9],
    "base_lin_acc": [0.4, 0.5, 9.8],
    "base_orientation": [SIN60, 0.0, 0.5, 0.0],
    "base_roll_pitch": [0.0, math.pi / 3],
    "base_roll_pitch_yaw": [0.0, math.pi / 3, 0.0],
    "velocity_commands": [0.5, -0.5, 1.0],
    "velocity_commands_linear": [0.5, -0.5],
    "velocity_commands_angular": [1.0],
    "hand_targets": [0.3, 0.2, 0.1, 0.31, -0.21, 0.11],
    "joint_pos_rel": [2.5, 0.75],
    "joint_pos": [3.0, 1.0],
    "joint_vel_rel": [6.0, 4.0],
    "last_action": [1.0, 2.0, 3.0],
    "gait_phase_sin": [0.0, 1.0],
    "gait_phase_cos": [1.0, 0.0],
    "constant": [8.0, 9.0],
    "standing": [0.0],
    "moving": [1.0],
}


def test_every_term_has_a_value_worked_out_by_hand() -> None:
    assert set(term_names()) == set(BY_HAND)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_the_value_and_width_of_each_term(name: str, batch: tuple[int, ...]) -> None:
    term = find_term(name)
    value = term.compute(_inputs(batch), LAYOUT)
    assert term.width(LAYOUT) == len(BY_HAND[name])
    assert value.shape == (*batch, len(BY_HAND[name]))
    np.testing.assert_allclose(value, np.broadcast_to(BY_HAND[name], value.shape), atol=1e-7)


@pytest.mark.parametrize("name", ["standing", "moving"])
def test_the_flags_turn_over_when_standing(name: str) -> None:
    state = _inputs().state
    still = ObservationInput(state, np.array([0.05, 0.0, -0.05]), np.zeros(3), np.zeros(2), np.zeros(2))
    assert find_term(name).compute(still, LAYOUT).tolist() == [1.0 - BY_HAND[name][0]]


@pytest.fixture
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation_terms, "_REGISTRY", dict(observation_terms._REGISTRY))


@pytest.mark.usefixtures("clean_registry")
def test_a_term_of_ones_own_can_be_observed() -> None:
    @register_term("mean_joint_speed", 1)
    def mean_joint_speed(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
        return np.abs(inputs.state.joint_velocity[..., layout.joints]).mean(axis=-1, keepdims=True)

    spec = ObservationSpec(("a", "c"), (0.0, 0.0), (BlockSpec((TermSpec("mean_joint_speed", (2.0,)),)),))
    assert ObservationBuilder(spec, ("a", "b", "c"), n_actions=0).build(_inputs()).tolist() == [10.0]


@pytest.mark.usefixtures("clean_registry")
def test_a_term_that_gives_another_width_than_it_said_is_refused(refuses: Refuses) -> None:
    register_term("crooked", lambda layout: layout.n_actions)(lambda inputs, layout: inputs.command)
    spec = ObservationSpec(("a",), (0.0,), (BlockSpec((TermSpec("crooked"),)),))
    with refuses(StateError, "'crooked'", "3 numbers", "expected 2"):
        ObservationBuilder(spec, ("a",), n_actions=2).build(_inputs())


def test_a_name_that_is_taken_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "'joint_pos'", "already"):
        register_term("joint_pos", 1)(lambda inputs, layout: inputs.command)
    assert find_term("joint_pos").compute is observation_terms.joint_pos


def test_an_unknown_term_names_the_nearest(refuses: Refuses) -> None:
    with refuses(ConfigError, "'base_angvel'", "did you mean 'base_ang_vel'?"):
        find_term("base_angvel")
