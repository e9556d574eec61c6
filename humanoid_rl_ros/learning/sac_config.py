"""What can be chosen about SAC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.checked_config import ReplayConfig


@dataclass(frozen=True)
class SACConfig(ReplayConfig):
    """Soft actor-critic.

    What it shares with others is in `ReplayConfig`. The entropy of the steps inside an n-step return is left out.

    Attributes:
        policy_delay: updates of the critics for each one of the actor and the temperature.
        actor_learning_rate, critic_learning_rate, temperature_learning_rate: of Adam.
        temperature: α, what a unit of entropy is worth in reward, to begin with.
        tune_temperature: whether α is kept such that the entropy is at its target.
        target_entropy_scale: of the policy over (−1, 1)ᵏ, in units of −k.
        mean_penalty: weight of the policy's squared mean before tanh, summed over the action, in its loss: at the ends
            of its range tanh has no slope, and an actor that went there while the critic knew little stays.
        log_std_low, log_std_high: bounds of the logarithm of the policy's std before tanh.
        actor_hidden, critic_hidden: widths of the hidden layers; the critics' are those of each.
        actor_layer_norm, critic_layer_norm: whether hidden layers are normalised before their activation.
        mirror: whether every transition is replaced by its mirror image half of the time, where the task has a mirror.
    """

    algorithm: ClassVar[str] = "sac"

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
    actor_hidden: tuple[int, ...] = (256, 256)
    critic_hidden: tuple[int, ...] = (256, 256)
    actor_layer_norm: bool = False
    critic_layer_norm: bool = True
    mirror: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_counts("policy_delay")
        self.require_counts("mean_penalty", least=0)
        self.require_positive("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate", "temperature")
        for name in ("target_entropy_scale", "log_std_low", "log_std_high"):
            self.require(name, "a number")
        self.require_network("actor_hidden", "critic_hidden")
        if not self.log_std_low < self.log_std_high:
            raise ConfigError(
                f"sac: 'log_std_low' must be below 'log_std_high', found [{self.log_std_low:g}, {self.log_std_high:g}]"
            )
