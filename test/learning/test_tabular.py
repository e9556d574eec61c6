"""Q-learning and SARSA against exact dynamic programming, on the cliff that tells them apart, and resumed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from toy_worlds import TableWorld, maze  # noqa: E402

from humanoid_rl_ros.core.errors import ConfigError, TrainingError  # noqa: E402
from humanoid_rl_ros.learning import dynamic_programming  # noqa: E402
from humanoid_rl_ros.learning.dynamic_programming import (  # noqa: E402
    epsilon_greedy_values,
    model_of,
    optimal_values,
    policy_values,
)
from humanoid_rl_ros.learning.exploration import STEPS_UNTOLD  # noqa: E402
from humanoid_rl_ros.learning.q_learning import QLearning, QLearningConfig  # noqa: E402
from humanoid_rl_ros.learning.sarsa import Sarsa, SarsaConfig  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]

MAZE = """
..#G
.#..
....
"""
LEARNERS = [(QLearning, QLearningConfig), (Sarsa, SarsaConfig)]
IDS = ["q_learning", "sarsa"]


def learn(learner: Any, iterations: int) -> dict[str, float]:
    shown: dict[str, float] = {}
    for _ in range(iterations):
        shown = learner.iterate()
    return shown


def test_dynamic_programming_counts_the_steps_out_of_a_maze() -> None:
    values = optimal_values(model_of(maze(MAZE)), 1.0).max(axis=1)
    # By hand, row by row without the walls: the last move is free. The first two cells go down and around.
    assert values.tolist() == [-6.0, -7.0, 0.0, -5.0, -1.0, 0.0, -4.0, -3.0, -2.0, -1.0]


def test_values_of_a_policy_are_those_of_its_linear_equations() -> None:
    # Two states: stay for 1 or leave for 0 with even odds; q(stay) = 1 + ½ γ q(stay), by hand 1 / (1 − γ/2).
    world = {0: {0: [(1.0, 0, 1.0, False)], 1: [(1.0, 1, 0.0, True)]}, 1: {a: [(1.0, 1, 0.0, True)] for a in (0, 1)}}
    even = np.full((2, 2), 0.5)
    assert policy_values(model_of(world), even, 0.8)[0] == pytest.approx([1.0 / 0.6, 0.0])


def test_epsilon_greedy_values_are_those_of_the_policy_that_they_make() -> None:
    model = model_of(maze(MAZE, slip=0.2))
    values = epsilon_greedy_values(model, 0.9, 0.3)
    policy = np.full(values.shape, 0.3 / 4)
    policy[np.arange(len(values)), values.argmax(axis=1)] += 0.7
    assert values == pytest.approx(policy_values(model, policy, 0.9), abs=1e-9)


def test_a_world_that_does_not_add_up_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "action 0 in state 0", "0.5"):
        model_of({0: {0: [(0.5, 0, 0.0, True)]}})


def test_values_that_never_settle_are_refused(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic_programming, "MOST_SWEEPS", 1000)
    with refuses(ConfigError, "do not settle", "discount of 1"):
        optimal_values(model_of({0: {0: [(1.0, 0, 1.0, False)]}}), 1.0)


def test_q_learning_finds_the_values_of_a_maze_exactly() -> None:
    world = maze(MAZE)
    exact = optimal_values(model_of(world), 1.0)
    config = QLearningConfig(
        discount=1.0, learning_rate_power=0.0, epsilon=0.5, final_epsilon=0.5, steps_per_iteration=300
    )
    learner = QLearning(TableWorld(world, None, copies=20), config, 1)
    learn(learner, 1)
    assert learner.values == pytest.approx(exact, abs=1e-12)


def test_q_learning_finds_the_values_where_moves_slip() -> None:
    world = maze(MAZE, slip=0.3)
    exact = optimal_values(model_of(world), 0.9)
    config = QLearningConfig(
        discount=0.9,
        learning_rate=1.0,
        learning_rate_power=0.7,
        epsilon=1.0,
        final_epsilon=1.0,
        steps_per_iteration=400,
    )
    learner = QLearning(TableWorld(world, None, copies=50), config, 1)
    learn(learner, 3)
    error = np.abs(learner.values - exact)
    assert error.max() < 0.25  # of values to −6
    assert error.mean() < 0.07


def test_sarsa_finds_the_values_of_what_it_does() -> None:
    """With a fixed ε they are not the best policy's, and the difference is larger than the tolerance."""
    world = maze(MAZE)
    model = model_of(world)
    config = SarsaConfig(
        discount=0.9,
        learning_rate=1.0,
        learning_rate_power=0.8,
        epsilon=0.4,
        final_epsilon=0.4,
        steps_per_iteration=400,
    )
    learner = Sarsa(TableWorld(world, None, copies=50), config, 2)
    learn(learner, 4)
    error = np.abs(learner.values - epsilon_greedy_values(model, 0.9, 0.4)).mean()
    assert error < 0.1
    assert np.abs(learner.values - optimal_values(model, 0.9)).mean() > 3.0 * error


