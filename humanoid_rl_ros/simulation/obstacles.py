"""Walls and other things that stand on the floor and do not move."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.simulation.layout import PREFIX, ModelLayout
from humanoid_rl_ros.simulation.model_file import mujoco

HEIGHT = 1.0
"""Of an obstacle from a map, which says nothing of it [m]."""
MOST = 2000
RGBA = (0.62, 0.56, 0.50, 1.0)


@dataclass(frozen=True)
class Box:
    """One upright box.

    Attributes:
        pose: of its middle on the floor, in the world.
        half_x, half_y: half its edges along its own axes [m].
        height: [m].
    """

    pose: PlanarPose
    half_x: float
    half_y: float
    height: float = HEIGHT


def boxes_of(rectangles: FloatArray, frame: PlanarPose) -> tuple[Box, ...]:
    """Rectangles of a frame as boxes in the world.

    Args:
        rectangles: centre x, y and half lengths, in the frame [m; Shape (n, 4)].
        frame: where the frame stands in the world.

    Raises:
        ConfigError: there are more than a world can hold.
    """
    if len(rectangles) > MOST:
        raise ConfigError(
            f"the map's obstacles are {len(rectangles)} rectangles, a simulated world holds {MOST}: make the map "
            "coarser"
        )
    return tuple(Box(frame.compose(PlanarPose(x, y)), a, b) for x, y, a, b in rectangles.tolist())


def adder(boxes: Sequence[Box]) -> Callable[[mujoco.MjSpec], None] | None:
    """What adds boxes to a model before it is compiled; None where there are none.

    They meet everything that the floor meets.
    """
    if not boxes:
        return None

    def add(spec: mujoco.MjSpec) -> None:
        bits = 0
        for geom in spec.geoms:
            bits |= geom.contype | geom.conaffinity
        for number, box in enumerate(boxes):
            geom = spec.worldbody.add_geom(
                name=f"{PREFIX}obstacle_{number}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[box.half_x, box.half_y, 0.5 * box.height],
                pos=[box.pose.x, box.pose.y, 0.5 * box.height],
                quat=[math.cos(0.5 * box.pose.yaw), 0.0, 0.0, math.sin(0.5 * box.pose.yaw)],
                rgba=list(RGBA),
            )
            geom.contype = geom.conaffinity = bits or 1
            geom.condim, geom.friction = 3, [1.0, 0.005, 0.0001]

    return add


def require_room(model: mujoco.MjModel, place: ModelLayout, qpos: FloatArray) -> None:
    """Refuse a start in which the robot stands in an obstacle.

    Raises:
        ModelError: it does.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    own = model.body_rootid[model.geom_bodyid] == place.root_body
    for first, second in data.contact.geom:
        for geom, other in ((first, second), (second, first)):
            if own[geom] and model.geom(int(other)).name.startswith(f"{PREFIX}obstacle_"):
                x, y = qpos[place.root_qpos : place.root_qpos + 2]
                raise ModelError(f"the robot does not fit where it starts, ({x:.2f}, {y:.2f}): an obstacle is there")
