"""A navigation bundle: a folder with the grid, the map, and the network that says where to go on it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.occupancy import OccupancyMap
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.navigation.floor_grid import FloorGrid
from humanoid_rl_ros.navigation.grid_policy import GridPolicy, policy_of
from humanoid_rl_ros.navigation.map_file import load_map, save_map
from humanoid_rl_ros.navigation.steering import SteeringSpec, steering_from_section

FORMAT = 1
FILE_NAME, WEIGHTS, MAP = "navigation.yaml", "policy.onnx", "map.yaml"
FRAME = "map"
CELLS = {".": True, "#": False}


@dataclass(frozen=True, eq=False)
class NavigationBundle:
    """What a navigator must know.

    Attributes:
        name: of the bundle.
        grid: the cells, the goal and the moves.
        map: that the grid was made of.
        radius: of the robot, that the grid was made with [m].
        steering: speeds and tolerances.
        frame: of the map.
        origin: where the policy came from, in words.
        folder: with the weights.
        weights_sha256: digest of the weights.
    """

    name: str
    grid: FloorGrid
    map: OccupancyMap
    radius: float
    steering: SteeringSpec = field(default_factory=SteeringSpec)
    frame: str = FRAME
    origin: str = ""
    folder: Path = Path()
    weights_sha256: str = ""

    @property
    def map_file(self) -> Path:
        """The map's YAML in the folder."""
        return self.folder / MAP

    def load_policy(self) -> GridPolicy:
        """The network's answer on every cell.

        Raises:
            PolicyError: the weights are not those of the bundle, cannot be read, or do not fit the grid.
        """
        from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy  # onnxruntime, which a look at the grid needs not

        path = self.folder / WEIGHTS
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
        if found != self.weights_sha256:
            raise PolicyError(
                f"{path}: not the weights that {FILE_NAME} was written for: SHA-256 {found[:12]}…, "
                f"expected {self.weights_sha256[:12]}…"
            )
        cells, moves = len(self.grid.states), self.grid.moves
        try:
            network = OnnxPolicy(path, observation_size=cells, action_size=moves)
            return policy_of(self.grid, network.infer_batch)
        except PolicyError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise PolicyError(f"{path}: does not fit {cells} cells and {moves} moves: {why}") from None


def load_navigation(path: str | Path) -> NavigationBundle:
    """Read a navigation bundle; the weights are not opened.

    Args:
        path: the folder, or the ``navigation.yaml`` in it.

    Raises:
        ConfigError: a file is missing, a key is missing, unknown or malformed, or the map is another.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE_NAME
    top = read_yaml(file)
    try:
        return _bundle(top, file.parent)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith((top.where, str(file.parent))) else f"{top.where}: {text}") from None


def _bundle(top: Section, folder: Path) -> NavigationBundle:
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"navigation format {version} is not known; this version reads format {FORMAT}")
    grid_section = top.section("grid")
    grid, radius = _grid(grid_section, top.numbers("goal", length=2))
    weights = top.section("weights")
    if weights.text("file", WEIGHTS) != WEIGHTS:
        raise ConfigError(f"the weights of a navigation bundle are in {WEIGHTS}")
    digest = weights.text("sha256")
    weights.finish()
    map_section = top.section("map")
    found = load_map(folder / map_section.text("file", MAP))
    expected = map_section.text("sha256")
    map_section.finish()
    if found.digest != expected:
        raise ConfigError(
            f"{folder / MAP}: not the map that was learned on: it says {found.digest[:12]}…, expected {expected[:12]}…"
        )
    bundle = NavigationBundle(
        name=top.text("name"),
        grid=grid,
        map=found,
        radius=radius,
        steering=steering_from_section(top.section("steering", {})),
        frame=top.text("frame", FRAME),
        origin=top.text("origin", ""),
        folder=folder,
        weights_sha256=digest,
    )
    top.finish()
    return bundle


def _grid(section: Section, goal: np.ndarray) -> tuple[FloorGrid, float]:
    x, y, yaw = section.numbers("origin", length=3)
    rows = section.raw("cells")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, str) and row for row in rows):
        raise ConfigError(f"{section.where}: 'cells' must be a list of texts of equal length, such as '##..#'")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]) or not set(row) <= set(CELLS):
            raise ConfigError(
                f"{section.where}: row {number + 1} of 'cells' must be {len(rows[0])} characters, each . or #, "
                f"found '{row[:40]}'"
            )
    free = np.array([[CELLS[symbol] for symbol in row] for row in reversed(rows)], dtype=bool)
    cell, radius = section.number("cell", above=0.0), section.number("radius", least=0.0)
    moves = section.integer("moves")
    section.finish()
    pose = PlanarPose(float(x), float(y), float(yaw))
    return FloorGrid(free, cell, pose, (float(goal[0]), float(goal[1])), moves), radius


def write_navigation(
    folder: Path,
    onnx: bytes,
    *,
    name: str,
    grid: FloorGrid,
    map: OccupancyMap,  # as the attribute
    radius: float,
    steering: SteeringSpec | None = None,
    origin: str = "",
) -> NavigationBundle:
    """Write a navigation bundle; what is there already is replaced when this one is found good.

    Args:
        folder: made where it is not there; files of the same names are replaced.
        onnx: the network, from states one-hot to values of the moves.
        name, grid, map, radius, steering, origin: see `NavigationBundle`.

    Raises:
        ConfigError: a file cannot be written.
        PolicyError: the network does not fit the grid.
    """
    pose = grid.origin
    data = {
        "format": FORMAT,
        "name": name,
        "origin": origin,
        "frame": FRAME,
        "goal": [float(value) for value in grid.goal],
        "map": {"file": MAP, "sha256": map.digest},
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(onnx).hexdigest()},
        "steering": dict(vars(steering or SteeringSpec())),
        "grid": {
            "origin": [float(pose.x), float(pose.y), float(pose.yaw)],
            "cell": float(grid.cell),
            "radius": float(radius),
            "moves": int(grid.moves),
            "cells": ["".join("." if free else "#" for free in row) for row in grid.free[::-1]],
        },
    }
    text = yaml.safe_dump(data, sort_keys=False, width=1000)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".navigation-", dir=folder) as where:
            stage = Path(where)
            (stage / WEIGHTS).write_bytes(onnx)
            image = save_map(map, stage / MAP)
            (stage / FILE_NAME).write_text(text, encoding="utf-8")
            try:
                load_navigation(stage).load_policy()
            except PolicyError as error:
                raise PolicyError(str(error).replace(str(stage), str(folder))) from None
            for written in (WEIGHTS, image.name, MAP, FILE_NAME):  # the last names the digests of the others
                os.replace(stage / written, folder / written)
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror or error}") from None
    return load_navigation(folder)


def is_navigation(path: Path) -> bool:
    """Whether there is a navigation bundle at this path."""
    return (path / FILE_NAME).is_file()
