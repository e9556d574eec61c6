"""Small floors, and navigation bundles whose network is an exact table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.occupancy import OccupancyMap, squares_of_text
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.learning.dynamic_programming import model_of, optimal_values
from humanoid_rl_ros.navigation.bundle import NavigationBundle, write_navigation
from humanoid_rl_ros.navigation.decisions import MoveRules, outcomes
from humanoid_rl_ros.navigation.floor_grid import FloorGrid, floor_grid
from humanoid_rl_ros.navigation.grid_policy import GridPolicy

CORNER = (
    ".....",
    ".##..",
    ".##..",
    ".....",
)
"""Twenty squares, four of them occupied."""


def floor_of(rows: tuple[str, ...] = CORNER, resolution: float = 1.0, origin: PlanarPose | None = None) -> OccupancyMap:
    """A map of characters, the first row the farthest from the origin."""
    return OccupancyMap(squares_of_text(rows), resolution, origin or PlanarPose())


def grid_of(rows: tuple[str, ...] = CORNER, goal: tuple[float, float] = (0.5, 3.5), **how: Any) -> FloorGrid:
    """A grid of one cell a square, unless told otherwise."""
    return floor_grid(floor_of(rows), goal, **({"cell": 1.0, "radius": 0.0, "moves": 4} | how))


def exact_values(grid: FloorGrid, rules: MoveRules, tolerance: float = 1e-9) -> FloatArray:
    """The best action values, without discount [Shape (n, moves)]."""
    return optimal_values(model_of(outcomes(grid, rules)), 1.0, tolerance=tolerance)


def best(grid: FloorGrid) -> GridPolicy:
    """The exact solution as a policy."""
    return GridPolicy(grid, exact_values(grid, MoveRules()))


def network(values: np.ndarray) -> bytes:
    """A table as the ONNX network that gives its rows for states one-hot, any number at once [Shape (n, moves)]."""
    onnx = pytest.importorskip("onnx", reason="onnx writes the networks of the tests")
    tensor, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["obs", "w"], ["act"])],
        "table",
        [tensor("obs", kind, ["b", values.shape[0]])],
        [tensor("act", kind, ["b", values.shape[1]])],
        [onnx.numpy_helper.from_array(values.astype(np.float32), "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def write_floor_bundle(
    folder: Path, grid: FloorGrid | None = None, floor: OccupancyMap | None = None, **more: Any
) -> NavigationBundle:
    """A bundle of the exact solution."""
    grid = grid or grid_of()
    return write_navigation(
        folder, network(best(grid).values), name="corner", grid=grid, map=floor or floor_of(), radius=0.0, **more
    )
