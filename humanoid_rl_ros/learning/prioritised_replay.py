"""A replay buffer that gives more often what surprised more (Schaul et al., 2016, arXiv:1511.05952)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch, ReplayBuffer
from humanoid_rl_ros.learning.sum_tree import SumTree

LEAST_ERROR = 1e-6
"""Added to every error, so that nothing is never drawn again."""


@dataclass(frozen=True, eq=False)
class PrioritisedBatch:
    """What was drawn.

    Attributes:
        transitions: themselves.
        weight: w_i = (N · P(i))^−β over the largest of them, which undoes that some are drawn more often
            [Shape (b,)].
        places: for `PrioritisedReplay.surprise`.
    """

    transitions: ReplayBatch
    weight: Tensor
    places: IndexArray


class PrioritisedReplay(ReplayBuffer):
    """Draws a transition with P(i) = p_i^α / Σ p_k^α, where p_i = |δ_i| + ε is how wrong its value was (equation 1).

    What is new is drawn as if it had been the greatest surprise so far.

    Args:
        capacity, n_envs, observation_size, critic_size, action_size, n_steps, discount, shared: see `ReplayBuffer`.
        exponent: α; 0 draws evenly.

    Raises:
        ConfigError: the capacity does not hold n steps of every robot.
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        *,
        observation_size: int,
        critic_size: int,
        action_size: int,
        n_steps: int,
        discount: float,
        shared: bool,
        exponent: float,
    ) -> None:
        super().__init__(
            capacity,
            n_envs,
            observation_size=observation_size,
            critic_size=critic_size,
            action_size=action_size,
            n_steps=n_steps,
            discount=discount,
            shared=shared,
        )
        self._exponent = exponent
        self._tree = SumTree(self._rows * n_envs)
        self._greatest = 1.0

    def add(self, observation: BatchObservation, action: Tensor, step: BatchStep) -> None:
        """Take in one step of every robot; see `ReplayBuffer.add`."""
        oldest, full = self._oldest, self._filled == self._rows - 1
        super().add(observation, action, step)
        if full:
            self._tree.put(self._row(oldest), 0.0)
        if self.ready:  # what began n steps ago is whole now
            self._tree.put(self._row((self._oldest + self._filled - self._n_steps) % self._rows), self._greatest)

    def draw(self, size: int, generator: torch.Generator, beta: float) -> PrioritisedBatch:
        """Draw with replacement, one from each of so many equal parts of the sum of all priorities.

        Args:
            size: how many.
            generator: draws.
            beta: β of the weights, 1 to undo the preference wholly.
        """
        total, count = self._tree.total, (self._filled - self._n_steps + 1) * self._n_envs
        lots = torch.rand(size, generator=generator, dtype=torch.float64).numpy()
        places = self._tree.find((np.arange(size) + lots) * (total / size))
        probability = self._tree.values(places) / total
        weight = (count * probability) ** -beta
        rows = torch.from_numpy(places)
        return PrioritisedBatch(
            self.transitions(rows // self._n_envs, rows % self._n_envs),
            torch.from_numpy(weight / weight.max()).float(),
            places,
        )

    def surprise(self, places: IndexArray, error: Tensor) -> None:
        """Say how wrong the values of what was drawn were.

        Args:
            places: of a `PrioritisedBatch`; nothing may have been added since.
            error: δ [Shape (b,)].
        """
        priority = (error.detach().abs().double().numpy() + LEAST_ERROR) ** self._exponent
        self._tree.put(places, priority)
        self._greatest = max(self._greatest, float(priority.max()))

    def state_dict(self) -> dict[str, Any]:
        """What is held, oldest first, and where in the ring the oldest lies; a copy."""
        return {
            **super().state_dict(),
            "priority": self._tree.values(self._held()),
            "greatest": self._greatest,
            "oldest": self._oldest,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold what a buffer held; draws go on as from that one.

        Raises:
            ConfigError: it is of other widths, another number of robots or another capacity, or holds more than there
                is room for.
        """
        super().load_state_dict(state)
        oldest = int(state["oldest"])
        if not 0 <= oldest < self._rows:
            raise ConfigError(f"the saved replay buffer begins in row {oldest}, but there are {self._rows}")
        # Each where it was: the tree, whose order decides what a lot draws, is then the same.
        self._oldest = oldest
        self._seen = {name: seen.roll(oldest, 0) for name, seen in self._seen.items()}
        for name in ("_action", "_reward", "_terminated", "_slot"):
            setattr(self, name, getattr(self, name).roll(oldest, 0))
        self._tree = SumTree(self._rows * self._n_envs)
        if self._filled:
            self._tree.put(self._held(), np.asarray(state["priority"], dtype=np.float64))
        self._greatest = float(state["greatest"])

    def _held(self) -> IndexArray:
        """Places of what is held, oldest first."""
        rows = (self._oldest + np.arange(self._filled)) % self._rows
        return (rows[:, None] * self._n_envs + np.arange(self._n_envs)).ravel()

    def _row(self, row: int) -> IndexArray:
        return row * self._n_envs + np.arange(self._n_envs)
