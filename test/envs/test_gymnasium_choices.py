"""Gymnasium environments whose actions are choices: what is seen, which action is taken, states that are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple  # noqa: E402

from humanoid_rl_ros.core.errors import ConfigError  # noqa: E402
from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumBatch, GymnasiumChoices, gymnasium_copies  # noqa: E402
from humanoid_rl_ros.envs.gymnasium_evaluation import LONGEST_OF_CHOICES, run_episodes  # noqa: E402
from humanoid_rl_ros.envs.gymnasium_seeing import seeing  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]


class _Echo(gymnasium.Env):
    """The state is the action before, and so is the reward; the last action of all ends the episode."""

    observation_space = Discrete(3, start=5)
    action_space = Discrete(3, start=5)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 5, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return action, float(action), action == 7, False, {}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register("Echo-v0", entry_point=_Echo)
    yield
    del gymnasium.registry["Echo-v0"]


def test_choices_count_from_nought_and_states_are_seen_one_hot() -> None:
    env = gymnasium_copies("Echo-v0", 2)
    assert isinstance(env, GymnasiumChoices)
    assert (env.n_actions, env.n_states, env.observation_size, env.critic_size) == (3, 3, 3, 3)
    assert env.reset(0).policy.tolist() == [[1.0, 0.0, 0.0]] * 2
    step = env.step(np.array([1, 2]))
    assert step.reward.tolist() == [6.0, 7.0]
    assert step.terminated.tolist() == [False, True]
    assert step.final.policy.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert step.observation.policy.tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert env.statistics() == {"episode/return": 7.0, "episode/length": 1.0, "episode/count": 1.0}


@pytest.mark.parametrize(
    ("space", "observation", "count", "state"),
    [
        (Discrete(4), 2, 4, 2),
        (MultiDiscrete([2, 3]), np.array([1, 2]), 6, 5),
        (Tuple((Discrete(32), Discrete(11), Discrete(2))), (3, 10, 1), 704, 3 * 22 + 10 * 2 + 1),  # Blackjack's
        (Tuple((Discrete(2, start=4), Discrete(2, start=-1))), (5, -1), 4, 2),
    ],
    ids=["one", "several", "tuple", "shifted"],
)
def test_every_state_has_a_number_of_its_own(space: Any, observation: Any, count: int, state: int) -> None:
    seen = seeing(space, "observation")
    assert (seen.size, seen.n_states) == (count, count)
    assert np.flatnonzero(seen.see(observation)).tolist() == [state]
    space.seed(0)
    drawn = {tuple(np.ravel(sample)): int(seen.see(sample).argmax()) for sample in (space.sample() for _ in range(400))}
    assert len(set(drawn.values())) == len(drawn)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Box(0, 255, (4, 4), np.uint8), ("vector of real numbers", "Box")),
        (Tuple((Discrete(2), Box(0.0, 1.0))), ("vector of real numbers", "Tuple")),
        (MultiDiscrete([1000, 1001]), ("1001000 states", "1000000")),
    ],
    ids=["image", "mixed", "too many"],
)
def test_what_cannot_be_seen_is_refused(space: Any, words: tuple[str, ...], refuses: Refuses) -> None:
    with refuses(ConfigError, "the observation", *words):
        seeing(space, "observation")


def test_each_batch_takes_its_own_kind_of_action(refuses: Refuses) -> None:
    with refuses(ConfigError, "action of 'Pendulum-v1'", "choice among finitely many"):
        GymnasiumChoices("Pendulum-v1", 1)
    with refuses(ConfigError, "action of 'Echo-v0'", "vector"):
        GymnasiumBatch("Echo-v0", 1)


def test_a_state_that_was_saved_goes_on_exactly() -> None:
    first = GymnasiumChoices("FrozenLake-v1", 3)
    first.reset(1)
    random = np.random.default_rng(0)
    choices = random.integers(4, size=(60, 3))
    for chosen in choices[:30]:
        first.step(chosen)
    second = GymnasiumChoices("FrozenLake-v1", 3)
    second.reset(2)
    second.load_state_dict(first.state_dict())
    for chosen in choices[30:]:
        one, other = first.step(chosen), second.step(chosen)
        assert np.array_equal(one.final.policy, other.final.policy)
        assert np.array_equal(one.reward, other.reward)
        assert np.array_equal(one.truncated, other.truncated)


def test_in_an_evaluation_the_largest_number_is_taken_and_a_circle_ends() -> None:
    ends = run_episodes("Echo-v0", lambda seen: np.eye(3, dtype=np.float32)[[2] * len(seen)], 2, seed=0)
    assert ends.returns.tolist() == [7.0, 7.0]
    circles = run_episodes("Echo-v0", lambda seen: np.eye(3, dtype=np.float32)[[0] * len(seen)], 1, seed=0)
    assert circles.lengths.tolist() == [LONGEST_OF_CHOICES]
