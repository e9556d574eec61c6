"""Transitions as they look in the mirror of a task."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.mirror import Mirroring
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchMirror
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch


class MirrorImage:
    """One vector in the mirror.

    Args:
        mirroring: of vectors of this kind.
    """

    def __init__(self, mirroring: Mirroring) -> None:
        self._index = torch.tensor(mirroring.index, dtype=torch.long)
        self._sign = torch.tensor(mirroring.sign, dtype=torch.float32)

    def of(self, values: Tensor) -> Tensor:
        """The images [Shape (..., k)]."""
        return values[..., self._index] * self._sign

    def merge(self, normaliser: RunningNormaliser, mean: Tensor, var: Tensor, count: float) -> None:
        """Take the images of a batch into the statistics, of which these are the batch's own."""
        normaliser.merge(self.of(mean), var[self._index], count)


class TransitionMirror:
    """Mirrors transitions whose actions are in units of half the range between their bounds.

    Args:
        mirror: of the task.
        env: whose bounds they are.

    Raises:
        ConfigError: the bounds of an action are not those of its image.
    """

    def __init__(self, mirror: BatchMirror, env: BatchEnv) -> None:
        low, high = env.action_low[mirror.action.index], env.action_high[mirror.action.index]
        flipped = mirror.action.sign < 0.0
        if not (
            np.allclose(np.where(flipped, -high, low), env.action_low)
            and np.allclose(np.where(flipped, -low, high), env.action_high)
        ):
            raise ConfigError("sac: the bounds of the action change in the mirror; set 'mirror' to false")
        self.policy, self.critic, self._action = map(MirrorImage, (mirror.policy, mirror.critic, mirror.action))

    def flip(self, batch: ReplayBatch, generator: torch.Generator) -> ReplayBatch:
        """Each transition with probability ½ in the mirror."""
        chosen = torch.rand(len(batch.reward), 1, generator=generator) < 0.5

        def some(values: Tensor, image: MirrorImage) -> Tensor:
            return torch.where(chosen, image.of(values), values)

        return ReplayBatch(
            observation=some(batch.observation, self.policy),
            critic=some(batch.critic, self.critic),
            action=some(batch.action, self._action),
            reward=batch.reward,
            next_observation=some(batch.next_observation, self.policy),
            next_critic=some(batch.next_critic, self.critic),
            discount=batch.discount,
        )
