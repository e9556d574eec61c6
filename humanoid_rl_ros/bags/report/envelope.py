"""Long series made short enough to draw: the least and the largest value of each moment, so that no peak is lost."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray

_PAUSE = 8.0
"""Usual steps from which on a line is broken: nothing was recorded there."""
_LEAST_PAUSE_S = 0.05


def envelope(time: FloatArray, values: FloatArray | Float32Array, buckets: int) -> list[tuple[FloatArray, FloatArray]]:
    """A line through the least and the largest value of each bucket.

    Args:
        time: [s; Shape (n,)].
        values: [Shape (n,)]; NaN is left out.
        buckets: moments that the whole is divided into; a series with fewer values than two for each is kept as it is.

    Returns:
        Times and values of each unbroken piece.
    """
    sound = np.isfinite(values) & np.isfinite(time)
    time, values = np.asarray(time[sound], dtype=np.float64), np.asarray(values[sound], dtype=np.float64)
    if not len(time):
        return []
    if np.any(np.diff(time) < 0.0):
        order = np.argsort(time, kind="stable")
        time, values = time[order], values[order]
    steps = np.diff(time)
    usual = float(np.median(steps)) if len(steps) else 0.0
    breaks = np.flatnonzero(steps > max(_PAUSE * usual, _LEAST_PAUSE_S)) + 1
    span = max(float(time[-1] - time[0]), 1e-9)
    pieces = []
    for t, v in zip(np.split(time, breaks), np.split(values, breaks), strict=True):
        share = max(1, round(buckets * float(t[-1] - t[0]) / span))
        pieces.append((t, v) if len(time) <= 2 * buckets else _squeezed(t, v, share))
    return pieces


def _squeezed(time: FloatArray, values: FloatArray, buckets: int) -> tuple[FloatArray, FloatArray]:
    if len(time) <= 2 * buckets:
        return time, values
    edges = np.linspace(time[0], time[-1], buckets + 1)[:-1]
    starts = np.unique(np.searchsorted(time, edges))
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    # Up in one bucket and down in the next: no line has to cross from the top of one to the bottom of the next.
    up = np.arange(len(starts)) % 2 == 0
    first, second = np.where(up, low, high), np.where(up, high, low)
    ends = np.append(starts[1:], len(time)) - 1
    return np.column_stack((time[starts], time[ends])).ravel(), np.column_stack((first, second)).ravel()


def steps(time: FloatArray, values: FloatArray, end: float) -> tuple[FloatArray, FloatArray]:
    """A line that keeps each value until the next one comes.

    Args:
        time: [s; Shape (n,)].
        values: [Shape (n,)].
        end: until when the last one is kept [s].
    """
    if not len(time):
        return time, values
    changed = np.concatenate([[True], np.diff(values) != 0.0])
    time, values = time[changed], values[changed]
    times = np.repeat(np.append(time, max(end, float(time[-1]))), 2)[1:-1]
    return times, np.repeat(values, 2)
