"""Levels that rise while all goes well and fall while it goes badly, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.curriculum import Curriculum, LevelSpec, curriculum_from_section

Refuses = Callable[..., AbstractContextManager[None]]
NOBODY = np.zeros(0)
SPEC = LevelSpec("commands", start=0.2, ramp=10.0, length_above=0.7, length_below=0.3, error_below=0.5)


def ended(curriculum: Curriculum, length: float, error: float = 0.0, count: int = 1, standing: float = 1.0) -> float:
    """As many episodes ended with this length and error; the level then."""
    curriculum.update(np.full(count, length), np.full(count, error), np.full(count, standing))
    return curriculum.level["commands"]


def test_a_level_rises_by_a_ramp_and_stops_at_one() -> None:
    curriculum = Curriculum([SPEC], 1)
    assert curriculum.level == {"penalties": 1.0, "commands": 0.2, "disturbances": 1.0, "weight": 1.0}
    assert ended(curriculum, 0.9) == pytest.approx(0.3)
    for _ in range(6):
        curriculum.update(NOBODY, NOBODY, NOBODY)  # nobody's episode ended: what is known still holds
    assert curriculum.level["commands"] == pytest.approx(0.9)
    assert ended(curriculum, 0.9) == pytest.approx(1.0)
    assert ended(curriculum, 0.9) == 1.0


def test_it_rests_in_between_and_falls_to_where_it_began() -> None:
    curriculum = Curriculum([SPEC], 1)
    for _ in range(3):
        ended(curriculum, 1.0)
    assert ended(curriculum, 0.5) == pytest.approx(0.5)
    assert ended(curriculum, 0.2) == pytest.approx(0.4)
    assert ended(curriculum, 0.2) == pytest.approx(0.3)
    for _ in range(5):
        ended(curriculum, 0.2)
    assert curriculum.level["commands"] == 0.2


def test_long_episodes_that_go_the_wrong_way_raise_nothing() -> None:
    curriculum = Curriculum([SPEC], 1)
    assert ended(curriculum, 1.0, error=0.6) == 0.2
    assert ended(curriculum, 1.0, error=0.4) == pytest.approx(0.3)


def test_episodes_that_end_lying_raise_nothing_that_is_for_those_who_stand() -> None:
    curriculum = Curriculum([LevelSpec("weight", start=0.2, ramp=10.0, standing_above=0.6), SPEC], 2)
    assert ended(curriculum, 1.0, standing=0.0, count=2) == pytest.approx(0.3)
    assert curriculum.level["weight"] == 0.2
    ended(curriculum, 1.0, standing=1.0)  # a half of all
    assert curriculum.level["weight"] == 0.2
    ended(curriculum, 1.0, standing=1.0)  # three quarters
    assert curriculum.level["weight"] == pytest.approx(0.3)


def test_means_are_taken_over_as_many_episodes_as_robots() -> None:
    """2 of 4 robots weigh a half, and no episode has ended before the first: 0 steps, 1 m/s."""
    curriculum = Curriculum([], 4)
    ended(curriculum, 0.8, 0.2, count=2)
    assert (curriculum.mean_length, curriculum.mean_error) == pytest.approx((0.4, 0.6))
    curriculum.update(np.array([0.0, 1.0, 1.0, 0.4]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.0, 0.0, 0.0]))
    assert curriculum.mean_standing == 0.25
    assert (curriculum.mean_length, curriculum.mean_error) == pytest.approx((0.6, 0.25))
    ended(curriculum, 0.5, 0.5, count=9)
    assert (curriculum.mean_length, curriculum.mean_error) == pytest.approx((0.5, 0.5))


def test_a_curriculum_goes_on_where_another_was_and_starts_over() -> None:
    first, second = Curriculum([SPEC], 2), Curriculum([SPEC], 2)
    for _ in range(5):
        ended(first, 1.0)
    second.load_state_dict(first.state_dict())
    for length in (1.0, 0.1, 0.1, 0.1):
        assert ended(second, length) == ended(first, length)
    assert (second.mean_length, second.mean_error) == (first.mean_length, first.mean_error)
    second.reset()
    assert second.state_dict() == Curriculum([SPEC], 2).state_dict()


def test_every_key_is_read() -> None:
    given = {"start": 0.2, "ramp": 10, "length_above": 0.7, "length_below": 0.3, "error_below": 0.5}
    given["standing_above"] = 0.6
    plain, full = curriculum_from_section(Section({"penalties": {}, "commands": given}, "curriculum"))
    assert full == replace(SPEC, standing_above=0.6)
    assert plain == LevelSpec("penalties", 0.0, 2000.0, 0.7, 0.3, math.inf, 0.0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"comands": {}}, ["unknown level 'comands'", "did you mean 'commands'?"]),
        ({"commands": {"ramp": 0}}, ["commands", "'ramp' must be above 0"]),
        ({"commands": {"start": 2}}, ["'start' must be at most 1"]),
        ({"commands": {"rampe": 5}}, ["unknown key 'rampe'", "did you mean 'ramp'?"]),
        ({"commands": 0.5}, ["'commands' must be a mapping"]),
    ],
)
def test_a_wrong_level_is_refused(data: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        curriculum_from_section(Section(data, "curriculum"))
