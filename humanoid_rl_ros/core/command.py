"""What a policy may be asked: ranges, dead band and slew of the velocity command."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.state import VelocityCommand

AXES = ("linear_x", "linear_y", "angular_z")
UNLIMITED = (-math.inf, math.inf)


@dataclass(frozen=True)
class CommandSpec:
    """The commands a policy was trained on.

    Attributes:
        linear_x, linear_y: ranges [m/s].
        angular_z: range [rad/s].
        dead_band: commands smaller than this on every axis become zero [m/s, rad/s].
        slew_rate: largest change per second, for each axis [m/s², m/s², rad/s²]; inf for none.
    """

    linear_x: tuple[float, float] = UNLIMITED
    linear_y: tuple[float, float] = UNLIMITED
    angular_z: tuple[float, float] = UNLIMITED
    dead_band: float = 0.0
    slew_rate: tuple[float, float, float] = (math.inf, math.inf, math.inf)

    def __post_init__(self) -> None:
        for axis in AXES:
            low, high = getattr(self, axis)
            if not low <= high:
                raise ConfigError(f"command range of {axis} contradicts itself: [{low:g}, {high:g}]")
        if min(self.slew_rate) <= 0.0:
            raise ConfigError("command slew_rate must be above 0")


class CommandFilter:
    """Brings commands into a `CommandSpec`.

    Args:
        spec: ranges, dead band, slew.
        period: time between two calls of `apply` [s].
    """

    def __init__(self, spec: CommandSpec, period: float) -> None:
        self._ranges = (spec.linear_x, spec.linear_y, spec.angular_z)
        self._dead_band = spec.dead_band
        self._steps = tuple(rate * period for rate in spec.slew_rate)
        self._current: tuple[float, ...] | None = None

    def reset(self) -> None:
        """The next command is taken as it is, without slew."""
        self._current = None

    def apply(self, command: VelocityCommand) -> FloatArray:
        """The command the policy sees in this control step.

        Args:
            command: what was asked; not-finite axes count as zero.

        Returns:
            (linear_x, linear_y, angular_z) [Shape (3,)].
        """
        # Three plain numbers: array arithmetic on them costs more than the rest of the step.
        asked = [
            min(max(value if math.isfinite(value) else 0.0, low), high)
            for value, (low, high) in zip(
                (command.linear_x, command.linear_y, command.angular_z), self._ranges, strict=True
            )
        ]
        if all(abs(value) < self._dead_band for value in asked):
            asked = [min(max(0.0, low), high) for low, high in self._ranges]
        if self._current is not None:
            asked = [
                before + min(max(value - before, -step), step) if math.isfinite(step) else value
                for value, before, step in zip(asked, self._current, self._steps, strict=True)
            ]
        self._current = tuple(asked)
        return np.array(asked)


def command_from_section(section: Section) -> CommandSpec:
    """Read the ``command`` mapping of a policy YAML."""
    ranges = {}
    for axis in AXES:
        low, high = section.numbers(axis, UNLIMITED, length=2, infinite=True)
        ranges[axis] = (float(low), float(high))
    slew = section.numbers("slew_rate", [math.inf] * 3, length=3, infinite=True)
    spec = CommandSpec(
        **ranges,
        dead_band=section.number("dead_band", 0.0, least=0.0),
        slew_rate=(float(slew[0]), float(slew[1]), float(slew[2])),
    )
    section.finish()
    return spec
