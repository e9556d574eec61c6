"""Sudden pushes, each robot at times of its own."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.envs.randomisation import RandomisationSpec


class Pushes:
    """Adds horizontal velocity to bases.

    Args:
        spec: how fast and how often.
        n: robots.
        period: of control [s].

    Attributes:
        steps_left: until the next push of each robot [Shape (n,)].
    """

    def __init__(self, spec: RandomisationSpec, n: int, period: float) -> None:
        self._spec, self._period = spec, period
        self.steps_left: IndexArray = np.zeros(n, dtype=np.intp)

    def restart(self, which: IndexArray, rng: np.random.Generator) -> None:
        """Draw anew when some robots are pushed next [Shape (k,)]."""
        if self._spec.push_speed > 0.0:
            wait = rng.uniform(*self._spec.push_period, size=len(which))
            self.steps_left[which] = np.maximum(1, np.round(wait / self._period)).astype(np.intp)

    def apply(self, velocity: FloatArray, level: float, rng: np.random.Generator) -> None:
        """Push whose time has come; call once a step.

        Args:
            velocity: of the bases, changed in place [m/s; world; Shape (n, 3)].
            level: factor on the speed.
            rng: the source of chance.
        """
        if self._spec.push_speed <= 0.0:
            return
        self.steps_left -= 1
        due = np.flatnonzero(self.steps_left <= 0)
        if not due.size:
            return
        angle = rng.uniform(-np.pi, np.pi, due.size)
        # The square root spreads the pushes evenly over a disc.
        speed = level * self._spec.push_speed * np.sqrt(rng.random(due.size))
        velocity[due, 0] += speed * np.cos(angle)
        velocity[due, 1] += speed * np.sin(angle)
        self.restart(due, rng)
