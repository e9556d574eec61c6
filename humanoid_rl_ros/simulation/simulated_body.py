"""One robot of a MuJoCo model, alone in it or one of several: read, driven and put somewhere."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ModelError, StateError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.backend import FootContact, GroundTruth
from humanoid_rl_ros.simulation.layout import ModelLayout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.standing import find_feet, seated

NS_PER_S = 1_000_000_000
# Sizes of the perturbation that `perturb` draws, uniform on both sides of zero.
POSITION_NOISE = 0.03
VELOCITY_NOISE = 0.05


class SimulatedBody:
    """Reads and writes what of a model's data is one robot's; steps nothing.

    Args:
        robot: its joint order is the order of every array here.
        model, data: from `prepare` or `prepare_team`, and data of it.
        place: where they keep the robot.

    Attributes:
        robot, layout: as given.
    """

    def __init__(self, robot: RobotSpec, model: mujoco.MjModel, data: mujoco.MjData, place: ModelLayout) -> None:
        self.robot, self.layout = robot, place
        self._model, self._data = model, data
        self._feet = find_feet(model, place)
        # One more element each: the geom of a contact that has none, which is -1.
        self._foot_place = np.append(self._feet.of_geom, -1) + 1
        self._fixed = np.append(model.body_weldid[model.geom_bodyid] == 0, False)
        # Views into the data of MuJoCo: looked up once, because an attribute costs as much as a copy of 29 numbers.
        self._ctrl = data.ctrl[place.motors]
        self._qpos, self._qvel, self._sensors = data.qpos, data.qvel, data.sensordata
        self._position_at, self._velocity_at = _run(place.qpos), _run(place.dof)

    @property
    def foot_names(self) -> tuple[str, ...]:
        """The bodies whose load `ground_truth` gives, in its order."""
        return self._feet.names

    @property
    def has_feet(self) -> bool:
        """Whether joints are between the root and every body that it stands on; what lies on its root has no feet."""
        welds = self._model.body_weldid
        return bool(len(self._feet.bodies)) and welds[self.layout.root_body] not in welds[self._feet.bodies]

    @property
    def root_state(self) -> tuple[FloatArray, FloatArray]:
        """Pose of the root body, position then wxyz, and its velocity, linear in the world, angular in the body.

        Exactly what the physics goes on from [m; world; Shape (7,)], [m/s, rad/s; Shape (6,)].
        """
        root, dof = self.layout.root_qpos, self.layout.root_dof
        return self._qpos[root : root + 7], self._qvel[dof : dof + 6]

    def drive(self, effort: FloatArray) -> None:
        """Set the effort of the motors [N·m; Shape (n,)].

        Raises:
            StateError: it has a wrong shape or is not finite.
        """
        self._ctrl[:] = checked(self.robot, effort, "effort")

    def perturb(self, rng: np.random.Generator) -> None:
        """Move joints and base a little, and seat the robot on the floor again."""
        place = self.layout
        noise = rng.uniform(-POSITION_NOISE, POSITION_NOISE, self.robot.n_joints)
        self._qpos[place.qpos] = np.clip(self._qpos[place.qpos] + noise, self.robot.lower, self.robot.upper)
        self._qpos[:] = seated(self._model, place, self._data)
        self._qvel[place.root_dof : place.root_dof + 6] = rng.uniform(-VELOCITY_NOISE, VELOCITY_NOISE, 6)

    def push(self, velocity: FloatArray) -> None:
        """Add to the velocity of the base; a forward pass has to follow [m/s; world; Shape (3,)]."""
        self._qvel[self.layout.root_dof : self.layout.root_dof + 3] += velocity

    def put(self, placement: Placement) -> None:
        """Set pose and velocity; a forward pass has to follow.

        Raises:
            StateError: there is not one number for each joint; nothing has changed.
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
        check_placement(self.robot, placement)
        for array, where, value in parts:
            if value is not None:
                array[where] = value

    def lie_still(self) -> None:
        """Make the accelerometer read what it reads at rest: −gravity in the IMU frame."""
        rotation = self._data.site_xmat[self.layout.imu_site].reshape(3, 3)
        self._sensors[self.layout.accelerometer] = -self._model.opt.gravity @ rotation

    def acceleration(self) -> FloatArray:
        """What its accelerometer reads; a copy [m/s²; IMU frame; Shape (3,)]."""
        return np.array(self._sensors[self.layout.accelerometer])

    def feel(self, acceleration: FloatArray) -> None:
        """Make the accelerometer read something [m/s²; IMU frame; Shape (3,)]."""
        self._sensors[self.layout.accelerometer] = acceleration

    def measured(self, stamp_ns: int) -> RobotState:
        """What its sensors read."""
        place, sensors = self.layout, self._sensors
        return RobotState(
            stamp_ns=stamp_ns,
            joint_position=self._qpos[self._position_at],
            joint_velocity=self._qvel[self._velocity_at],
            orientation=sensors[place.orientation],
            angular_velocity=sensors[place.gyro],
            linear_acceleration=sensors[place.accelerometer],
            base_linear_velocity=sensors[place.velocimeter],
        )

    def ground_truth(self, stamp_ns: int, *, held: bool) -> GroundTruth:
        """What no sensor reads; the loads of a robot that is `held` are 0."""
        root, dof = self.layout.root_qpos, self.layout.root_dof
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, self._qpos[root + 3 : root + 7])
        data, floor = self._data, self.layout.floor
        up, on_floor = data.geom_xmat[floor].reshape(3, 3)[:, 2], data.geom_xpos[floor]
        loads = np.zeros(len(self._feet.names)) if held else self._foot_loads()
        return GroundTruth(
            stamp_ns=stamp_ns,
            base_position=self._qpos[root : root + 3],
            base_orientation=self._qpos[root + 3 : root + 7],
            base_linear_velocity=self._qvel[dof : dof + 3] @ rotation.reshape(3, 3),
            base_angular_velocity=self._qvel[dof + 3 : dof + 6],
            base_height=float(up @ (self._qpos[root : root + 3] - on_floor)),
            feet=tuple(FootContact(n, float(f)) for n, f in zip(self._feet.names, loads, strict=True)),
        )

    def diverged(self, stamp_ns: int) -> ModelError:
        """What to say when the physics has left the finite."""
        speed = np.abs(self._qvel[self.layout.dof])
        worst = int(np.argmax(np.where(np.isfinite(speed), speed, np.inf)))
        return ModelError(
            f"the physics of robot '{self.robot.name}' diverged at {stamp_ns / NS_PER_S:.3f} s (fastest joint "
            f"'{self.robot.joint_names[worst]}'); lower the gains, add armature, or use a shorter timestep, and reset"
        )

    def _foot_loads(self) -> FloatArray:
        """Vertical force of the ground on each foot [N; Shape (f,)]."""
        # The forces of these contacts have not been solved for yet; solving must not change what is measured.
        sensors = self._sensors.copy()
        mujoco.mj_forwardSkip(self._model, self._data, mujoco.mjtStage.mjSTAGE_VEL, 1)
        self._sensors[:] = sensors
        contact = self._data.contact
        first, second = contact.geom.T
        force = np.zeros((len(first), 6))
        for i, row in enumerate(force):
            mujoco.mj_contactForce(self._model, self._data, i, row)
        # Rows of a contact's frame are its axes; the force is that on the second geom.
        vertical = np.einsum("ij,ij->i", contact.frame[:, 2::3], force[:, :3])
        places = len(self._feet.names) + 1
        loads = np.bincount(self._foot_place[second], vertical * self._fixed[first], places)
        loads -= np.bincount(self._foot_place[first], vertical * self._fixed[second], places)
        return np.asarray(loads[1:])


def checked(robot: RobotSpec, values: FloatArray, what: str) -> FloatArray:
    """One finite number for each joint.

    Raises:
        StateError: it is something else.
    """
    array = np.asarray(values, dtype=np.float64)
    n = robot.n_joints
    if array.shape != (n,):
        raise StateError(f"{what} has shape {array.shape}; robot '{robot.name}' has {n} joints: expected ({n},)")
    if not np.isfinite(array).all():
        joint = int(np.flatnonzero(~np.isfinite(array))[0])
        raise StateError(f"{what} of joint '{robot.joint_names[joint]}' is {array[joint]}; it must be finite")
    return array


def check_placement(robot: RobotSpec, placement: Placement) -> None:
    """Whether a placement has a number for each joint.

    Raises:
        StateError: it has not.
    """
    for what in ("joint_position", "joint_velocity"):
        value = getattr(placement, what)
        if value is not None:
            checked(robot, value, what)


def _run(indices: IndexArray) -> IndexArray | slice:
    """The same elements as a slice, which reads three times faster, where they are consecutive."""
    first = int(indices[0])
    consecutive = np.array_equal(indices, np.arange(first, first + len(indices)))
    return slice(first, first + len(indices)) if consecutive else indices
