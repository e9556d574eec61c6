"""`humanoid_rl map show`: a map in the terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from humanoid_rl_ros.core.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyMap
from humanoid_rl_ros.navigation.drawing import text_of
from humanoid_rl_ros.navigation.floor_grid import floor_grid
from humanoid_rl_ros.resources import find_map

MOST_COLUMNS = 100


def show_map(
    name: str, goal: tuple[float, float] | None, cell: float, radius: float, moves: int, console: Console
) -> None:
    """Print what a map says, and the grid for a goal.

    Raises:
        HumanoidError: the map cannot be read, or there is no such grid.
    """
    found = find_map(name)
    width, height = found.size
    pose = found.origin
    rows, columns = found.squares.shape
    shares = {what: float(np.mean(found.squares == value)) for what, value in _KINDS.items()}
    console.print(
        f"{name}: {width:g} × {height:g} m, {columns} × {rows} squares of {found.resolution:g} m, origin "
        f"({pose.x:g}, {pose.y:g}), yaw {pose.yaw:g} rad",
        soft_wrap=True,
    )
    console.print(
        ", ".join(f"{100.0 * share:.1f} % {what}" for what, share in shares.items())
        + f"; {len(found.rectangles())} boxes in a simulated world",
        soft_wrap=True,
    )
    if goal is None:
        console.print(_coarse(found), markup=False, soft_wrap=True)
        return
    grid = floor_grid(found, goal, cell=cell, radius=radius, moves=moves)
    console.print(text_of(grid), markup=False, soft_wrap=True)
    console.print(
        f"{len(grid.states)} cells of {cell:g} m from which the goal can be reached with {radius:g} m to every "
        f"obstacle; the longest of the shortest ways is {float(grid.distances.max()) * cell:.1f} m",
        soft_wrap=True,
    )


_KINDS = {"free": FREE, "occupied": OCCUPIED, "unknown": UNKNOWN}


def _coarse(found: OccupancyMap) -> str:
    """As many squares in one character as the terminal needs; occupied before unknown before free."""
    lines = found.rows_of_text()
    step = -(-len(lines[0]) // MOST_COLUMNS)

    def mark(top: int, left: int) -> str:
        block = "".join(line[left : left + step] for line in lines[top : top + 2 * step])
        return next((symbol for symbol in "#?" if symbol in block), ".")

    # A character is twice as high as wide.
    heights, widths = range(0, len(lines), 2 * step), range(0, len(lines[0]), step)
    return "\n".join("".join(mark(top, left) for left in widths) for top in heights)
