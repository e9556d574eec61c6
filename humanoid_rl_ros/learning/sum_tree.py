"""Numbers whose sum is known at every moment, and that can be drawn in proportion to their size."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray


class SumTree:
    """A binary tree over so many numbers at least 0, each node the sum of its two children; all 0 to begin with.

    Args:
        size: how many numbers.
    """

    def __init__(self, size: int) -> None:
        self._leaves = 1 << max(size - 1, 0).bit_length()
        self._nodes: FloatArray = np.zeros(2 * self._leaves)

    @property
    def total(self) -> float:
        """The sum of all."""
        return float(self._nodes[1])

    def values(self, index: IndexArray) -> FloatArray:
        """Of given places [Shape (k,)]."""
        values: FloatArray = self._nodes[self._leaves + index]
        return values

    def put(self, index: IndexArray, values: FloatArray | float) -> None:
        """Write numbers; of a place that comes twice the last counts [Shape (k,)]."""
        nodes = self._leaves + np.asarray(index)
        self._nodes[nodes] = values
        while nodes[0] > 1:
            nodes = np.unique(nodes >> 1)
            # From the children each time, so that rounding does not add up over many writings.
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, masses: FloatArray) -> IndexArray:
        """The places where running sums over the numbers pass given masses in [0, total) [Shape (k,)]."""
        left = np.array(masses, dtype=np.float64)
        nodes = np.ones(len(left), dtype=np.intp)
        while nodes[0] < self._leaves:
            nodes *= 2
            beyond = left >= self._nodes[nodes]
            # Rounding may leave a little more than there is: never go where there is nothing.
            beyond &= self._nodes[nodes + 1] > 0.0
            left -= np.where(beyond, self._nodes[nodes], 0.0)
            nodes += beyond
        return nodes - self._leaves
