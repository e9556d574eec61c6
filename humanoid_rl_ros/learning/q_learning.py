"""Q-learning (Watkins, 1989; Watkins and Dayan, 1992; Sutton and Barto, 2018, section 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.learning.tabular import TabularConfig, TabularLearner

__all__ = ["QLearning", "QLearningConfig"]


@dataclass(frozen=True)
class QLearningConfig(TabularConfig):
    """What can be chosen; see `TabularConfig`."""

    algorithm: ClassVar[str] = "q_learning"


class QLearning(TabularLearner):
    """Learns what the best policy earns, whatever policy acts meanwhile.

    Q(S, A) ← Q(S, A) + α [R + γ max_a Q(S', a) − Q(S, A)]  (Sutton and Barto, 2018, equation 6.8)
    """

    algorithm = "q_learning"

    def future(self, table: FloatArray, state: int, action: int) -> float:
        """max_a Q(S', a)."""
        return float(table[state].max())
