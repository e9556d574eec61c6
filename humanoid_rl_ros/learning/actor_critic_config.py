"""What can be chosen about learners whose actor climbs what critics say of replayed transitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from humanoid_rl_ros.learning.checked_config import ReplayConfig


@dataclass(frozen=True)
class ActorCriticConfig(ReplayConfig):
    """What SAC and TD3 share, beside what is in `ReplayConfig`.

    Attributes:
        policy_delay: updates of the critics for each one of the actor.
        actor_learning_rate, critic_learning_rate: of Adam.
        mean_penalty: weight of the policy's squared mean before tanh, summed over the action, in its loss: at the ends
            of its range tanh has no slope, and an actor that went there while the critic knew little stays.
        smoothness: weight of the squared difference of the policy's means, in (−1, 1)ᵏ and summed over the action,
            between an observation and the one of the same transition's end (CAPS: Mysore et al., 2021,
            arXiv:2012.06644, equation 2). A penalty of quick actions in the reward has to get past the exploration,
            which is quick itself; this does not.
        smoothness_from: environment steps of all robots after which it counts: a policy that may not be quick does not
            learn to catch itself.
        actor_hidden, critic_hidden: widths of the hidden layers; the critics' are those of each.
        actor_layer_norm, critic_layer_norm: whether hidden layers are normalised before their activation.
        mirror: whether every transition is replaced by its mirror image half of the time, where the task has a mirror.
    """

    policy_delay: int = 1
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    mean_penalty: float = 0.0
    smoothness: float = 0.0
    smoothness_from: int = 0
    actor_hidden: tuple[int, ...] = (256, 256)
    critic_hidden: tuple[int, ...] = (256, 256)
    actor_layer_norm: bool = False
    critic_layer_norm: bool = False
    mirror: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_counts("policy_delay")
        self.require_counts("mean_penalty", "smoothness", "smoothness_from", least=0)
        self.require_positive("actor_learning_rate", "critic_learning_rate")
        self.require_network("actor_hidden", "critic_hidden")

    def shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in, beside the environment's widths."""
        return {
            "actor_hidden": list(self.actor_hidden),
            "critic_hidden": list(self.critic_hidden),
            "activation": self.activation,
            "actor_layer_norm": self.actor_layer_norm,
            "critic_layer_norm": self.critic_layer_norm,
        }

    def actor_penalty(self, mean: Tensor, later: Callable[[], Tensor], steps: int) -> Tensor | float:
        """What the actor's loss has beside the critic.

        Args:
            mean: of the policy before tanh [Shape (b, k)].
            later: that of the observations where the transitions end, asked for where it counts.
            steps: environment steps of all robots so far.
        """
        penalty: Tensor | float = 0.0
        if self.mean_penalty > 0.0:
            penalty = self.mean_penalty * mean.square().sum(-1).mean()
        if self.smoothness > 0.0 and steps >= self.smoothness_from:
            change = torch.tanh(later()) - torch.tanh(mean)
            penalty = penalty + self.smoothness * change.square().sum(-1).mean()
        return penalty
