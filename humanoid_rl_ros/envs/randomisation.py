"""How robots, sensors and starts differ from episode to episode, and the pushes in between."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.config import LATER, Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.ground import GroundSpec
from humanoid_rl_ros.simulation.batch_simulation import BodyVariation

Range = tuple[float, float]


@dataclass(frozen=True)
class RandomisationSpec:
    """Ranges that are drawn from, uniformly, at the start of each episode.

    Attributes:
        friction: sliding friction; None for the model's own.
        mass: factor on all masses.
        centre_of_mass: largest shift of the root body's on each axis [m].
        kp, kd: factors on the gains, one for each joint.
        delay: longest time by which targets are late [s].
        encoder_offset: largest constant error of each joint position [rad].
        imu_tilt: largest constant error of the IMU's roll and of its pitch [rad].
        payload: mass of a load as a share of the robot's own; None for none.
        payload_place: largest distance of the load from the centre of mass of the body that carries it, each axis [m].
        payload_on: pattern of that body's name; empty for the root.
        weak_joint: share of the effort it is asked for that one joint of each robot gives; None for all of it.
        weak_joints: patterns of the joints among which it is drawn; empty for those that the policy drives.
        push_speed: largest horizontal velocity that a push adds [m/s].
        push_period: time between two pushes, drawn between these [s].
        start_position: largest distance of each joint from the start pose [rad].
        start_velocity: largest velocity of the base on each axis [m/s, rad/s].
        gyro_noise: largest error in a measurement, drawn anew at each [rad/s].
        tilt_noise: the same of roll and pitch [rad].
        position_noise, velocity_noise: the same of joints [rad], [rad/s].
    """

    friction: Range | None = None
    mass: Range = (1.0, 1.0)
    centre_of_mass: float = 0.0
    kp: Range = (1.0, 1.0)
    kd: Range = (1.0, 1.0)
    delay: float = 0.0
    encoder_offset: float = 0.0
    imu_tilt: float = 0.0
    payload: Range | None = field(default=None, metadata=LATER)
    payload_place: float = field(default=0.0, metadata=LATER)
    payload_on: str = field(default="", metadata=LATER)
    weak_joint: Range | None = field(default=None, metadata=LATER)
    weak_joints: tuple[str, ...] = field(default=(), metadata=LATER)
    push_speed: float = 0.0
    push_period: Range = (5.0, 10.0)
    start_position: float = 0.0
    start_velocity: float = 0.0
    gyro_noise: float = 0.0
    tilt_noise: float = 0.0
    position_noise: float = 0.0
    velocity_noise: float = 0.0

    @property
    def varies_bodies(self) -> bool:
        """Whether any robot's body differs from the model."""
        return (
            self.friction is not None
            or self.mass != (1.0, 1.0)
            or self.centre_of_mass > 0.0
            or self.kp != (1.0, 1.0)
            or self.kd != (1.0, 1.0)
            or self.payload is not None
            or self.weak_joint is not None
        )

    @property
    def noisy(self) -> bool:
        """Whether measurements carry noise."""
        return max(self.gyro_noise, self.tilt_noise, self.position_noise, self.velocity_noise) > 0.0


def randomisation_from_section(section: Section) -> RandomisationSpec:
    """Read the ``randomisation`` mapping of a task YAML."""

    def pair(key: str, default: Range) -> Range:
        low, high = section.numbers(key, list(default), length=2)
        if not 0.0 < low <= high:
            raise ConfigError(f"{section.where}: '{key}' must be two numbers above 0, the larger last")
        return float(low), float(high)

    def share(key: str, least: float, most: float) -> Range | None:
        if section.raw(key, None) is None:
            return None
        low, high = section.numbers(key, length=2)
        if not least <= low <= high <= most:
            raise ConfigError(
                f"{section.where}: '{key}' must be two numbers from {least:g} to {most:g}, the larger last"
            )
        return float(low), float(high)

    def size(key: str) -> float:
        return section.number(key, 0.0, least=0.0)

    spec = RandomisationSpec(
        friction=pair("friction", (1.0, 1.0)) if section.raw("friction", None) is not None else None,
        mass=pair("mass", (1.0, 1.0)),
        centre_of_mass=size("centre_of_mass"),
        kp=pair("kp", (1.0, 1.0)),
        kd=pair("kd", (1.0, 1.0)),
        delay=size("delay"),
        encoder_offset=size("encoder_offset"),
        imu_tilt=size("imu_tilt"),
        payload=share("payload", 0.0, 2.0),
        payload_place=size("payload_place"),
        payload_on=section.text("payload_on", ""),
        weak_joint=share("weak_joint", 0.0, 1.0),
        weak_joints=section.names("weak_joints", ()),
        push_speed=size("push_speed"),
        push_period=pair("push_period", (5.0, 10.0)),
        start_position=size("start_position"),
        start_velocity=size("start_velocity"),
        gyro_noise=size("gyro_noise"),
        tilt_noise=size("tilt_noise"),
        position_noise=size("position_noise"),
        velocity_noise=size("velocity_noise"),
    )
    section.finish()
    return spec


