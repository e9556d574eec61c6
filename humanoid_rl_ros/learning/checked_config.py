"""Numbers of a learner's configuration, held to what they can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.networks import ACTIVATIONS


class CheckedConfig:
    """A configuration whose values are checked one by one, each with a message that names it."""

    algorithm: ClassVar[str]

    def require(
        self,
        name: str,
        expected: str,
        *,
        least: float = -math.inf,
        above: float = -math.inf,
        most: float = math.inf,
        below: float = math.inf,
    ) -> None:
        """Refuse a number out of bounds; None passes.

        Raises:
            ConfigError: it is, or it is not finite.
        """
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and least <= value <= most and above < value < below):
            raise ConfigError(f"{self.algorithm}: '{name}' must be {expected}, found {value:g}")

    def require_counts(self, *names: str, least: int = 1) -> None:
        """Refuse numbers below the least.

        Raises:
            ConfigError: one is.
        """
        for name in names:
            self.require(name, f"at least {least}", least=least)

    def require_positive(self, *names: str) -> None:
        """Refuse numbers that are not above 0.

        Raises:
            ConfigError: one is not.
        """
        for name in names:
            self.require(name, "above 0", above=0.0)

    def require_shares(self, *names: str) -> None:
        """Refuse numbers that are not in [0, 1].

        Raises:
            ConfigError: one is not.
        """
        for name in names:
            self.require(name, "in [0, 1]", least=0.0, most=1.0)

    def require_network(self, *names: str, may_be_empty: bool = False) -> None:
        """Refuse widths and an activation of which there is no network.

        Args:
            *names: of the widths.
            may_be_empty: a network without hidden layers is one.

        Raises:
            ConfigError: there is none.
        """
        for name in names:
            widths = getattr(self, name)
            if not (widths or may_be_empty) or any(width < 1 for width in widths):
                raise ConfigError(f"{self.algorithm}: '{name}' must be widths of at least 1, found {list(widths)}")
        activation = getattr(self, "activation", None)
        if activation not in ACTIVATIONS:
            raise ConfigError(
                f"{self.algorithm}: 'activation' must be one of {', '.join(ACTIVATIONS)}, found '{activation}'"
            )


@dataclass(frozen=True)
class ReplayConfig(CheckedConfig):
    """What can be chosen about every learner that draws from a replay buffer.

    Attributes:
        steps_per_iteration: control steps of every robot in one `iterate`.
        updates_per_step: optimiser steps of the critics after each of them.
        batch_size: transitions in an optimiser step.
        buffer_size: transitions kept, of all robots together.
        learning_starts: environment steps of all robots with actions drawn evenly, before the first update.
        n_steps: rewards in a return before the critic takes over.
        discount: γ, of one control step.
        target_rate: ρ of the target critics: target ← target + ρ (critic − target) after each update.
        max_gradient_norm: to which the gradients of actor and critics are clipped, each for itself; None for never.
        activation: between the layers.
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
    max_gradient_norm: float | None = None
    activation: str = "relu"
    normalise_observations: bool = True
    observation_clip: float = 10.0

    may_be_undiscounted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.require_counts("steps_per_iteration", "updates_per_step", "batch_size", "buffer_size", "n_steps")
        self.require_counts("learning_starts", least=0)
        self.require_positive("max_gradient_norm", "observation_clip")
        if self.may_be_undiscounted:
            self.require_shares("discount")
        else:  # at 1 the value of a task without end has no bound
            self.require("discount", "in [0, 1)", least=0.0, below=1.0)
        self.require("target_rate", "in (0, 1]", above=0.0, most=1.0)
