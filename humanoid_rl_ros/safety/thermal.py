"""How warm each joint is, from the efforts it was sent: a joint that is too warm is given less, never cut off."""

from __future__ import annotations

import math

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.safety.limits import SafetyLimits

LONGEST_HELD_S = 0.1


class ThermalEstimate:
    """One first-order model for each joint, heated by the square of its effort (i²t).

    warmth' = ((effort/continuous effort)² − warmth)/time constant, so that 1 is what a joint may be for ever. Where the
    warmth passes `thermal_derate` the allowed effort falls linearly, to the continuous effort at 1, and nowhere is more
    allowed than takes the warmth to 1 within the longest time for which an effort is held.

    Args:
        robot: effort limits and continuous efforts.
        limits: thresholds.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self._limit = robot.effort_limit
        share = limits.thermal_share * robot.effort_limit
        given = [joint.continuous_effort for joint in robot.joints]
        self._continuous = np.array([s if g is None else g for s, g in zip(share, given, strict=True)])
        self._derate = limits.thermal_derate
        self._time = limits.thermal_time
        self._kept = math.exp(-LONGEST_HELD_S / limits.thermal_time)
        self.warmth: FloatArray = np.zeros(robot.n_joints)

    def reset(self) -> None:
        """As cold as a robot that has just been set up."""
        self.warmth = np.zeros_like(self.warmth)

    def advance(self, effort: FloatArray, seconds: float) -> None:
        """An effort was held for so long.

        Args:
            effort: finite [N·m; Shape (n,)].
            seconds: at least 0 [s].
        """
        rated = effort / self._continuous
        self.warmth = self.warmth - math.expm1(-seconds / self._time) * (rated * rated - self.warmth)

    @property
    def derating(self) -> bool:
        """Whether any joint is given less."""
        return bool((self.warmth > self._derate).any())

    def allowed(self) -> FloatArray:
        """What each joint may give now, between its continuous effort and its limit [N·m; Shape (n,)]."""
        if not self.derating:
            return self._limit
        over = np.clip((self.warmth - self._derate) / (1.0 - self._derate), 0.0, 1.0)
        left = np.maximum((1.0 - self.warmth * self._kept) / (1.0 - self._kept), 1.0)
        derated = self._limit - over * (self._limit - self._continuous)
        return np.asarray(np.minimum(derated, self._continuous * np.sqrt(left)))