class EpisodeDraws:
    """What was drawn for the running episode of each robot.

    Args:
        spec: the ranges.
        n: robots.
        n_joints: simulated joints.
        timestep: of the physics, which delays are multiples of [s].
        weakenable: joints of which one may be weak [Shape (w,)]; None for all.
        ground: the ground; None where it is even.

    Attributes:
        friction, mass: [Shape (n,)].
        centre_of_mass: [m; Shape (n, 3)].
        kp, kd: [Shape (n, n_joints)].
        delay: physics steps [Shape (n,)].
        encoder_offset: [rad; Shape (n, n_joints)].
        imu_tilt: (roll, pitch) [rad; Shape (n, 2)].
        payload: share of the robot's mass [Shape (n,)].
        payload_place: [m; Shape (n, 3)].
        strength: share of its effort that each joint gives [Shape (n, n_joints)].
        terrain: height of the hills [m; Shape (n,)].
    """

    def __init__(
        self,
        spec: RandomisationSpec,
        n: int,
        n_joints: int,
        timestep: float,
        *,
        weakenable: IndexArray | None = None,
        ground: GroundSpec | None = None,
    ) -> None:
        self.spec, self.ground = spec, ground
        self._weakenable = np.arange(n_joints) if weakenable is None else weakenable
        # Only what the task speaks of: a state of a task that says nothing of it holds nothing of it.
        self._names = (
            *_DRAWN,
            *(("payload", "payload_place") if spec.payload is not None else ()),
            *(("strength",) if spec.weak_joint is not None else ()),
            *(("terrain",) if ground is not None else ()),
        )
        self._timestep = timestep
        self.friction = np.full(n, np.nan)
        self.mass = np.ones(n)
        self.centre_of_mass = np.zeros((n, 3))
        self.kp, self.kd = np.ones((n, n_joints)), np.ones((n, n_joints))
        self.delay: IndexArray = np.zeros(n, dtype=np.intp)
        self.encoder_offset = np.zeros((n, n_joints))
        self.imu_tilt = np.zeros((n, 2))
        self.payload, self.payload_place = np.zeros(n), np.zeros((n, 3))
        self.strength, self.terrain = np.ones((n, n_joints)), np.zeros(n)

    @property
    def varies_bodies(self) -> bool:
        """Whether `bodies` are any but the model's, or stand on any but its floor."""
        return self.spec.varies_bodies or self.ground is not None

    def draw(self, which: IndexArray, level: float, rng: np.random.Generator) -> None:
        """Draw anew for some robots.

        Args:
            which: rows [Shape (k,)].
            level: from 0 (nothing varies; friction in the middle of its range) to 1 (the full ranges).
            rng: the source of chance.
        """
        spec, k, joints = self.spec, len(which), self.kp.shape[1]

        def within(range_: Range, *shape: int, nominal: float = 1.0) -> FloatArray:
            drawn = rng.uniform(range_[0], range_[1], size=shape)
            return nominal + level * (drawn - nominal)

        def around(size: float, *shape: int) -> FloatArray:
            return level * rng.uniform(-size, size, size=shape)

        if spec.friction is not None:
            self.friction[which] = within(spec.friction, k, nominal=0.5 * (spec.friction[0] + spec.friction[1]))
        self.mass[which] = within(spec.mass, k)
        self.centre_of_mass[which] = around(spec.centre_of_mass, k, 3)
        self.kp[which], self.kd[which] = within(spec.kp, k, joints), within(spec.kd, k, joints)
        self.delay[which] = np.round(level * rng.uniform(0.0, spec.delay, k) / self._timestep).astype(np.intp)
        self.encoder_offset[which] = around(spec.encoder_offset, k, joints)
        self.imu_tilt[which] = around(spec.imu_tilt, k, 2)
        if spec.payload is not None:
            self.payload[which] = within(spec.payload, k, nominal=0.0)
            self.payload_place[which] = rng.uniform(-spec.payload_place, spec.payload_place, (k, 3))
        if spec.weak_joint is not None:
            self.strength[which] = 1.0
            self.strength[which, rng.choice(self._weakenable, k)] = within(spec.weak_joint, k)
        if self.ground is not None:
            height = within(self.ground.height, k, nominal=0.0)
            self.terrain[which] = np.where(rng.random(k) < self.ground.flat_share, 0.0, height)

    def bodies(self, which: IndexArray) -> BodyVariation:
        """The bodies of some robots."""
        spec = self.spec
        return BodyVariation(
            self.friction[which],
            self.mass[which],
            self.centre_of_mass[which],
            self.kp[which],
            self.kd[which],
            strength=self.strength[which] if spec.weak_joint is not None else None,
            payload=self.payload[which] if spec.payload is not None else None,
            payload_place=self.payload_place[which] if spec.payload is not None else None,
            payload_on=spec.payload_on,
            terrain=self.terrain[which] if self.ground is not None else None,
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """All that was drawn."""
        return {name: getattr(self, name).copy() for name in self._names}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state_dict`."""
        for name in self._names:
            getattr(self, name)[...] = state[name]


_DRAWN = ("friction", "mass", "centre_of_mass", "kp", "kd", "delay", "encoder_offset", "imu_tilt")


def tilted(orientation: FloatArray, tilt: FloatArray) -> FloatArray:
    """Orientations seen by an IMU that is turned by small angles about its own x and y.

    Args:
        orientation: [wxyz; Shape (n, 4)].
        tilt: (roll, pitch) [rad; Shape (n, 2)].

    Returns:
        q ⊗ (1, roll/2, pitch/2, 0), normalised [wxyz; Shape (n, 4)].
    """
    w, x, y, z = orientation.T
    a, b = 0.5 * tilt[:, 0], 0.5 * tilt[:, 1]
    turned = np.stack([w - x * a - y * b, x + w * a - z * b, y + w * b + z * a, z + x * b - y * a], axis=1)
    return np.asarray(turned / np.sqrt((turned * turned).sum(axis=1, keepdims=True)))
