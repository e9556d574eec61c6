"""Commands that are drawn: ranges, shares and times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.commands import CommandSampler, sampling_from_section

Refuses = Callable[..., AbstractContextManager[None]]
FULL = {"linear_x": [-1.0, 2.0], "linear_y": [-0.5, 0.5], "angular_z": [-1.5, 1.0]}
FIRST = {"linear_x": [0.0, 1.0], "linear_y": [0.0, 0.0], "angular_z": [-0.5, 0.0]}
MANY = 4000


def sampler(n: int, control_period: float = 0.02, **data: Any) -> CommandSampler:
    return CommandSampler(sampling_from_section(Section({"ranges": FULL, **data}, "commands")), n, control_period)


def drawn(level: float = 1.0, seed: int = 0, **data: Any) -> FloatArray:
    it = sampler(MANY, **data)
    it.draw(np.arange(MANY), level, np.random.default_rng(seed))
    return it.command


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        (1.0, [-1.0, -0.5, -1.5], [2.0, 0.5, 1.0]),
        (0.0, [0.0, 0.0, -0.5], [1.0, 0.0, 0.0]),
        (0.5, [-0.5, -0.25, -1.0], [1.5, 0.25, 0.5]),
    ],
)
def test_commands_fill_their_ranges(level: float, low: list[float], high: list[float]) -> None:
    command = drawn(level, first=FIRST)
    np.testing.assert_allclose(command.min(axis=0), low, atol=0.01)
    np.testing.assert_allclose(command.max(axis=0), high, atol=0.01)
    np.testing.assert_allclose(command.mean(axis=0), 0.5 * (np.array(low) + high), atol=0.05)
    assert (command >= np.array(low) - 1e-12).all()
    assert (command <= np.array(high) + 1e-12).all()


def test_without_first_ranges_the_full_ones_hold_from_the_start() -> None:
    np.testing.assert_array_equal(drawn(0.0), drawn(1.0))


def test_so_many_stand_and_so_many_move_along_one_axis() -> None:
    command = drawn(standing_share=0.2, single_axis_share=0.5)
    moving = (command != 0.0).sum(axis=1)
    # Four standard deviations of a share of 4000 are 0.03.
    assert (moving == 0).mean() == pytest.approx(0.2, abs=0.03)
    assert (moving == 1).mean() == pytest.approx(0.4, abs=0.03)
    assert (moving == 3).mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose((command[moving == 1] != 0.0).mean(axis=0), 1.0 / 3.0, atol=0.05)


def test_nobody_is_asked_to_creep() -> None:
    command = np.abs(drawn(dead_band=0.2))
    assert ((command == 0.0) | (command >= 0.2)).all()
    assert (command == 0.0).any(axis=0).all()


def test_the_same_seed_draws_the_same() -> None:
    np.testing.assert_array_equal(drawn(seed=3), drawn(seed=3))
    assert (drawn(seed=3) != drawn(seed=4)).any()


def test_only_those_who_are_due_get_another() -> None:
    it, rng = sampler(3, 0.1, period=[0.3, 0.3]), np.random.default_rng(0)
    it.draw(np.arange(3), 1.0, rng)
    assert it.tick().tolist() == []
    it.draw(np.array([1]), 1.0, rng)
    before = it.command.copy()
    assert it.tick().tolist() == []
    assert it.tick().tolist() == [0, 2]
    it.draw(np.array([0, 2]), 1.0, rng)
    np.testing.assert_array_equal(it.command[1], before[1])
    assert (it.command[[0, 2]] != before[[0, 2]]).all()
    assert it.tick().tolist() == [1]


def test_times_are_drawn_between_two() -> None:
    it = sampler(MANY, period=[1.0, 3.0])
    it.draw(np.arange(MANY), 1.0, np.random.default_rng(0))
    assert it.steps_left.min() == 50
    assert it.steps_left.max() == 150


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"ranges": {"linear_z": [0, 1]}}, ["ranges", "unknown key 'linear_z'", "did you mean 'linear_"]),
        ({"ranges": {"linear_x": [1.0, -1.0]}}, ["linear_x", "contradicts itself"]),
        ({"ranges": {"linear_x": [1.0]}}, ["'linear_x' must be 2 numbers"]),
        ({"period": [3.0, 1.0]}, ["'period'", "the longer last"]),
        ({"period": [0.0, 1.0]}, ["'period'", "above 0"]),
        ({"standing_share": 1.5}, ["'standing_share' must be at most 1"]),
        ({"single_axis_share": -0.1}, ["'single_axis_share' must be at least 0"]),
        ({"standing": 0.1}, ["unknown key 'standing'", "did you mean 'standing_share'?"]),
    ],
)
def test_a_wrong_mapping_is_refused(data: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        sampling_from_section(Section(data, "commands"))
