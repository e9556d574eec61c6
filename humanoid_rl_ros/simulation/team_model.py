"""Several humanoids on one floor in one MuJoCo model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.layout import STAND_KEY, ModelLayout, layout
from humanoid_rl_ros.simulation.model_file import MUJOCO_ERRORS, compile_spec, mujoco, one_line
from humanoid_rl_ros.simulation.mujoco_model import add_surroundings, fit, is_floor, model_path, set_limits, set_options
from humanoid_rl_ros.simulation.standing import standing_qpos

MOST_ROBOTS = 8
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BITS = 31
_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)


@dataclass(frozen=True)
class StartPlace:
    """Where on the floor a robot starts.

    Attributes:
        x, y: what the origin of its model is shifted by [m; world].
        yaw: what its model is turned by about that origin, counterclockwise seen from above [rad].
    """

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.yaw))):
            raise ConfigError(f"a start place must be finite, found x {self.x}, y {self.y}, yaw {self.yaw}")


@dataclass(frozen=True)
class Member:
    """One robot of a team.

    Attributes:
        name: the robot's name in the world, and its namespace: letters, digits and underscores.
        robot: what it is; must have a model.
        start: where it starts.
    """

    name: str
    robot: RobotSpec
    start: StartPlace = StartPlace()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"'{self.name}' cannot name a robot: a name is letters, digits and underscores and begins with a letter"
            )

    @property
    def prefix(self) -> str:
        """What the names of its elements begin with in the model."""
        return f"{self.name}/"


def in_a_row(n: int, spacing: float) -> tuple[StartPlace, ...]:
    """Places side by side along y, the first furthest left, all looking along x, their middle at the origin.

    Args:
        n: places.
        spacing: from one to the next [m].
    """
    if not (math.isfinite(spacing) and spacing > 0.0):
        raise ConfigError(f"the spacing of robots must be finite and above 0 m, found {spacing}")
    return tuple(StartPlace(y=spacing * (0.5 * (n - 1) - i)) for i in range(n))


def prepare_team(
    members: Sequence[Member],
    *,
    timestep: float,
    visual: bool = False,
    welded: Mapping[str, float] | None = None,
    extend: Callable[[mujoco.MjSpec], None] | None = None,
) -> mujoco.MjModel:
    """Compile one model of several robots, each as `humanoid_rl_ros.simulation.mujoco_model.prepare` makes it alone.

    Every name of a robot's elements begins with its `Member.prefix`; `layout` finds its arrays by that. Floor, lights
    and whatever else stands around are the first robot's, options of the physics too. Robots touch each other wherever
    they can touch anything. Keyframe `STAND_KEY` has every robot in its default pose at its start.

    Args:
        members: 1 to `MOST_ROBOTS` robots, of one kind or of several, with different names.
        timestep: of the physics [s].
        visual: keep geometry that only serves pictures.
        welded: joints made rigid in every robot; see `prepare`.
        extend: adds to the specification what the caller needs besides, before it is compiled.

    Raises:
        ConfigError: there are too few or too many, two have one name, or a model cannot be found.
        ModelError: a model cannot be driven or joined to the others.
    """
    names = [member.name for member in members]
    if not 1 <= len(members) <= MOST_ROBOTS:
        raise ConfigError(f"a team is 1 to {MOST_ROBOTS} robots, found {len(members)}")
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{names.count(name)} robots of the team are called '{name}'; each needs its own name")
    fitted = [fit(member.robot, visual=visual, welded=welded) for member in members]
    first = fitted[0][0]
    add_surroundings(first, pictures=visual)
    _let_touch([spec for spec, _ in fitted])
    set_options(first, timestep)
    team = mujoco.MjSpec()
    for other in (team, *(spec for spec, _ in fitted[1:])):  # MuJoCo warns of models that differ in them
        _take_settings(other, first)
    floor = ""
    for member, (spec, root) in zip(members, fitted, strict=True):
        on_floor = _pairs_with_floor(spec)
        if floor:
            _take_surroundings_away(spec, root)
        try:
            team.attach(spec, prefix=member.prefix, frame=team.worldbody.add_frame())
        except MUJOCO_ERRORS as error:
            raise ModelError(f"model {model_path(member.robot)}: {one_line(error)}") from None
        floor = floor or next(geom.name for geom in team.geoms if is_floor(geom))
        for pair, end in on_floor:
            setattr(pair, end, floor)
    team.add_key(name=STAND_KEY)
    if extend is not None:
        extend(team)
    model = compile_spec(team, model_path(members[0].robot))
    places = [layout(model, member.robot, member.prefix) for member in members]
    for member, place in zip(members, places, strict=True):
        set_limits(model, place, member.robot)
    qpos = model.qpos0.copy()
    for member, place in zip(members, places, strict=True):
        own = own_qpos(model, place)
        qpos[own] = start_qpos(model, place, member.robot.default_position, member.start)[own]
    model.key_qpos[0] = qpos
    return model


def start_qpos(model: mujoco.MjModel, place: ModelLayout, position: FloatArray, start: StartPlace) -> FloatArray:
    """As `standing_qpos`, with the robot at its start; what is not the robot's is the model's [Shape (nq,)].

    Args:
        model: from `prepare_team`.
        place: the robot's layout.
        position: its joint pose [rad; Shape (n,)].
        start: where it stands.
    """
    qpos = standing_qpos(model, place, position)
    root = place.root_qpos
    if start.yaw != 0.0:
        turn = np.array([math.cos(0.5 * start.yaw), 0.0, 0.0, math.sin(0.5 * start.yaw)])
        origin, orientation = np.empty(3), np.empty(4)
        mujoco.mju_rotVecQuat(origin, qpos[root : root + 3], turn)
        mujoco.mju_mulQuat(orientation, turn, qpos[root + 3 : root + 7])
        qpos[root : root + 3], qpos[root + 3 : root + 7] = origin, orientation
    qpos[root : root + 2] += start.x, start.y
    return qpos


def own_qpos(model: mujoco.MjModel, place: ModelLayout) -> np.ndarray:
    """Indices in qpos of everything that is this robot's, joints that nobody drives too."""
    return _own(model, place, model.jnt_qposadr, {_FREE: 7, _BALL: 4})


