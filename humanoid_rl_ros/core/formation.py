"""Formations: the slots of a shape, and the frame that a team is in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean

SHAPES = ("line", "column", "wedge", "ring")


@dataclass(frozen=True, eq=False)
class FormationFrame:
    """Where a formation is: x ahead, y to the left, its origin in the middle of the slots.

    Attributes:
        centre: [m; common frame; Shape (..., 2)].
        heading: of its x axis [rad; common frame; Shape (...)].
    """

    centre: FloatArray
    heading: FloatArray


def slots(shape: str, robots: int, spacing: float) -> FloatArray:
    """Where each robot of a formation belongs.

    ``line``: side by side, the first on the left. ``column``: one behind the other, the first ahead. ``wedge``: the
    first at the tip, the others behind it on the left and on the right in turn, at 45 degrees. ``ring``: a regular
    polygon, the first ahead, on counter-clockwise.

    Args:
        shape: one of `SHAPES`.
        robots: at least 2.
        spacing: between neighbours [m].

    Returns:
        Offsets from their mean [m; formation frame; Shape (robots, 2)].

    Raises:
        ConfigError: there is no such shape, fewer than 2 robots, or a spacing that is not above 0.
    """
    if shape not in SHAPES:
        raise ConfigError(f"no formation '{shape}'; {did_you_mean(shape, SHAPES)}")
    if robots < 2:
        raise ConfigError(f"a formation needs at least 2 robots, found {robots}")
    if not (math.isfinite(spacing) and spacing > 0.0):
        raise ConfigError(f"the spacing of a formation must be above 0 m, found {spacing:g}")
    order = np.arange(robots, dtype=np.float64)
    if shape == "line":
        place = np.stack([np.zeros(robots), -order], axis=1)
    elif shape == "column":
        place = np.stack([-order, np.zeros(robots)], axis=1)
    elif shape == "wedge":
        back = np.ceil(order / 2.0) * math.sqrt(0.5)
        side = np.where(order % 2 == 1, 1.0, -1.0)
        place = np.stack([-back, side * back], axis=1)
    else:
        angle = 2.0 * math.pi * order / robots
        place = np.stack([np.cos(angle), np.sin(angle)], axis=1) / (2.0 * math.sin(math.pi / robots))
    place = spacing * place
    return np.asarray(place - place.mean(axis=0))


def formation_frame(position: FloatArray, heading: FloatArray, slot: FloatArray) -> FormationFrame:
    """The frame that a team is in: it looks where its robots look on average, and its middle is theirs.

    Nothing but the present counts, so a robot that comes late, or was started anew, sees the same frame as the others,
    and a formation that takes another shape keeps its course.

    Args:
        position: of the robots [m; common frame; Shape (..., n, 2)].
        heading: [rad; common frame; Shape (..., n)].
        slot: [m; formation frame; Shape (..., n, 2)]; of a team from which robots are missing, those of the others.
    """
    course = np.asarray(np.arctan2(np.sin(heading).sum(axis=-1), np.cos(heading).sum(axis=-1)))
    middle = np.broadcast_to(slot.mean(axis=-2), (*position.shape[:-2], 2))
    return FormationFrame(position.mean(axis=-2) - turned(middle, course), course)


def turned(vector: FloatArray, angle: FloatArray) -> FloatArray:
    """Vectors of the plane turned counter-clockwise [Shape (..., 2), (...) -> (..., 2)]."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vector[..., 0], vector[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def wrapped(angle: FloatArray) -> FloatArray:
    """An angle in [−π, π) [rad]."""
    return np.asarray(np.mod(angle + math.pi, 2.0 * math.pi) - math.pi)
