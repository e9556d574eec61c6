"""Small pictures of a floor grid, without a plotting library."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.core.errors import MissingDependencyError
from humanoid_rl_ros.navigation.floor_grid import FloorGrid

PIXELS = 24
"""Of a cell's edge."""
WALL, FLOOR, LINE = (60, 63, 70), (248, 248, 246), (214, 214, 210)
GOAL, ROBOT, ARROW = (90, 170, 90), (66, 110, 190), (120, 120, 120)


def draw_grid(grid: FloorGrid, state: int | None = None, actions: IndexArray | None = None) -> NDArray[np.uint8]:
    """The grid from above, x to the right and y up.

    Args:
        grid: the grid.
        state: where the robot is; None: nowhere.
        actions: a move for each state, drawn as arrows; None: no arrows [Shape (n,)].

    Returns:
        [RGB; Shape (height, width, 3)].

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise MissingDependencyError("pictures of grids need Pillow: pip install pillow (or python3-pil)") from None
    rows, columns = grid.free.shape
    image = Image.new("RGB", (columns * PIXELS, rows * PIXELS), WALL)
    draw = ImageDraw.Draw(image)

    def box(row: int, column: int, inset: int) -> tuple[int, int, int, int]:
        left, top = column * PIXELS, (rows - 1 - row) * PIXELS
        return left + inset, top + inset, left + PIXELS - 1 - inset, top + PIXELS - 1 - inset

    for number, (row, column) in enumerate(grid.states.tolist()):
        colour = GOAL if number == grid.goal_state else FLOOR
        draw.rectangle(box(row, column, 0), fill=colour, outline=LINE)
        if actions is not None and number != grid.goal_state:
            up, right = grid.directions[actions[number]]
            size = 0.32 * PIXELS / math.hypot(up, right)
            left, top, right_edge, bottom = box(row, column, 0)
            x, y = 0.5 * (left + right_edge), 0.5 * (top + bottom)
            tip = x + size * right, y - size * up
            draw.line([(x - size * right, y + size * up), tip], fill=ARROW, width=2)
            draw.ellipse([tip[0] - 3, tip[1] - 3, tip[0] + 3, tip[1] + 3], fill=ARROW)
    if state is not None:
        row, column = grid.states[state]
        draw.ellipse(box(int(row), int(column), PIXELS // 5), fill=ROBOT)
    return np.asarray(image, dtype=np.uint8)


def text_of(grid: FloorGrid, state: int | None = None) -> str:
    """The grid as lines of characters: ``#`` not free, ``.`` free, ``G`` the goal, ``R`` the robot; y up."""
    symbols = np.where(grid.free, ".", "#")
    for number, symbol in ((grid.goal_state, "G"), (state, "R")):
        if number is not None:
            row, column = grid.states[number]
            symbols[row, column] = symbol
    return "\n".join("".join(row) for row in symbols[::-1])
