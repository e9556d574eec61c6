"""Environments whose best policy is known: small, exact, and with randomness that each robot draws for itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.mirror import Mirroring
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep


class ToyEnv:
    """What the toys share. Robot i of one environment and robot 0 of another that begins at i draw the same numbers.

    Args:
        n_envs: robots.
        first_robot: number of the first.
        episode_steps: after which an episode is cut.
    """

    n_states = n_observed = n_actions = 1
    mirror: BatchMirror | None = None

    def __init__(self, n_envs: int, *, first_robot: int = 0, episode_steps: int = 10) -> None:
        self.n_envs = n_envs
        self.observation_size = self.n_observed
        self.critic_size = self.n_states + 1
        self.action_low, self.action_high = np.full(self.n_actions, -np.inf), np.full(self.n_actions, np.inf)
        self.steps_taken = 0
        self.closed = False
        self._first = first_robot
        self._longest = episode_steps
        self._ended: list[tuple[float, int]] = []

    def reset(self, seed: int) -> BatchObservation:
        self._rng = [np.random.default_rng([seed, self._first + i]) for i in range(self.n_envs)]
        self._age = np.zeros(self.n_envs, dtype=np.int64)
        self._return = np.zeros(self.n_envs)
        self._state = np.zeros((self.n_envs, self.n_states))
        self._begin(np.ones(self.n_envs, dtype=bool))
        return self._observed()

    def step(self, action: Float32Array) -> BatchStep:
        assert action.shape == (self.n_envs, self.n_actions)
        assert action.dtype == np.float32
        self.steps_taken += 1
        reward, terminated = self._advance(action.astype(np.float64))
        self._age += 1
        self._return += reward
        truncated = (self._age >= self._longest) & ~terminated
        final = self._observed()
        ended = terminated | truncated
        self._ended += [(float(self._return[i]), int(self._age[i])) for i in np.flatnonzero(ended)]
        self._begin(ended)
        return BatchStep(self._observed(), reward, terminated, truncated, final)

    def statistics(self) -> dict[str, float]:
        ended, self._ended = self._ended, []
        if not ended:
            return {}
        returns, lengths = zip(*ended, strict=True)
        return {
            "episode/return": float(np.mean(returns)),
            "episode/length": float(np.mean(lengths)),
            "episode/count": float(len(ended)),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": [rng.bit_generator.state for rng in self._rng],
            "age": self._age.copy(),
            "return": self._return.copy(),
            "state": self._state.copy(),
            "ended": list(self._ended),
            "steps_taken": self.steps_taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["state"].shape != self._state.shape:
            raise ConfigError(f"{len(state['state'])} robots, expected {self.n_envs}")
        for rng, saved in zip(self._rng, state["rng"], strict=True):
            rng.bit_generator.state = saved
        self._age, self._return, self._state = state["age"].copy(), state["return"].copy(), state["state"].copy()
        self._ended, self.steps_taken = list(state["ended"]), state["steps_taken"]

    def close(self) -> None:
        self.closed = True

    def _begin(self, which: BoolArray) -> None:
        for i in np.flatnonzero(which):
            self._state[i] = self._rng[i].uniform(-1.0, 1.0, self.n_states)
        self._age[which] = 0
        self._return[which] = 0.0

    def _observed(self) -> BatchObservation:
        critic = np.column_stack([self._state, self._age / self._longest])
        return BatchObservation(self._state[:, : self.n_observed].astype(np.float32), critic.astype(np.float32))

    def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
        raise NotImplementedError


class PointMass(ToyEnv):
    """A mass on a line that is to stand at 0: linear dynamics, quadratic cost, so the best force is −K (x, v).

    Its reward is −(x² + 0.1 v² + 0.1 u²) in every step; left of 0 is the mirror image of right of it.
    """

    n_states = n_observed = 2
    n_actions = 1
    dynamics = np.array([[1.0, 0.2], [0.0, 1.0]])
    force = np.array([[0.02], [0.2]])
    state_cost = np.diag([1.0, 0.1])
    force_cost = np.array([[0.1]])
    mirror = BatchMirror(
        Mirroring(np.arange(2), np.array([-1, -1], dtype=np.float32)),
        Mirroring(np.arange(3), np.array([-1, -1, 1], dtype=np.float32)),
        Mirroring(np.arange(1), np.array([-1], dtype=np.float32)),
    )

    def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
        x = self._state
        cost = np.sum((x @ self.state_cost) * x, axis=1) + np.sum((action @ self.force_cost) * action, axis=1)
        self._state = x @ self.dynamics.T + action @ self.force.T
        return -cost, np.zeros(self.n_envs, dtype=bool)


class Pair(ToyEnv):
    """Two hands, each to be put where its eye says: every step is an episode, and the best action is `targets` of it.

    The right side is the mirror image of the left one.
    """

    n_states = n_observed = n_actions = 2
    gain = np.array([[0.5, -0.3], [-0.3, 0.5]])
    mirror = BatchMirror(
        Mirroring(np.array([1, 0]), np.ones(2, dtype=np.float32)),
        Mirroring(np.array([1, 0, 2]), np.ones(3, dtype=np.float32)),
        Mirroring(np.array([1, 0]), np.ones(2, dtype=np.float32)),
    )

    def targets(self, observation: FloatArray) -> FloatArray:
        """The best actions [Shape (b, 2)]."""
        return observation @ self.gain

    def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
        reward = -np.sum(np.square(action - self.targets(self._state)), axis=1)
        return reward, np.ones(self.n_envs, dtype=bool)


class Cliff(ToyEnv):
    """A walk along a line that ends at ±1 in a fall and after a while by time, so that both ends happen in a batch.

    Each step is worth 1; the place moves by 0.3 times the action.
    """

    n_states = n_observed = n_actions = 1

    def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
        self._state = self._state + 0.3 * action
        return np.ones(self.n_envs), np.abs(self._state[:, 0]) > 1.0
