"""How warm a joint is: the law by hand, and that no joint is ever warmer than it may be for ever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.thermal import ThermalEstimate

# The first can give half its limit for ever, as thermal_share says; the second a quarter, as it says itself.
ROBOT = RobotSpec(
    "two",
    (JointSpec("plain", -1.0, 1.0, effort_limit=10.0), JointSpec("known", -1.0, 1.0, 8.0, continuous_effort=2.0)),
)
CONTINUOUS = np.array([5.0, 2.0])
LIMITS = SafetyLimits(thermal_share=0.5, thermal_time=10.0, thermal_derate=0.8)


def cold() -> ThermalEstimate:
    return ThermalEstimate(ROBOT, LIMITS)


def warm(*warmth: float) -> ThermalEstimate:
    thermal = cold()
    thermal.warmth = np.array(warmth)
    return thermal


def test_a_joint_at_its_continuous_effort_nears_one() -> None:
    thermal = cold()
    thermal.advance(CONTINUOUS, 10.0)  # a time constant: 1 − 1/e
    assert thermal.warmth == pytest.approx([0.6321205588, 0.6321205588])
    thermal.advance(CONTINUOUS, 1e4)
    assert thermal.warmth == pytest.approx([1.0, 1.0])


def test_warmth_goes_with_the_square_of_the_effort_whatever_its_sign() -> None:
    thermal = cold()
    thermal.advance(np.array([-10.0, 1.0]), 10.0)  # twice and half of the continuous effort
    assert thermal.warmth == pytest.approx([4.0 * 0.6321205588, 0.25 * 0.6321205588])


def test_a_joint_that_rests_cools_by_the_same_time_constant() -> None:
    thermal = warm(1.0, 0.5)
    thermal.advance(np.zeros(2), 10.0)
    assert thermal.warmth == pytest.approx([0.3678794412, 0.5 * 0.3678794412])


def test_no_time_changes_nothing() -> None:
    thermal = warm(0.3, 0.7)
    thermal.advance(np.array([10.0, -8.0]), 0.0)
    assert thermal.warmth.tolist() == [0.3, 0.7]


@given(st.floats(-8.0, 8.0), st.floats(0.0, 4.0), st.lists(st.floats(0.0, 5.0), min_size=1, max_size=6))
def test_many_short_times_make_a_long_one(effort: float, start: float, times: list[float]) -> None:
    stepped, at_once = warm(start, start), warm(start, start)
    for seconds in times:
        stepped.advance(np.full(2, effort), seconds)
    at_once.advance(np.full(2, effort), math.fsum(times))
    assert stepped.warmth == pytest.approx(at_once.warmth, rel=1e-9, abs=1e-12)


def test_the_time_constant_and_the_share_are_the_limits() -> None:
    thermal = ThermalEstimate(ROBOT, SafetyLimits(thermal_share=0.25, thermal_time=20.0))
    thermal.advance(np.array([2.5, 2.0]), 10.0)
    assert thermal.warmth == pytest.approx(2 * [0.3934693403])  # 1 − e^(−1/2)


@pytest.mark.parametrize(
    ("warmth", "allowed"),
    [
        ((0.0, 0.0), (10.0, 8.0)),
        ((0.8, 0.8), (10.0, 8.0)),
        # Half of the way from 0.8 to 1: half of the way from the limit to the continuous effort.
        ((0.9, 0.9), (7.5, 5.0)),
        ((0.95, 0.5), (6.25, 8.0)),
        ((0.5, 0.85), (10.0, 6.5)),
        ((1.0, 1.0), (5.0, 2.0)),
        ((7.0, 1e9), (5.0, 2.0)),
    ],
)
def test_a_warm_joint_may_give_less_and_always_what_it_can_for_ever(
    warmth: tuple[float, float], allowed: tuple[float, float]
) -> None:
    assert warm(*warmth).allowed() == pytest.approx(allowed)


def test_no_more_is_allowed_than_takes_the_joint_to_one_in_the_longest_time_an_effort_is_held() -> None:
    limits = SafetyLimits(thermal_share=0.05, thermal_time=5.0, thermal_derate=0.8)
    thermal = ThermalEstimate(ROBOT, limits)
    thermal.warmth = np.full(2, 0.99)
    kept = math.exp(-0.1 / 5.0)
    # The straight line to the continuous effort of 0.5 N·m would leave 0.975 N·m.
    most = 0.5 * math.sqrt((1.0 - 0.99 * kept) / (1.0 - kept))
    allowed = thermal.allowed()
    assert allowed[0] == pytest.approx(most)
    assert most == pytest.approx(0.612, abs=1e-3)
    thermal.advance(np.array([most, 0.0]), 0.1)
    assert thermal.warmth[0] == pytest.approx(1.0)


def test_a_joint_is_derated_above_the_share_and_not_at_it() -> None:
    assert not cold().derating
    assert not warm(0.8, 0.8).derating
    assert warm(0.8, math.nextafter(0.8, 1.0)).derating
    assert warm(math.nextafter(0.8, 1.0), 0.0).derating


def test_reset_is_as_cold_as_at_first() -> None:
    thermal = warm(0.9, 2.0)
    thermal.reset()
    assert thermal.warmth.tolist() == [0.0, 0.0]
    assert thermal.allowed().tolist() == [10.0, 8.0]


@pytest.mark.parametrize("period", [0.002, 0.02, 0.1])
def test_a_joint_held_at_what_it_may_give_ends_at_one_and_never_above(period: float) -> None:
    thermal = ThermalEstimate(ROBOT, SafetyLimits(thermal_time=10.0))
    for _ in range(round(60.0 / period)):
        thermal.advance(thermal.allowed(), period)
        assert thermal.warmth.max() <= 1.0 + 1e-9
    assert thermal.warmth == pytest.approx([1.0, 1.0], abs=1e-3)
    assert thermal.allowed() == pytest.approx(CONTINUOUS, rel=0.02)


def test_what_was_read_before_is_not_changed_by_what_comes_after() -> None:
    thermal = cold()
    before = thermal.warmth
    thermal.advance(CONTINUOUS, 1.0)
    thermal.reset()
    assert before.tolist() == [0.0, 0.0]
