"""Many worlds of several robots each in MuJoCo, stepped together by C threads, the PD law inside the physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.batch_simulation import set_law
from humanoid_rl_ros.simulation.carried_beam import BeamSpec, BeamState, CarriedBeam, add_beam
from humanoid_rl_ros.simulation.imu_kinematics import ImuKinematics
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco, rollout
from humanoid_rl_ros.simulation.mujoco_backend import DIVERGED_SPEED
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.standing import standing_qpos
from humanoid_rl_ros.simulation.team_model import Member, own_dof, own_qpos, prepare_team

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


@dataclass(frozen=True, eq=False)
class TeamPose:
    """Where the bases of all robots are.

    Attributes:
        position: [m; world; Shape (worlds, robots, 3)].
        orientation: [wxyz; Shape (worlds, robots, 4)].
        linear_velocity: [m/s; world; Shape (worlds, robots, 3)].
        angular_velocity: [rad/s; base frame; Shape (worlds, robots, 3)].
    """

    position: FloatArray
    orientation: FloatArray
    linear_velocity: FloatArray
    angular_velocity: FloatArray


class TeamSimulation:
    """w worlds, in each the same n robots of one kind on one floor; robots of a world touch each other.

    The law and its place in the physics are those of `humanoid_rl_ros.simulation.batch_simulation.BatchSimulation`.
    Arrays "of all robots" have a row for each robot of each world, the robots of a world one after the other.

    Args:
        robot: must have a model; its joint order is the order of every array here.
        gains: of the law, in that order.
        worlds, robots: how many.
        timestep: of physics and law [s].
        substeps: physics steps per `step`.
        initial_position: pose that robots are placed in [rad; Shape (n_joints,)].
        threads: C threads.
        welded: joints of the model made rigid [rad].
        beam: that the robots carry, or None.

    Attributes:
        welded, beam: as given.
        standing_height: of the base in the start pose [m].

    Raises:
        ConfigError, ModelError: the robots cannot be simulated.
    """

    def __init__(
        self,
        robot: RobotSpec,
        gains: PDGains,
        worlds: int,
        robots: int,
        *,
        timestep: float,
        substeps: int,
        initial_position: FloatArray,
        threads: int = 1,
        welded: Mapping[str, float] | None = None,
        beam: BeamSpec | None = None,
    ) -> None:
        if worlds < 1:
            raise ConfigError(f"the number of worlds must be at least 1, found {worlds}")
        if gains.low_pass != 1.0:
            raise ConfigError("a team of robots cannot be simulated with a filter on the effort")
        self.robot, self.worlds, self.robots, self.timestep = robot, worlds, robots, timestep
        self.substeps, self.welded, self.beam = substeps, dict(welded or {}), beam
        self.names = team_names(robots)
        members = [Member(name, robot) for name in self.names]
        self.model = model = prepare_team(
            members, timestep=timestep, visual=False, welded=welded, extend=carrying(beam, members)
        )
        self._beam = None if beam is None else CarriedBeam(model, beam)
        places = [layout(model, robot, member.prefix) for member in members]
        motors = np.concatenate([np.arange(model.nu)[place.motors] for place in places])
        if model.nu != robots * robot.n_joints or not np.array_equal(motors, np.arange(model.nu)):
            raise ModelError(f"the motors of a team of '{robot.name}' do not follow one another")
        kp, kd, limit = (np.tile(values, robots) for values in (gains.kp, gains.kd, gains.effort_limit))
        set_law(model, PDGains(kp, kd, limit))
        single = prepare(robot, timestep=timestep, visual=False, welded=welded)
        self._own = layout(single, robot)
        self._imu = ImuKinematics(single, self._own)
        self._qpos_at = np.stack([own_qpos(model, place) for place in places])
        self._qvel_at = np.stack([own_dof(model, place) for place in places])
        if self._qpos_at.shape[1] != single.nq or self._qvel_at.shape[1] != single.nv:
            raise ModelError(f"a robot '{robot.name}' of a team has other joints than one alone")
        self._start = standing_qpos(single, self._own, initial_position)
        self.standing_height = float(self._start[self._own.root_qpos + 2])
        self._pool = rollout.Rollout(nthread=max(1, min(threads, worlds)))
        self._data = [mujoco.MjData(model) for _ in range(max(1, min(threads, worlds)))]
        size = mujoco.mj_stateSize(model, _STATE)
        if size != 1 + model.nq + model.nv:
            raise ModelError(f"the model of robot '{robot.name}' has states besides positions and velocities")
        self._state = np.zeros((worlds, size))
        self._trajectory = np.zeros((worlds, substeps, size))
        self._readings = np.zeros((worlds, substeps, model.nsensordata))
        self._control = np.zeros((worlds, substeps, model.nu))
        self._models = [model] * worlds
        self._qpos, self._qvel = self._state[:, 1 : 1 + model.nq], self._state[:, 1 + model.nq :]
        self._qpos[...] = model.key_qpos[0]

    @property
    def qpos(self) -> FloatArray:
        """Generalised positions of the worlds; a view [Shape (worlds, nq)]."""
        return self._qpos

    def states(self) -> RobotState:
        """What ideal sensors of all robots say [Shape (worlds · robots, ...)]; no accelerometer."""
        qpos, qvel = self._rows()
        imu = self._imu.motion(qpos, qvel)
        return RobotState(
            stamp_ns=0,
            joint_position=qpos[:, self._own.qpos],
            joint_velocity=qvel[:, self._own.dof],
            orientation=imu.orientation,
            angular_velocity=imu.angular_velocity,
            base_linear_velocity=imu.linear_velocity,
        )

    def pose(self) -> TeamPose:
        """Where the bases are, and how fast."""
        root, dof = self._own.root_qpos, self._own.root_dof
        qpos, qvel = self._qpos[:, self._qpos_at], self._qvel[:, self._qvel_at]
        return TeamPose(
            qpos[..., root : root + 3],
            qpos[..., root + 3 : root + 7],
            qvel[..., dof : dof + 3],
            qvel[..., dof + 3 : dof + 6],
        )

    def place(self, worlds: IndexArray, position: FloatArray, heading: FloatArray) -> None:
        """Stand the robots of some worlds on the floor in the start pose, at rest.

        Args:
            worlds: which [Shape (k,)].
            position: of the bases [m; Shape (k, robots, 2)].
            heading: [rad; Shape (k, robots)].
        """
        root = self._own.root_qpos
        qpos = np.tile(self._start, (len(worlds), self.robots, 1))
        qpos[..., root : root + 2] = position
        turn = np.stack([np.cos(heading / 2.0), *(np.zeros_like(heading),) * 2, np.sin(heading / 2.0)], axis=-1)
        qpos[..., root + 3 : root + 7] = rotations.multiply(turn, qpos[..., root + 3 : root + 7])
        self._state[worlds] = 0.0
        self._qpos[worlds] = self.model.key_qpos[0]
        self._qpos[worlds[:, None, None], self._qpos_at] = qpos
        if self._beam is not None:
            for world in worlds:
                self._beam.hang(self._qpos[world])

    def load(self) -> BeamState | None:
        """What is carried, or None."""
        return None if self._beam is None else self._beam.state(self._qpos, self._readings[:, -1])

    def push(self, worlds: IndexArray, robots: IndexArray, velocity: FloatArray) -> None:
        """Add to the velocity of some bases [m/s; world; Shape (k,), (k,), (k, 2)]."""
        dof = self._qvel_at[robots, self._own.root_dof]
        self._qvel[worlds, dof] += velocity[:, 0]
        self._qvel[worlds, dof + 1] += velocity[:, 1]

    def step(self, target: FloatArray) -> None:
        """Advance all worlds by one control period.

        Args:
            target: of the PD law of all robots [rad; Shape (worlds · robots, n_joints)].
        """
        self._control[...] = target.reshape(self.worlds, 1, self.model.nu)
        self._pool.rollout(
            self._models,
            self._data,
            self._state,
            self._control,
            control_spec=int(mujoco.mjtState.mjSTATE_CTRL),
            nstep=self.substeps,
            state=self._trajectory,
            sensordata=self._readings,
            skip_checks=True,
        )
        self._state[...] = self._trajectory[:, -1]

    def diverged(self) -> BoolArray:
        """Worlds whose physics has left the finite; `place` them before the next step [Shape (worlds,)]."""
        speed = np.square(self._qvel).sum(axis=-1)
        # NaN fails every comparison.
        slow: BoolArray = speed < DIVERGED_SPEED**2
        return ~slow | ~np.isfinite(self._qpos).all(axis=1)

    def snapshot(self) -> dict[str, FloatArray]:
        """The state of all worlds."""
        return {"state": self._state.copy()}

    def restore(self, snapshot: Mapping[str, FloatArray]) -> None:
        """Go back to a snapshot."""
        self._state[...] = snapshot["state"]

    def put_back(self, worlds: IndexArray, snapshot: Mapping[str, FloatArray]) -> None:
        """Put some worlds into the state of a snapshot, at rest [Shape (k,)]."""
        self._state[worlds] = snapshot["state"][worlds]
        self._qvel[worlds] = 0.0

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    def _rows(self) -> tuple[FloatArray, FloatArray]:
        rows = self.worlds * self.robots
        return self._qpos[:, self._qpos_at].reshape(rows, -1), self._qvel[:, self._qvel_at].reshape(rows, -1)


def carrying(beam: BeamSpec | None, members: Sequence[Member]) -> Callable[[mujoco.MjSpec], None] | None:
    """What `prepare_team` has to add for a beam; None for none."""
    if beam is None:
        return None
    return lambda spec: add_beam(spec, beam, [member.prefix for member in members])


def team_names(robots: int) -> Sequence[str]:
    """What the robots of a team are called: ``robot_1`` and so on."""
    return tuple(f"robot_{i + 1}" for i in range(robots))
