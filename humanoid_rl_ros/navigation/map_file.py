"""Maps as files: the YAML and the image of nav2's map_server, or a YAML whose rows are drawn by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.core.occupancy import FREE, LARGEST, OCCUPIED, UNKNOWN, OccupancyMap, squares_of_text
from humanoid_rl_ros.core.planar import PlanarPose

WHITE, BLACK, GREY = 254, 0, 205
"""Of free, occupied and unknown squares in an image, as map_server writes them."""
OCCUPIED_FROM, FREE_BELOW = 0.65, 0.196
"""Darkness from which on a square is occupied, and below which it is free; grey 205 is neither."""
SUFFIXES = (".yaml", ".yml")


def load_map(path: str | Path) -> OccupancyMap:
    """Read a map.

    Args:
        path: the YAML. Either ``image``, ``resolution``, ``origin``, ``occupied_thresh``, ``free_thresh``, ``negate``
            and ``mode`` as of nav2's map_server, or ``rows`` with one character a square (``.`` free, ``#`` occupied,
            ``?`` unknown; the first row is the farthest from the origin), ``resolution`` and ``origin``.

    Raises:
        ConfigError: a file is missing, a key is missing, unknown or malformed, or the image is none.
        MissingDependencyError: the image needs Pillow, which is not installed.
    """
    path = Path(path)
    top = read_yaml(path)
    resolution = top.number("resolution", above=0.0)
    x, y, yaw = top.numbers("origin", [0.0, 0.0, 0.0], length=3)
    origin = PlanarPose(float(x), float(y), float(yaw))
    if "rows" in top and "image" in top:
        raise ConfigError(f"{top.where}: has 'rows' and 'image'; a map is one of them")
    if "rows" in top:
        rows = top.raw("rows")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, str) and row for row in rows):
            raise ConfigError(f"{top.where}: 'rows' must be a list of texts of equal length, such as '..#..'")
        top.finish()
        try:
            return OccupancyMap(squares_of_text(tuple(rows)), resolution, origin)
        except ConfigError as error:
            raise ConfigError(f"{top.where}: rows: {error}") from None
    squares = _squares(top, path.parent)
    top.finish()
    return OccupancyMap(squares, resolution, origin)


def _squares(top: Section, folder: Path) -> NDArray[np.int8]:
    image = folder / top.text("image")
    occupied = top.number("occupied_thresh", OCCUPIED_FROM, least=0.0, most=1.0)
    free = top.number("free_thresh", FREE_BELOW, least=0.0, most=1.0)
    if free >= occupied:
        raise ConfigError(f"{top.where}: 'free_thresh' {free:g} must be below 'occupied_thresh' {occupied:g}")
    negate = top.raw("negate", 0)
    if negate not in (0, 1):  # map_server writes a number; False and True are equal to it
        raise ConfigError(f"{top.where}: 'negate' must be 0 or 1, found {negate!r}")
    mode = top.text("mode", "trinary")
    if mode != "trinary":
        raise ConfigError(f"{top.where}: 'mode' must be trinary, found '{mode}': save the map again with mode trinary")
    shade = _shades(image) / 255.0
    darkness = shade if negate else 1.0 - shade
    squares = np.full(shade.shape, UNKNOWN, dtype=np.int8)
    squares[darkness > occupied] = OCCUPIED
    squares[darkness < free] = FREE
    return squares[::-1]  # the first row of an image is its upper edge


def _shades(path: Path) -> NDArray[np.float64]:
    """Mean of the colours of each pixel, 0 to 255 [Shape (rows, columns)]."""
    image_module = _pillow()
    try:
        with image_module.open(path) as image:
            if image.width * image.height > LARGEST:
                raise ConfigError(f"{path}: {image.width} × {image.height} pixels; a map has at most {LARGEST}")
            if image.mode.startswith(("I", "F")):
                raise ConfigError(f"{path}: pixels of more than 8 bits (mode {image.mode}); save it with 8")
            return np.asarray(np.asarray(image.convert("RGB"), dtype=np.float64).mean(axis=2))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such image") from None
    # Pillow raises what its many decoders raise; a bomb is an exception of its own.
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise ConfigError(f"{path}: cannot be read as an image: {' '.join(str(error).split())}") from None


def save_map(found: OccupancyMap, path: str | Path) -> Path:
    """Write a map as map_server does: the YAML, and beside it the image with its name.

    Args:
        found: the map.
        path: of the YAML, ending in ``.yaml``.

    Returns:
        The image.

    Raises:
        ConfigError: the name ends otherwise, or a file cannot be written.
        MissingDependencyError: Pillow is not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a map is written as {' or '.join(SUFFIXES)}")
    image = path.with_suffix(".pgm")
    shade = np.full(found.squares.shape, GREY, dtype=np.uint8)
    shade[found.squares == FREE] = WHITE
    shade[found.squares == OCCUPIED] = BLACK
    pose = found.origin
    data = {
        "image": image.name,
        "mode": "trinary",
        "resolution": float(found.resolution),
        "origin": [float(pose.x), float(pose.y), float(pose.yaw)],
        "negate": 0,
        "occupied_thresh": OCCUPIED_FROM,
        "free_thresh": FREE_BELOW,
    }
    pillow = _pillow()
    try:
        pillow.fromarray(np.ascontiguousarray(shade[::-1])).save(image, format="PPM")
        path.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None
    return image


def parse_point(text: str, what: str) -> tuple[float, float]:
    """Two numbers apart by a comma or a space [m].

    Raises:
        ConfigError: they are something else.
    """
    words = text.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    try:
        x, y = (float(word) for word in words)
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ConfigError(f"{what} is two numbers, 'x,y' in metres, found '{text}'")
    return x, y


def _pillow() -> Any:  # a module
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError("images of maps need Pillow: pip install pillow (or python3-pil)") from None
    return Image
