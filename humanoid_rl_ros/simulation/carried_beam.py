"""A beam that two robots of a team carry between them, hung from a hand of each by a sling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError, did_you_mean
from humanoid_rl_ros.simulation.model_file import mujoco

NAME = "beam"
_SIDES = 2


@dataclass(frozen=True)
class BeamSpec:
    """The beam and what it hangs from: the first robot holds one end, the second the other.

    Attributes:
        length, radius: of the beam [m].
        mass: [kg].
        sling: length of each sling; shorter it is slack [m].
        stiffness: of a taut sling [N/m].
        damping: of a sling [N·s/m].
        holds: for each of the two robots the body whose frame its sling is tied to.
        points: and where in that frame [m; Shape (2, 3)].
    """

    length: float = 0.7
    radius: float = 0.02
    mass: float = 2.0
    sling: float = 0.15
    stiffness: float = 2000.0
    damping: float = 10.0
    holds: tuple[str, str] = ("", "")
    points: tuple[tuple[float, float, float], tuple[float, float, float]] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@dataclass(frozen=True, eq=False)
class BeamState:
    """The beam of every world.

    Attributes:
        tension: of each sling at the beginning of the last physics step [N; Shape (worlds, 2)].
        clearance: of the lower end above the floor [m; Shape (worlds,)].
        tilt: from level [rad; Shape (worlds,)].
    """

    tension: FloatArray
    clearance: FloatArray
    tilt: FloatArray


def add_beam(spec: mujoco.MjSpec, beam: BeamSpec, prefixes: Sequence[str]) -> None:
    """Add the beam, the slings and their sensors to a specification.

    Args:
        spec: of a team, not yet compiled.
        beam: what to add.
        prefixes: of the names of the robots' elements.

    Raises:
        ConfigError: there are not two robots.
        ModelError: a robot has no such body.
    """
    if len(prefixes) != _SIDES:
        raise ConfigError(f"a beam is carried by 2 robots, found {len(prefixes)}")
    body = spec.worldbody.add_body(name=NAME)
    body.add_freejoint(name=NAME)
    half = 0.5 * beam.length
    rod = body.add_geom(name=NAME, type=mujoco.mjtGeom.mjGEOM_CAPSULE, mass=beam.mass)
    rod.fromto, rod.size = [-half, 0.0, 0.0, half, 0.0, 0.0], [beam.radius, 0.0, 0.0]
    rod.contype = rod.conaffinity = 1
    rod.rgba = [0.55, 0.38, 0.2, 1.0]
    for side, (prefix, name, point) in enumerate(zip(prefixes, beam.holds, beam.points, strict=True)):
        holder = spec.body(prefix + name)
        if holder is None:
            own = [b.name.removeprefix(prefix) for b in spec.bodies if b.name.startswith(prefix)]
            raise ModelError(f"beam: the robot has no body '{name}'; {did_you_mean(name, own)}")
        hand = holder.add_site(name=f"{NAME}/hand/{side}", pos=list(point), group=5)
        end = body.add_site(name=f"{NAME}/end/{side}", pos=[-half if side == 0 else half, 0.0, 0.0], group=5)
        sling = spec.add_tendon(name=f"{NAME}/sling/{side}")
        # Later versions hold a polynomial here; its first term is the linear one.
        for law, value in (("stiffness", beam.stiffness), ("damping", beam.damping)):
            setattr(sling, law, [value, 0.0, 0.0] if np.ndim(getattr(sling, law)) else value)
        sling.springlength = [0.0, beam.sling]
        sling.width = 0.006
        sling.wrap_site(hand.name)
        sling.wrap_site(end.name)
        spec.add_sensor(
            name=sling.name,
            type=mujoco.mjtSensor.mjSENS_TENDONPOS,
            objtype=mujoco.mjtObj.mjOBJ_TENDON,
            objname=sling.name,
        )


class CarriedBeam:
    """Finds the beam in the states of a team's worlds.

    Args:
        model: compiled with `add_beam`.
        beam: what was added.
    """

    def __init__(self, model: mujoco.MjModel, beam: BeamSpec) -> None:
        self._beam = beam
        self._qpos = int(model.jnt_qposadr[model.joint(NAME).id])
        self._lengths = [int(model.sensor(f"{NAME}/sling/{side}").adr[0]) for side in range(_SIDES)]
        self._model, self._data = model, mujoco.MjData(model)
        self._hands = [model.site(f"{NAME}/hand/{side}").id for side in range(_SIDES)]

    def hang(self, qpos: FloatArray) -> None:
        """Put the beam where it hangs at rest between the hands; changes its part of one world's qpos [Shape (nq,)]."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        first, second = (np.array(self._data.site_xpos[hand]) for hand in self._hands)
        beam, apart = self._beam, second - first
        stretch = 0.5 * beam.mass * float(np.linalg.norm(self._model.opt.gravity)) / beam.stiffness
        aside = 0.5 * (math.hypot(apart[0], apart[1]) - beam.length)
        below = math.sqrt(max(0.0, (beam.sling + stretch) ** 2 - aside**2))
        middle = 0.5 * (first + second) - np.array([0.0, 0.0, below])
        half = 0.5 * math.atan2(apart[1], apart[0])
        qpos[self._qpos : self._qpos + 7] = *middle, math.cos(half), 0.0, 0.0, math.sin(half)

    def state(self, qpos: FloatArray, readings: FloatArray) -> BeamState:
        """The beam now.

        Args:
            qpos: of all worlds [Shape (w, nq)].
            readings: their sensor data [Shape (w, nsensordata)].
        """
        beam, pose = self._beam, qpos[:, self._qpos : self._qpos + 7]
        w, x, y, z = pose[:, 3:].T
        rise = 2.0 * (x * z - w * y)  # of the beam's x axis, upwards
        tension = beam.stiffness * np.maximum(0.0, readings[:, self._lengths] - beam.sling)
        clearance = pose[:, 2] - 0.5 * beam.length * np.abs(rise) - beam.radius
        return BeamState(tension, clearance, np.arcsin(np.minimum(1.0, np.abs(rise))))
