"""States and efforts own what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import frozen
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand

FIELDS = (
    "joint_position",
    "joint_velocity",
    "orientation",
    "angular_velocity",
    "linear_acceleration",
    "base_linear_velocity",
)


def _arrays() -> dict[str, np.ndarray]:
    widths = (2, 2, 4, 3, 3, 3)
    return {name: np.arange(1.0, 1.0 + width) for name, width in zip(FIELDS, widths, strict=True)}


@pytest.mark.parametrize("name", FIELDS)
def test_a_state_copies_what_it_is_given(name: str) -> None:
    arrays = _arrays()
    state = RobotState(5, **arrays)
    arrays[name][0] = 99.0
    assert getattr(state, name)[0] == 1.0


@pytest.mark.parametrize("name", FIELDS)
def test_a_state_cannot_be_written(name: str) -> None:
    state = RobotState(5, **_arrays())
    with pytest.raises(ValueError, match="read-only"):
        getattr(state, name)[0] = 99.0
    with pytest.raises(AttributeError):
        state.stamp_ns = 6  # type: ignore[misc]  # the point of the test


def test_what_no_sensor_gives_is_absent_or_zero() -> None:
    state = RobotState(0, [0.0], [0.0], [1, 0, 0, 0], [0, 0, 0])  # type: ignore[arg-type]  # lists are copied in too
    assert state.base_linear_velocity is None
    assert state.linear_acceleration.tolist() == [0.0, 0.0, 0.0]
    assert state.orientation.dtype == np.float64


def test_the_command_is_x_y_turn() -> None:
    assert VelocityCommand(0.5, -0.25, 1.0).as_array().tolist() == [0.5, -0.25, 1.0]
    assert VelocityCommand().as_array().tolist() == [0.0, 0.0, 0.0]


def test_an_effort_copies_what_it_is_given() -> None:
    values = np.array([1.0, 2.0])
    answer = JointEffort(7, values)
    values[0] = 99.0
    assert answer.effort.tolist() == [1.0, 2.0]
    assert not answer.effort.flags.writeable


def test_frozen_takes_integers_to_float() -> None:
    assert frozen([1, 2]).dtype == np.float64
