"""`Navigate-v0`: a Gymnasium environment, and the decision process that it says it is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from conftest import Refuses
from floors import floor_of

pytest.importorskip("gymnasium")

import gymnasium
from gymnasium.utils.env_checker import check_env

import humanoid_rl_ros.envs.registration as registration
from humanoid_rl_ros.core.errors import ConfigError

ID = f"{registration.NAMESPACE}/Navigate-v0"
SMALL: dict[str, Any] = {"cell": 1.0, "radius": 0.0, "moves": 4, "goal": (0.5, 3.5)}


def small(**how: Any) -> Any:
    return gymnasium.make(ID, map=floor_of(), **(SMALL | how))


@pytest.mark.parametrize("how", [{}, {"render_mode": "rgb_array"}, {"render_mode": "ansi", "slip": 0.2}])
def test_gymnasium_finds_nothing_wrong(how: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(small(**how).unwrapped)


def test_the_default_is_the_shipped_floor() -> None:
    env = gymnasium.make(ID)
    assert env.observation_space == gymnasium.spaces.Discrete(391)
    assert env.action_space == gymnasium.spaces.Discrete(8)


def test_a_walk_counted_by_hand() -> None:
    """From the lower left corner three times up: two moves of −1, the third ends the episode; a bump before costs 2."""
    env = small()
    assert env.reset(options={"state": 0})[0] == 0
    assert env.step(2)[:4] == (0, -2.0, False, False)
    assert [env.step(1)[:4] for _ in range(3)] == [
        (5, -1.0, False, False),
        (8, -1.0, False, False),
        (11, -1.0, True, False),
    ]


def test_episodes_start_anywhere_but_at_the_goal_and_the_seed_says_where() -> None:
    env = small()
    starts = [int(env.reset(seed=seed)[0]) for seed in range(200)]
    assert set(starts) == set(range(16)) - {11}
    assert starts == [int(env.reset(seed=seed)[0]) for seed in range(200)]
    assert env.unwrapped.initial_state_distrib.sum() == pytest.approx(1.0)
    assert {int(small(start=(4.2, 0.3)).reset(seed=seed)[0]) for seed in range(9)} == {4}


def test_slips_come_as_often_as_the_table_says() -> None:
    """Up from the lower left corner, to the right with probability 0.1, to the left, a bump, with 0.1."""
    env = small(slip=0.2).unwrapped
    assert env.P[0][1] == [(0.8, 5, -1.0, False), (0.1, 1, -1.0, False), (0.1, 0, -2.0, False)]
    env.reset(seed=0)
    ends = []
    for _ in range(2000):
        env.reset(options={"state": 0})
        ends.append(int(env.step(1)[0]))
    shares = np.bincount(ends, minlength=6)[[5, 1, 0]] / 2000
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.03)  # four standard deviations


def test_episodes_that_lead_nowhere_are_truncated() -> None:
    env = small(max_steps=3)
    env.reset(seed=0, options={"state": 0})
    assert [env.step(2)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    assert small().unwrapped.max_steps == 50
    assert gymnasium.make(ID).unwrapped.max_steps == 239  # four times 59.6 cells


def test_pictures_show_where_the_robot_is() -> None:
    env = small(render_mode="rgb_array")
    env.reset(options={"state": 0})
    before = env.render()
    env.step(0)
    assert (before != env.render()).any()
    text = small(render_mode="ansi")
    text.reset(options={"state": 0})
    assert text.render().splitlines() == ["G....", ".##..", ".##..", "R...."]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"goal": (1.5, 1.5)}, "the goal (1.5, 1.5) is in no free cell"),
        ({"goal": "x"}, "'goal' must be two numbers"),
        ({"start": (0.5, 3.5)}, "the start (0.5, 3.5) is the goal"),
        ({"start": (1.5, 1.5)}, "is in no cell"),
        ({"max_steps": -1}, "'max_steps'"),
        ({"slip": 1.0}, "'slip'"),
        ({"render_mode": "human"}, "no render_mode 'human'"),
    ],
)
def test_what_cannot_be_is_refused(how: dict[str, Any], words: str, refuses: Refuses) -> None:
    from humanoid_rl_ros.envs.navigation_env import NavigationEnv

    with refuses(ConfigError, words):
        NavigationEnv(floor_of(), **(SMALL | how))


@pytest.mark.parametrize("options", [{"stat": 1}, {"state": 16}, {"state": -1}])
def test_a_reset_that_cannot_be_is_refused(options: dict[str, int], refuses: Refuses) -> None:
    with refuses(ConfigError, next(iter(options))):
        small().unwrapped.reset(options=options)