def test_sarsa_finds_the_best_values_when_it_stops_exploring() -> None:
    world = maze(MAZE)
    config = SarsaConfig(
        discount=1.0,
        learning_rate=0.2,
        learning_rate_power=0.0,
        epsilon=1.0,
        final_epsilon=0.0,
        epsilon_steps=20_000,
        steps_per_iteration=1500,
    )
    learner = Sarsa(TableWorld(world, None, copies=20), config, 3)
    learn(learner, 1)
    exact = optimal_values(model_of(world), 1.0)
    greedy = exact == exact.max(axis=1, keepdims=True)
    assert greedy[np.arange(len(exact)), learner.values.argmax(axis=1)].all()


def cliff() -> dict[int, Any]:
    """Sutton and Barto, 2018, example 6.6: 4 rows of 12, start bottom left, goal bottom right, the cliff between."""

    def lead(row: int, column: int, way: tuple[int, int]) -> tuple[int, float, bool]:
        row, column = min(max(row + way[0], 0), 3), min(max(column + way[1], 0), 11)
        if row == 3 and 0 < column < 11:
            return 36, -100.0, False
        return 12 * row + column, -1.0, (row, column) == (3, 11)

    ways = ((-1, 0), (0, 1), (1, 0), (0, -1))
    return {
        12 * r + c: {a: [(1.0, *lead(r, c, way))] for a, way in enumerate(ways)} for r in range(4) for c in range(12)
    }


def walked(values: Any, world: Any) -> list[int]:
    """The states that the best actions lead through."""
    states, state, over = [36], 36, False
    while not over and len(states) < 50:
        _, state, _, over = world[state][int(values[state].argmax())][0]
        states.append(state)
    return states


def test_on_the_cliff_q_learning_takes_the_edge_and_sarsa_keeps_away_from_it() -> None:
    """Example 6.6: the shortest path is 13 moves along the edge; SARSA's values count its own false steps."""
    world = cliff()
    paths, paid = {}, {}
    for kind, config in LEARNERS:
        settings = config(
            discount=1.0,
            learning_rate=0.1,
            learning_rate_power=0.0,
            epsilon=0.1,
            final_epsilon=0.1,
            steps_per_iteration=1000,
        )
        learner = kind(TableWorld(world, 36, copies=20, longest=500), settings, 0)
        learn(learner, 2)
        paid[kind] = learn(learner, 1)["episode/return"]
        paths[kind] = walked(learner.values, world)
    assert paths[QLearning] == [36, *range(24, 36), 47]
    assert paths[Sarsa][-1] == 47
    assert min(state // 12 for state in paths[Sarsa]) < 2  # not the row along the edge alone
    assert paid[Sarsa] > paid[QLearning]  # while they explore, caution pays


@pytest.mark.parametrize(("kind", "config"), LEARNERS, ids=IDS)
def test_time_that_is_up_is_no_end(kind: Any, config: Any) -> None:
    """One state that pays 1 for ever, cut after 5 steps: worth 1 / (1 − γ) = 5 all the same."""
    learner = kind(
        TableWorld({0: {0: [(1.0, 0, 1.0, False)]}}, longest=5),
        config(discount=0.8, learning_rate=0.5, learning_rate_power=0.0),
        0,
    )
    learn(learner, 1)
    assert learner.values[0, 0] == pytest.approx(5.0, abs=1e-6)


@pytest.mark.parametrize(("kind", "config"), LEARNERS, ids=IDS)
def test_exploration_falls_to_its_end(kind: Any, config: Any) -> None:
    settings = config(epsilon=1.0, final_epsilon=0.2, epsilon_steps=1000, steps_per_iteration=250)
    learner = kind(TableWorld(maze(MAZE)), settings, 0)
    shown = [learner.iterate()["policy/epsilon"] for _ in range(5)]
    assert shown == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.2])
    assert config().epsilon_at(STEPS_UNTOLD) == pytest.approx(config().final_epsilon)


