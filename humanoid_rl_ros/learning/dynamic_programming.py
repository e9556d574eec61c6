"""Exact values of a world that is known, to hold a learner's table against.

A world is what Gymnasium's toy-text environments, and the floor of `Navigate-v0`, call ``P``:
``world[state][action]`` is a list of (probability, next state, reward, terminated).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError

World = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]
MOST_SWEEPS = 100_000


@dataclass(frozen=True, eq=False)
class Model:
    """A world as arrays.

    Attributes:
        transition: probability that a state and action lead on to a state; what terminates leads nowhere
            [Shape (S, A, S)].
        reward: expected [Shape (S, A)].
    """

    transition: FloatArray
    reward: FloatArray


def model_of(world: World) -> Model:
    """A world as arrays.

    Raises:
        ConfigError: probabilities do not add up to 1, or states differ in their actions.
    """
    states, actions = len(world), len(world[0])
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions))
    for state in range(states):
        if len(world[state]) != actions:
            raise ConfigError(f"state {state} has {len(world[state])} actions, state 0 has {actions}")
        for action in range(actions):
            total = 0.0
            for probability, after, pay, terminated in world[state][action]:
                total += probability
                reward[state, action] += probability * pay
                if not terminated:
                    transition[state, action, after] += probability
            if abs(total - 1.0) > 1e-9:
                raise ConfigError(f"the probabilities of action {action} in state {state} add up to {total:g}, not 1")
    return Model(transition, reward)


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
    onward = np.einsum("sa,sat->st", policy, model.transition)
    try:
        state_values = np.linalg.solve(
            np.eye(len(onward)) - discount * onward, np.einsum("sa,sa->s", policy, model.reward)
        )
    except np.linalg.LinAlgError:
        raise ConfigError("the policy may go on for ever, so it has no values at a discount of 1") from None
    values: FloatArray = model.reward + discount * model.transition @ state_values
    return values


def _fixed_point(model: Model, discount: float, value: Any, tolerance: float) -> FloatArray:
    q: FloatArray = np.zeros_like(model.reward)
    for _ in range(MOST_SWEEPS):
        after: FloatArray = model.reward + discount * model.transition @ value(q)
        change = float(np.abs(after - q).max())
        q = after
        if change <= tolerance:
            return q
    raise ConfigError(f"the values do not settle in {MOST_SWEEPS} sweeps at a discount of {discount:g}")
