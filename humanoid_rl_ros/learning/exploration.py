"""How often a learner tries what it does not think best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from humanoid_rl_ros.learning.checked_config import CheckedConfig

Config = TypeVar("Config", bound="EpsilonGreedy")
STEPS_UNTOLD = 10_000


@dataclass(frozen=True)
class EpsilonGreedy(CheckedConfig):
    """ε, which falls in a straight line from its start to its end, and stays there.

    Attributes:
        epsilon: to begin with.
        final_epsilon: in the end.
        epsilon_steps: environment steps of all robots, after which it is there; None where `for_run` is to say it, and
            `STEPS_UNTOLD` where nobody does.
        epsilon_share: of the steps of a run, where `epsilon_steps` are not said.
    """

    epsilon: float = 1.0
    final_epsilon: float = 0.05
    epsilon_steps: int | None = None
    epsilon_share: float = 0.5

    of_run: ClassVar[tuple[str, ...]] = ("epsilon_steps",)
    """What is None until `for_run` says it."""

    def __post_init__(self) -> None:
        self.require_shares("epsilon", "final_epsilon", "epsilon_share")
        self.require_counts("epsilon_steps", least=0)

    def for_run(self: Config, steps: int) -> Config:
        """The same for a run of so many environment steps: what is None in it is said."""
        if self.epsilon_steps is not None:
            return self
        return replace(self, epsilon_steps=round(self.epsilon_share * steps))

    def epsilon_at(self, steps: int) -> float:
        """ε after so many steps."""
        there = STEPS_UNTOLD if self.epsilon_steps is None else self.epsilon_steps
        way = 1.0 if steps >= there else steps / there
        return self.epsilon + way * (self.final_epsilon - self.epsilon)
