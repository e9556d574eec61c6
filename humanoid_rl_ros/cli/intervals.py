"""Lengths of intervals in bounded memory, for days of them."""

from __future__ import annotations

import math

import numpy as np

SHORTEST_MS = 0.01
LONGEST_MS = 60_000.0
WIDTH = 1.01


class Intervals:
    """A histogram whose bins widen by a hundredth from one to the next: percentiles to 1 %, the longest exactly."""

    def __init__(self) -> None:
        self._bins = np.zeros(2 + math.ceil(math.log(LONGEST_MS / SHORTEST_MS) / math.log(WIDTH)), dtype=np.int64)
        self.count = 0
        self.longest = 0.0

    def add(self, milliseconds: float) -> None:
        """One more [ms]."""
        shown = min(max(milliseconds, SHORTEST_MS), LONGEST_MS)
        self._bins[int(math.log(shown / SHORTEST_MS) / math.log(WIDTH))] += 1
        self.count += 1
        self.longest = max(self.longest, milliseconds)

    def percentile(self, share: float) -> float:
        """The length that so many per cent do not exceed [ms]; 0 of none."""
        if not self.count:
            return 0.0
        bin_ = int(np.searchsorted(np.cumsum(self._bins), share / 100.0 * self.count))
        return min(SHORTEST_MS * WIDTH ** (bin_ + 1), self.longest)

    def above(self, milliseconds: float) -> int:
        """How many were longer, to the width of a bin."""
        shown = min(max(milliseconds, SHORTEST_MS), LONGEST_MS)
        return int(self._bins[int(math.log(shown / SHORTEST_MS) / math.log(WIDTH)) + 1 :].sum())


class Peaks:
    """The highest of each stretch of time; when there are too many stretches, each two become one.

    Args:
        capacity: stretches kept; even.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._each = 1
        self._open: list[tuple[float, float]] = []
        self.points: list[tuple[float, float]] = []

    def add(self, time: float, value: float) -> None:
        """The highest of the shortest stretch there is, which ends at a time [s]."""
        self._open.append((time, value))
        if len(self._open) < self._each:
            return
        self.points.append((self._open[-1][0], max(value for _, value in self._open)))
        self._open = []
        if len(self.points) == self._capacity:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(later, max(first, second)) for (_, first), (later, second) in pairs]
            self._each *= 2
