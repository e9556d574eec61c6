"""How many steps are due by the wall clock."""

from __future__ import annotations

LARGEST_CATCH_UP_S = 0.02
"""Simulated time that is made good at once, with one effort for all of it, when the machine had no time for a while."""


class Pacer:
    """Steps as the wall clock says; where the machine cannot keep up, simulated time falls behind rather than bursts.

    Args:
        rate: steps per second [Hz].

    Attributes:
        late: steps that were never made good.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._largest = max(1, round(rate * LARGEST_CATCH_UP_S))
        self.late = 0
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Steps are counted from now on [ns]."""
        self._origin_ns = now_ns
        self._done = 0

    def due(self, now_ns: int) -> int:
        """Steps to make now [ns]."""
        due = int((now_ns - self._origin_ns) * 1e-9 * self._rate) - self._done
        if due > self._largest:
            self.late += due - self._largest
            self._done += due - self._largest
            due = self._largest
        return due

    def made(self) -> None:
        """One of them was made."""
        self._done += 1
