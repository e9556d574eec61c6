"""Quaternions against rotation matrices from Rodrigues' formula, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError

Refuses = Callable[..., AbstractContextManager[None]]

angle = st.floats(-math.pi, math.pi)
component = st.floats(-1.0, 1.0)
direction = st.tuples(component, component, component).map(np.array).filter(lambda v: np.linalg.norm(v) > 1e-3)
turn = st.tuples(direction, angle)
vector = st.tuples(*[st.floats(-10.0, 10.0)] * 3).map(np.array)
X, Y, Z = np.eye(3)


def _matrix(axis: FloatArray, angle: float) -> FloatArray:
    """R = I + sin(θ) K + (1 − cos(θ)) K², K the cross-product matrix of the unit axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(angle) * k + (1.0 - math.cos(angle)) * k @ k


def _close(a: FloatArray, b: FloatArray, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    q = rotations.from_axis_angle(Z, math.pi / 2)
    _close(q, np.array([math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]))
    _close(rotations.rotate(q, X), Y)
    _close(rotations.rotate_inverse(q, Y), X)


@given(turn, vector)
def test_rotate_is_the_rotation_matrix(turned: tuple[FloatArray, float], v: FloatArray) -> None:
    _close(rotations.rotate(rotations.from_axis_angle(*turned), v), _matrix(*turned) @ v, 1e-11)


@given(turn, turn)
def test_multiply_composes(left: tuple[FloatArray, float], right: tuple[FloatArray, float]) -> None:
    product = rotations.multiply(rotations.from_axis_angle(*left), rotations.from_axis_angle(*right))
    matrix = _matrix(*left) @ _matrix(*right)
    _close(np.stack([rotations.rotate(product, e) for e in np.eye(3)], axis=1), matrix)
    assert np.linalg.norm(product) == pytest.approx(1.0, abs=1e-12)


@given(turn, vector)
def test_the_conjugate_undoes(turned: tuple[FloatArray, float], v: FloatArray) -> None:
    q = rotations.from_axis_angle(*turned)
    _close(rotations.multiply(q, rotations.conjugate(q)), rotations.IDENTITY)
    _close(rotations.rotate_inverse(q, rotations.rotate(q, v)), v, 1e-11)
    assert np.linalg.norm(rotations.rotate(q, v)) == pytest.approx(float(np.linalg.norm(v)), abs=1e-11)


@given(turn)
def test_projected_gravity_is_down_seen_from_the_body(turned: tuple[FloatArray, float]) -> None:
    _close(
        rotations.projected_gravity(rotations.from_axis_angle(*turned)), _matrix(*turned).T @ np.array([0.0, 0.0, -1.0])
    )


def test_projected_gravity_by_hand() -> None:
    _close(rotations.projected_gravity(rotations.IDENTITY), -Z)
    # Pitched nose-down by 90°, the body's x axis points down: gravity is along +x.
    _close(rotations.projected_gravity(rotations.from_axis_angle(Y, math.pi / 2)), X)
    # Rolled to the right by 90°, the body's y axis (left) points up: gravity is along −y.
    _close(rotations.projected_gravity(rotations.from_axis_angle(X, math.pi / 2)), -Y)


@given(turn)
def test_tilt_is_the_angle_between_the_z_axes(turned: tuple[FloatArray, float]) -> None:
    cosine = float(np.clip(_matrix(*turned)[2, 2], -1.0, 1.0))
    assert math.cos(float(rotations.tilt(rotations.from_axis_angle(*turned)))) == pytest.approx(cosine, abs=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, math.pi / 2, math.pi])
def test_tilt_keeps_small_angles(angle: float) -> None:
    tilted = rotations.multiply(rotations.from_axis_angle(Z, 0.7), rotations.from_axis_angle(X, angle))
    assert float(rotations.tilt(tilted)) == pytest.approx(angle, rel=1e-7)


@given(st.floats(-3.0, 3.0), st.floats(-1.5, 1.5), st.floats(-3.0, 3.0))
def test_roll_pitch_yaw_are_the_angles_of_z_then_y_then_x(roll: float, pitch: float, yaw: float) -> None:
    q = rotations.multiply(
        rotations.from_axis_angle(Z, yaw),
        rotations.multiply(rotations.from_axis_angle(Y, pitch), rotations.from_axis_angle(X, roll)),
    )
    _close(rotations.roll_pitch_yaw(q), np.array([roll, pitch, yaw]), 1e-7)


def test_pitch_of_straight_up_is_a_number() -> None:
    assert rotations.roll_pitch_yaw(np.array([1.0, 0.0, 1.0, 0.0]) * (math.sqrt(0.5) + 1e-9))[1] == pytest.approx(
        math.pi / 2
    )


@given(st.lists(turn, min_size=6, max_size=6), vector)
def test_a_batch_equals_its_members(turns: list[tuple[FloatArray, float]], v: FloatArray) -> None:
    single = [rotations.from_axis_angle(*turned) for turned in turns]
    batch = np.array(single).reshape(2, 3, 4)
    for function in (
        rotations.projected_gravity,
        rotations.tilt,
        rotations.roll_pitch_yaw,
        rotations.conjugate,
        rotations.unit,
    ):
        together = function(batch)
        np.testing.assert_array_equal(together.reshape(6, *together.shape[2:]), [function(q) for q in single])
    np.testing.assert_array_equal(rotations.rotate(batch, v).reshape(6, 3), [rotations.rotate(q, v) for q in single])
    products = rotations.multiply(batch, batch[::-1]).reshape(6, 4)
    np.testing.assert_array_equal(products[0], rotations.multiply(single[0], single[3]))


@given(turn, st.floats(0.991, 1.009))
def test_unit_normalises_what_is_nearly_a_rotation(turned: tuple[FloatArray, float], norm: float) -> None:
    q = rotations.from_axis_angle(*turned)
    _close(rotations.unit(q * norm), q)


@pytest.mark.parametrize(
    "q",
    [
        [0.0, 0.0, 0.0, 0.0],
        [1.02, 0.0, 0.0, 0.0],
        [0.98, 0.0, 0.0, 0.0],
        [math.nan, 0.0, 0.0, 0.0],
        [math.inf, 0.0, 0.0, 0.0],
        [1e200, 0.0, 0.0, 0.0],
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_no_rotation_is_refused(q: list[float], refuses: Refuses) -> None:
    with refuses(StateError, "wxyz", "not a unit quaternion"):
        rotations.unit(np.array(q))


def test_the_bad_one_of_a_batch_is_named_in_one_line(refuses: Refuses) -> None:
    batch = np.tile(rotations.IDENTITY, (50, 1))
    batch[7] = [0.5, 0.0, 0.0, 0.0]
    with refuses(StateError, "norm 0.5"):
        rotations.unit(batch)
