"""A robot in MuJoCo behind the simulation interface."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError, StateError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.backend import FootContact, GroundTruth
from humanoid_rl_ros.simulation.body_variation import vary_body
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.standing import find_feet, seated, standing_qpos

DEFAULT_TIMESTEP = 0.002
NS_PER_S = 1_000_000_000
# Sizes of the perturbation that `reset` draws, uniform on both sides of zero.
POSITION_NOISE = 0.03
VELOCITY_NOISE = 0.05
# No robot turns a joint this fast; beyond it the physics has diverged and NaN is a few steps away [rad/s, m/s].
DIVERGED_SPEED = 1e4
# Friction, factor on the mass, shift of the centre of mass.
_AS_COMPILED: tuple[float, float, FloatArray] = (math.nan, 1.0, np.zeros(3))


class MujocoBackend:
    """The robot on a floor, driven by efforts; a `SimulationBackend`.

    Args:
        robot: must have a model.
        state_rate: states per second [Hz].
        timestep: of the physics, a whole part of the state period; by default the longest such part that is not above
            `DEFAULT_TIMESTEP` [s].
        initial_position: pose to start in, by default the robot's [rad; Shape (n,)].
        visual: load the geometry that only serves pictures; the physics is the same without.
        welded: joints of the model made rigid; see `humanoid_rl_ros.simulation.mujoco_model.prepare`.

    Raises:
        ConfigError: the timestep does not divide the state period, or the model cannot be found.
        ModelError: the model cannot be driven.
        StateError: the initial position has a wrong shape or is not finite.
    """

    def __init__(
        self,
        robot: RobotSpec,
        *,
        state_rate: float = 500.0,
        timestep: float | None = None,
        initial_position: FloatArray | None = None,
        visual: bool = False,
        welded: Mapping[str, float] | None = None,
    ) -> None:
        self.robot = robot
        self._rate = _rate(state_rate)
        self._substeps, step = _substeps(float(1 / self._rate), timestep)
        self.model: mujoco.MjModel = prepare(robot, timestep=step, visual=visual, welded=welded)
        self.data = mujoco.MjData(self.model)
        self.layout = layout(self.model, robot)
        self._feet = find_feet(self.model, self.layout)
        # One more element each: the geom of a contact that has none, which is -1.
        self._foot_place = np.append(self._feet.of_geom, -1) + 1
        self._fixed = np.append(self.model.body_weldid[self.model.geom_bodyid] == 0, False)
        initial = (
            robot.default_position if initial_position is None else self._checked(initial_position, "initial position")
        )
        self._initial_qpos = standing_qpos(self.model, self.layout, initial)
        # Views into the data of MuJoCo: looked up once, because an attribute costs as much as a copy of 29 numbers.
        self._ctrl = self.data.ctrl
        self._qpos, self._qvel, self._sensors = self.data.qpos, self.data.qvel, self.data.sensordata
        self._position_at, self._velocity_at = _run(self.layout.qpos), _run(self.layout.dof)
        self._periods = 0
        self._held = True
        self._nominal: mujoco.MjModel | None = None
        self._variation: tuple[float, float, FloatArray] | None = None
        self._state = self.reset()

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""
        return round(NS_PER_S / self._rate)

    @property
    def foot_names(self) -> tuple[str, ...]:
        """The bodies whose load `ground_truth` gives, in its order."""
        return self._feet.names

    @property
    def has_feet(self) -> bool:
        """Whether joints are between the root and every body that it stands on; what lies on its root has no feet."""
        welds = self.model.body_weldid
        return bool(len(self._feet.bodies)) and welds[self.layout.root_body] not in welds[self._feet.bodies]

    def reset(self, rng: np.random.Generator | None = None) -> RobotState:
        """See `SimulationBackend.reset`; the accelerometer reads as if the robot were held."""
        if self._variation is not None:
            self._vary(Placement())
        mujoco.mj_resetData(self.model, self.data)
        self._qpos[:] = self._initial_qpos
        if rng is not None:
            self._perturb(rng)
        self._periods = 0
        self._held = True
        mujoco.mj_forward(self.model, self.data)
        self._lie_still()
        return self._measured()

    def step(self, effort: FloatArray) -> RobotState:
        """See `SimulationBackend.step`.

        Orientation, rates and velocity are those of the returned instant. The accelerometer is that of the last
        physics step: an acceleration exists only once forces do.
        """
        self._ctrl[:] = self._checked(effort, "effort")
        self._held = False
        # mj_step is mj_step1 then mj_step2. Begun at its second half, the cycle ends with positions, velocities and
        # sensors of the new state, which mj_step would leave one step behind.
        mujoco.mj_step2(self.model, self.data)
        if self._substeps > 1:
            mujoco.mj_step(self.model, self.data, self._substeps - 1)
        mujoco.mj_step1(self.model, self.data)
        self._periods += 1
        # A dot product costs a third of abs and max, and NaN survives it.
        if not self._qvel.dot(self._qvel) < DIVERGED_SPEED**2:
            raise self._diverged()
        return self._measured()

    def hold(self) -> RobotState:
        """See `SimulationBackend.hold`."""
        self._held = True
        self._qvel[:] = 0.0
        mujoco.mj_step1(self.model, self.data)
        self._lie_still()
        self._periods += 1
        return self._measured()

    def push(self, velocity: FloatArray) -> None:
        """Add to the velocity of the base, as a shove does [m/s; world; Shape (3,)]."""
        self._qvel[self.layout.root_dof : self.layout.root_dof + 3] += velocity
        mujoco.mj_step1(self.model, self.data)

    def place(self, placement: Placement) -> RobotState:
        """Put the robot into a state, in a body of its own; time stands still.

        What is not given stays as it is; `reset` undoes everything. The accelerometer reads as if the robot were held.

        Returns:
            The state that it is in then.

        Raises:
            StateError: there is not one number for each joint.
        """
        root, dof = self.layout.root_qpos, self.layout.root_dof
        parts = (
            (self._qpos, slice(root, root + 3), placement.base_position),
            (self._qpos, slice(root + 3, root + 7), placement.base_orientation),
            (self._qpos, self._position_at, placement.joint_position),
            (self._qvel, slice(dof, dof + 3), placement.base_linear_velocity),
            (self._qvel, slice(dof + 3, dof + 6), placement.base_angular_velocity),
            (self._qvel, self._velocity_at, placement.joint_velocity),
        )
        for what, value in (("joint_position", placement.joint_position), ("joint_velocity", placement.joint_velocity)):
            if value is not None:
                self._checked(value, what)
        if placement.varies_body:
            self._vary(placement)
        for array, where, value in parts:
            if value is not None:
                array[where] = value
        mujoco.mj_forward(self.model, self.data)
        self._lie_still()
        return self._measured()

    @property
    def root_state(self) -> tuple[FloatArray, FloatArray]:
        """Pose of the root body, position then wxyz, and its velocity, linear in the world, angular in the body.

        Exactly what the physics goes on from [m; world; Shape (7,)], [m/s, rad/s; Shape (6,)].
        """
        root, dof = self.layout.root_qpos, self.layout.root_dof
        return self._qpos[root : root + 7], self._qvel[dof : dof + 6]

    def read(self) -> RobotState:
        """The last state, again."""
        return self._state

    def show(self, qpos: FloatArray) -> None:
        """Put the robot where a picture should have it; `reset` before it is stepped again [Shape (nq,)]."""
        self._qpos[:] = qpos
        mujoco.mj_forward(self.model, self.data)

    def ground_truth(self) -> GroundTruth:
        """Pose, velocity and foot loads at the instant of the last state, under the last effort.

        Whoever holds the robot bears it: until the first step, and after `hold`, the loads are 0.
        """
        root, dof = self.layout.root_qpos, self.layout.root_dof
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, self._qpos[root + 3 : root + 7])
        floor = self.data.geom_xmat[self.layout.floor].reshape(3, 3)[:, 2], self.data.geom_xpos[self.layout.floor]
        return GroundTruth(
            stamp_ns=self._stamp(),
            base_position=self._qpos[root : root + 3],
            base_orientation=self._qpos[root + 3 : root + 7],
            base_linear_velocity=self._qvel[dof : dof + 3] @ rotation.reshape(3, 3),
            base_angular_velocity=self._qvel[dof + 3 : dof + 6],
            base_height=float(floor[0] @ (self._qpos[root : root + 3] - floor[1])),
            feet=tuple(FootContact(n, float(f)) for n, f in zip(self._feet.names, self._foot_loads(), strict=True)),
        )

    def _foot_loads(self) -> FloatArray:
        """Vertical force of the ground on each foot [N; Shape (f,)]."""
        if self._held:
            return np.zeros(len(self._feet.names))
        # The forces of these contacts have not been solved for yet; solving must not change what is measured.
        sensors = self._sensors.copy()
        mujoco.mj_forwardSkip(self.model, self.data, mujoco.mjtStage.mjSTAGE_VEL, 1)
        self._sensors[:] = sensors
        contact = self.data.contact
        first, second = contact.geom.T
        force = np.zeros((len(first), 6))
        for i, row in enumerate(force):
            mujoco.mj_contactForce(self.model, self.data, i, row)
        # Rows of a contact's frame are its axes; the force is that on the second geom.
        vertical = np.einsum("ij,ij->i", contact.frame[:, 2::3], force[:, :3])
        places = len(self._feet.names) + 1
        loads = np.bincount(self._foot_place[second], vertical * self._fixed[first], places)
        loads -= np.bincount(self._foot_place[first], vertical * self._fixed[second], places)
        return np.asarray(loads[1:])

    def _vary(self, placement: Placement) -> None:
        """Another body; what a placement leaves out is the model's own after a `reset`, and else what it was."""
        if self._nominal is None:
            self._nominal = copy.copy(self.model)
            self._scratch = mujoco.MjData(self.model)
        friction, mass, shift = _AS_COMPILED if not placement.varies_body else self._variation or _AS_COMPILED
        friction = friction if placement.friction is None else float(placement.friction[0])
        mass = mass if placement.mass is None else float(placement.mass[0])
        shift = shift if placement.centre_of_mass is None else placement.centre_of_mass
        vary_body(
            self.model, self._nominal, self.layout, self._scratch, friction=friction, mass=mass, centre_of_mass=shift
        )
        self._variation = (friction, mass, shift) if placement.varies_body else None

    def _perturb(self, rng: np.random.Generator) -> None:
        place = self.layout
        noise = rng.uniform(-POSITION_NOISE, POSITION_NOISE, self.robot.n_joints)
        self._qpos[place.qpos] = np.clip(self._qpos[place.qpos] + noise, self.robot.lower, self.robot.upper)
        self._qpos[:] = seated(self.model, place, self.data)
        self._qvel[place.root_dof : place.root_dof + 6] = rng.uniform(-VELOCITY_NOISE, VELOCITY_NOISE, 6)

    def _checked(self, values: FloatArray, what: str) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        n = self.robot.n_joints
        if array.shape != (n,):
            raise StateError(
                f"{what} has shape {array.shape}; robot '{self.robot.name}' has {n} joints: expected ({n},)"
            )
        if not np.isfinite(array).all():
            joint = int(np.flatnonzero(~np.isfinite(array))[0])
            raise StateError(f"{what} of joint '{self.robot.joint_names[joint]}' is {array[joint]}; it must be finite")
        return array

    def _lie_still(self) -> None:
        """Make the accelerometer read what it reads at rest: −gravity in the IMU frame."""
        rotation = self.data.site_xmat[self.layout.imu_site].reshape(3, 3)
        self._sensors[self.layout.accelerometer] = -self.model.opt.gravity @ rotation

    def _stamp(self) -> int:
        # Whole numbers only: the sum of ten thousand rounded periods would drift.
        numerator, denominator = self._rate.numerator, self._rate.denominator
        return (self._periods * NS_PER_S * denominator + numerator // 2) // numerator

    def _measured(self) -> RobotState:
        place, sensors = self.layout, self._sensors
        self._state = RobotState(
            stamp_ns=self._stamp(),
            joint_position=self._qpos[self._position_at],
            joint_velocity=self._qvel[self._velocity_at],
            orientation=sensors[place.orientation],
            angular_velocity=sensors[place.gyro],
            linear_acceleration=sensors[place.accelerometer],
            base_linear_velocity=sensors[place.velocimeter],
        )
        return self._state

    def _diverged(self) -> ModelError:
        speed = np.abs(self._qvel[self.layout.dof])
        worst = int(np.argmax(np.where(np.isfinite(speed), speed, np.inf)))
        return ModelError(
            f"the physics of robot '{self.robot.name}' diverged at {self._stamp() / NS_PER_S:.3f} s (fastest joint "
            f"'{self.robot.joint_names[worst]}'); lower the gains, add armature, or use a shorter timestep, and reset"
        )


def _run(indices: IndexArray) -> IndexArray | slice:
    """The same elements as a slice, which reads three times faster, where they are consecutive."""
    first = int(indices[0])
    consecutive = np.array_equal(indices, np.arange(first, first + len(indices)))
    return slice(first, first + len(indices)) if consecutive else indices


def _rate(state_rate: float) -> Fraction:
    if not (math.isfinite(state_rate) and state_rate > 0.0):
        raise ConfigError(f"state rate must be finite and above 0 Hz, found {state_rate}")
    return Fraction(state_rate).limit_denominator(1_000_000)


def _substeps(period: float, timestep: float | None) -> tuple[int, float]:
    """Physics steps per state and their length [s]."""
    if timestep is None:
        # The tolerance keeps a period of 2 ms, which is not exact in binary, at one step.
        steps = math.ceil(period / DEFAULT_TIMESTEP - 1e-9)
        return steps, period / steps
    if not (math.isfinite(timestep) and timestep > 0.0):
        raise ConfigError(f"physics timestep must be finite and above 0 s, found {timestep}")
    steps = round(period / timestep)
    if steps < 1 or not math.isclose(steps * timestep, period, rel_tol=1e-9):
        raise ConfigError(f"physics timestep {timestep:g} s does not divide the state period {period:g} s")
    return steps, period / steps
