"""How near hands come to what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray

REACH_S = 1.5
"""What a hand may take to a new target, and is not scored [s]."""
NEAR_M = 0.05
"""How near a hand must be to count as there [m]."""


@dataclass(frozen=True)
class HandResult:
    """Distances of both hands from their targets, from `REACH_S` after each new one.

    Attributes:
        mean, median: [m]; NaN where nothing was scored.
        near: share within `NEAR_M`.
    """

    mean: float
    median: float
    near: float


def hand_result(distances: FloatArray) -> HandResult:
    """What distances come to [m; any shape]; NaN where nothing is scored."""
    found = distances[np.isfinite(distances)]
    if not found.size:
        return HandResult(float("nan"), float("nan"), 0.0)
    return HandResult(float(found.mean()), float(np.median(found)), float((found < NEAR_M).mean()))
