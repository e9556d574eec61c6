"""Intervals in which a mean or a share lies with 95 % confidence."""

from __future__ import annotations

import math

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray

Interval = tuple[float, float]
_Z = 1.959964  # of 95 %, two-sided
_RESAMPLES = 4000


def share_interval(hits: int, n: int) -> Interval:
    """Of the probability of which n trials gave so many hits (Wilson, 1927); (0, 1) of none."""
    if n < 1:
        return 0.0, 1.0
    share, z2 = hits / n, _Z * _Z
    centre = (share + 0.5 * z2 / n) / (1.0 + z2 / n)
    half = _Z * math.sqrt(share * (1.0 - share) / n + 0.25 * z2 / n**2) / (1.0 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: FloatArray, rng: np.random.Generator) -> Interval:
    """Of a mean, by the bootstrap's percentiles (Efron, 1979); NaN of nothing.

    Args:
        values: one of each trial, independent of each other [Shape (n,)].
        rng: draws the resamples.
    """
    if not values.size:
        return math.nan, math.nan
    means = values[rng.integers(0, values.size, (_RESAMPLES, values.size))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
