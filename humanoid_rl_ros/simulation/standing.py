"""Where a robot touches the ground: its base height for a pose, and its feet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.simulation.layout import STAND_KEY, ModelLayout
from humanoid_rl_ros.simulation.model_file import mujoco

_FAR = 1e3
# A foot may be a little above the ground in a pose that leans; the first height that finds two feet is taken [m].
_FOOT_HEIGHTS = (0.01, 0.03, 0.06, 0.10)


@dataclass(frozen=True, eq=False)
class Feet:
    """The bodies that carry the robot.

    Attributes:
        names: body names, in the order of the model.
        bodies: body ids [Shape (f,)].
        of_geom: foot that a geom belongs to, −1 for none [Shape (ngeom,)].
    """

    names: tuple[str, ...]
    bodies: IndexArray
    of_geom: IndexArray


def standing_qpos(model: mujoco.MjModel, place: ModelLayout, position: FloatArray) -> FloatArray:
    """The model's generalised position for a joint pose, with the lowest point of the robot on the floor.

    The base keeps the orientation and the horizontal place that the model gives it.

    Args:
        model: from `prepare`.
        place: its layout.
        position: joint pose [rad; Shape (n,)].

    Returns:
        [Shape (nq,)].

    Raises:
        ModelError: nothing of the robot can touch the floor.
    """
    data = mujoco.MjData(model)
    data.qpos[place.qpos] = position
    return seated(model, place, data)


def seated(model: mujoco.MjModel, place: ModelLayout, data: mujoco.MjData) -> FloatArray:
    """qpos of `data` with the base moved up or down so that the robot just touches the floor [Shape (nq,)]."""
    mujoco.mj_kinematics(model, data)
    qpos = np.array(data.qpos)
    qpos[place.root_qpos + 2] -= min(distances(model, place, data, floor_geoms(model, place)).values())
    return qpos


def floor_geoms(model: mujoco.MjModel, place: ModelLayout) -> list[int]:
    """The geoms of the robot that can touch the floor.

    Raises:
        ModelError: there is none.
    """
    own = np.flatnonzero(model.body_rootid[model.geom_bodyid] == place.root_body)
    floor = place.floor
    meets = (model.geom_contype[own] & model.geom_conaffinity[floor]) | (
        model.geom_contype[floor] & model.geom_conaffinity[own]
    )
    paired = {
        int(b if a == floor else a) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True) if floor in (a, b)
    }
    touching = [int(g) for g, m in zip(own, meets, strict=True) if m or int(g) in paired]
    if not touching:
        raise ModelError(
            f"no geom of body '{model.body(place.root_body).name}' and what hangs on it can touch the floor: "
            "it has no collision geometry, or its contact bits exclude the floor"
        )
    return touching


def distances(model: mujoco.MjModel, place: ModelLayout, data: mujoco.MjData, geoms: Sequence[int]) -> dict[int, float]:
    """Distance of each of some geoms from the floor, negative below [m]."""
    floor = place.floor
    return {g: mujoco.mj_geomDistance(model, data, floor, g, _FAR, None) for g in geoms}


def find_feet(model: mujoco.MjModel, place: ModelLayout) -> Feet:
    """The bodies that touch the floor in the default pose; toes and other parts below a foot count as that foot.

    Args:
        model: from `prepare`.
        place: its layout.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(STAND_KEY).qpos
    mujoco.mj_kinematics(model, data)
    gap = distances(model, place, data, floor_geoms(model, place))
    bodies: list[int] = []
    for height in _FOOT_HEIGHTS:
        low = _rigid_parts(model, [int(model.geom_bodyid[g]) for g, d in gap.items() if d <= height])
        found = sorted(b for b in low if not any(a in low for a in _above(model, b)))
        bodies = bodies or found
        if len(found) >= 2:
            bodies = found
            break
    of_geom = np.full(model.ngeom, -1, dtype=np.intp)
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        for foot, foot_body in enumerate(bodies):
            if foot_body in (body, *_above(model, body)):
                of_geom[geom] = foot
    return Feet(tuple(model.body(b).name or f"body_{b}" for b in bodies), np.array(bodies, dtype=np.intp), of_geom)


def _rigid_parts(model: mujoco.MjModel, bodies: list[int]) -> set[int]:
    """The bodies, with those that are rigidly one part (pads of a sole) replaced by the body that carries them."""
    parts: dict[int, set[int]] = {}
    for body in bodies:
        parts.setdefault(int(model.body_weldid[body]), set()).add(body)
    return {carrier if len(members) > 1 else members.pop() for carrier, members in parts.items()}


def _above(model: mujoco.MjModel, body: int) -> list[int]:
    """Ancestors of a body, nearest first, without the world."""
    ancestors = []
    body = int(model.body_parentid[body])
    while body > 0:
        ancestors.append(body)
        body = int(model.body_parentid[body])
    return ancestors
