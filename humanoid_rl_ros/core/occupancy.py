"""A map of the floor: which squares are free, which hold an obstacle, which nobody has seen."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.planar import PlanarPose

FREE, OCCUPIED, UNKNOWN = 0, 100, -1
"""As nav_msgs/OccupancyGrid has them."""
LARGEST = 16_000_000
"""Of a map [squares]."""
SymbolRow = tuple[str, ...]
SYMBOLS = {".": FREE, "#": OCCUPIED, "?": UNKNOWN}
"""How a square is written as a character."""


@dataclass(frozen=True, eq=False)
class OccupancyMap:
    """Squares of one size, in rows along the x axis of their own frame.

    Attributes:
        squares: FREE, OCCUPIED or UNKNOWN; row 0 and column 0 are at the origin [Shape (rows, columns)].
        resolution: edge of a square [m].
        origin: the outer corner of the first square, in the map's frame.
    """

    squares: NDArray[np.int8]
    resolution: float
    origin: PlanarPose = field(default_factory=PlanarPose)

    def __post_init__(self) -> None:
        squares = np.array(self.squares, dtype=np.int8)
        if squares.ndim != 2 or not 0 < squares.size <= LARGEST:
            raise ConfigError(f"a map has rows and columns, 1 to {LARGEST} squares; found shape {squares.shape}")
        if not (math.isfinite(self.resolution) and self.resolution > 0.0):
            raise ConfigError(f"a map's resolution must be finite and above 0 m, found {self.resolution:g}")
        if not np.isin(squares, (FREE, OCCUPIED, UNKNOWN)).all():
            raise ConfigError(f"a map's squares are {FREE}, {OCCUPIED} or {UNKNOWN}; found others")
        squares.setflags(write=False)
        object.__setattr__(self, "squares", squares)

    @property
    def occupied(self) -> BoolArray:
        """[Shape (rows, columns)]."""
        return np.asarray(self.squares == OCCUPIED)

    @property
    def size(self) -> tuple[float, float]:
        """Along the x and the y axis of the map's own frame [m]."""
        rows, columns = self.squares.shape
        return columns * self.resolution, rows * self.resolution

    @property
    def digest(self) -> str:
        """SHA-256 over what it says, in hexadecimal; files of different forms that say the same have the same."""
        pose = self.origin
        head = repr((self.squares.shape, float(self.resolution), *map(float, (pose.x, pose.y, pose.yaw))))
        return hashlib.sha256(head.encode() + self.squares.tobytes()).hexdigest()

    def rectangles(self) -> FloatArray:
        """The occupied squares as few rectangles that do not overlap.

        Runs of squares along a row, with equal runs of the rows that follow.

        Returns:
            Centre x, y and half lengths along x, y, in the map's own frame [m; Shape (n, 4)].
        """
        open_runs: dict[tuple[int, int], int] = {}  # first and last column -> first row
        found: list[tuple[int, int, int, int]] = []  # columns from, to, rows from, to; the ends excluded
        for row, occupied in enumerate([*self.occupied, np.zeros(self.squares.shape[1], dtype=bool)]):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], occupied, [False]]).astype(np.int8)))
            runs = {(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)}
            for run in [run for run in open_runs if run not in runs]:
                found.append((*run, open_runs.pop(run), row))
            for run in runs:
                open_runs.setdefault(run, row)
        sides = np.array(sorted(found), dtype=np.float64).reshape(-1, 4) * self.resolution
        low, high = sides[:, [0, 2]], sides[:, [1, 3]]
        return np.concatenate([0.5 * (low + high), 0.5 * (high - low)], axis=1)

    def rows_of_text(self) -> SymbolRow:
        """One character a square, `SYMBOLS`; the first row is the farthest from the origin, as on a drawing."""
        names = {value: symbol for symbol, value in SYMBOLS.items()}
        return tuple("".join(names[int(square)] for square in row) for row in self.squares[::-1])


def squares_of_text(rows: SymbolRow) -> NDArray[np.int8]:
    """What `OccupancyMap.rows_of_text` wrote [Shape (rows, columns)].

    Raises:
        ConfigError: a row is longer than another, or a character is none of `SYMBOLS`.
    """
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ConfigError(f"row {number + 1} has {len(row)} characters, the first has {len(rows[0])}")
        for symbol in row:
            if symbol not in SYMBOLS:
                raise ConfigError(f"row {number + 1} has '{symbol}'; a square is one of {' '.join(SYMBOLS)}")
    return np.array([[SYMBOLS[symbol] for symbol in row] for row in reversed(rows)], dtype=np.int8)
