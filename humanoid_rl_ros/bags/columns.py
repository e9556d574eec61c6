"""Arrays that grow row by row while a bag is read."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 1024


class Rows:
    """A table of always the same width; its memory grows by half.

    Args:
        width: numbers in a row.
        kind: of the numbers.
        rows: how many to expect.
    """

    def __init__(self, width: int, kind: type[Any] = np.float32, rows: int = _FIRST_ROWS) -> None:
        self._data: NDArray[Any] = np.empty((max(1, rows), width), dtype=kind)
        self._used = 0

    def add(self, values: NDArray[Any]) -> None:
        """Add rows [Shape (m, width)]."""
        end = self._used + len(values)
        if end > len(self._data):
            larger = np.empty((max(end, self._used * 3 // 2), self._data.shape[1]), dtype=self._data.dtype)
            larger[: self._used] = self._data[: self._used]
            self._data = larger
        self._data[self._used : end] = values
        self._used = end

    def array(self) -> NDArray[Any]:
        """What was added: a view [Shape (n, width)]."""
        return self._data[: self._used]


class Times:
    """Integer times [ns]."""

    def __init__(self) -> None:
        self._data = array("q")
        self.add = self._data.append

    def extend(self, values: NDArray[np.int64]) -> None:
        """Add several."""
        self._data.frombytes(np.ascontiguousarray(values, dtype=np.int64).tobytes())

    def array(self) -> NDArray[np.int64]:
        """A copy of what was added [Shape (n,)]."""
        return np.array(self._data, dtype=np.int64)
