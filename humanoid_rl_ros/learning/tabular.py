"""What learners with a table of action values have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import ChoiceEnv
from humanoid_rl_ros.learning.exploration import EpsilonGreedy
from humanoid_rl_ros.learning.learner import SteppingLearner, require_own_state
from humanoid_rl_ros.learning.networks import ActorNetwork


@dataclass(frozen=True)
class TabularConfig(EpsilonGreedy):
    """What can be chosen about a learner with a table.

    The step size of a pair of state and action that is updated for the N-th time is α / Nᵖ. With p = 0 it stays, which
    suits a world without chance; with ½ < p ≤ 1 the values converge where there is chance too (Robbins and Monro,
    1951), and the nearer p is to ½ the sooner (Even-Dar and Mansour, 2003).

    Attributes:
        steps_per_iteration: steps of every copy in one `iterate`, with an update after each.
        discount: γ; 1 for a task that surely ends.
        learning_rate: α.
        learning_rate_power: p.
        initial_value: of every pair; above what there is to earn, and everything is tried for its own sake.
    """

    final_epsilon: float = 0.1
    steps_per_iteration: int = 1000
    discount: float = 0.99
    learning_rate: float = 1.0
    learning_rate_power: float = 0.5
    initial_value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_counts("steps_per_iteration")
        self.require_shares("discount", "learning_rate_power")
        self.require("learning_rate", "in (0, 1]", above=0.0, most=1.0)
        self.require("initial_value", "a number")


@dataclass(frozen=True, eq=False)
class TabularStep:
    """One step of every copy.

    Attributes:
        state, action: what was seen and done [Shape (n,)].
        reward: [Shape (n,)].
        next_state: what it led to, the last of the episode where it ended [Shape (n,)].
        next_action: what would be done there next, and is where the episode goes on [Shape (n,)].
        terminated: there is nothing to come [Shape (n,)].
    """

    state: IndexArray
    action: IndexArray
    reward: FloatArray
    next_state: IndexArray
    next_action: IndexArray
    terminated: BoolArray


class TabularLearner(SteppingLearner[TabularStep]):
    """Learns a table of action values by temporal differences, acting ε-greedily.

    Among actions of the same value it takes each equally often.

    Args:
        env: what it learns in: of finitely many states and actions. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.

    Raises:
        ConfigError: the environment's observation is a vector.
    """

    algorithm: ClassVar[str]

    def __init__(self, env: ChoiceEnv, config: TabularConfig, seed: int) -> None:
        super().__init__(env, config.steps_per_iteration)
        if env.n_states is None:
            raise ConfigError(
                f"{self.algorithm} keeps a table of states, but what is seen here is a vector of "
                f"{env.observation_size} numbers; expected an environment of finitely many states, or take dqn"
            )
        self._env, self._config = env, config
        self._rng = np.random.default_rng(seed)
        self._table: FloatArray = np.full((env.n_states, env.n_actions), config.initial_value, dtype=np.float64)
        self._visits = np.zeros(self._table.shape, dtype=np.int64)
        self._steps = 0
        self._state: IndexArray = _states(env.reset(seed).policy)
        self._action = self._choose(self._state)

    @property
    def steps(self) -> int:
        """Environment steps taken, of all copies together."""
        return self._steps

    @property
    def values(self) -> FloatArray:
        """Q, a copy [Shape (n_states, n_actions)]."""
        return self._table.copy()

    @property
    def epsilon(self) -> float:
        """How often it does what comes."""
        return self._config.epsilon_at(self._steps)

    def collect(self) -> TabularStep:
        """One step of every copy.

        Raises:
            TrainingError: a reward is not finite.
        """
        step = self._env.step(self._action)
        if not np.isfinite(step.reward).all():
            raise TrainingError(f"the reward is not finite at step {self._steps}")
        self._steps += self._env.n_envs
        after = _states(step.final.policy)
        then = self._choose(after)
        taken = TabularStep(self._state, self._action, step.reward, after, then, step.terminated)
        ended = step.terminated | step.truncated
        self._state, self._action = after, then
        if ended.any():
            self._state = _states(step.observation.policy)
            self._action = np.where(ended, self._choose(self._state), then)
        return taken

    def update(self, experience: TabularStep) -> dict[str, float]:
        """Move the value of what was done towards what came of it, one copy after the other."""
        e, config, table = experience, self._config, self._table
        error = 0.0
        for i in range(len(e.reward)):
            state, action = e.state[i], e.action[i]
            target = e.reward[i]
            if not e.terminated[i]:
                target += config.discount * self.future(table, int(e.next_state[i]), int(e.next_action[i]))
            self._visits[state, action] += 1
            rate = config.learning_rate
            if config.learning_rate_power:
                rate /= self._visits[state, action] ** config.learning_rate_power
            difference = target - table[state, action]
            table[state, action] += rate * difference
            error += abs(difference)
        return {"value/error": float(error) / len(e.reward)}

    @abstractmethod
    def future(self, table: FloatArray, state: int, action: int) -> float:
        """What is to come from a state in which this action is next."""

    def standing(self) -> dict[str, float]:
        """ε, how much of the table was tried, and the mean value of the best actions in it."""
        tried = self._visits > 0
        best = self._table.max(axis=1)[tried.any(axis=1)]
        return {
            "policy/epsilon": self.epsilon,
            "value/tried": float(tried.mean()),
            **({"value/mean": float(best.mean())} if len(best) else {}),
        }

    def actor(self) -> ActorNetwork:
        """The table as a linear layer: action values of a state that is given one-hot."""
        states, actions = self._table.shape
        layer = nn.Linear(states, actions)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self._table.T))
            layer.bias.zero_()
        return ActorNetwork(nn.Sequential(layer), torch.zeros(states), torch.ones(states), clip=1.0)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "algorithm": self.algorithm,
            "steps": self._steps,
            "table": self._table.copy(),
            "visits": self._visits.copy(),
            "random": self._rng.bit_generator.state,
            "environment": self._env.state_dict(),
            "state": self._state.copy(),
            "action": self._action.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another learner or environment.
        """
        require_own_state(state, self.algorithm)
        try:
            if (found := np.shape(state["table"])) != self._table.shape:
                raise ConfigError(
                    f"the checkpoint has a table of {' × '.join(map(str, found))}, "
                    f"expected {' × '.join(map(str, self._table.shape))}"
                )
            self._env.load_state_dict(state["environment"])
            self._table[:], self._visits[:] = state["table"], state["visits"]
            self._rng.bit_generator.state = state["random"]
            self._state = np.array(state["state"], dtype=np.intp)
            self._action = np.array(state["action"], dtype=np.intp)
            self._steps = int(state["steps"])
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def _choose(self, states: IndexArray) -> IndexArray:
        """ε-greedy."""
        values = self._table[states]
        # The largest, and among equals that with the largest lot.
        lots = self._rng.random(values.shape)
        best = np.where(values == values.max(axis=1, keepdims=True), lots, -1.0).argmax(axis=1)
        anything = self._rng.integers(values.shape[1], size=len(states))
        return np.where(self._rng.random(len(states)) < self.epsilon, anything, best)


def _states(one_hot: Any) -> IndexArray:
    states: IndexArray = one_hot.argmax(axis=1)
    return states
