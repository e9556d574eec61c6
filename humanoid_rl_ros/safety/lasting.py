"""How long something has been so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray


class Lasting:
    """How long one thing has been so without a break."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def reset(self) -> None:
        """It has not been so."""
        self._since_ns = None

    def update(self, now_ns: int, so: bool) -> int:
        """How long, now that it is so or not [ns]."""
        if not so:
            self._since_ns = None
            return 0
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns


class LastingEach:
    """The same for each of n things.

    Args:
        n: how many.
    """

    def __init__(self, n: int) -> None:
        self._so: BoolArray = np.zeros(n, dtype=bool)
        self._since_ns: NDArray[np.int64] = np.zeros(n, dtype=np.int64)

    def reset(self) -> None:
        """Nothing has been so."""
        self._so = np.zeros_like(self._so)

    def update(self, now_ns: int, so: BoolArray) -> FloatArray | None:
        """How long each has been so [s; Shape (n,)]; None where none is."""
        before, self._so = self._so, so
        if not so.any():
            return None
        self._since_ns = np.where(so & before, self._since_ns, now_ns)
        return np.asarray((now_ns - self._since_ns) * 1e-9)


class RunEach:
    """How often in a row each of n things was so."""

    def __init__(self, n: int) -> None:
        self.run: NDArray[np.intp] = np.zeros(n, dtype=np.intp)
        self._any = False

    def reset(self) -> None:
        """Nothing has been so."""
        self.run = np.zeros_like(self.run)
        self._any = False

    def update(self, so: BoolArray) -> bool:
        """Count; whether any is so."""
        some = bool(so.any())
        if some or self._any:
            self.run = np.where(so, self.run + 1, 0)
        self._any = some
        return some
