"""REINFORCE: returns by hand, the corridor whose best policy is known, bandits, and to the bit after a resume."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from toy_worlds import Bandit, TableWorld, maze  # noqa: E402

from humanoid_rl_ros.core.errors import ConfigError, TrainingError  # noqa: E402
from humanoid_rl_ros.envs.batch_env import BatchObservation  # noqa: E402
from humanoid_rl_ros.learning.reinforce import Reinforce, ReinforceConfig  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]

PLAIN = {"normalise_observations": False, "actor_hidden": (), "critic_hidden": ()}


class _Blind(TableWorld):
    """A world whose states all look the same."""

    def _seen(self, states: Any) -> BatchObservation:
        seen = np.ones((len(states), 1), dtype=np.float32)
        return BatchObservation(seen, seen)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.observation_size = self.critic_size = 1


def chain(length: int, *, terminates: bool = True) -> dict[int, Any]:
    """States one after the other that pay 1, 2, 3, ...; only one choice."""
    last = length - 1
    return {s: {0: [(1.0, min(s + 1, last), s + 1.0, terminates and s == last)]} for s in range(length)}


def test_what_a_step_is_worth_is_the_discounted_sum_of_what_follows() -> None:
    learner = Reinforce(TableWorld(chain(3)), ReinforceConfig(discount=0.5, episodes_per_iteration=2, **PLAIN), 0)
    # 1 + ½·2 + ¼·3, 2 + ½·3, 3
    assert learner.collect().gain.tolist() == [2.75, 3.5, 3.0] * 2
    assert learner.steps == 6


def test_what_was_not_seen_to_its_end_is_left_out() -> None:
    """Two robots in episodes of 3 and of 2 steps: the second has begun a second one when the first is through."""

    class Uneven(TableWorld):
        def reset(self, seed: int) -> BatchObservation:
            super().reset(seed)
            self._state = np.array([0, 1])
            return self._seen(self._state)

    config = ReinforceConfig(discount=1.0, episodes_per_iteration=1, **PLAIN)
    learner = Reinforce(Uneven(chain(3), copies=2), config, 0)
    seen = learner.collect()
    assert sorted(seen.gain.tolist()) == [3.0, 3.0, 5.0, 5.0, 6.0]
    assert learner.steps == 6


def test_time_that_is_up_is_no_end() -> None:
    """Cut after 2 steps, and a baseline that says 8 whatever it sees: 1 + ½·2 + ¼·8."""
    config = ReinforceConfig(discount=0.5, episodes_per_iteration=1, **PLAIN)
    learner = Reinforce(TableWorld(chain(5), longest=2), config, 0)
    state = learner.state_dict()
    state["baseline"]["0.weight"].zero_()
    state["baseline"]["0.bias"].fill_(8.0)
    learner.load_state_dict(state)
    assert learner.collect().gain.tolist() == [4.0, 6.0]


def test_an_iteration_ends_where_no_episode_does() -> None:
    config = ReinforceConfig(discount=0.5, longest=4, **PLAIN)
    learner = Reinforce(TableWorld(chain(3, terminates=False), longest=10_000), config, 0)
    assert len(learner.collect().gain) == 4
    learner.iterate()
    assert learner.steps == 8


def corridor() -> dict[int, Any]:
    """Sutton and Barto, 2018, example 13.1: left and right, which change places in the second of three states."""

    def move(state: int, step: int) -> list[Any]:
        after = max(state + step, 0)
        return [(1.0, min(after, 2), -1.0, after == 3)]

    return {s: {0: move(s, 1 if s == 1 else -1), 1: move(s, -1 if s == 1 else 1)} for s in range(3)}


@pytest.mark.slow
def test_in_a_corridor_where_all_looks_the_same_it_finds_the_best_odds() -> None:
    """Example 13.1: right with 59 %, √2 − 1 to the left, worth −11.6; an ε-greedy choice does far worse."""
    config = ReinforceConfig(
        discount=1.0, learning_rate=0.02, episodes_per_iteration=5, normalise_advantages=False, longest=400, **PLAIN
    )
    learner = Reinforce(_Blind(corridor(), copies=20, longest=300), config, 0)
    likes, paid = [], []
    for i in range(150):
        shown = learner.iterate()
        if i >= 90:
            likes.append(learner.actor()(torch.ones(1, 1)).softmax(1)[0, 1].item())
            paid.append(shown["episode/return"])
    assert np.mean(likes) == pytest.approx(2.0 - np.sqrt(2.0), abs=0.06)
    assert np.mean(paid) == pytest.approx(-11.6, abs=0.7)


def test_the_baseline_learns_the_values_of_the_policy() -> None:
    world = chain(4)
    config = ReinforceConfig(discount=0.5, baseline_learning_rate=0.05, **PLAIN)
    learner = Reinforce(TableWorld(world), config, 0)
    for _ in range(40):
        shown = learner.iterate()
    assert shown["value/explained_variance"] > 0.99
    # The mean of 3.25, 4.5, 5, 4
    assert shown["value/mean"] == pytest.approx(4.1875, abs=0.05)


def test_it_finds_the_best_vector() -> None:
    config = ReinforceConfig(learning_rate=0.02, episodes_per_iteration=5, **PLAIN)
    learner = Reinforce(Bandit([0.3, -0.6], copies=20), config, 0)
    for _ in range(250):
        learner.iterate()
    assert learner.actor()(torch.ones(1, 1))[0].tolist() == pytest.approx([0.3, -0.6], abs=0.06)


def test_it_finds_the_way_out_of_a_maze() -> None:
    world = TableWorld(maze("..#G\n.#..\n...."), 0, copies=10, longest=40)
    learner = Reinforce(world, ReinforceConfig(learning_rate=0.05, longest=200), 0)
    for _ in range(60):
        learner.iterate()
    states, state, over = [], 0, False
    while not over and len(states) < 20:
        seen = torch.eye(10)[state : state + 1]
        _, state, _, over = world._world[state][int(learner.actor()(seen).argmax())][0]
        states.append(state)
    assert states == [3, 6, 7, 8, 9, 5, 2] or states == [3, 6, 7, 8, 4, 5, 2]


@pytest.mark.parametrize("of", ["choices", "vectors"])
def test_a_run_that_was_saved_and_loaded_goes_on_to_the_bit(of: str, tmp_path: Path) -> None:
    def begin(seed: int) -> Reinforce:
        world = TableWorld(maze("..\n.G"), copies=3) if of == "choices" else Bandit([0.5], copies=3)
        return Reinforce(world, ReinforceConfig(actor_hidden=(8,), critic_hidden=(8,)), seed)

    whole, first = begin(1), begin(1)
    for _ in range(4):
        whole.iterate()
    for _ in range(2):
        first.iterate()
    first.save(tmp_path / "checkpoint.pt")
    second = begin(2)
    second.load(tmp_path / "checkpoint.pt")
    for _ in range(2):
        second.iterate()
    assert second.steps == whole.steps
    for name, value in whole.actor().state_dict().items():
        assert torch.equal(second.actor().state_dict()[name], value), name


def test_a_reward_that_is_not_finite_ends_it(refuses: Refuses) -> None:
    learner = Reinforce(TableWorld({0: {0: [(1.0, 0, float("inf"), False)]}}), ReinforceConfig(**PLAIN), 0)
    with refuses(TrainingError, "reward of robot 0", "step 0"):
        learner.iterate()


def test_what_is_of_another_learner_is_refused(refuses: Refuses) -> None:
    learner = Reinforce(TableWorld(chain(3)), ReinforceConfig(**PLAIN), 0)
    with refuses(ConfigError, "'dqn'", "'reinforce'"):
        learner.load_state_dict({"algorithm": "dqn"})
    with refuses(ConfigError, "observation_size 3", "expected 4"):
        Reinforce(TableWorld(chain(4)), ReinforceConfig(**PLAIN), 0).load_state_dict(learner.state_dict())
