"""The gait clock: phases that tell a walking policy where in its stride it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError

WHEN_STANDING = ("run", "hold", "show", "zero")


@dataclass(frozen=True)
class GaitSpec:
    """A clock of one or several phases in [−π, π) rad that run at one frequency.

    Attributes:
        frequency: strides per second at zero speed [Hz].
        frequency_per_speed: added for each m/s of commanded planar speed [Hz·s/m].
        phases: phase of each leg at reset [rad].
        when_standing: ``run``: the clock goes on. ``hold``: it stands at `standing_phase` and starts over from `phases`
            when walking begins. ``show``: it goes on unseen while the outputs show `standing_phase`. ``zero``: it goes
            on while sine and cosine are both 0.
        standing_phase: [rad].
        stand_threshold: standing is a command whose planar speed [m/s] and turn rate [rad/s] are both below this.
    """

    frequency: float
    frequency_per_speed: float = 0.0
    phases: tuple[float, ...] = (0.0,)
    when_standing: str = "run"
    standing_phase: float = math.pi
    stand_threshold: float = 0.01

    def __post_init__(self) -> None:
        if not self.frequency > 0.0:
            raise ConfigError(f"gait frequency must be above 0 Hz, found {self.frequency:g}")
        if not self.phases:
            raise ConfigError("gait needs at least one phase")
        if self.when_standing not in WHEN_STANDING:
            raise ConfigError(
                f"gait when_standing must be one of {', '.join(WHEN_STANDING)}, found '{self.when_standing}'"
            )


def is_standing(command: FloatArray, threshold: float) -> BoolArray:
    """Whether a command asks to stand still.

    Args:
        command: (linear_x, linear_y, angular_z) [m/s, m/s, rad/s; Shape (..., 3)].
        threshold: both planar speed and turn rate must be below it.

    Returns:
        [Shape (...)].
    """
    return np.asarray((np.hypot(command[..., 0], command[..., 1]) < threshold) & (np.abs(command[..., 2]) < threshold))


class GaitClock:
    """Advances the phases of a `GaitSpec`, for one robot or a batch.

    Args:
        spec: the clock.
        period: time between two calls of `advance` [s].
        batch_shape: leading axes.
    """

    def __init__(self, spec: GaitSpec, period: float, batch_shape: tuple[int, ...] = ()) -> None:
        self.spec = spec
        self._period = period
        self._batch_shape = batch_shape
        self._start = np.asarray(spec.phases, dtype=np.float64)
        self._phase = np.empty((*batch_shape, len(spec.phases)))
        self.reset()

    def reset(self, which: BoolArray | None = None) -> None:
        """Back to the start phases, for all robots or those of a mask [Shape batch_shape]."""
        if which is None:
            self._phase[...] = self._start
        else:
            self._phase[which] = self._start

    @property
    def phase(self) -> FloatArray:
        """The phases [rad; Shape (..., phases)]; setting them, of a `state_dict` say, goes on from there."""
        return self._phase

    @phase.setter
    def phase(self, phase: FloatArray) -> None:
        self._phase = np.array(phase, dtype=np.float64).reshape(self._phase.shape)

    def sine_cosine(self, command: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sine and cosine of every phase as the network sees them now.

        Args:
            command: [Shape (..., 3)].

        Returns:
            Two arrays [Shape (..., phases)].
        """
        phase, gain = self._phase, np.ones((*self._batch_shape, 1))
        standing = is_standing(command, self.spec.stand_threshold)[..., None]
        if self.spec.when_standing in ("show", "hold"):
            phase = np.where(standing, self.spec.standing_phase, phase)
        elif self.spec.when_standing == "zero":
            gain = np.where(standing, 0.0, 1.0)
        return np.sin(phase) * gain, np.cos(phase) * gain

    def advance(self, command: FloatArray) -> None:
        """Go on by one period under this command [Shape (..., 3)]."""
        speed = np.hypot(command[..., 0], command[..., 1])
        frequency = self.spec.frequency + self.spec.frequency_per_speed * speed
        step = np.asarray(2.0 * math.pi * self._period * frequency)[..., None]
        advanced = np.mod(self._phase + step + math.pi, 2.0 * math.pi) - math.pi
        if self.spec.when_standing == "hold":
            standing = is_standing(command, self.spec.stand_threshold)
            # Leaving a stand starts the stride over, so that both legs do not begin in the same phase.
            advanced = np.where(standing[..., None], self._start, advanced)
        self._phase = advanced


def gait_from_section(section: Section) -> GaitSpec:
    """Read the ``gait`` mapping of a policy YAML."""
    if ("period" in section) == ("frequency" in section):
        raise ConfigError(f"{section.where}: give either 'period' [s] or 'frequency' [Hz]")
    frequency = (
        1.0 / section.number("period", above=0.0) if "period" in section else section.number("frequency", above=0.0)
    )
    phases = section.numbers("phases", [0.0])
    spec = GaitSpec(
        frequency=frequency,
        frequency_per_speed=section.number("frequency_per_speed", 0.0),
        phases=tuple(float(p) for p in phases),
        when_standing=section.choice("when_standing", WHEN_STANDING, "run"),
        standing_phase=section.number("standing_phase", math.pi),
        stand_threshold=section.number("stand_threshold", 0.01, least=0.0),
    )
    section.finish()
    return spec
