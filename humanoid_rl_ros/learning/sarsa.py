"""SARSA (Rummery and Niranjan, 1994; Sutton and Barto, 2018, section 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.learning.tabular import TabularConfig, TabularLearner

__all__ = ["Sarsa", "SarsaConfig"]


@dataclass(frozen=True)
class SarsaConfig(TabularConfig):
    """What can be chosen; see `TabularConfig`."""

    algorithm: ClassVar[str] = "sarsa"


class Sarsa(TabularLearner):
    """Learns what the policy earns that acts, its exploration included.

    Q(S, A) ← Q(S, A) + α [R + γ Q(S', A') − Q(S, A)]  (Sutton and Barto, 2018, equation 6.7)
    """

    algorithm = "sarsa"

    def future(self, table: FloatArray, state: int, action: int) -> float:
        """Q(S', A') of the action that is taken there."""
        return float(table[state, action])
