"""A curriculum: levels from 0 to 1 that rise while the robots do well and fall while they do badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean

LEVELS = ("penalties", "commands", "disturbances", "weight")


@dataclass(frozen=True)
class LevelSpec:
    """One level.

    Attributes:
        name: one of `LEVELS`: ``penalties`` scales rewards below zero, ``commands`` leads from the first to the full
            command ranges, ``disturbances`` scales randomisation, noise and pushes, ``weight`` is the share of its
            weight that a robot bears itself; it hangs in a harness that bears the rest.
        start: its first value.
        ramp: control steps from 0 to 1 while it rises.
        length_above: it rises while the mean episode is longer than this share of the longest.
        length_below: it falls while the mean episode is shorter than this share.
        error_below: it rises only while the mean velocity error is smaller than this [m/s]; inf for always.
        standing_above: it rises only while more than this share of the episodes end with the robot standing.
    """

    name: str
    start: float = 1.0
    ramp: float = 2000.0
    length_above: float = 0.7
    length_below: float = 0.3
    error_below: float = float("inf")
    standing_above: float = 0.0


class Curriculum:
    """The levels of a task, as they are now.

    Args:
        specs: the levels that move; the others are 1.
        n_envs: episodes over which means are taken.
    """

    def __init__(self, specs: Sequence[LevelSpec], n_envs: int) -> None:
        self._specs = tuple(specs)
        self._n = n_envs
        self._start = dict.fromkeys(LEVELS, 1.0) | {spec.name: spec.start for spec in specs}
        self.level = dict(self._start)
        self.mean_length = 0.0
        self.mean_error = 1.0
        self.mean_standing = 0.0

    def reset(self) -> None:
        """Back to the start."""
        self.level = dict(self._start)
        self.mean_length, self.mean_error, self.mean_standing = 0.0, 1.0, 0.0

    def update(self, lengths: FloatArray, errors: FloatArray, standing: FloatArray) -> None:
        """One control step went by.

        Args:
            lengths: of the episodes that ended in it, as shares of the longest [Shape (k,)].
            errors: their mean velocity errors [m/s; Shape (k,)].
            standing: 1 for those that ended with the robot standing, 0 for the others [Shape (k,)].
        """
        if lengths.size:
            # An exponential mean over about as many episodes as there are robots.
            weight = min(1.0, len(lengths) / self._n)
            self.mean_length += weight * (float(np.mean(lengths)) - self.mean_length)
            self.mean_error += weight * (float(np.mean(errors)) - self.mean_error)
            self.mean_standing += weight * (float(np.mean(standing)) - self.mean_standing)
        for spec in self._specs:
            step = 0.0
            good = self.mean_length > spec.length_above and self.mean_error < spec.error_below
            if good and self.mean_standing >= spec.standing_above:
                step = 1.0 / spec.ramp
            elif self.mean_length < spec.length_below:
                step = -1.0 / spec.ramp
            self.level[spec.name] = min(1.0, max(spec.start, self.level[spec.name] + step))

    def state_dict(self) -> dict[str, float]:
        """Levels and means."""
        means = {"mean_length": self.mean_length, "mean_error": self.mean_error, "mean_standing": self.mean_standing}
        return {**self.level, **means}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a `state_dict`."""
        self.level = {name: float(state[name]) for name in LEVELS}
        self.mean_length, self.mean_error = float(state["mean_length"]), float(state["mean_error"])
        self.mean_standing = float(state["mean_standing"])


def curriculum_from_section(section: Section) -> tuple[LevelSpec, ...]:
    """Read the ``curriculum`` mapping of a task YAML."""
    specs = []
    for name in section.keys():
        if name not in LEVELS:
            raise ConfigError(f"{section.where}: unknown level '{name}'; {did_you_mean(name, LEVELS)}")
        nested = section.section(name)
        specs.append(
            LevelSpec(
                name,
                start=nested.number("start", 0.0, least=0.0, most=1.0),
                ramp=nested.number("ramp", 2000.0, above=0.0),
                length_above=nested.number("length_above", 0.7, least=0.0, most=1.0),
                length_below=nested.number("length_below", 0.3, least=0.0, most=1.0),
                error_below=nested.number("error_below", float("inf"), above=0.0, infinite=True),
                standing_above=nested.number("standing_above", 0.0, least=0.0, most=1.0),
            )
        )
        nested.finish()
    return tuple(specs)
