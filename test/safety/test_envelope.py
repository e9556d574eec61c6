"""The clamp: whatever comes in, what goes out is finite, within the limits and of the right length."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.limits import SafetyLimits

# One joint with a stop on both sides, one that turns freely, one whose range is narrower than two margins.
ROBOT = RobotSpec(
    "three",
    (
        JointSpec("stopped", -1.0, 1.0, effort_limit=10.0, kd=2.0),
        JointSpec("free", -math.inf, math.inf, effort_limit=4.0, kd=0.5),
        JointSpec("narrow", -0.1, 0.1, effort_limit=1.0, kd=0.0),
    ),
)
LIMIT = np.array([10.0, 4.0, 1.0])
MS = 1_000_000

any_float = st.floats(width=64, allow_nan=True, allow_infinity=True, allow_subnormal=True)
any_vector = st.tuples(any_float, any_float, any_float).map(np.array)
finite_vector = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3).map(np.array)
stamp = st.one_of(st.integers(-(2**61), 2**61), st.sampled_from([0, 1, 2 * MS]))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow is what these numbers are for
        yield


def at(position: object = (0.0, 0.0, 0.0), velocity: object = (0.0, 0.0, 0.0), stamp_ns: int = 0) -> RobotState:
    return RobotState(stamp_ns, np.array(position), np.array(velocity), np.array([1.0, 0, 0, 0]), np.zeros(3))


def clamp(effort: object, position: object = (0.0, 0.0, 0.0), **limits: float) -> list[float]:
    return Envelope(ROBOT, SafetyLimits(**limits)).clamp(np.array(effort), at(position)).effort.tolist()


def check(effort: FloatArray) -> None:
    assert effort.shape == (3,)
    assert effort.dtype == np.float64
    assert np.isfinite(effort).all()
    assert (np.abs(effort) <= LIMIT).all()


@given(st.lists(st.tuples(any_vector, any_vector, any_vector, stamp), min_size=1, max_size=5))
def test_any_number_in_gives_a_finite_effort_within_the_limits(
    inputs: list[tuple[FloatArray, FloatArray, FloatArray, int]],
) -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    for effort, position, velocity, stamp_ns in inputs:
        state = at(position, velocity, stamp_ns)
        clamped = envelope.clamp(effort, state)
        check(clamped.effort)
        check(envelope.damping(state))
        assert clamped.non_finite == (not np.isfinite(effort).all())
        assert (clamped.changed[~np.isfinite(effort)]).all()


@given(any_vector, st.floats(1e-3, 1.0), st.floats(1e-6, 1.0), st.floats(1e-6, 100.0), st.floats(1e-6, 10.0))
def test_no_choice_of_limits_lets_more_than_the_scaled_effort_out(
    position: FloatArray, scale: float, margin: float, stiffness: float, damping: float
) -> None:
    limits = SafetyLimits(
        effort_scale=scale, soft_position_margin=margin, soft_position_stiffness=stiffness, damping_scale=damping
    )
    envelope = Envelope(ROBOT, limits)
    state = at(position, [3.0, -4.0, 5.0])
    for effort in (envelope.clamp(np.array([1e9, -1e9, 0.0]), state).effort, envelope.damping(state)):
        assert np.isfinite(effort).all()
        assert (np.abs(effort) <= LIMIT * scale).all()


@given(any_vector)
def test_damping_never_feeds_power_into_a_joint(velocity: FloatArray) -> None:
    effort = Envelope(ROBOT, SafetyLimits()).damping(at(velocity=velocity))
    assert not (np.sign(effort) * np.sign(np.nan_to_num(velocity)) > 0.0).any()


def test_damping_is_the_robots_own_kd_against_the_velocity() -> None:
    state = at(velocity=[1.5, -2.0, 7.0])
    assert Envelope(ROBOT, SafetyLimits()).damping(state).tolist() == [-3.0, 1.0, 0.0]
    assert Envelope(ROBOT, SafetyLimits(damping_scale=2.0)).damping(state).tolist() == [-6.0, 2.0, 0.0]
    assert Envelope(ROBOT, SafetyLimits()).damping(at(velocity=[100.0, -100.0, 0.0])).tolist() == [-10.0, 4.0, 0.0]
    broken = at(velocity=[math.nan, math.inf, 1.0])
    assert (Envelope(ROBOT, SafetyLimits()).damping(broken) == 0.0).all()


@given(st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array), st.tuples(*[st.floats(-0.04, 0.04)] * 3))
def test_an_effort_inside_every_limit_passes_to_the_last_bit(share: FloatArray, position: tuple[float, ...]) -> None:
    clamped = Envelope(ROBOT, SafetyLimits()).clamp(share * LIMIT, at(position))
    assert clamped.effort.tobytes() == (share * LIMIT).tobytes()
    assert not clamped.changed.any()
    assert not clamped.non_finite


def test_the_effort_limit_is_the_robots_times_its_scale() -> None:
    assert clamp([11.0, -5.0, 1.5]) == [10.0, -4.0, 1.0]
    assert clamp([11.0, -5.0, 1.5], effort_scale=0.5) == [5.0, -2.0, 0.5]
    clamped = Envelope(ROBOT, SafetyLimits()).clamp(np.array([11.0, 1.0, -1.5]), at())
    assert clamped.changed.tolist() == [True, False, True]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_effort_that_is_not_finite_becomes_damping_on_its_joint(bad: float) -> None:
    clamped = Envelope(ROBOT, SafetyLimits()).clamp(np.array([bad, 1.0, 0.5]), at(velocity=[2.0, 2.0, 2.0]))
    assert clamped.effort.tolist() == [-4.0, 1.0, 0.5]
    assert clamped.changed.tolist() == [True, False, False]
    assert clamped.non_finite


@pytest.mark.parametrize(
    ("position", "outward", "allowed"),
    [
        # Margin 0.1, limit 10: from 0.9 on, 10 − 100·(q − 0.9).
        (0.9, 10.0, 10.0),
        (0.95, 10.0, 5.0),
        (1.0, 10.0, 0.0),
        (1.05, 10.0, -5.0),
        (1.5, 10.0, -10.0),
        (1.05, 0.0, -5.0),
        (1.05, -10.0, -10.0),
        (0.95, 4.0, 4.0),
        (-0.95, -10.0, -5.0),
        (-1.0, -10.0, 0.0),
        (-1.05, -10.0, 5.0),
        (-1.5, 0.0, 10.0),
        (-0.95, 10.0, 10.0),
        (math.inf, 10.0, -10.0),
        (-math.inf, -10.0, 10.0),
    ],
)
def test_effort_towards_a_stop_shrinks_and_then_reverses(position: float, outward: float, allowed: float) -> None:
    effort = clamp([outward, 0.0, 0.0], [position, 0.0, 0.0], soft_position_margin=0.1)
    assert effort[0] == pytest.approx(allowed, abs=1e-9)
    assert effort[1:] == [0.0, 0.0]


@given(st.floats(1.0, 1e300), st.floats(-1e300, 1e300))
def test_nothing_pushes_outward_at_or_beyond_a_stop(position: float, effort: float) -> None:
    assert clamp([effort, 0.0, 0.0], [position, 0.0, 0.0])[0] <= 1e-9
    assert clamp([effort, 0.0, 0.0], [-position, 0.0, 0.0])[0] >= -1e-9


def test_a_joint_without_stops_has_no_soft_limit() -> None:
    assert clamp([0.0, 4.0, 0.0], [0.0, 1e9, 0.0]) == [0.0, 4.0, 0.0]


def test_a_narrow_range_keeps_its_middle_free_and_its_stops_hard() -> None:
    # Range 0.2, margin 1 asked: a quarter, 0.05, on each side; stiffness 1 / 0.05.
    asked = {"soft_position_margin": 1.0}
    assert clamp([0.0, 0.0, 1.0], [0.0, 0.0, 0.049], **asked)[2] == 1.0
    assert clamp([0.0, 0.0, 1.0], [0.0, 0.0, 0.075], **asked)[2] == pytest.approx(0.5)
    assert clamp([0.0, 0.0, 1.0], [0.0, 0.0, 0.1], **asked)[2] == pytest.approx(0.0, abs=1e-9)


def test_effort_changes_no_faster_than_the_rate() -> None:
    # 50 limits per second: the first joint's 10 N·m may change 1 N·m in 2 ms, the second's 4 N·m 0.4.
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    asked = np.array([10.0, -4.0, 0.0])
    assert envelope.clamp(np.zeros(3), at(stamp_ns=0)).effort.tolist() == [0.0, 0.0, 0.0]
    assert envelope.clamp(asked, at(stamp_ns=2 * MS)).effort == pytest.approx([1.0, -0.4, 0.0])
    assert envelope.clamp(asked, at(stamp_ns=4 * MS)).effort == pytest.approx([2.0, -0.8, 0.0])
    assert envelope.clamp(-asked, at(stamp_ns=6 * MS)).effort == pytest.approx([1.0, -0.4, 0.0])


@pytest.mark.parametrize("later_ns", [0, -1, -2 * MS, -(10**15)])
def test_time_that_stands_still_or_goes_back_does_not_switch_the_rate_off(later_ns: int) -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    envelope.clamp(np.array([1.0, 0.0, 0.0]), at(stamp_ns=0))
    assert envelope.clamp(np.array([-10.0, 4.0, 1.0]), at(stamp_ns=later_ns)).effort.tolist() == [1.0, 0.0, 0.0]


def test_the_first_effort_and_the_first_after_reset_have_nothing_to_change_from() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    for stamp_ns in (0, 1):
        envelope.reset()
        assert envelope.clamp(LIMIT, at(stamp_ns=stamp_ns)).effort.tolist() == LIMIT.tolist()


def test_the_rate_is_counted_from_what_was_sent_and_not_from_what_was_asked() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    envelope.clamp(np.array([1e6, 0.0, 0.0]), at(stamp_ns=0))
    assert envelope.clamp(np.array([0.0, 0.0, 0.0]), at(stamp_ns=2 * MS)).effort[0] == pytest.approx(9.0)


def test_the_effort_limit_has_the_last_word_over_the_rate() -> None:
    # Scaled limits hold from the first effort on, whatever the rate would still allow.
    envelope = Envelope(ROBOT, SafetyLimits(effort_scale=0.1, effort_rate=1e5))
    for step in range(3):
        assert envelope.clamp(np.array([10.0, 4.0, 1.0]), at(stamp_ns=step)).effort.tolist() == [1.0, 0.4, 0.1]


def test_a_state_that_is_not_a_number_loosens_nothing() -> None:
    broken = at([math.nan] * 3, [math.nan] * 3)
    assert Envelope(ROBOT, SafetyLimits()).clamp(np.array([99.0, math.nan, -99.0]), broken).effort.tolist() == [
        10,
        0,
        -1,
    ]
