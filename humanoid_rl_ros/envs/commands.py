"""Velocity commands that episodes are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError


@dataclass(frozen=True)
class CommandSampling:
    """How commands are drawn.

    Attributes:
        full: ranges once the curriculum is through.
        first: ranges at its beginning.
        period: time after which a command is replaced, drawn between these two [s].
        standing_share: share of commands that ask to stand.
        single_axis_share: share of the others that move along one axis alone.
        dead_band: components below this become zero, so that no command is too slow to be walked [m/s, rad/s].
        averaging: time constant of the mean velocity that commands are compared with; 0 for none [s].
    """

    full: CommandSpec
    first: CommandSpec
    period: tuple[float, float] = (5.0, 10.0)
    standing_share: float = 0.15
    single_axis_share: float = 0.4
    dead_band: float = 0.1
    averaging: float = 0.0


class CommandSampler:
    """Draws commands and tells when they are due to be replaced.

    Args:
        sampling: how.
        n: robots.
        control_period: [s].
    """

    def __init__(self, sampling: CommandSampling, n: int, control_period: float) -> None:
        self._sampling = sampling
        self._full, self._first = _ranges(sampling.full), _ranges(sampling.first)
        self._period = control_period
        self.command: FloatArray = np.zeros((n, 3))
        self.steps_left: IndexArray = np.zeros(n, dtype=np.intp)

    def draw(self, which: IndexArray, level: float, rng: np.random.Generator) -> None:
        """Give some robots new commands.

        Args:
            which: rows [Shape (k,)].
            level: 0 for the first ranges, 1 for the full ones.
            rng: the source of chance.
        """
        k = len(which)
        ranges = self._first + level * (self._full - self._first)
        uniform, kind, axis = rng.random((k, 3)), rng.random((k, 2)), rng.integers(0, 3, k)
        wait = rng.uniform(*self._sampling.period, size=k)
        command = ranges[:, 0] + uniform * (ranges[:, 1] - ranges[:, 0])
        command[np.abs(command) < self._sampling.dead_band] = 0.0
        # One axis alone, unless nothing is asked of it: standing has a share of its own.
        single = (kind[:, 1] < self._sampling.single_axis_share) & (command[np.arange(k), axis] != 0.0)
        command[single] *= np.eye(3)[axis[single]]
        command[kind[:, 0] < self._sampling.standing_share] = 0.0
        self.command[which] = command
        self.steps_left[which] = np.maximum(1, np.round(wait / self._period)).astype(np.intp)

    def tick(self) -> IndexArray:
        """One control step went by; the rows whose command is due."""
        self.steps_left -= 1
        return np.flatnonzero(self.steps_left <= 0)


def _ranges(spec: CommandSpec) -> FloatArray:
    return np.array([getattr(spec, axis) for axis in AXES])


def sampling_from_section(section: Section) -> CommandSampling:
    """Read the ``commands`` mapping of a task YAML."""

    def ranges(nested: Section) -> CommandSpec:
        x, y, yaw = ((float(low), float(high)) for low, high in (nested.numbers(a, [0.0, 0.0], length=2) for a in AXES))
        nested.finish()
        return CommandSpec(x, y, yaw)

    full = ranges(section.section("ranges", {}))
    period = section.numbers("period", [5.0, 10.0], length=2)
    if not 0.0 < period[0] <= period[1]:
        raise ConfigError(f"{section.where}: 'period' must be two times above 0, the longer last")
    sampling = CommandSampling(
        full=full,
        first=ranges(section.section("first")) if "first" in section else full,
        period=(float(period[0]), float(period[1])),
        standing_share=section.number("standing_share", 0.0, least=0.0, most=1.0),
        single_axis_share=section.number("single_axis_share", 0.0, least=0.0, most=1.0),
        dead_band=section.number("dead_band", 0.0, least=0.0),
        averaging=section.number("averaging", 0.0, least=0.0),
    )
    section.finish()
    return sampling
