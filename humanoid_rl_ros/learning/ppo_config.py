"""What can be chosen about PPO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.checked_config import CheckedConfig


@dataclass(frozen=True)
class PPOConfig(CheckedConfig):
    """Proximal policy optimisation.

    Attributes:
        steps_per_iteration: control steps of every robot between two updates.
        epochs: times that an update goes through what was collected.
        minibatches: optimiser steps in an epoch.
        learning_rate: of Adam, to begin with.
        learning_rate_floor, learning_rate_ceiling: between which it is adapted.
        critic_learning_rate: of the critic's Adam, which is not adapted; None for the policy's rate as it is.
        desired_kl: KL divergence between the policy that acted and the new one about which the rate is kept; None to
            leave the rate alone.
        anneal_from, anneal_to: steps between which `desired_kl` falls, evenly in its logarithm, to `final_kl`, and the
            floor of the rate with it, so that the policy comes to rest; the same number for never.
        final_kl: what is desired in the end.
        begin_from: a shipped policy or a bundle folder whose actor is the first one; it may see less than the task
            shows. Empty for weights that are drawn.
        policy_from: steps before which the critic alone learns: one that knows nothing yet would spoil an actor that
            knows something.
        reward_scale: factor on the rewards that are learned from; with it values near 1 can be had, which a critic
            learns sooner. The policy is taught by standardised advantages, which do not change.
        discount: γ, of one control step.
        gae_lambda: λ of the advantages.
        clip: ε of the probability ratio.
        value_clip: how far a value may move in an update; None for any.
        value_coefficient: weight of the value loss.
        entropy_coefficient: weight of the entropy bonus.
        max_gradient_norm: to which the gradients of actor and critic are clipped, each for itself.
        initial_std: of the exploration, in units of the action.
        std_floor: below which the exploration does not fall.
        actor_hidden, critic_hidden: widths of the hidden layers.
        activation: between the layers.
        mirror: whether every sample is replaced by its mirror image half of the time, where the task has a mirror.
        observation_clip: bound of a normalised observation.
        normalise_advantages: whether advantages are brought to mean 0 and std 1.
        overlap: whether the critic learns in a thread of its own, while the policy learns and then acts; the outcome
            is the same.
        shards: blocks of robots that draw their own randomness; N processes of one shard each learn what one process
            of N shards learns.
    """

    algorithm: ClassVar[str] = "ppo"

    steps_per_iteration: int = 24
    epochs: int = 5
    minibatches: int = 4
    learning_rate: float = 1e-3
    learning_rate_floor: float = 2e-4
    learning_rate_ceiling: float = 1e-2
    critic_learning_rate: float | None = None
    desired_kl: float | None = 0.01
    anneal_from: int = 0
    anneal_to: int = 0
    final_kl: float = 0.001
    begin_from: str = ""
    policy_from: int = 0
    reward_scale: float = 1.0
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    value_coefficient: float = 1.0
    entropy_coefficient: float = 0.005
    max_gradient_norm: float = 1.0
    initial_std: float = 0.8
    std_floor: float = 0.0
    actor_hidden: tuple[int, ...] = (256, 128, 128)
    critic_hidden: tuple[int, ...] = (256, 128, 128)
    activation: str = "elu"
    mirror: bool = True
    observation_clip: float = 10.0
    normalise_advantages: bool = True
    overlap: bool = True
    shards: int = 1

    def __post_init__(self) -> None:
        self.require_counts("steps_per_iteration", "epochs", "minibatches", "shards")
        self.require_positive(
            *("learning_rate", "learning_rate_floor", "learning_rate_ceiling", "critic_learning_rate"),
            *("desired_kl", "final_kl", "reward_scale", "clip", "value_clip", "max_gradient_norm"),
            *("initial_std", "observation_clip"),
        )
        self.require_counts("value_coefficient", "entropy_coefficient", "std_floor", "policy_from", least=0)
        self.require_shares("discount", "gae_lambda")
        self.require_network("actor_hidden", "critic_hidden", may_be_empty=True)
        if not self.learning_rate_floor <= self.learning_rate <= self.learning_rate_ceiling:
            raise ConfigError(
                f"ppo: 'learning_rate' must be between its floor and its ceiling, [{self.learning_rate_floor:g}, "
                f"{self.learning_rate_ceiling:g}], found {self.learning_rate:g}"
            )
        if not 0 <= self.anneal_from <= self.anneal_to:
            raise ConfigError(
                f"ppo: 'anneal_to' must be at least 'anneal_from', and that at least 0; found {self.anneal_from} "
                f"to {self.anneal_to}"
            )
        if self.initial_std < self.std_floor:
            raise ConfigError(
                f"ppo: 'initial_std' must be at least 'std_floor', {self.std_floor:g}, found {self.initial_std:g}"
            )

    def kl_at(self, step: int) -> float | None:
        """The divergence that is desired of the update at a step."""
        if self.desired_kl is None or self.anneal_to == self.anneal_from:
            return self.desired_kl
        way = min(1.0, max(0.0, (step - self.anneal_from) / (self.anneal_to - self.anneal_from)))
        return float(self.desired_kl ** (1.0 - way) * self.final_kl**way)
