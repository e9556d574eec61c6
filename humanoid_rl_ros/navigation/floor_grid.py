"""The grid that a way is learned on: cells that the robot fits into, and the moves between them."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.occupancy import UNKNOWN, OccupancyMap
from humanoid_rl_ros.core.planar import PlanarPose

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""Of a move: rows along y, columns along x; counter-clockwise from x."""
MOVES = (4, 8)
LARGEST = 20_000
"""Of a grid [cells]."""
_POINT = 1e-9  # of a line: shorter parts are the corners that it goes through


@dataclass(frozen=True, eq=False)
class FloorGrid:
    """Cells in rows along the x axis of the map's own frame; states are the free cells, row after row.

    Wherever the robot's centre is in a free cell, no obstacle is nearer than the radius that the grid was made with,
    and the straight line of a move stays in free cells.

    Attributes:
        free: cells from which the goal can be reached [Shape (rows, columns)].
        cell: edge of a cell [m].
        origin: the outer corner of the first cell, in the map's frame.
        goal: in the map's frame [m].
        moves: 4 or 8 directions; action ``i`` is `DIRECTIONS` of every second, or every one.
    """

    free: BoolArray
    cell: float
    origin: PlanarPose
    goal: tuple[float, float]
    moves: int = 8

    def __post_init__(self) -> None:
        free = np.array(self.free, dtype=bool)
        free.setflags(write=False)
        object.__setattr__(self, "free", free)
        if self.moves not in MOVES:
            raise ConfigError(f"a grid has 4 or 8 moves, found {self.moves}")
        if free.ndim != 2 or not free.size > 0:
            raise ConfigError(f"a grid has rows and columns, found shape {free.shape}")
        if not (math.isfinite(self.cell) and self.cell > 0.0):
            raise ConfigError(f"a cell must be finite and above 0 m, found {self.cell:g}")
        where = self.cell_of(np.array(self.goal))
        if where is None or not free[where]:
            raise ConfigError(f"{_shown(self.goal)} is in no free cell, and so no goal")

    @cached_property
    def states(self) -> IndexArray:
        """Row and column of each state [Shape (n, 2)]."""
        return np.argwhere(self.free)

    @cached_property
    def state_at(self) -> IndexArray:
        """State of each cell, −1 where it is not free [Shape (rows, columns)]."""
        numbers = np.full(self.free.shape, -1, dtype=np.intp)
        numbers[self.free] = np.arange(self.free.sum())
        return numbers

    @cached_property
    def centres(self) -> FloatArray:
        """Of the states' cells, in the map's frame [m; Shape (n, 2)]."""
        return _centres(self.free, self.cell, self.origin)

    @property
    def goal_state(self) -> int:
        """The state whose cell holds the goal."""
        state = self.state_of(np.array(self.goal))
        assert state is not None  # looked at when the grid was made
        return state

    @cached_property
    def directions(self) -> IndexArray:
        """Rows and columns that each move goes [Shape (moves, 2)]."""
        return np.array(DIRECTIONS[:: len(DIRECTIONS) // self.moves], dtype=np.intp)

    @cached_property
    def lengths(self) -> FloatArray:
        """Of each move [cells; Shape (moves,)]."""
        return np.asarray(np.linalg.norm(self.directions, axis=1))

    @cached_property
    def successors(self) -> IndexArray:
        """Where each move leads from each state; to itself where something is in the way [Shape (n, moves)].

        A diagonal move needs both cells beside it free.
        """
        rows, columns = self.free.shape
        here = np.arange(len(self.states))
        padded = np.full((rows + 2, columns + 2), -1, dtype=np.intp)
        padded[1:-1, 1:-1] = self.state_at
        row, column = self.states.T + 1
        found = np.empty((len(here), self.moves), dtype=np.intp)
        for move, (up, right) in enumerate(self.directions):
            target = padded[row + up, column + right]
            beside = np.minimum(padded[row + up, column], padded[row, column + right])
            found[:, move] = np.where((target >= 0) & (beside >= 0), target, here)
        return found

    @cached_property
    def distances(self) -> FloatArray:
        """Length of the shortest way from each state to the goal [cells; Shape (n,)]."""
        distance = np.full(len(self.states), np.inf)
        distance[self.goal_state] = 0.0
        while True:  # Bellman–Ford: as many rounds as the longest way has moves
            better = np.min(self.lengths + distance[self.successors], axis=1)
            better = np.minimum(distance, better)
            if np.array_equal(better, distance):
                return distance
            distance = better

    def cell_of(self, point: FloatArray) -> tuple[int, int] | None:
        """Row and column of the cell at a point of the map's frame; None outside of the grid [m; Shape (2,)]."""
        return _cell_at(point, self.origin, self.cell, self.free.shape)

    def state_of(self, point: FloatArray) -> int | None:
        """The state at a point of the map's frame; None where there is none [m; Shape (2,)]."""
        where = self.cell_of(point)
        state = -1 if where is None else int(self.state_at[where])
        return None if state < 0 else state

    def is_clear(self, start: FloatArray, end: FloatArray) -> bool:
        """Whether a straight line stays in free cells [m; map frame; Shape (2,) each]."""
        # Plain numbers: it crosses a few cells, and is asked for with every odometry.
        x, y = (self.origin.inward(start) / self.cell).tolist()
        to_x, to_y = (self.origin.inward(end) / self.cell).tolist()
        shares = [0.0, 1.0]
        for low, high in ((x, to_x), (y, to_y)):  # where it crosses the lines between cells
            if low != high:
                lines = range(math.ceil(min(low, high)), math.floor(max(low, high)) + 1)
                shares += [(line - low) / (high - low) for line in lines]
        shares.sort()
        rows, columns = self.free.shape
        for first, second in pairwise(shares):
            if second - first < _POINT:
                continue
            middle = 0.5 * (first + second)
            column, row = math.floor(x + middle * (to_x - x)), math.floor(y + middle * (to_y - y))
            if not (0 <= row < rows and 0 <= column < columns and self.free[row, column]):
                return False
        return True

    def nearest_state(self, point: FloatArray) -> tuple[int, float]:
        """The state whose centre is nearest to a point of the map's frame, and how far that is [m]."""
        distance = np.linalg.norm(self.centres - point, axis=1)
        state = int(np.argmin(distance))
        return state, float(distance[state])


def floor_grid(
    found: OccupancyMap, goal: tuple[float, float], *, cell: float = 0.25, radius: float = 0.3, moves: int = 8
) -> FloorGrid:
    """The grid of a map.

    A cell is free where it lies on the map whole, holds no unknown square, and no point of it is nearer to an obstacle
    than the radius. Cells from which no way leads to the goal are not free.

    Args:
        found: the map.
        goal: in the map's frame [m].
        cell: edge of a cell [m].
        radius: of the robot, with what its steps sway [m].
        moves: 4 or 8.

    Raises:
        ConfigError: a number cannot be, the goal is not on the map or too near to an obstacle, or nothing leads there.
    """
    if moves not in MOVES:
        raise ConfigError(f"a grid has 4 or 8 moves, found {moves}")
    if not (math.isfinite(cell) and cell > 0.0):
        raise ConfigError(f"'cell' must be finite and above 0 m, found {cell:g}")
    if not (math.isfinite(radius) and radius >= 0.0):
        raise ConfigError(f"'radius' must be finite and at least 0 m, found {radius:g}")
    width, height = found.size
    # What a map's decimals lose must not lose a row of cells.
    columns, rows = int(width / cell + 1e-6), int(height / cell + 1e-6)
    if rows < 1 or columns < 1:
        raise ConfigError(f"a map of {width:g} × {height:g} m has no cell of {cell:g} m: choose a smaller cell")
    if rows * columns > LARGEST:
        raise ConfigError(
            f"{columns} × {rows} cells of {cell:g} m are more than {LARGEST}: choose a larger cell for this map"
        )
    free = ~(_near(found, rows, columns, cell, radius) | _unknown(found, rows, columns, cell))
    where = _cell_at(np.array(goal), found.origin, cell, free.shape)
    if where is None or not free[where]:
        raise ConfigError(_no_goal(found, free, cell, radius, goal))
    reached = _connected(free, where)
    if reached.sum() < 2:
        raise ConfigError(
            f"the goal {_shown(goal)} is shut in: no other free cell of {cell:g} m leads to it, with {radius:g} m to "
            "every obstacle; choose another goal, a smaller cell or a smaller radius"
        )
    return FloorGrid(reached, cell, found.origin, goal, moves)


def _cell_at(point: FloatArray, origin: PlanarPose, cell: float, shape: tuple[int, ...]) -> tuple[int, int] | None:
    column, row = np.floor(origin.inward(point) / cell)
    if not (0 <= row < shape[0] and 0 <= column < shape[1]):
        return None
    return int(row), int(column)


def _centres(free: BoolArray, cell: float, origin: PlanarPose) -> FloatArray:
    """Of the free cells, row after row [m; map frame; Shape (n, 2)]."""
    return origin.outward(np.asarray((np.argwhere(free)[:, ::-1] + 0.5) * cell, dtype=np.float64))


def _shown(point: tuple[float, float]) -> str:
    return f"({point[0]:g}, {point[1]:g})"


def _no_goal(found: OccupancyMap, free: BoolArray, cell: float, radius: float, goal: tuple[float, float]) -> str:
    """Why there is no goal here, and where one could be."""
    if not all(map(math.isfinite, goal)):
        return f"the goal must be finite, found {_shown(goal)}"
    if not free.any():
        return (
            f"no cell of {cell:g} m is free with {radius:g} m to every obstacle: choose a smaller cell or a smaller "
            "radius"
        )
    inside = found.origin.inward(np.array(goal))
    centres = _centres(free, cell, found.origin)
    x, y = centres[np.argmin(np.linalg.norm(centres - goal, axis=1))]
    width, height = found.size
    outside = not (0.0 <= inside[0] < width and 0.0 <= inside[1] < height)
    what = "is not on the map" if outside else f"is in no free cell of {cell:g} m with {radius:g} m to every obstacle"
    return f"the goal {_shown(goal)} {what}; the nearest that is: ({x:.3g}, {y:.3g})"


def _near(found: OccupancyMap, rows: int, columns: int, cell: float, radius: float) -> BoolArray:
    """Cells of which a point is nearer to an obstacle than the radius [Shape (rows, columns)]."""
    near = np.zeros((rows, columns), dtype=bool)
    left, bottom = np.arange(columns) * cell, np.arange(rows) * cell
    # Two things that touch are apart by what a decimal loses.
    reach = radius - 1e-6
    for x, y, half_x, half_y in found.rectangles():
        across = np.maximum(np.maximum(left - (x + half_x), (x - half_x) - (left + cell)), -1e-6)
        along = np.maximum(np.maximum(bottom - (y + half_y), (y - half_y) - (bottom + cell)), -1e-6)
        overlapping = (across[None, :] < -0.5e-6) & (along[:, None] < -0.5e-6)
        apart = np.hypot(np.maximum(across, 0.0)[None, :], np.maximum(along, 0.0)[:, None])
        near |= (apart < reach) | overlapping
    return near


def _unknown(found: OccupancyMap, rows: int, columns: int, cell: float) -> BoolArray:
    """Cells that hold a part of an unknown square [Shape (rows, columns)]."""
    unknown = OccupancyMap(np.where(found.squares == UNKNOWN, 100, 0), found.resolution)
    return _near(unknown, rows, columns, cell, 0.0)


def _connected(free: BoolArray, start: tuple[int, int]) -> BoolArray:
    """The free cells that can be walked to from one; a diagonal move joins nothing that others do not."""
    reached = np.zeros_like(free)
    reached[start] = True
    waiting = deque([start])
    while waiting:
        row, column = waiting.popleft()
        for up, right in DIRECTIONS[::2]:
            near = row + up, column + right
            if 0 <= near[0] < free.shape[0] and 0 <= near[1] < free.shape[1] and free[near] and not reached[near]:
                reached[near] = True
                waiting.append(near)
    return reached
