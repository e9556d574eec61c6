"""Hand targets that episodes are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import EVERYONE, FloatArray, IndexArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.hand_targets import (
    SIZE,
    HandTargetBounds,
    HandTargetFilter,
    HandTargetSpec,
    hand_targets_from_section,
)

# Points drawn for each hand; of those that the arm reaches the first is taken, and of 16 hardly ever none.
_TRIES = 16


@dataclass(frozen=True)
class HandTargetSampling:
    """How hand targets are drawn.

    Attributes:
        full: ranges and speed once the curriculum is through.
        period: time after which a pair of targets is replaced, drawn between these two [s].
        neutral_share: share of the pairs that are the neutral ones, at which a robot stands that is asked for nothing.
    """

    full: HandTargetSpec
    period: tuple[float, float] = (2.0, 4.0)
    neutral_share: float = 0.0


class HandTargets:
    """The hand targets of n robots: drawn, held, replaced.

    Args:
        sampling: how they are drawn.
        n: robots.
        control_period: [s].

    Attributes:
        goal: what is asked [m; Shape (n, 2, 3)].
        steps_left: until it is replaced [Shape (n,)].
        held: whether it stays until it is given anew by `hold`.
    """

    def __init__(self, sampling: HandTargetSampling, n: int, control_period: float) -> None:
        self._sampling, self._period, self._n = sampling, control_period, n
        self._bounds = HandTargetBounds(sampling.full)
        self._filter = HandTargetFilter(sampling.full, control_period, (n,))
        self.goal: FloatArray = self._filter.current.copy()
        self.steps_left: IndexArray = np.zeros(n, dtype=np.intp)
        self.held = False

    @property
    def asked(self) -> FloatArray:
        """What is asked, within the ranges: where the targets will be [m; Shape (n, 2, 3)]."""
        return self._filter.goal(self.goal)

    @property
    def current(self) -> FloatArray:
        """The targets of this control step, on their way to what is asked [m; Shape (n, 2, 3)]."""
        return self._filter.current

    @property
    def seen(self) -> FloatArray:
        """The same as an observation has it [m; Shape (n, 6)]."""
        return self._filter.current.reshape(self._n, SIZE)

    def hold(self, targets: FloatArray) -> None:
        """Ask every robot for these until it is asked for others.

        Args:
            targets: [m; Shape (n, 2, 3) or (2, 3)].

        Raises:
            ConfigError: they have another shape, or are not finite.
        """
        targets = np.asarray(targets, dtype=np.float64)
        if targets.shape not in ((2, 3), (self._n, 2, 3)) or not np.isfinite(targets).all():
            raise ConfigError(
                f"hand targets are 3 finite numbers for each of 2 hands, or so for each of {self._n} robots; "
                f"found shape {targets.shape}"
            )
        self.goal[...] = targets
        self.held = True

    def draw(self, which: IndexArray, level: float, rng: np.random.Generator) -> None:
        """Ask some robots for something new, unless what they are asked for is held.

        Args:
            which: rows [Shape (k,)].
            level: 0 for the neutral targets, 1 for all of the ranges.
            rng: the source of chance.
        """
        if self.held:
            return
        k, neutral = len(which), self._sampling.full.neutral
        wait = rng.uniform(*self._sampling.period, size=k)
        levels = np.where(rng.random(k) < self._sampling.neutral_share, 0.0, level)[:, None, None]
        self.goal[which] = neutral + levels * (self.drawn(k, rng) - neutral)
        self.steps_left[which] = np.maximum(1, np.round(wait / self._period)).astype(np.intp)

    def drawn(self, k: int, rng: np.random.Generator) -> FloatArray:
        """Targets drawn evenly from what both arms reach [m; Shape (k, 2, 3)]."""
        low, high = self._bounds.low, self._bounds.high
        tries = low + rng.random((_TRIES, k, 2, 3)) * (high - low)
        first = self._bounds.contain(tries).argmax(axis=0)
        rows, hands = np.indices(first.shape)
        return self._bounds.clamp(tries[first, rows, hands])

    def start(self, which: IndexArray) -> None:
        """Robots start anew: their targets leave from the neutral ones."""
        self._filter.reset(which)
        self.advance(which)

    def advance(self, rows: IndexArray | slice = EVERYONE) -> None:
        """One control step goes by for some robots, all by default."""
        self._filter.apply(self.goal[rows], rows)

    def tick(self) -> IndexArray:
        """One control step went by; the rows whose targets are due."""
        self.steps_left -= 1
        return np.flatnonzero(self.steps_left <= 0)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "goal": self.goal.copy(),
            "current": self.current.copy(),
            "steps_left": self.steps_left.copy(),
            "held": self.held,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.goal[...], self.current[...] = state["goal"], state["current"]
        self.steps_left[...], self.held = state["steps_left"], bool(state["held"])


def hand_sampling_from_section(section: Section) -> HandTargetSampling:
    """Read the ``hand_targets`` mapping of a task YAML."""
    full = hand_targets_from_section(section)
    period = section.numbers("period", [2.0, 4.0], length=2)
    share = section.number("neutral_share", 0.0, least=0.0, most=1.0)
    section.finish()
    if not 0.0 < period[0] <= period[1]:
        raise ConfigError(f"{section.where}: 'period' must be two times above 0, the longer last")
    return HandTargetSampling(full, (float(period[0]), float(period[1])), share)
