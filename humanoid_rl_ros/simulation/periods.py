"""How long a state period is, and into how many physics steps it falls."""

from __future__ import annotations

import math
from fractions import Fraction

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.simulation.simulated_body import NS_PER_S

DEFAULT_TIMESTEP = 0.002


class Periods:
    """State periods of a fixed length.

    Args:
        state_rate: states per second [Hz].
        timestep: of the physics, a whole part of the state period; None: the longest such part that is not above
            `DEFAULT_TIMESTEP` [s].

    Attributes:
        substeps: physics steps per state.
        timestep: their length [s].

    Raises:
        ConfigError: the timestep does not divide the state period.
    """

    def __init__(self, state_rate: float, timestep: float | None = None) -> None:
        if not (math.isfinite(state_rate) and state_rate > 0.0):
            raise ConfigError(f"state rate must be finite and above 0 Hz, found {state_rate}")
        self._rate = Fraction(state_rate).limit_denominator(1_000_000)
        self.substeps, self.timestep = _substeps(float(1 / self._rate), timestep)

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""
        return round(NS_PER_S / self._rate)

    def stamp_ns(self, n: int) -> int:
        """Time after n periods [ns]."""
        # Whole numbers only: the sum of ten thousand rounded periods would drift.
        numerator, denominator = self._rate.numerator, self._rate.denominator
        return (n * NS_PER_S * denominator + numerator // 2) // numerator


def _substeps(period: float, timestep: float | None) -> tuple[int, float]:
    """Physics steps per state and their length [s]."""
    if timestep is None:
        # The tolerance keeps a period of 2 ms, which is not exact in binary, at one step.
        steps = math.ceil(period / DEFAULT_TIMESTEP - 1e-9)
        return steps, period / steps
    if not (math.isfinite(timestep) and timestep > 0.0):
        raise ConfigError(f"physics timestep must be finite and above 0 s, found {timestep}")
    steps = round(period / timestep)
    if steps < 1 or not math.isclose(steps * timestep, period, rel_tol=1e-9):
        raise ConfigError(f"physics timestep {timestep:g} s does not divide the state period {period:g} s")
    return steps, period / steps
