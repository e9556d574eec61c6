"""Many robots in MuJoCo stepped together by C threads, the PD law inside the physics."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from humanoid_rl_ros.core.arrays import EVERYONE, BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.rotations import projected_gravity, rotate_inverse
from humanoid_rl_ros.simulation.batch_sensors import BatchSensors, add_sensors
from humanoid_rl_ros.simulation.body_variation import vary_body
from humanoid_rl_ros.simulation.imu_kinematics import ImuKinematics, ImuMotion
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco, rollout
from humanoid_rl_ros.simulation.mujoco_backend import DIVERGED_SPEED
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.payload import payload_body
from humanoid_rl_ros.simulation.standing import distances, find_feet, floor_geoms, standing_qpos
from humanoid_rl_ros.simulation.terrain import Terrain, TerrainShape

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)
# Torque that turns a robot in a harness upright, in what the harness bears times the height of its base.
_HARNESS_ARM = 0.4
_APPLIED = int(mujoco.mjtState.mjSTATE_QFRC_APPLIED)


@dataclass(frozen=True, eq=False)
class BodyVariation:
    """How the bodies of some robots differ from the model.

    Attributes:
        friction: sliding friction of everything that touches; NaN for the model's own [Shape (k,)].
        mass: factor on every mass and inertia [Shape (k,)].
        centre_of_mass: shift of the root body's [m; root frame; Shape (k, 3)].
        kp, kd: factor on the gains of each joint [Shape (k, n_joints)].
        strength: share of the effort it is asked for that each joint gives [Shape (k, n_joints)]; None for all of it.
        payload: mass of a load as a share of the robot's own [Shape (k,)]; None for none.
        payload_place: where it is, from the centre of mass of the body that carries it [m; its frame; Shape (k, 3)].
        payload_on: pattern of that body's name; empty for the root.
        terrain: height of the hills [m; Shape (k,)]; None where the simulation has no terrain.
    """

    friction: FloatArray
    mass: FloatArray
    centre_of_mass: FloatArray
    kp: FloatArray
    kd: FloatArray
    strength: FloatArray | None = None
    payload: FloatArray | None = None
    payload_place: FloatArray | None = None
    payload_on: str = ""
    terrain: FloatArray | None = None


def unvaried(k: int, n_joints: int) -> BodyVariation:
    """k bodies as the model has them."""
    ones = np.ones((k, n_joints))
    return BodyVariation(np.full(k, np.nan), np.ones(k), np.zeros((k, 3)), ones, ones.copy())


class BatchSimulation:
    """n copies of a robot on a floor, driven by PD targets.

    The law kp·(target − q) − kd·q̇ is clipped to the effort limits and computed at every physics step, as an affine
    actuator: with Euler integration that is, to the bit, what a node computes that answers every joint state of a robot
    simulated at this timestep (`humanoid_rl_ros.core.controller.PDController`).

    Args:
        robot: must have a model; its joint order is the order of every array here.
        gains: of the law, in that order.
        n: robots.
        timestep: of physics and law [s].
        substeps: physics steps per `step`.
        initial_position: pose of `initial_qpos` [rad; Shape (n_joints,)].
        threads: C threads; by default as many as this process has cores.
        welded: joints of the model made rigid [rad]; see `humanoid_rl_ros.simulation.mujoco_model.prepare`.
        varied: whether `vary` will be called; without, all robots share one model.
        terrain: hills that `vary` gives each robot a height of, up to `tallest` [m]; None for even ground.
        hands: sites or bodies of the model whose places in the root `sensors` tells.

    Attributes:
        qpos, qvel: generalised positions and velocities; views [Shape (n, nq)], [Shape (n, nv)].
        base_position, base_orientation: of the root body [m; wxyz; world; Shape (n, 3)], [Shape (n, 4)].
        base_linear_velocity: of its origin [m/s; world; Shape (n, 3)].
        base_angular_velocity: [rad/s; root frame; Shape (n, 3)].
        substeps, welded: as given.
        terrain: the ground, or None where it is even; bases are put back by whole periods of it.
        add_ground: adds that ground to another model of the robot; None where it is even.
        sensors: efforts, accelerometer, feet and hands.

    Raises:
        ConfigError, ModelError: the robot cannot be simulated.
    """

    def __init__(
        self,
        robot: RobotSpec,
        gains: PDGains,
        n: int,
        *,
        timestep: float,
        substeps: int,
        initial_position: FloatArray,
        threads: int | None = None,
        welded: Mapping[str, float] | None = None,
        varied: bool = False,
        terrain: TerrainShape | None = None,
        tallest: float = 0.0,
        hands: Sequence[str] = (),
    ) -> None:
        if n < 1:
            raise ConfigError(f"the number of robots must be at least 1, found {n}")
        if gains.low_pass != 1.0:
            raise ConfigError("a batch of robots cannot be simulated with a filter on the effort")
        self.robot, self.n, self.timestep = robot, n, timestep
        self.substeps, self.welded = substeps, dict(welded or {})
        plain = prepare(robot, timestep=timestep, visual=False, welded=welded)
        feet = find_feet(plain, layout(plain, robot))
        self.foot_names = feet.names
        self.terrain = Terrain(terrain, n) if terrain is not None else None
        floor = layout(plain, robot).floor

        self.add_ground: Callable[[mujoco.MjSpec], None] | None = None
        if self.terrain is not None:
            self.add_ground = partial(self.terrain.add_to, model=plain, floor=floor, tallest=tallest)

        def extend(spec: mujoco.MjSpec) -> None:
            add_sensors(spec, plain, feet, hands)
            if self.add_ground is not None:
                self.add_ground(spec)

        model = prepare(
            robot,
            timestep=timestep,
            visual=False,
            welded=welded,
            extend=extend,
        )
        set_law(model, gains)
        self.model, self.layout = model, layout(model, robot)
        if self.terrain is not None:
            feet = find_feet(model, self.layout)  # the ground is a geom more
        self.initial_qpos = standing_qpos(model, self.layout, initial_position)
        varied = varied or self.terrain is not None
        self._models = [copy.copy(model) for _ in range(n)] if varied else [model] * n
        self._carriers: dict[str, int] = {}
        self._scratch = mujoco.MjData(model)
        threads = max(1, min(_cores() if threads is None else threads, n))
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        self._pool = rollout.Rollout(nthread=threads)
        size = mujoco.mj_stateSize(model, _STATE)
        if size != 1 + model.nq + model.nv:
            raise ModelError(f"the model of robot '{robot.name}' has states besides positions and velocities")
        self._state = np.zeros((n, size))
        self._trajectory = np.zeros((n, substeps, size))
        self._control = np.zeros((n, substeps, model.nu))
        self._aided = np.zeros((n, substeps, 0))
        self._weight = float(model.body_subtreemass[self.layout.root_body] * np.linalg.norm(model.opt.gravity))
        readings = np.zeros((n, substeps, model.nsensordata))
        self._readings = readings
        self.qpos, self.qvel = self._state[:, 1 : 1 + model.nq], self._state[:, 1 + model.nq :]
        root, dof = self.layout.root_qpos, self.layout.root_dof
        self.base_position = self.qpos[:, root : root + 3]
        self.base_orientation = self.qpos[:, root + 3 : root + 7]
        self.base_linear_velocity = self.qvel[:, dof : dof + 3]
        self.base_angular_velocity = self.qvel[:, dof + 3 : dof + 6]
        self.accelerometer = readings[:, -1, self.layout.accelerometer]
        self.sensors = BatchSensors(model, feet, readings[:, -1])
        self._imu = ImuKinematics(model, self.layout)
        self._floor_geoms = floor_geoms(model, self.layout)
        self._floor_height = float(model.geom_pos[self.layout.floor][2])
        self.place(np.arange(n), np.tile(self.initial_qpos, (n, 1)), np.zeros((n, model.nv)))

    @property
    def joint_position(self) -> FloatArray:
        """[rad; Shape (n, n_joints)]."""
        return self.qpos[:, self.layout.qpos]

    @property
    def joint_velocity(self) -> FloatArray:
        """[rad/s; Shape (n, n_joints)]."""
        return self.qvel[:, self.layout.dof]

    @property
    def base_height(self) -> FloatArray:
        """Of the root body's origin above the ground [m; Shape (n,)]."""
        height: FloatArray = self.base_position[:, 2] - self._floor_height
        if self.terrain is not None:
            height = height - self.terrain.under(self.base_position[:, None], EVERYONE)[:, 0]
        return height

    @property
    def foot_height(self) -> FloatArray:
        """Of the feet above where they stand in the start pose, from the ground [m; Shape (n, f)]."""
        feet = self.sensors.foot_position
        height: FloatArray = feet[:, :, 2] - self.sensors.standing_height
        return height if self.terrain is None else height - self.terrain.under(feet, EVERYONE)

    def imu(self, rows: IndexArray | slice = EVERYONE) -> ImuMotion:
        """Orientation and velocities of the IMUs now, of all robots or of some rows [Shape (k,)]."""
        return self._imu.motion(self.qpos[rows], self.qvel[rows])

    def lowest_point(self, qpos: FloatArray) -> FloatArray:
        """How far robots in these states are above the floor, below zero inside it [m; Shape (k, nq) -> (k,)]."""
        found = np.empty(len(qpos))
        for k, state in enumerate(qpos):
            self._scratch.qpos[:] = state
            mujoco.mj_kinematics(self.model, self._scratch)
            found[k] = min(distances(self.model, self.layout, self._scratch, self._floor_geoms).values())
        return found

    def place(self, which: IndexArray, qpos: FloatArray, qvel: FloatArray) -> None:
        """Put some robots into states of their own; what their feet and motors feel is as if they hung in the air.

        Args:
            which: rows [Shape (k,)].
            qpos, qvel: [Shape (k, nq)], [Shape (k, nv)].
        """
        self.qpos[which], self.qvel[which] = qpos, qvel
        self._readings[which] = 0.0
        for row in which:
            # Where the feet are; forces and velocities stay zero.
            self._scratch.qpos[:] = self.qpos[row]
            mujoco.mj_kinematics(self.model, self._scratch)
            mujoco.mj_sensorPos(self.model, self._scratch)
            self._readings[row, -1] = self._scratch.sensordata
        level = -np.asarray(self.model.opt.gravity)
        self.accelerometer[which] = rotate_inverse(self.imu(which).orientation, np.tile(level, (len(which), 1)))

    def step(
        self,
        target: FloatArray,
        *,
        previous: FloatArray | None = None,
        delay: IndexArray | None = None,
        borne: float = 1.0,
    ) -> None:
        """Advance all robots by one control period.

        Args:
            target: of the PD law [rad; Shape (n, n_joints)].
            previous, delay: robot i follows its previous target for the first delay[i] physics steps
                [Shape (n, n_joints)], [Shape (n,)].
            borne: share of its nominal weight that a robot bears itself; as if it hung in a harness, an upward force on
                its root bears the rest, and a torque turns the root upright.
        """
        self._control[...] = target[:, None]
        if delay is not None and previous is not None and delay.any():
            late = np.arange(self.substeps) < delay[:, None]
            np.copyto(self._control, previous[:, None], where=late[:, :, None])
        control, spec = (self._control, _CONTROL) if borne == 1.0 else self._lifted(1.0 - borne)
        self._pool.rollout(
            self._models,
            self._data,
            self._state,
            control,
            control_spec=spec,
            nstep=self.substeps,
            state=self._trajectory,
            sensordata=self._readings,
            skip_checks=True,
        )
        self._state[...] = self._trajectory[:, -1]
        if self.terrain is not None:
            self.base_position[:, :2] -= self.terrain.wrapped(self.base_position)

    def _lifted(self, share: float) -> tuple[FloatArray, int]:
        """The control with a force on the root that bears a share of the weight, and what the rollout takes it for."""
        actuators = self._control.shape[2]
        if not self._aided.size:
            self._aided = np.zeros((self.n, self.substeps, actuators + self.model.nv))
        self._aided[:, :, :actuators] = self._control
        root, force = actuators + self.layout.root_dof, share * self._weight
        self._aided[:, :, root + 2] = force
        # z × up in the root's frame, in which a free joint has its torques; up is −gravity.
        gravity = projected_gravity(self.base_orientation)
        arm = _HARNESS_ARM * self.initial_qpos[self.layout.root_qpos + 2]
        self._aided[:, :, root + 3] = force * arm * gravity[:, None, 1]
        self._aided[:, :, root + 4] = -force * arm * gravity[:, None, 0]
        return self._aided, _CONTROL | _APPLIED

    def diverged(self) -> BoolArray:
        """Robots whose physics has left the finite; `place` them before the next step [Shape (n,)]."""
        # NaN fails every comparison.
        slow: BoolArray = (self.qvel * self.qvel).sum(axis=1) < DIVERGED_SPEED**2
        return ~slow | ~np.isfinite(self.qpos).all(axis=1)

    def vary(self, which: IndexArray, variation: BodyVariation) -> None:
        """Give some robots bodies of their own, until they are varied again.

        Args:
            which: rows [Shape (k,)].
            variation: how they differ from the model.
        """
        nominal = self.model
        for k, row in enumerate(which):
            model = self._models[row]
            kp, kd = variation.kp[k], variation.kd[k]
            if variation.strength is not None:
                kp, kd = kp * variation.strength[k], kd * variation.strength[k]
                model.actuator_forcerange[:] = nominal.actuator_forcerange * variation.strength[k][:, None]
            model.actuator_gainprm[:, 0] = nominal.actuator_gainprm[:, 0] * kp
            model.actuator_biasprm[:, 1] = nominal.actuator_biasprm[:, 1] * kp
            model.actuator_biasprm[:, 2] = nominal.actuator_biasprm[:, 2] * kd
            if variation.terrain is not None and self.terrain is not None:
                self.terrain.set_height(int(row), model, nominal, float(variation.terrain[k]))
            vary_body(
                model,
                nominal,
                self.layout,
                self._scratch,
                friction=float(variation.friction[k]),
                mass=float(variation.mass[k]),
                centre_of_mass=variation.centre_of_mass[k],
                payload=self._payload(variation, k),
            )

    def carrier(self, pattern: str) -> int:
        """The body that carries a load, by a pattern of its name; empty for the root.

        Raises:
            ConfigError: no body matches it, or several do.
        """
        if pattern not in self._carriers:
            self._carriers[pattern] = payload_body(self.model, pattern, self.layout.root_body)
        return self._carriers[pattern]

    def _payload(self, variation: BodyVariation, k: int) -> tuple[int, float, FloatArray] | None:
        if variation.payload is None or variation.payload_place is None:
            return None
        load = float(variation.payload[k]) * float(self.model.body_subtreemass[self.layout.root_body])
        return self.carrier(variation.payload_on), load, variation.payload_place[k]

    def snapshot(self) -> dict[str, FloatArray]:
        """State and last readings of all robots; bodies are not in it, `vary` them again."""
        return {"state": self._state.copy(), "readings": self._readings[:, -1].copy()}

    def restore(self, snapshot: Mapping[str, FloatArray]) -> None:
        """Go back to a snapshot."""
        self._state[...] = snapshot["state"]
        self._readings[:, -1] = snapshot["readings"]

    def close(self) -> None:
        """End the threads."""
        self._pool.close()


def set_law(model: mujoco.MjModel, gains: PDGains) -> None:
    """Turn the motors of a prepared model into kp·control − kp·q − kd·q̇, clipped to the limits."""
    model.actuator_biastype[:] = mujoco.mjtBias.mjBIAS_AFFINE
    model.actuator_gainprm[:, 0] = gains.kp
    model.actuator_biasprm[:, 0] = 0.0
    model.actuator_biasprm[:, 1] = -gains.kp
    model.actuator_biasprm[:, 2] = -gains.kd
    model.actuator_ctrllimited[:] = 0
    model.actuator_forcelimited[:] = 1
    model.actuator_forcerange[:] = np.stack([-gains.effort_limit, gains.effort_limit], axis=1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
