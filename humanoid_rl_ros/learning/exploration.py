"""How often a learner tries what it does not think best."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.learning.checked_config import CheckedConfig


@dataclass(frozen=True)
class EpsilonGreedy(CheckedConfig):
    """ε, which falls in a straight line from its start to its end, and stays there.

    Attributes:
        epsilon: to begin with.
        final_epsilon: in the end.
        epsilon_steps: environment steps of all robots, after which it is there.
    """

    epsilon: float = 1.0
    final_epsilon: float = 0.05
    epsilon_steps: int = 10_000

    def __post_init__(self) -> None:
        self.require_shares("epsilon", "final_epsilon")
        self.require_counts("epsilon_steps", least=0)

    def epsilon_at(self, steps: int) -> float:
        """ε after so many steps."""
        way = 1.0 if steps >= self.epsilon_steps else steps / self.epsilon_steps
        return self.epsilon + way * (self.final_epsilon - self.epsilon)
