"""DQN against exact values, its double and its target by hand, and to the bit after a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from toy_worlds import TableWorld, maze  # noqa: E402

from humanoid_rl_ros.core.errors import ConfigError  # noqa: E402
from humanoid_rl_ros.learning.dqn import DQN, DQNConfig  # noqa: E402
from humanoid_rl_ros.learning.dynamic_programming import model_of, optimal_values  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]

MAZE = maze("..#G\n.#..\n....")
SMALL = DQNConfig(
    hidden=(32,),
    batch_size=64,
    buffer_size=4000,
    learning_starts=400,
    steps_per_iteration=50,
    learning_rate=1e-2,
    target_rate=0.1,
    epsilon=1.0,
    final_epsilon=1.0,
    discount=0.9,
)


def values(learner: DQN) -> Any:
    with torch.no_grad():
        return learner.actor()(torch.eye(learner.state_dict()["shape"]["observation_size"])).numpy()


def train(learner: DQN, steps: int) -> dict[str, float]:
    shown = {}
    while learner.steps < steps:
        shown = learner.iterate()
    return shown


@pytest.mark.parametrize(
    ("n_steps", "prioritised"),
    [
        pytest.param(1, False, id="1-even"),
        pytest.param(1, True, id="1-prioritised", marks=pytest.mark.slow),
        pytest.param(3, False, id="3-even", marks=pytest.mark.slow),
        pytest.param(3, True, id="3-prioritised", marks=pytest.mark.slow),
    ],
)
def test_it_finds_the_values_of_a_maze(prioritised: bool, n_steps: int) -> None:
    """With several steps in a return they are those of the policy that acted, unless it acts as well as can be."""
    config = dataclasses.replace(SMALL, prioritised=prioritised, n_steps=n_steps)
    if n_steps > 1:
        config = dataclasses.replace(config, epsilon_steps=4000, final_epsilon=0.0)
    learner = DQN(TableWorld(MAZE, None, copies=8, longest=20), config, 0)
    train(learner, 8000)
    exact = optimal_values(model_of(MAZE), 0.9)
    best = exact.max(axis=1)
    assert values(learner).max(axis=1) == pytest.approx(best, abs=0.4)
    chosen = exact[np.arange(len(exact)), values(learner).argmax(axis=1)]
    assert chosen == pytest.approx(best, abs=1e-6)


LONE = {0: {a: [(1.0, 0, 1.0, False)] for a in (0, 1)}}


def test_time_that_is_up_is_no_end() -> None:
    learner = DQN(TableWorld(LONE, copies=8, longest=3), dataclasses.replace(SMALL, discount=0.8), 0)
    train(learner, 2500)
    assert values(learner) == pytest.approx(5.0, abs=0.2)  # 1 / (1 − γ)


@pytest.mark.parametrize(("double", "expected"), [(True, 1.0 + 0.5 * 6.0), (False, 1.0 + 0.5 * 10.0)])
def test_double_takes_the_action_of_one_network_and_the_value_of_the_other(double: bool, expected: float) -> None:
    """A target that stays and says 10 and 6; the second action pays more, so the network that learns prefers it."""
    world = {0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 0, 1.0, False)]}}
    config = dataclasses.replace(SMALL, double=double, discount=0.5, target_rate=1e-9)
    learner = DQN(TableWorld(world, copies=8), config, 0)
    state = learner.state_dict()
    state["target"]["2.weight"].zero_()
    state["target"]["2.bias"].copy_(torch.tensor([10.0, 6.0]))
    state["network"]["2.bias"].copy_(torch.tensor([0.0, 2.0]))
    learner.load_state_dict(state)
    train(learner, 1600)
    assert values(learner)[0, 1] == pytest.approx(expected, abs=0.1)


def test_the_target_moves_only_when_it_is_time() -> None:
    config = dataclasses.replace(SMALL, steps_per_iteration=1, learning_starts=8, target_rate=1.0, target_every=3)
    learner = DQN(TableWorld(MAZE, copies=8), config, 0)
    was = learner.state_dict()["target"]
    moved = []
    for _ in range(7):
        learner.iterate()
        now = learner.state_dict()
        moved.append(not all(torch.equal(now["target"][name], was[name]) for name in was))
        if moved[-1]:
            assert all(torch.equal(now["target"][name], now["network"][name]) for name in was)
        was = now["target"]
    assert [i for i, yes in enumerate(moved) if yes] == [2, 5]


def test_exploration_and_the_weights_go_their_way() -> None:
    config = DQNConfig(epsilon_steps=100, final_epsilon=0.1, priority_beta=0.4, priority_beta_steps=200)
    assert [config.epsilon_at(steps) for steps in (0, 50, 100, 500)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert [config.beta_at(steps) for steps in (0, 100, 200, 500)] == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_without_exploration_it_takes_what_it_thinks_best() -> None:
    taken: list[int] = []

    class Watched(TableWorld):
        def step(self, action: Any) -> Any:
            taken.extend(action.tolist())
            return super().step(action)

    learner = DQN(Watched(LONE), dataclasses.replace(SMALL, epsilon=0.0, final_epsilon=0.0, learning_starts=0), 0)
    learner.collect()
    assert taken == [int(values(learner)[0].argmax())]


@pytest.mark.parametrize("prioritised", [False, True], ids=["even", "prioritised"])
def test_a_run_that_was_saved_and_loaded_goes_on_to_the_bit(prioritised: bool, tmp_path: Path) -> None:
    """Also where the ring has gone round."""
    config = dataclasses.replace(SMALL, prioritised=prioritised, buffer_size=90, learning_starts=30, n_steps=2)

    def begin(seed: int) -> DQN:
        return DQN(TableWorld(MAZE, None, copies=3, longest=7), config, seed)

    whole, first = begin(1), begin(1)
    train(whole, 450)
    train(first, 300)
    first.save(tmp_path / "checkpoint.pt")
    second = begin(2)
    second.load(tmp_path / "checkpoint.pt")
    train(second, 450)
    for name, value in whole.state_dict()["network"].items():
        assert torch.equal(second.state_dict()["network"][name], value), name


def test_what_is_of_another_learner_or_network_is_refused(refuses: Refuses) -> None:
    learner = DQN(TableWorld(MAZE), SMALL, 0)
    with refuses(ConfigError, "'sac'", "'dqn'"):
        learner.load_state_dict({"algorithm": "sac"})
    with refuses(ConfigError, "hidden [32]", "[16]"):
        DQN(TableWorld(MAZE), dataclasses.replace(SMALL, hidden=(16,)), 0).load_state_dict(learner.state_dict())


@pytest.mark.parametrize(
    ("key", "value"), [("target_every", 0), ("priority_exponent", 1.5), ("learning_rate", 0.0), ("discount", 1.5)]
)
def test_a_setting_out_of_bounds_is_refused(key: str, value: float, refuses: Refuses) -> None:
    with refuses(ConfigError, "dqn", key, f"{value:g}"):
        DQNConfig(**{key: value})
