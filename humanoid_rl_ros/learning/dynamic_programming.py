"""Exact values of a world that is known, to hold a learner's table against.

A world is what Gymnasium's toy-text environments, and the floor of `Navigate-v0`, call ``P``:
``world[state][action]`` is a list of (probability, next state, reward, terminated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError

World = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]
MOST_SWEEPS = 100_000


@dataclass(frozen=True, eq=False)
class Model:
    """A world as arrays: k outcomes of S states times A actions. What terminates leads nowhere and is none.

    Attributes:
        pair: state and action that an outcome is one of, as s A + a [Shape (k,)].
        after: the state it leads to [Shape (k,)].
        probability: of it [Shape (k,)].
        reward: expected [Shape (S, A)].
    """

    pair: IndexArray
    after: IndexArray
    probability: FloatArray
    reward: FloatArray

    def expected(self, values: FloatArray) -> FloatArray:
        """Mean value of the state that each state and action lead to [Shape (S, A)], of all states' [Shape (S,)]."""
        share = self.probability * values[self.after]
        return np.asarray(np.bincount(self.pair, share, self.reward.size), dtype=np.float64).reshape(self.reward.shape)


def model_of(world: World) -> Model:
    """A world as arrays.

    Raises:
        ConfigError: probabilities do not add up to 1, or states differ in their actions.
    """
    states, actions = len(world), len(world[0])
    reward = np.zeros((states, actions))
    onward: list[tuple[int, int, float]] = []
    for state in range(states):
        if len(world[state]) != actions:
            raise ConfigError(f"state {state} has {len(world[state])} actions, state 0 has {actions}")
        for action in range(actions):
            total = 0.0
            for probability, after, pay, terminated in world[state][action]:
                total += probability
                reward[state, action] += probability * pay
                if not terminated:
                    onward.append((state * actions + action, after, probability))
            if abs(total - 1.0) > 1e-9:
                raise ConfigError(f"the probabilities of action {action} in state {state} add up to {total:g}, not 1")
    pair, after_all, chance = np.array(onward, dtype=np.float64).reshape(-1, 3).T
    return Model(pair.astype(np.intp), after_all.astype(np.intp), chance, reward)


def optimal_values(model: Model, discount: float, *, tolerance: float = 1e-12) -> FloatArray:
    """Q* by value iteration (Bellman, 1957; Sutton and Barto, 2018, equation 4.10).

    Args:
        model: the world.
        discount: γ.
        tolerance: largest change of a value in the last sweep.

    Returns:
        [Shape (S, A)].

    Raises:
        ConfigError: the values do not settle: with γ = 1 some policy never ends and earns without bound.
    """
    return _fixed_point(model, discount, lambda values: values.max(axis=1), tolerance)


def epsilon_greedy_values(model: Model, discount: float, epsilon: float, *, tolerance: float = 1e-12) -> FloatArray:
    """Values of the policy that acts ε-greedily by these very values: where SARSA with a fixed ε comes to rest.

    q(s, a) = Σ p(s', r | s, a) [r + γ ((1 − ε) max_a' q(s', a') + ε mean_a' q(s', a'))]

    Args:
        model: the world.
        discount: γ.
        epsilon: ε.
        tolerance: largest change of a value in the last sweep.

    Returns:
        [Shape (S, A)].

    Raises:
        ConfigError: the values do not settle.
    """
    return _fixed_point(
        model, discount, lambda q: (1.0 - epsilon) * q.max(axis=1) + epsilon * q.mean(axis=1), tolerance
    )


def policy_values(model: Model, policy: FloatArray, discount: float) -> FloatArray:
    """Values of a policy, as the solution of its linear equations (Sutton and Barto, 2018, equation 4.4).

    Args:
        model: the world.
        policy: probability of each action in each state [Shape (S, A)].
        discount: γ.

    Returns:
        [Shape (S, A)].

    Raises:
        ConfigError: with γ = 1 the policy may never end, and has no values.
    """
    states, actions = model.reward.shape
    state, action = np.divmod(model.pair, actions)
    onward = np.zeros((states, states))
    np.add.at(onward, (state, model.after), policy[state, action] * model.probability)
    try:
        state_values = np.linalg.solve(np.eye(states) - discount * onward, np.einsum("sa,sa->s", policy, model.reward))
    except np.linalg.LinAlgError:
        raise ConfigError("the policy may go on for ever, so it has no values at a discount of 1") from None
    values: FloatArray = model.reward + discount * model.expected(state_values)
    return values


def _fixed_point(model: Model, discount: float, value: Any, tolerance: float) -> FloatArray:
    q: FloatArray = np.zeros_like(model.reward)
    for _ in range(MOST_SWEEPS):
        after: FloatArray = model.reward + discount * model.expected(value(q))
        change = float(np.abs(after - q).max())
        q = after
        if change <= tolerance:
            return q
    raise ConfigError(f"the values do not settle in {MOST_SWEEPS} sweeps at a discount of {discount:g}")