def own_dof(model: mujoco.MjModel, place: ModelLayout) -> np.ndarray:
    """Indices in qvel of everything that is this robot's, joints that nobody drives too."""
    return _own(model, place, model.jnt_dofadr, {_FREE: 6, _BALL: 3})


def _own(model: mujoco.MjModel, place: ModelLayout, first: np.ndarray, widths: Mapping[int, int]) -> np.ndarray:
    joints = np.flatnonzero(model.body_rootid[model.jnt_bodyid] == place.root_body)
    spans = [np.arange(first[j], first[j] + widths.get(int(model.jnt_type[j]), 1)) for j in joints]
    return np.concatenate(spans).astype(np.intp)


def _take_settings(spec: mujoco.MjSpec, first: mujoco.MjSpec) -> None:
    """Options, statistics and looks of the first robot's model."""
    for group in ("option", "stat"):
        ours, theirs = getattr(spec, group), getattr(first, group)
        for name in dir(theirs):
            if not name.startswith("_"):
                setattr(ours, name, getattr(theirs, name))
    view, shown = spec.visual.global_, first.visual.global_
    view.offwidth, view.offheight = shown.offwidth, shown.offheight
    spec.visual.quality.shadowsize = first.visual.quality.shadowsize
    spec.compiler.discardvisual = first.compiler.discardvisual
    spec.compiler.fusestatic = False


def _pairs_with_floor(spec: mujoco.MjSpec) -> list[tuple[mujoco.MjsPair, str]]:
    """Contact pairs of the model's author that name a floor, each with the end that names it."""
    floors = {geom.name for geom in spec.geoms if is_floor(geom)}
    return [(pair, end) for pair in spec.pairs for end in ("geomname1", "geomname2") if getattr(pair, end) in floors]


def _take_surroundings_away(spec: mujoco.MjSpec, root: mujoco.MjsBody) -> None:
    """The world has a floor and lights already."""
    for pair, end in _pairs_with_floor(spec):
        setattr(pair, end, "")  # or it would go with the floor
    for kind in (spec.worldbody.geoms, spec.worldbody.lights, spec.worldbody.cameras, spec.worldbody.sites):
        for element in list(kind):
            spec.delete(element)
    for body in list(spec.worldbody.bodies):
        if body.name != root.name:
            spec.delete(body)


def _let_touch(specs: Sequence[mujoco.MjSpec]) -> None:
    """Robots touch each other, each touches the shared floor where it touched its own, and nothing else is changed.

    One bit a robot that no file uses: its geoms offer it, and those of the others ask for it. One more for the floor.
    """
    used = 0
    for spec in specs:
        for geom in spec.geoms:
            used |= geom.contype | geom.conaffinity
    free = [1 << bit for bit in range(_BITS) if not used >> bit & 1]
    if len(free) < len(specs) + 1:
        raise ModelError(f"the models use {_BITS - len(free)} of {_BITS} contact bits; {len(specs) + 1} must be free")
    ground, *bits = free[: len(specs) + 1]
    for spec, own in zip(specs, bits, strict=True):
        floors = [geom for geom in spec.geoms if is_floor(geom)]
        for geom in spec.geoms:
            if not (geom.contype or geom.conaffinity):
                continue
            if geom.parent.name == "world":
                geom.conaffinity = geom.conaffinity | ground
                continue
            stands = not floors or any(
                geom.contype & plane.conaffinity or plane.contype & geom.conaffinity for plane in floors
            )
            geom.contype = geom.contype | own | (ground if stands else 0)
            geom.conaffinity = geom.conaffinity | (sum(bits) & ~own)
