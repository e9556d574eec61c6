"""What can be chosen about SAC."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.networks import ACTIVATIONS


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic.

    Attributes:
        steps_per_iteration: control steps of every robot in one `iterate`.
        updates_per_step: optimiser steps of the critics after each of them.
        batch_size: transitions in an optimiser step.
        buffer_size: transitions kept, of all robots together.
        learning_starts: environment steps of all robots with actions drawn evenly, before the first update.
        n_steps: rewards in a return before the critic takes over; the entropy of the steps in between is left out.
        discount: γ, of one control step.
        target_rate: ρ of the target critics: target ← target + ρ (critic − target) after each update.
        policy_delay: updates of the critics for each one of the actor and the temperature.
        actor_learning_rate, critic_learning_rate, temperature_learning_rate: of Adam.
        temperature: α, what a unit of entropy is worth in reward, to begin with.
        tune_temperature: whether α is kept such that the entropy is at its target.
        target_entropy_scale: of the policy over (−1, 1)ᵏ, in units of −k.
        mean_penalty: weight of the policy's squared mean before tanh, summed over the action, in its loss: at the ends
            of its range tanh has no slope, and an actor that went there while the critic knew little stays.
        log_std_low, log_std_high: bounds of the logarithm of the policy's std before tanh.
        max_gradient_norm: to which the gradients of actor and critics are clipped, each for itself; None for never.
        actor_hidden, critic_hidden: widths of the hidden layers; the critics' are those of each.
        activation: between the layers.
        actor_layer_norm, critic_layer_norm: whether hidden layers are normalised before their activation.
        mirror: whether every transition is replaced by its mirror image half of the time, where the task has a mirror.
        normalise_observations: whether observations are brought to mean 0 and std 1.
        observation_clip: bound of what the networks see, normalised or not.
    """

    steps_per_iteration: int = 64
    updates_per_step: int = 1
    batch_size: int = 256
    buffer_size: int = 1_000_000
    learning_starts: int = 5_000
    n_steps: int = 1
    discount: float = 0.99
    target_rate: float = 0.005
    policy_delay: int = 1
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    temperature_learning_rate: float = 3e-4
    temperature: float = 1.0
    tune_temperature: bool = True
    target_entropy_scale: float = 1.0
    mean_penalty: float = 0.0
    log_std_low: float = -20.0
    log_std_high: float = 2.0
    max_gradient_norm: float | None = None
    actor_hidden: tuple[int, ...] = (256, 256)
    critic_hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    actor_layer_norm: bool = False
    critic_layer_norm: bool = True
    mirror: bool = True
    normalise_observations: bool = True
    observation_clip: float = 10.0

    def __post_init__(self) -> None:
        for name in (
            *("steps_per_iteration", "updates_per_step", "batch_size", "buffer_size", "n_steps", "policy_delay"),
        ):
            self._require(name, "at least 1", least=1)
        for name in ("learning_starts", "mean_penalty"):
            self._require(name, "at least 0", least=0)
        for name in (
            *("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate", "temperature"),
            *("max_gradient_norm", "observation_clip"),
        ):
            self._require(name, "above 0", above=0.0)
        # At 1 the soft value of a task without end has no bound.
        self._require("discount", "in [0, 1)", least=0.0, below=1.0)
        self._require("target_rate", "in (0, 1]", above=0.0, most=1.0)
        for name in ("target_entropy_scale", "log_std_low", "log_std_high"):
            self._require(name, "a number")
        for name in ("actor_hidden", "critic_hidden"):
            if not getattr(self, name) or any(width < 1 for width in getattr(self, name)):
                raise ConfigError(f"sac: '{name}' must be widths of at least 1, found {list(getattr(self, name))}")
        if self.activation not in ACTIVATIONS:
            raise ConfigError(f"sac: 'activation' must be one of {', '.join(ACTIVATIONS)}, found '{self.activation}'")
        if not self.log_std_low < self.log_std_high:
            raise ConfigError(
                f"sac: 'log_std_low' must be below 'log_std_high', found [{self.log_std_low:g}, {self.log_std_high:g}]"
            )

    def _require(
        self,
        name: str,
        expected: str,
        *,
        least: float = -math.inf,
        above: float = -math.inf,
        most: float = math.inf,
        below: float = math.inf,
    ) -> None:
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and least <= value <= most and above < value < below):
            raise ConfigError(f"sac: '{name}' must be {expected}, found {value:g}")
