"""What can be chosen about SAC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.actor_critic_config import ActorCriticConfig


@dataclass(frozen=True)
class SACConfig(ActorCriticConfig):
    """Soft actor-critic.

    What it shares with others is in `ActorCriticConfig`. The entropy of the steps inside an n-step return is left out.

    Attributes:
        temperature_learning_rate: of Adam; the temperature is updated with the actor.
        temperature: α, what a unit of entropy is worth in reward, to begin with.
        tune_temperature: whether α is kept such that the entropy is at its target.
        target_entropy_scale: of the policy over (−1, 1)ᵏ, in units of −k.
        log_std_low, log_std_high: bounds of the logarithm of the policy's std before tanh.
    """

    algorithm: ClassVar[str] = "sac"

    temperature_learning_rate: float = 3e-4
    temperature: float = 1.0
    tune_temperature: bool = True
    target_entropy_scale: float = 1.0
    log_std_low: float = -20.0
    log_std_high: float = 2.0
    critic_layer_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("temperature_learning_rate", "temperature")
        for name in ("target_entropy_scale", "log_std_low", "log_std_high"):
            self.require(name, "a number")
        if not self.log_std_low < self.log_std_high:
            raise ConfigError(
                f"sac: 'log_std_low' must be below 'log_std_high', found [{self.log_std_low:g}, {self.log_std_high:g}]"
            )
