"""How the base stands, lies and turns: against turned bodies and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.fall import MeanRate, attitude, direction_of
from humanoid_rl_ros.safety.status import FallDirection

X, Y, Z = np.eye(3)
S = 1_000_000_000
HALF = math.sqrt(0.5)


def turned(orientation: FloatArray, rates: object = (0.0, 0.0, 0.0)) -> RobotState:
    return RobotState(0, np.zeros(1), np.zeros(1), orientation, np.array(rates))


def test_an_upright_base_has_gravity_below_and_no_tilt_rate() -> None:
    found = attitude(turned(rotations.IDENTITY, (3.0, 2.0, 1.0)))
    assert (found.tilt, found.tilt_rate, found.gravity) == (0.0, 0.0, (0.0, 0.0, -1.0))


@pytest.mark.parametrize(
    ("axis", "angle", "rates", "tilt_rate"),
    [
        (X, 0.5, (2.0, 0.0, 0.0), 2.0),
        (X, 0.5, (-2.0, 0.0, 0.0), -2.0),
        (X, -0.5, (2.0, 0.0, 0.0), -2.0),
        (Y, 0.5, (0.0, 3.0, 0.0), 3.0),
        (Y, -0.5, (0.0, 3.0, 0.0), -3.0),
        # Turning about the other axis, or about its own z, it tilts no further.
        (X, 0.5, (0.0, 3.0, 0.0), 0.0),
        (Y, 0.5, (2.0, 0.0, 0.0), 0.0),
        (X, 0.5, (0.0, 0.0, 5.0), 0.0),
    ],
)
def test_the_tilt_grows_by_the_rate_about_the_axis_it_leans_about(
    axis: FloatArray, angle: float, rates: tuple[float, ...], tilt_rate: float
) -> None:
    found = attitude(turned(rotations.from_axis_angle(axis, angle), rates))
    assert found.tilt == pytest.approx(0.5)
    assert found.tilt_rate == pytest.approx(tilt_rate)


small = st.floats(-1.0, 1.0)


@given(st.tuples(small, small, small).map(np.array), st.floats(0.2, 2.8), st.tuples(small, small, small).map(np.array))
def test_the_tilt_rate_is_what_the_tilt_does_next(axis: FloatArray, angle: float, rates: FloatArray) -> None:
    lean = rotations.from_axis_angle(np.array([math.cos(angle), math.sin(angle), 0.0]), angle)
    spin = rotations.from_axis_angle(Z, float(axis[0]))
    orientation = rotations.multiply(spin, lean)
    step = 1e-5
    speed = float(np.linalg.norm(rates))
    moved = rotations.from_axis_angle(rates, speed * step) if speed > 0.0 else rotations.IDENTITY
    later = attitude(turned(rotations.multiply(orientation, moved))).tilt
    now = attitude(turned(orientation, rates))
    assert now.tilt_rate == pytest.approx((later - now.tilt) / step, abs=1e-3)


@pytest.mark.parametrize(("lean", "counts"), [(0.95e-6, False), (1.05e-6, True), (math.pi - 0.95e-6, False)])
def test_upright_or_on_its_head_the_tilt_has_no_direction(lean: float, counts: bool) -> None:
    found = attitude(turned(rotations.from_axis_angle(X, lean), (2.0, 0.0, 0.0)))
    assert found.tilt_rate == (pytest.approx(2.0) if counts else 0.0)


@pytest.mark.parametrize(
    ("axis", "angle", "side"),
    [
        (Y, math.pi / 2, FallDirection.PRONE),  # forward, face down
        (Y, -math.pi / 2, FallDirection.SUPINE),
        (X, math.pi / 2, FallDirection.RIGHT),
        (X, -math.pi / 2, FallDirection.LEFT),
        (X, 0.0, FallDirection.SITTING),
        (Y, 0.78, FallDirection.SITTING),
        (Y, 0.79, FallDirection.PRONE),
        (Y, -0.79, FallDirection.SUPINE),
        (X, 0.78, FallDirection.SITTING),
        (X, 0.79, FallDirection.RIGHT),
    ],
)
def test_the_side_a_robot_lies_on(axis: FloatArray, angle: float, side: FallDirection) -> None:
    assert direction_of(attitude(turned(rotations.from_axis_angle(axis, angle))).gravity) is side


@pytest.mark.parametrize(
    ("gravity", "side"),
    [
        # 45 degrees is lying; a little less is sitting.
        ((HALF, 0.0, -HALF), FallDirection.PRONE),
        ((HALF, 0.0, -math.nextafter(HALF, 1.0)), FallDirection.SITTING),
        ((0.0, HALF, HALF), FallDirection.LEFT),
        # Of two sides the nearer; between them, on its front or back.
        ((0.6, 0.8, 0.0), FallDirection.LEFT),
        ((0.8, 0.6, 0.0), FallDirection.PRONE),
        ((-0.6, -0.8, 0.0), FallDirection.RIGHT),
        ((-0.8, -0.6, 0.0), FallDirection.SUPINE),
        ((-0.6, 0.8, 0.0), FallDirection.LEFT),
        ((0.5, 0.5, 0.0), FallDirection.PRONE),
        ((-0.5, 0.5, 0.0), FallDirection.SUPINE),
        # On its head there is no side; any answer will do, and this one is given.
        ((0.0, 0.0, 1.0), FallDirection.SUPINE),
    ],
)
def test_the_side_by_gravity(gravity: tuple[float, float, float], side: FallDirection) -> None:
    assert direction_of(gravity) is side


def test_the_first_rate_is_taken_as_it_is() -> None:
    for now_ns in (0, 5 * S):
        assert MeanRate().update(now_ns, np.array([2.0, -3.0, 6.0])) == pytest.approx(7.0)


def test_the_mean_rate_follows_with_a_tenth_of_a_second() -> None:
    mean = MeanRate()
    mean.update(1 * S, np.zeros(3))
    assert mean.update(1 * S + 100_000_000, np.array([0.0, 5.0, 0.0])) == pytest.approx(5.0 * 0.6321205588)
    assert mean.update(1 * S + 200_000_000, np.array([0.0, 5.0, 0.0])) == pytest.approx(5.0 * 0.8646647168)  # 1 − e⁻²


def test_noise_about_zero_goes_under_and_a_turn_does_not() -> None:
    noisy, turning = MeanRate(), MeanRate()
    rates = np.random.default_rng(0).normal(0.0, 0.3, (2000, 3))
    for k, rate in enumerate(rates):
        still = noisy.update(2_000_000 * k, rate)
        spun = turning.update(2_000_000 * k, rate + np.array([0.0, 0.0, 1.0]))
    assert still < 0.12
    assert spun == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("back_ns", [0, -1, -5 * S])
def test_no_time_or_time_that_goes_back_changes_nothing(back_ns: int) -> None:
    mean = MeanRate()
    mean.update(10 * S, np.array([3.0, 0.0, 4.0]))
    assert mean.update(10 * S + back_ns, np.array([100.0, 0.0, 0.0])) == pytest.approx(5.0, abs=1e-12)


def test_after_time_went_back_it_counts_from_there() -> None:
    mean = MeanRate()
    mean.update(10 * S, np.zeros(3))
    mean.update(5 * S, np.zeros(3))
    assert mean.update(5 * S + 100_000_000, X) == pytest.approx(0.6321205588)


def test_what_is_no_number_is_forgotten_by_the_next() -> None:
    mean = MeanRate()
    mean.update(0, X)
    assert math.isnan(mean.update(S, np.array([math.nan, 0.0, 0.0])))
    assert mean.update(S + 1, np.array([0.0, 2.0, 0.0])) == pytest.approx(2.0)


def test_reset_takes_the_next_as_it_is() -> None:
    mean = MeanRate()
    mean.update(0, X)
    mean.reset()
    assert mean.update(1, np.array([0.0, 0.0, 9.0])) == pytest.approx(9.0)
