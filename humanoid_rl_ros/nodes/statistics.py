"""How long things took, in bounded memory."""

from __future__ import annotations

import numpy as np


class Durations:
    """The last `capacity` durations, and the longest of all.

    Args:
        capacity: how many are kept for the percentiles.
    """

    def __init__(self, capacity: int = 65536) -> None:
        self._values = np.full(capacity, 0.0)  # not zeros(): its pages would come one by one, and look like a leak
        self.count = 0
        self._longest = 0.0

    def add(self, milliseconds: float) -> None:
        """One more [ms]."""
        self._values[self.count % len(self._values)] = milliseconds
        self.count += 1
        if milliseconds > self._longest:
            self._longest = milliseconds

    def summary(self) -> dict[str, float]:
        """p50, p99 and max [ms]; zeros when nothing was added."""
        kept = self._values[: min(self.count, len(self._values))]
        if not len(kept):
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        p50, p99 = np.percentile(kept, [50.0, 99.0])
        return {"p50": float(p50), "p99": float(p99), "max": self._longest}
