"""Uneven ground: smooth hills drawn from a seed, as a height field that repeats itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.simulation.layout import PREFIX
from humanoid_rl_ros.simulation.model_file import mujoco

TERRAIN = f"{PREFIX}terrain"
# How far the field reaches beyond one period: a robot whose base is at its edge has its arms out there [m].
MARGIN = 1.5
# Hills lower than that are none: the robot stands on the plane that is its floor on even ground [m].
LOWEST = 0.001
# Depth of the field below its lowest point [m].
_DEPTH = 0.1
# Hills of one robot that walks where it likes: how far they reach, where they begin, over what they rise [m].
_FAR, _START, _RISE = 20.0, 0.5, 1.0
_COLOUR = 0.62, 0.66, 0.6, 1.0
# Footprint over which the highest ground under a robot that is put down is looked for [m].
_REACH = 0.25


@dataclass(frozen=True)
class TerrainShape:
    """Smooth random hills between 0 and 1, which a height [m] is laid on.

    Attributes:
        wavelength: distance of the random heights between which the ground is a cubic spline [m].
        cell: distance of the points of the height field [m].
        size: side of the square after which the ground repeats itself [m].
        seed: of the hills.

    Raises:
        ConfigError: a length is out of range.
    """

    wavelength: float = 0.6
    cell: float = 0.1
    size: float = 9.6
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0.02 <= self.cell <= self.wavelength and 3.0 * self.wavelength <= self.size <= 100.0):
            raise ConfigError(
                "terrain: 0.02 m ≤ cell ≤ wavelength and 3 wavelengths ≤ size ≤ 100 m is wanted, found cell "
                f"{self.cell:g} m, wavelength {self.wavelength:g} m and size {self.size:g} m"
            )
        if self.size / self.cell > 1000.0:
            raise ConfigError(f"terrain: {self.size / self.cell:.0f} cells a side are more than the 1000 there may be")


def hills(shape: TerrainShape) -> FloatArray:
    """The heights of one period, from 0 at the lowest point to 1 at the highest [Shape (n, n): (y, x)].

    A uniform cubic B-spline over independent uniform heights: its slopes and curvatures are continuous, and so they are
    where the ground repeats itself.
    """
    n = 2 * max(2, round(0.5 * shape.size / shape.cell))  # even: one point lies in the middle
    lattice = max(3, round(shape.size / shape.wavelength))
    heights = np.random.default_rng(shape.seed).random((lattice, lattice))
    at = np.arange(n) * lattice / n
    first = np.floor(at).astype(np.intp)
    t = at - first
    basis = ((1.0 - t) ** 3, 3.0 * t**3 - 6.0 * t**2 + 4.0, -3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0, t**3)
    weights = np.zeros((n, lattice))
    for offset, weight in zip((-1, 0, 1, 2), basis, strict=True):
        weights[np.arange(n), (first + offset) % lattice] += weight / 6.0
    found = np.asarray(weights @ heights @ weights.T)
    return np.asarray((found - found.min()) / (found.max() - found.min()))


def add_hills(spec: mujoco.MjSpec, model: mujoco.MjModel, floor: int, shape: TerrainShape, height: float) -> None:
    """Add hills all around the origin, where and far out the floor is even.

    Args:
        spec: changed in place.
        model, floor: see `Terrain.add_to`.
        shape: of the hills.
        height: of the highest [m].

    Raises:
        ModelError: the model names the geoms that meet its floor.
    """
    period = hills(shape)
    cell = shape.size / len(period)
    reach = math.ceil(_FAR / cell)
    at = np.arange(-reach, reach + 1)
    index = (at + len(period) // 2) % len(period)
    distance = cell * np.hypot(*np.meshgrid(at, at))
    risen = np.clip((distance - _START) / _RISE, 0.0, 1.0) * np.clip((_FAR - distance) / _RISE, 0.0, 1.0)
    # Raised and lowered by a cosine, so that there is no edge to stumble over.
    heights = period[np.ix_(index, index)] * (0.5 - 0.5 * np.cos(np.pi * risen))
    geom = _lay(spec, model, floor, heights, cell, height)
    geom.pos[2] += LOWEST  # or the floor would show through in a picture


def _lay(
    spec: mujoco.MjSpec, model: mujoco.MjModel, floor: int, heights: FloatArray, cell: float, tallest: float
) -> mujoco.MjsGeom:
    """Lay a square height field on the middle of a floor; heights from 0 to 1, both of which are there."""
    if floor in model.pair_geom1 or floor in model.pair_geom2:
        raise ModelError("the model names pairs of geoms that meet its floor; no uneven ground can take its place")
    half = 0.5 * cell * (len(heights) - 1)
    field = spec.add_hfield(name=TERRAIN, nrow=len(heights), ncol=len(heights))
    field.size = [half, half, tallest, _DEPTH]
    field.userdata = heights.ravel().tolist()
    geom = spec.worldbody.add_geom(name=TERRAIN, type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname=TERRAIN)
    geom.pos = model.geom_pos[floor]
    for name in ("contype", "conaffinity", "condim", "friction", "solref", "solimp", "priority", "solmix"):
        setattr(geom, name, getattr(model, f"geom_{name}")[floor])
    geom.rgba = _COLOUR
    return geom


class Terrain:
    """Ground of one shape under several robots, each with a height of its own.

    It lies on the floor: the lowest points are as high as the floor is, and the highest are so much higher as is said
    for the robot. The ground repeats itself, so a robot may walk for ever: `wrapped` puts it back by whole periods.

    Args:
        shape: of the hills.
        n: robots.

    Attributes:
        height: of each robot's highest hill over the floor [m; Shape (n,)].
    """

    def __init__(self, shape: TerrainShape, n: int) -> None:
        self.shape, self.height = shape, np.zeros(n)
        self._hills = hills(shape)
        self._cells = len(self._hills)
        self._cell = shape.size / self._cells

    def add_to(self, spec: mujoco.MjSpec, model: mujoco.MjModel, floor: int, tallest: float) -> None:
        """Add the height field to a model; `set_height` makes it lower.

        Args:
            spec: changed in place.
            model: the same, compiled without it.
            floor: the plane that it lies on, whose contacts are like the field's; a geom of the model.
            tallest: height of which no robot's ground is more [m].

        Raises:
            ModelError: the model names the geoms that meet its floor.
        """
        margin = math.ceil(MARGIN / self._cell)
        index = np.arange(-margin, self._cells + margin + 1) % self._cells
        _lay(spec, model, floor, self._hills[np.ix_(index, index)], self._cell, max(tallest, LOWEST))

    def set_height(self, row: int, model: mujoco.MjModel, nominal: mujoco.MjModel, height: float) -> None:
        """Lay hills of a height under one robot.

        Args:
            row: the robot.
            model: its model; changed in place.
            nominal: as compiled.
            height: [m]; lower than `LOWEST` for even ground.
        """
        geom = model.geom(TERRAIN).id
        uneven = height >= LOWEST
        self.height[row] = height if uneven else 0.0
        model.hfield_size[0, 2] = max(height, LOWEST)
        model.geom_contype[geom] = nominal.geom_contype[geom] if uneven else 0
        model.geom_conaffinity[geom] = nominal.geom_conaffinity[geom] if uneven else 0

    def under(self, points: FloatArray, rows: IndexArray | slice) -> FloatArray:
        """How high the ground is over the floor.

        Args:
            points: (x, y, …) [m; world; Shape (k, m, 2 or more)].
            rows: whose ground it is, for each of the k [Shape (k,)].

        Returns:
            On the triangles that the physics sees [m; Shape (k, m)].
        """
        cells, grid = self._cells, self._hills
        at = points[..., :2] / self._cell + 0.5 * cells
        # Where the physics left the finite there is no ground either.
        at = np.where(np.isfinite(at) & (np.abs(at) < 1e9), at, 0.0)
        corner = np.floor(at)
        x, y = np.moveaxis(at - corner, -1, 0)
        column, line = np.moveaxis(corner.astype(np.intp), -1, 0)
        left, right, low, high = column % cells, (column + 1) % cells, line % cells, (line + 1) % cells
        # Each cell is cut from its corner nearest to the origin to the farthest one.
        there = grid[high, right]
        across = np.where(y >= x, grid[high, left], grid[low, right])
        least, most = np.minimum(x, y), np.maximum(x, y)
        share = (1.0 - most) * grid[low, left] + (most - least) * across + least * there
        return np.asarray(share * self.height[rows][:, None])

    def highest_under(self, base: FloatArray, rows: IndexArray) -> FloatArray:
        """The highest ground near some places, on which a robot may be put down there.

        Args:
            base: (x, y) [m; Shape (k, 2)].
            rows: the robots [Shape (k,)].

        Returns:
            [m; Shape (k,)].
        """
        reach = np.arange(-_REACH, _REACH + 0.5 * self._cell, 0.5 * self._cell)
        near = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
        return np.asarray(self.under(base[:, None] + near, rows).max(axis=1))

    def wrapped(self, base: FloatArray) -> FloatArray:
        """By how much each base is to be put back, in whole periods [m; Shape (n, 2)]."""
        size = self.shape.size
        return np.asarray(size * np.floor(np.nan_to_num(base[:, :2]) / size + 0.5))
