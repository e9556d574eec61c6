"""The gait clock, by hand and as a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import WHEN_STANDING, GaitClock, GaitSpec, gait_from_section, is_standing

Refuses = Callable[..., AbstractContextManager[None]]
WALK = np.array([0.5, 0.0, 0.0])
STAND = np.zeros(3)


def _phases(clock: GaitClock, command: FloatArray) -> FloatArray:
    sine, cosine = clock.sine_cosine(command)
    return np.arctan2(sine, cosine)


def test_a_quarter_period_is_a_quarter_turn() -> None:
    clock = GaitClock(GaitSpec(frequency=2.0), period=0.125)
    seen = []
    for _ in range(5):
        seen.append(np.concatenate(clock.sine_cosine(WALK)))
        clock.advance(WALK)
    np.testing.assert_allclose(seen, [[0, 1], [1, 0], [0, -1], [-1, 0], [0, 1]], atol=1e-12)


def test_two_legs_stay_half_a_stride_apart() -> None:
    clock = GaitClock(GaitSpec(frequency=1.25, phases=(0.0, math.pi)), period=0.02)
    for _ in range(37):
        clock.advance(WALK)
        sine, cosine = clock.sine_cosine(WALK)
        np.testing.assert_allclose([sine[0], cosine[0]], [-sine[1], -cosine[1]], atol=1e-9)
    # 37 steps of 2π·1.25·0.02 rad are 0.925 of a turn.
    np.testing.assert_allclose(_phases(clock, WALK)[0], -2.0 * math.pi * 0.075, atol=1e-9)


def test_the_frequency_grows_with_planar_speed() -> None:
    clock = GaitClock(GaitSpec(frequency=1.0, frequency_per_speed=0.5), period=0.1)
    clock.advance(np.array([0.3, -0.4, 9.0]))  # 0.5 m/s whatever the turn rate: 1.25 Hz
    assert _phases(clock, WALK)[0] == pytest.approx(2.0 * math.pi * 0.125)


def _show(when: str, commands: list[FloatArray], phases: tuple[float, ...] = (0.5,)) -> list[list[float]]:
    clock = GaitClock(
        GaitSpec(1.0, phases=phases, when_standing=when, standing_phase=2.0), period=0.1 / (2.0 * math.pi)
    )
    seen = []
    for command in commands:
        seen.append([float(v) for v in _phases(clock, command)])
        clock.advance(command)
    return seen


def test_run_goes_on_when_standing() -> None:
    np.testing.assert_allclose(_show("run", [WALK, STAND, STAND, WALK]), [[0.5], [0.6], [0.7], [0.8]])


def test_show_hides_a_clock_that_goes_on() -> None:
    np.testing.assert_allclose(_show("show", [WALK, STAND, STAND, WALK]), [[0.5], [2.0], [2.0], [0.8]])


def test_hold_starts_the_stride_over() -> None:
    seen = _show("hold", [WALK, WALK, STAND, STAND, WALK, WALK], phases=(0.5, -1.0))
    np.testing.assert_allclose(seen, [[0.5, -1.0], [0.6, -0.9], [2.0, 2.0], [2.0, 2.0], [0.5, -1.0], [0.6, -0.9]])


def test_zero_gives_neither_sine_nor_cosine_and_goes_on() -> None:
    clock = GaitClock(GaitSpec(1.0, phases=(0.5,), when_standing="zero"), period=0.1 / (2.0 * math.pi))
    assert [v.tolist() for v in clock.sine_cosine(STAND)] == [[0.0], [0.0]]
    clock.advance(STAND)
    np.testing.assert_allclose(_phases(clock, WALK), [0.6])


@pytest.mark.parametrize(
    ("command", "standing"),
    [
        ([0.0, 0.0, 0.0], True),
        ([0.06, 0.06, 0.0], True),
        ([0.08, 0.08, 0.0], False),  # 0.113 m/s together
        ([0.1, 0.0, 0.0], False),  # at the threshold is not below it
        ([0.0, 0.0, 0.1], False),
        ([0.0, 0.0, -0.2], False),
        ([-0.2, 0.0, 0.0], False),
    ],
)
def test_standing_is_slow_in_the_plane_and_in_turn(command: list[float], standing: bool) -> None:
    assert bool(is_standing(np.array(command), 0.1)) is standing


@given(
    st.sampled_from(WHEN_STANDING),
    st.floats(-3.0, 3.0),
    st.lists(
        st.tuples(st.lists(st.sampled_from([0.0, 0.3, -1.0]), min_size=9, max_size=9), st.integers(0, 7)), max_size=12
    ),
)
@example(when="run", per_speed=0.0, steps=[([0.3] * 9, 0), ([0.3] * 9, 2)])
def test_a_batch_equals_single_clocks(when: str, per_speed: float, steps: list[tuple[list[float], int]]) -> None:
    spec = GaitSpec(1.3, per_speed, (0.2, -2.0), when, 1.0, 0.1)
    batch = GaitClock(spec, 0.02, (3,))
    singles = [GaitClock(spec, 0.02) for _ in range(3)]
    for numbers, mask_bits in steps:
        commands = np.array(numbers).reshape(3, 3)
        mask = np.array([bool(mask_bits >> i & 1) for i in range(3)])
        batch.reset(mask)
        for clock, reset in zip(singles, mask, strict=True):
            if reset:
                clock.reset()
        together = batch.sine_cosine(commands)
        for i, clock in enumerate(singles):
            for a, b in zip(together, clock.sine_cosine(commands[i]), strict=True):
                np.testing.assert_array_equal(a[i], b)
            clock.advance(commands[i])
        batch.advance(commands)


def test_a_clock_goes_on_from_the_phase_it_is_given() -> None:
    """A second clock, set by the first, keeps time with it; what it was set from is its own no more."""
    spec = GaitSpec(frequency=1.25, phases=(0.0, math.pi))
    first, second = GaitClock(spec, 0.02, (2,)), GaitClock(spec, 0.02, (2,))
    for _ in range(7):
        first.advance(np.stack([WALK, WALK]))
    saved = first.phase.copy()
    second.phase = saved
    saved[:] = 0.0
    for clock in (first, second):
        clock.advance(np.stack([WALK, WALK]))
    # 8 steps of 2π·1.25·0.02 rad are a fifth of a turn.
    np.testing.assert_allclose(second.phase, [[0.4 * math.pi, -0.6 * math.pi]] * 2, atol=1e-12)
    np.testing.assert_array_equal(second.phase, first.phase)


@given(st.floats(0.01, 50.0), st.floats(1e-3, 0.2), st.integers(1, 50))
def test_sine_and_cosine_stay_on_the_circle(frequency: float, period: float, steps: int) -> None:
    clock = GaitClock(GaitSpec(frequency), period)
    for _ in range(steps):
        clock.advance(WALK)
    sine, cosine = clock.sine_cosine(WALK)
    assert float(sine[0] ** 2 + cosine[0] ** 2) == pytest.approx(1.0)
    turns = frequency * period * steps
    assert float(cosine[0]) == pytest.approx(math.cos(2.0 * math.pi * (turns - round(turns))), abs=1e-7)


def test_every_key_is_read() -> None:
    data = {
        "frequency": 1.5,
        "frequency_per_speed": 0.2,
        "phases": [0, 3.0],
        "when_standing": "hold",
        "standing_phase": 1,
        "stand_threshold": 0.2,
    }
    assert gait_from_section(Section(data, "f")) == GaitSpec(1.5, 0.2, (0.0, 3.0), "hold", 1.0, 0.2)
    assert gait_from_section(Section({"period": 0.8}, "f")) == GaitSpec(1.25)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, ["'period'", "'frequency'"]),
        ({"period": 1.0, "frequency": 1.0}, ["either 'period'"]),
        ({"period": 0.0}, ["'period'", "above 0"]),
        ({"frequency": -1.0}, ["'frequency'", "above 0"]),
        ({"period": 1.0, "phases": []}, ["gait", "at least one phase"]),
        ({"period": 1.0, "phases": [0.0, math.nan]}, ["phases[1]", "finite"]),
        ({"period": 1.0, "when_standing": "freeze"}, ["'when_standing'", "run, hold, show, zero", "'freeze'"]),
        ({"period": 1.0, "perriod": 1.0}, ["'perriod'", "did you mean 'period'?"]),
    ],
)
def test_a_wrong_clock_is_refused(data: dict[str, object], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        gait_from_section(Section(data, "policy.yaml: gait"))


def test_a_wrong_clock_is_refused_in_code(refuses: Refuses) -> None:
    with refuses(ConfigError, "frequency", "0"):
        GaitSpec(0.0)
    with refuses(ConfigError, "when_standing", "'freeze'"):
        GaitSpec(1.0, when_standing="freeze")
