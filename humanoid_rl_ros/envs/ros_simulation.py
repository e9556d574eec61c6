"""A batch of robots whose physics runs in simulators behind ROS topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import EVERYONE, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDController, PDGains
from humanoid_rl_ros.core.errors import ConfigError, SimulatorError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.rotations import IDENTITY
from humanoid_rl_ros.core.state import JointTarget, RobotState
from humanoid_rl_ros.envs.ros_fleet import RosFleet
from humanoid_rl_ros.envs.table_robot import TableRobot
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.interfaces.cdr_joint_targets import Point
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation, BodyVariation, unvaried
from humanoid_rl_ros.simulation.imu_kinematics import ImuMotion
from humanoid_rl_ros.simulation.model_file import mujoco

CANNOT_PLACE = "the simulator cannot put a robot into a state or a body: in the task's randomisation set"
NO_LOADS = "over ROS ground, loads and motors are the simulators' own; do away with the task's"
NO_HARNESS = "over ROS no harness bears a robot's weight, as the task's curriculum 'weight' wants"
_DIVERGED = 1e9
"""Speed of a joint whose simulator said no more than that its physics left the finite [rad/s]."""


class RosSimulation(BatchSimulation):
    """`BatchSimulation`, but for who integrates.

    Every control step is one round trip: each simulator is told what its joints are to reach for, follows by the PD
    law, and tells its last state and the one before. What no topic tells, where the feet are and what they bear, this
    process's own model says in the states that the topics told. So rewards and observations are computed by the code,
    and from the numbers, of a batch in this process, and against `simulation_bridge_node` everything is the same to the
    bit. Of simulators that know efforts alone every state is a round trip, and the law runs here.

    Args:
        robot, gains, n, timestep, substeps, initial_position, threads, welded, varied, hands: see `BatchSimulation`.
        connect: makes the fleet of n robots, given the robot and the period of the law [ns].

    Raises:
        ConfigError, ModelError: the robot cannot be simulated, or not by another process.
        SimulatorError: a simulator is not there.
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
        connect: Callable[[RobotSpec, int], RosFleet],
        threads: int | None = None,
        welded: Mapping[str, float] | None = None,
        varied: bool = False,
        hands: Sequence[str] = (),
    ) -> None:
        if welded:
            raise ConfigError(
                f"over ROS every joint is simulated, and the task makes {len(welded)} of robot '{robot.name}' rigid: "
                "set control.held_joints=simulated"
            )
        self._fleet: RosFleet | None = None
        self._closed = False
        self._measured: FloatArray | None = None
        super().__init__(
            robot,
            gains,
            n,
            timestep=timestep,
            substeps=substeps,
            initial_position=initial_position,
            threads=1,
            varied=varied,
            hands=hands,
        )
        if self.model.nq != 7 + robot.n_joints:
            raise ConfigError(
                f"over ROS a robot is its root and its joints; the model of '{robot.name}' has "
                f"{self.model.nq - 7 - robot.n_joints} coordinates more"
            )
        self._gains, self._varied = gains, varied
        self._variation = unvaried(n, robot.n_joints)
        self._law = PDController(gains, robot.joint_names)
        self._told_velocity = self.base_linear_velocity.copy()
        self._fleet = connect(robot, round(timestep * 1e9))
        try:
            self._require_possible()
            self._fleet.require(range(n))
        except BaseException:
            self.close()
            raise

    def place(self, which: IndexArray, qpos: FloatArray, qvel: FloatArray) -> None:
        """See `BatchSimulation.place`; the simulators begin anew at time 0.

        Robots that cannot be put into a state begin where their simulators put them.

        Raises:
            ConfigError: such a robot is to begin elsewhere than in its start pose, at rest.
        """
        self._require_open()
        if self._fleet is not None and not self._fleet.can_place:
            joints = self.layout.qpos
            if (qpos[:, joints] != self.initial_qpos[joints]).any() or qvel.any():
                raise ConfigError(f"{CANNOT_PLACE} start_position and start_velocity to 0")
        super().place(which, qpos, qvel)
        if self._fleet is not None and len(which):
            self._tell(which)

    def imu(self, rows: IndexArray | slice = EVERYONE) -> ImuMotion:
        """See `BatchSimulation.imu`; where a simulator's root is not exact, what its IMU says."""
        motion = super().imu(rows)
        if self._fleet is None or self._fleet.can_place or self._measured is None:
            return motion
        measured = self._measured[rows]
        return ImuMotion(measured[:, :4], measured[:, 4:7], motion.linear_velocity)

    def vary(self, which: IndexArray, variation: BodyVariation) -> None:
        """See `BatchSimulation.vary`; the simulators hear of it when the robots are placed."""
        super().vary(which, variation)
        for name in ("friction", "mass", "centre_of_mass", "kp", "kd"):
            getattr(self._variation, name)[which] = getattr(variation, name)
        v, g = self._variation, self._gains
        self._law = PDController(PDGains(g.kp * v.kp, g.kd * v.kd, g.effort_limit), self.robot.joint_names)

    def restore(self, snapshot: Mapping[str, FloatArray]) -> None:
        """See `BatchSimulation.restore`.

        Raises:
            ConfigError: robots cannot be put into a state.
        """
        if self._fleet is not None and not self._fleet.can_place:
            raise ConfigError("the simulator cannot put a robot into a state, so no run can go on in it")
        super().restore(snapshot)
        self._tell(np.arange(self.n))

    def step(
        self,
        target: FloatArray,
        *,
        previous: FloatArray | None = None,
        delay: IndexArray | None = None,
        borne: float = 1.0,
    ) -> None:
        """See `BatchSimulation.step`.

        Raises:
            ConfigError: the robots are to hang in a harness.
            SimulatorError: a simulator is gone, hangs, was started anew, or went on by itself.
        """
        if borne != 1.0:
            raise ConfigError(NO_HARNESS)
        self._require_open()
        assert self._fleet is not None
        self._tell_pushes()
        if delay is None or previous is None or not delay.any():
            delay, previous = np.zeros(self.n, dtype=np.intp), target
        if self._fleet.can_place:
            self._follow(target, previous, delay)
        else:
            self._drive(target, previous, delay)
        self._told_velocity = self.base_linear_velocity.copy()

    def _follow(self, target: FloatArray, previous: FloatArray, delay: IndexArray) -> None:
        """The law runs in the simulators: one round trip."""
        assert self._fleet is not None
        ends = [round(k * self.timestep * 1e9) for k in range(self.substeps + 1)]
        late = np.minimum(delay, self.substeps)
        points: list[list[Point]] = []
        for row, periods in enumerate(late.tolist()):
            points.append([(previous[row], ends[periods])] if periods else [])
            if periods < self.substeps:
                points[-1].append((target[row], ends[-1]))
        self._fleet.follow(points)
        self._take(before=self.substeps > 1)
        self._read_sensors(np.where((self.substeps - 1 < delay)[:, None], previous, target))
        self._take()
        for _ in range(self.substeps):
            self._state[:, 0] += self.timestep  # of no effect, but in what a batch in this process saves

    def _drive(self, target: FloatArray, previous: FloatArray, delay: IndexArray) -> None:
        """The law runs here: a round trip for each of its steps."""
        assert self._fleet is not None
        for k in range(self.substeps):
            now = np.where((k < delay)[:, None], previous, target)
            effort = self._effort(now)
            if k == self.substeps - 1:
                self._read_sensors(now)
            self._fleet.advance(effort)
            self._take()
            self._state[:, 0] += self.timestep

    def close(self) -> None:
        """Leave the graph; the simulators stay."""
        super().close()
        self._closed = True
        if self._fleet is not None:
            self._fleet.close()
            self._fleet = None

    def _require_open(self) -> None:
        if self._closed:
            raise SimulatorError("the environment is closed; make another")

    def _require_possible(self) -> None:
        assert self._fleet is not None
        if not self._fleet.can_place and self._varied:
            raise ConfigError(f"{CANNOT_PLACE} friction to null, mass, kp and kd to [1, 1] and centre_of_mass to 0")

    def _effort(self, target: FloatArray) -> FloatArray:
        state = RobotState(
            0, self.joint_position, self.joint_velocity, np.tile(IDENTITY, (self.n, 1)), np.zeros((self.n, 3))
        )
        return self._law.effort(JointTarget(target, np.zeros_like(target)), state)

    def _take(self, *, before: bool = False) -> None:
        """Make the states that the simulators told, or those before them, this batch's own."""
        assert self._fleet is not None
        place = self.layout
        for row, robot in enumerate(self._fleet.robots):
            if robot.diverged:
                self.qvel[row] = _DIVERGED
                continue
            told = robot.before if before else robot
            self.qpos[row, place.qpos] = told.joint_position
            self.qpos[row, place.root_qpos : place.root_qpos + 7] = told.root_pose
            self.qvel[row, place.dof] = told.joint_velocity
            self.qvel[row, place.root_dof : place.root_dof + 6] = told.root_velocity
            if isinstance(robot, TableRobot) and robot.imu is not None:
                if self._measured is None:
                    self._measured = np.zeros((self.n, 10))
                sample = robot.imu
                self._measured[row] = [*sample.orientation, *sample.angular_velocity, *sample.linear_acceleration]
                self.accelerometer[row] = sample.linear_acceleration

    def _read_sensors(self, target: FloatArray) -> None:
        """What the model's sensors say at the beginning of a physics step, which is when a batch in C reads them."""
        data = self._data[0]
        for row in np.flatnonzero(~self.diverged()):
            data.qpos[:], data.qvel[:], data.ctrl[:] = self.qpos[row], self.qvel[row], target[row]
            mujoco.mj_forward(self._models[row], data)
            self._readings[row, -1] = data.sensordata

    def _tell_pushes(self) -> None:
        """Pass on what was added to the velocity of bases since the last step."""
        assert self._fleet is not None
        if not self._fleet.can_place:
            if (self.base_linear_velocity != self._told_velocity).any():
                raise ConfigError(f"{CANNOT_PLACE} push_speed to 0")
            return
        moved = np.flatnonzero((self.base_linear_velocity != self._told_velocity).any(axis=1))
        if moved.size:
            values = [{"base_linear_velocity": self.base_linear_velocity[row]} for row in moved]
            self._fleet.place(moved.tolist(), values)

    def _tell(self, which: IndexArray) -> None:
        """Make the simulators begin anew in the states and bodies that some robots have here."""
        assert self._fleet is not None
        rows = which.tolist()
        self._fleet.reset(rows)
        if self._fleet.can_place:
            self._fleet.place(rows, [self._placement(row) for row in rows])
        else:
            self._take()
        self._told_velocity[which] = self.base_linear_velocity[which]

    def _placement(self, row: int) -> dict[str, Any]:
        place = self.layout
        root, dof = place.root_qpos, place.root_dof
        found = {
            "base_position": self.qpos[row, root : root + 3],
            "base_orientation": self.qpos[row, root + 3 : root + 7],
            "joint_position": self.qpos[row, place.qpos],
            "base_linear_velocity": self.qvel[row, dof : dof + 3],
            "base_angular_velocity": self.qvel[row, dof + 3 : dof + 6],
            "joint_velocity": self.qvel[row, place.dof],
        }
        if self._varied:
            body = self._variation
            found |= {
                "friction": body.friction[row : row + 1],
                "mass": body.mass[row : row + 1],
                "centre_of_mass": body.centre_of_mass[row],
            }
        gains = self._law.gains
        limit = np.broadcast_to(gains.effort_limit, (self.n, self.robot.n_joints))
        return found | {
            "kp": np.broadcast_to(gains.kp, limit.shape)[row],
            "kd": np.broadcast_to(gains.kd, limit.shape)[row],
            "effort_limit": limit[row],
        }


def require_over_ros(task: TaskSpec) -> None:
    """Look whether a task can be had over ROS, before anything is started for it.

    Raises:
        ConfigError: it cannot.
    """
    if any(spec.name == "weight" for spec in task.curriculum):
        raise ConfigError(NO_HARNESS)
    own = task.randomisation
    drawn = {"terrain": task.terrain, "randomisation.payload": own.payload, "randomisation.weak_joint": own.weak_joint}
    if given := [name for name, value in drawn.items() if value is not None]:
        raise ConfigError(f"{NO_LOADS} {', '.join(given)}: set each to null")