@pytest.mark.parametrize(("kind", "config"), LEARNERS, ids=IDS)
def test_a_run_that_was_saved_and_loaded_goes_on_to_the_bit(kind: Any, config: Any, tmp_path: Path) -> None:
    def begin(seed: int) -> Any:
        return kind(TableWorld(maze(MAZE, slip=0.3), None, copies=3), config(steps_per_iteration=50), seed)

    whole, first = begin(7), begin(7)
    learn(whole, 4)
    learn(first, 2)
    first.save(tmp_path / "checkpoint.pt")
    second = begin(8)
    second.load(tmp_path / "checkpoint.pt")
    learn(second, 2)
    assert second.steps == whole.steps == 600
    assert np.array_equal(second.values, whole.values)


@pytest.mark.parametrize(("kind", "config"), LEARNERS, ids=IDS)
def test_what_is_exported_chooses_as_the_table_does(kind: Any, config: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy

    learner = kind(TableWorld(maze(MAZE), None), config(), 0)
    learn(learner, 2)
    states, actions = learner.values.shape
    policy = OnnxPolicy(learner.export(tmp_path / "policy"), observation_size=states, action_size=actions)
    assert policy.infer_batch(np.eye(states, dtype=np.float32)) == pytest.approx(learner.values, rel=1e-6)


def test_what_is_of_another_learner_or_world_is_refused(refuses: Refuses) -> None:
    sarsa = Sarsa(TableWorld(maze(MAZE)), SarsaConfig(), 0)
    with refuses(ConfigError, "'sarsa'", "'q_learning'"):
        QLearning(TableWorld(maze(MAZE)), QLearningConfig(), 0).load_state_dict(sarsa.state_dict())
    with refuses(ConfigError, "10 × 4", "4 × 4"):
        Sarsa(TableWorld(maze("..\n.G")), SarsaConfig(), 0).load_state_dict(sarsa.state_dict())


def test_a_world_without_states_is_refused(refuses: Refuses) -> None:
    world = TableWorld(maze(MAZE))
    world.n_states = None
    with refuses(ConfigError, "sarsa", "vector of 10 numbers", "dqn"):
        Sarsa(world, SarsaConfig(), 0)


def test_a_reward_that_is_not_finite_ends_it(refuses: Refuses) -> None:
    learner = QLearning(TableWorld({0: {0: [(1.0, 0, float("nan"), False)]}}), QLearningConfig(), 0)
    with refuses(TrainingError, "reward", "step 0"):
        learner.iterate()
    assert learner.values[0, 0] == 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [("epsilon", 1.5), ("final_epsilon", -0.1), ("learning_rate", 0.0), ("discount", 1.1), ("epsilon_steps", -1)],
)
def test_a_setting_out_of_bounds_is_refused(key: str, value: float, refuses: Refuses) -> None:
    with refuses(ConfigError, "q_learning", key, f"{value:g}"):
        QLearningConfig(**{key: value})
