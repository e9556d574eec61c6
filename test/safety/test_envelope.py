"""The clamp: whatever comes in, what goes out is finite, within the limits and of the right length."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.cli.wild_inputs import Calls, broken_promises, play, robots, wild_inputs
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


@given(any_vector, st.floats(1e-3, 1.0), st.floats(1e-6, 1.0), st.floats(1.0, 100.0), st.floats(0.1, 10.0))
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


def test_the_first_stamp_may_be_any() -> None:
    for first_ns in (-(10**15), 10**18):
        envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
        envelope.clamp(np.zeros(3), at(stamp_ns=first_ns))
        assert envelope.clamp(LIMIT, at(stamp_ns=first_ns + MS)).effort[0] == pytest.approx(0.5)


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


# Time.


@pytest.mark.parametrize(
    ("state_ms", "claimed_ms", "allowed"),
    [
        # 20 limits per second: 0.2 N·m in a millisecond.
        (0, 0, 0.0),
        (0, 10, 2.0),
        (0, 20, 4.0),
        (0, 21, 4.0),  # further ahead of the last state than any effort is: not believed
        (0, 10**9, 4.0),
        (5, 25, 5.0),
        (50, 5, 1.0),  # in a burst the older of two states is answered first
        (100, 100, 20.0),
        (101, 101, 20.0),  # what was held in a longer gap nobody knows
        (10**6, 10**6, 20.0),
    ],
)
def test_time_is_that_of_the_state_an_effort_answers(state_ms: int, claimed_ms: int, allowed: float) -> None:
    robot = RobotSpec("one", (JointSpec("only", -1.0, 1.0, effort_limit=10.0),))
    envelope = Envelope(robot, SafetyLimits(effort_rate=20.0))

    def one(at_ms: int) -> RobotState:
        return RobotState(at_ms * MS, np.zeros(1), np.zeros(1), np.array([1.0, 0, 0, 0]), np.zeros(3))

    envelope.clamp(np.array([-10.0]), one(0))
    effort = envelope.clamp(np.array([10.0]), one(state_ms), claimed_ms * MS).effort[0]
    assert effort == pytest.approx(-10.0 + allowed)


def test_stamps_that_go_to_and_fro_do_not_add_up() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    envelope.clamp(np.zeros(3), at(stamp_ns=0))
    for stamp_ms, allowed in ((10, 5.0), (0, 5.0), (10, 5.0), (9, 5.0), (11, 5.5)):
        effort = envelope.clamp(LIMIT, at(stamp_ns=stamp_ms * MS)).effort
        assert effort[0] == pytest.approx(allowed)


# Warmth.


def warm(*warmth: float, **limits: float) -> Envelope:
    envelope = Envelope(ROBOT, SafetyLimits(**limits))
    envelope.thermal.warmth = np.array(warmth)
    return envelope


def test_a_warm_joint_is_held_to_what_it_may_give() -> None:
    # Half of the way from 0.8 to 1 and all of it: 3/4 and 1/2 of the limit.
    envelope = warm(0.9, 0.0, 1.0)
    assert envelope.allowed() == pytest.approx([7.5, 4.0, 0.5])
    assert envelope.clamp(np.array([9.0, 4.0, -9.0]), at()).effort == pytest.approx([7.5, 4.0, -0.5])
    assert warm(0.9, 0.0, 1.0).damping(at(velocity=[-99.0, 0.0, 0.0])) == pytest.approx([7.5, 0.0, 0.0])


def test_scales_multiply() -> None:
    envelope = warm(0.9, 0.0, 0.0, effort_scale=0.5)
    assert envelope.allowed() == pytest.approx([3.75, 2.0, 0.5])
    assert envelope.allowed(0.8) == pytest.approx([3.0, 1.6, 0.4])
    assert envelope.clamp(LIMIT, at(), scale=0.8).effort == pytest.approx([3.0, 1.6, 0.4])
    unknown = envelope.clamp(np.full(3, math.nan), at(velocity=[-99.0, 99.0, 9.0], stamp_ns=100 * MS), scale=0.8)
    assert unknown.effort == pytest.approx([3.0, -1.6, 0.0], rel=2e-3)  # it has warmed a little


def test_joints_warm_by_what_they_were_sent_until_now() -> None:
    # Twice the continuous effort for 20 ms of a time constant of 10 s: 4·(1 − e^(−0.002)).
    envelope = Envelope(ROBOT, SafetyLimits(thermal_time=10.0))
    envelope.clamp(np.array([99.0, 2.0, 0.0]), at(stamp_ns=5 * MS))
    assert envelope.thermal.warmth.tolist() == [0.0, 0.0, 0.0]
    envelope.clamp(np.zeros(3), at(stamp_ns=25 * MS))
    assert envelope.thermal.warmth == pytest.approx([4.0 * 0.0019980013, 0.0019980013, 0.0])
    before = envelope.thermal.warmth
    envelope.clamp(LIMIT, at(stamp_ns=45 * MS))
    assert envelope.thermal.warmth == pytest.approx(before * 0.9980019987)


def test_damping_warms_too() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(thermal_time=10.0))
    envelope.damping(at(velocity=[2.5, 0.0, 0.0]))
    envelope.damping(at(stamp_ns=20 * MS))
    assert envelope.thermal.warmth == pytest.approx([0.0019980013, 0.0, 0.0])


@pytest.mark.parametrize(("stamp_ms", "counted"), [(0, 0.0), (-5, 0.0), (100, 0.1), (101, 0.1), (10**9, 0.1)])
def test_no_more_than_a_tenth_of_a_second_counts_as_held(stamp_ms: int, counted: float) -> None:
    envelope = Envelope(ROBOT, SafetyLimits(thermal_time=10.0))
    envelope.clamp(LIMIT, at())
    envelope.clamp(LIMIT, at(stamp_ns=stamp_ms * MS))
    assert envelope.thermal.warmth == pytest.approx(np.full(3, -4.0 * math.expm1(-counted / 10.0)), rel=1e-10)


def test_reset_forgets_the_last_effort_and_not_the_warmth() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0))
    envelope.clamp(LIMIT, at())
    envelope.clamp(LIMIT, at(stamp_ns=MS))
    before = envelope.thermal.warmth
    assert (before > 0.0).all()
    envelope.reset()
    # Nobody knows what was held in between, and the clock may be another.
    assert envelope.clamp(-LIMIT, at(stamp_ns=-(10**15))).effort.tolist() == (-LIMIT).tolist()
    assert envelope.thermal.warmth.tolist() == before.tolist()
    # From here it counts again, on the new clock.
    assert envelope.clamp(LIMIT, at(stamp_ns=-(10**15) + MS)).effort[0] == pytest.approx(-9.5)
    assert (envelope.thermal.warmth > before).all()


def test_restart_forgets_the_warmth_too() -> None:
    envelope = warm(1.0, 1.0, 1.0, effort_rate=50.0)
    envelope.clamp(-LIMIT, at())
    envelope.restart()
    assert envelope.thermal.warmth.tolist() == [0.0, 0.0, 0.0]
    assert envelope.clamp(LIMIT, at(stamp_ns=1)).effort.tolist() == LIMIT.tolist()


@pytest.mark.parametrize("period_ms", [2, 20, 100])
def test_a_joint_held_at_its_limit_for_ever_gets_no_warmer_than_it_may(period_ms: int) -> None:
    envelope = Envelope(ROBOT, SafetyLimits(thermal_time=10.0))
    warmest, now_ns = 0.0, 0
    for _ in range(40_000 // period_ms):  # 40 s
        envelope.clamp(1e9 * LIMIT, at(stamp_ns=now_ns))
        warmest = max(warmest, float(envelope.thermal.warmth.max()))
        now_ns += period_ms * MS
    assert 0.98 < warmest <= 1.0 + 1e-6
    before = envelope.thermal.warmth
    envelope.clamp(np.zeros(3), at(stamp_ns=now_ns))
    for _ in range(100):  # 10 s of rest, the time constant
        now_ns += 50 * MS
        envelope.clamp(np.zeros(3), at(stamp_ns=now_ns))
        now_ns += 50 * MS
        envelope.clamp(np.zeros(3), at(stamp_ns=now_ns))
    assert envelope.thermal.warmth == pytest.approx(before / math.e, rel=0.02)


# Stops, by their scale.


def test_what_shrinks_towards_a_stop_is_the_scaled_limit() -> None:
    asked = {"soft_position_margin": 0.1, "effort_scale": 0.5}
    assert clamp([10.0, 0.0, 0.0], [0.95, 0.0, 0.0], **asked)[0] == pytest.approx(2.5)
    assert clamp([-10.0, 0.0, 0.0], [-0.95, 0.0, 0.0], **asked)[0] == pytest.approx(-2.5)
    steep = {"soft_position_margin": 0.1, "soft_position_stiffness": 2.0}
    assert clamp([10.0, 0.0, 0.0], [0.925, 0.0, 0.0], **steep)[0] == pytest.approx(5.0)
    assert clamp([10.0, 0.0, 0.0], [0.95, 0.0, 0.0], **steep)[0] == pytest.approx(0.0, abs=1e-9)


def test_a_joint_is_turned_back_from_its_stop_faster_than_the_rate() -> None:
    envelope = Envelope(ROBOT, SafetyLimits(effort_rate=50.0, soft_position_margin=0.1))
    envelope.clamp(LIMIT, at())
    assert envelope.clamp(LIMIT, at([1.05, 0.0, 0.0], stamp_ns=MS)).effort[0] == pytest.approx(-5.0)


# Speed and power.

FAST = RobotSpec(
    "fast",
    (
        JointSpec("limited", -9.0, 9.0, effort_limit=10.0, velocity_limit=8.0, kd=1.0),
        JointSpec("unlimited", -9.0, 9.0, effort_limit=4.0, kd=1.0),
    ),
)


def driven(
    effort: tuple[float, float], velocity: tuple[float, float], *, scale: float = 1.0, **limits: float
) -> list[float]:
    state = RobotState(0, np.zeros(2), np.array(velocity), np.array([1.0, 0, 0, 0]), np.zeros(3))
    return Envelope(FAST, SafetyLimits(**limits)).clamp(np.array(effort), state, scale=scale).effort.tolist()


@pytest.mark.parametrize(
    ("asked", "velocity", "given"),
    [
        # 8 rad/s; from half of that on the 10 N·m fall to zero.
        (10.0, 0.0, 10.0),
        (10.0, 4.0, 10.0),
        (10.0, 5.0, 7.5),
        (10.0, 6.0, 5.0),
        (10.0, 7.0, 2.5),
        (10.0, 8.0, 0.0),
        (10.0, 9.0, 0.0),
        (10.0, math.inf, 0.0),
        (-10.0, -4.0, -10.0),
        (-10.0, -6.0, -5.0),
        (-10.0, -8.0, 0.0),
        (-10.0, -80.0, 0.0),
        # Less is asked, or it brakes.
        (3.0, 6.0, 3.0),
        (-3.0, -6.0, -3.0),
        (-10.0, 7.0, -10.0),
        (10.0, -7.0, 10.0),
        (-10.0, 80.0, -10.0),
        (10.0, -80.0, 10.0),
    ],
)
def test_a_fast_joint_is_driven_on_with_what_its_motor_has_left(asked: float, velocity: float, given: float) -> None:
    effort = driven((asked, 4.0), (velocity, 0.0), speed_corner=0.5)
    assert effort == pytest.approx([given, 4.0])


def test_the_corner_moves_and_what_falls_is_what_is_allowed() -> None:
    assert driven((10.0, 4.0), (7.6, 1e3))[0] == pytest.approx(5.0)  # 0.95, half of the way from 0.9
    assert driven((10.0, 4.0), (6.0, 0.0), speed_corner=0.5, scale=0.5)[0] == pytest.approx(2.5)
    assert driven((10.0, 4.0), (6.0, 0.0), speed_corner=0.5, effort_scale=0.8)[0] == pytest.approx(4.0)


def test_a_joint_without_a_speed_limit_is_driven_at_any_speed() -> None:
    assert driven((0.0, 4.0), (0.0, 1000.0), power_limit=5000.0) == [0.0, 4.0]


@pytest.mark.parametrize(
    ("asked", "velocity", "given"),
    [
        ((10.0, 4.0), (6.0, 10.0), (10.0, 4.0)),  # 60 + 40 W, the limit
        ((10.0, 4.0), (5.0, 50.0), (4.0, 1.6)),  # 50 + 200 W: 0.4 of each
        ((-10.0, -4.0), (-5.0, -50.0), (-4.0, -1.6)),
        ((10.0, -4.0), (5.0, 50.0), (10.0, -4.0)),  # one brakes: what it takes is not given to the other
        ((-10.0, 4.0), (5.0, 50.0), (-10.0, 2.0)),  # nor does it yield
        ((0.0, 4.0), (5.0, 50.0), (0.0, 2.0)),
        ((0.0, 4.0), (5.0, math.inf), (0.0, 0.0)),
        ((10.0, 4.0), (math.nan, 50.0), (10.0, 2.0)),  # of what is unknown nothing is known
    ],
)
def test_all_that_are_driven_with_too_much_power_are_given_the_same_share_less(
    asked: tuple[float, float], velocity: tuple[float, float], given: tuple[float, float]
) -> None:
    assert driven(asked, velocity, power_limit=100.0) == pytest.approx(given)


# What counts as altered.


def test_the_last_bits_do_not_count_as_altered() -> None:
    envelope = Envelope(ROBOT, SafetyLimits())
    nearly = envelope.clamp(LIMIT * (1.0 + 0.9e-9), at())
    assert nearly.effort.tolist() == LIMIT.tolist()
    assert nearly.changed.tolist() == [False, False, False]
    assert nearly.any_changed is False
    more = envelope.clamp(-LIMIT * [1.0, 1.0 + 1.1e-9, 1.0], at(stamp_ns=100 * MS))
    assert more.changed.tolist() == [False, True, False]
    assert more.any_changed is True
    assert not more.non_finite


@pytest.mark.parametrize(("asked", "altered"), [(1e-8, False), (1.1e-8, True)])
def test_a_billionth_of_the_limit_is_still_the_last_bits(asked: float, altered: bool) -> None:
    # At its velocity limit of 8 rad/s the joint of 10 N·m is driven on with nothing.
    state = RobotState(0, np.zeros(2), np.array([8.0, 0.0]), np.array([1.0, 0, 0, 0]), np.zeros(3))
    clamped = Envelope(FAST, SafetyLimits()).clamp(np.array([asked, 0.0]), state)
    assert clamped.effort.tolist() == [0.0, 0.0]
    assert clamped.any_changed is altered


def test_altered_is_what_is_not_as_asked_after_all_of_the_clamp() -> None:
    state = RobotState(0, np.zeros(2), np.array([6.0, 0.0]), np.array([1.0, 0, 0, 0]), np.zeros(3))
    assert Envelope(FAST, SafetyLimits(power_limit=30.0)).clamp(np.array([9.0, 1.0]), state).changed.tolist() == [
        True,
        False,
    ]


def test_what_is_no_number_counts_as_altered_even_where_damping_is_zero() -> None:
    clamped = Envelope(ROBOT, SafetyLimits()).clamp(np.array([math.nan, 0.0, 0.0]), at())
    assert clamped.effort.tolist() == [0.0, 0.0, 0.0]
    assert (clamped.changed.tolist(), clamped.any_changed, clamped.non_finite) == ([True, False, False], True, True)


def test_what_goes_out_is_not_what_came_in() -> None:
    asked = np.array([1.0, 2.0, 0.5])
    clamped = Envelope(ROBOT, SafetyLimits()).clamp(asked, at())
    asked[:] = math.nan
    assert clamped.effort.tolist() == [1.0, 2.0, 0.5]


# Whatever comes, for long.

SETS = (
    SafetyLimits(),
    SafetyLimits(
        effort_scale=0.6,
        effort_rate=50.0,
        soft_position_margin=0.2,
        soft_position_stiffness=2.0,
        speed_corner=0.5,
        power_limit=300.0,
        thermal_time=6.0,
    ),
)


def storm(seed: int, count: int) -> list[Calls]:
    """Every robot under both sets of limits, `count` calls each; every promise of the clamp is asserted."""
    played = []
    for k, (robot, limits) in enumerate((robot, limits) for robot in robots() for limits in SETS):
        scale = 1.0 if k % 2 == 0 else 0.8
        inputs = wild_inputs(np.random.default_rng([seed, k]), robot, count)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # a log full of them would hide what matters
            calls = play(Envelope(robot, limits), robot, inputs, scale=scale, reset_every=799)
        assert len(calls.sent) == count
        assert broken_promises(robot, limits, calls, scale=scale) == []
        assert (calls.warmth <= 1.0 + 1e-6).all()
        played.append(calls)
    return played


def test_what_is_sent_stays_within_every_limit_whatever_comes() -> None:
    first, second, *_ = storm(0, 2000)
    # The storm reaches what it is for.
    robot = robots()[0]
    assert (first.allowed == robot.effort_limit).all(axis=1).mean() > 0.05
    assert (second.allowed < robot.effort_limit).any(axis=1).mean() > 0.05
    assert (np.abs(first.velocity) > robot.velocity_limit).mean() > 0.02
    assert (first.position > robot.upper).mean() > 0.02
    assert first.changed.mean(axis=0).min() > 0.1
    assert (first.passed == 0.0).mean() > 0.05
    assert first.non_finite.mean() > 0.02
    assert (~first.changed).mean() > 0.02


@pytest.mark.slow
def test_a_million_efforts_stay_within_every_limit() -> None:
    calls = sum(len(played.sent) for seed in range(1, 7) for played in storm(seed, 28_000))
    assert calls > 1_000_000
