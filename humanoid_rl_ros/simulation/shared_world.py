"""Several robots in one MuJoCo world, stepped together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError, StateError, did_you_mean
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.backend import GroundTruth
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_backend import DIVERGED_SPEED
from humanoid_rl_ros.simulation.periods import Periods
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.simulated_body import SimulatedBody, checked
from humanoid_rl_ros.simulation.team_model import Member, own_dof, own_qpos, prepare_team, start_qpos


class WorldRobot:
    """One robot of a `SharedWorld`, read as a robot is that is alone: a `SimulationBackend` but for time.

    Time passes for all robots at once, in `SharedWorld.step`. What a robot is to do then is told to it before, with
    `give` or `hold`, and stays so until it is told otherwise.
    """

    def __init__(self, world: SharedWorld, member: Member, position: FloatArray) -> None:
        model, data = world.model, world.data
        self.name, self.robot = member.name, member.robot
        self.layout = layout(model, member.robot, member.prefix)
        self.body = SimulatedBody(member.robot, model, data, self.layout)
        self._world, self._model, self._data = world, model, data
        self._qpos_at, self._dof_at = own_qpos(model, self.layout), own_dof(model, self.layout)
        self._start = start_qpos(model, self.layout, position, member.start)[self._qpos_at]
        self.held = True

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""
        return self._world.period_ns

    @property
    def foot_names(self) -> tuple[str, ...]:
        """The bodies whose load `ground_truth` gives, in its order."""
        return self.body.foot_names

    @property
    def has_feet(self) -> bool:
        """Whether it stands on the ends of limbs; see `SimulatedBody.has_feet`."""
        return self.body.has_feet

    @property
    def root_state(self) -> tuple[FloatArray, FloatArray]:
        """See `SimulatedBody.root_state`."""
        return self.body.root_state

    def give(self, effort: FloatArray) -> None:
        """Let the motors give an effort from now on [N·m; Shape (n,)].

        Raises:
            StateError: it has a wrong shape or is not finite.
        """
        self.body.drive(effort)
        self.held = False

    def hold(self) -> None:
        """Lock base and joints where they are, as on a gantry, from now on."""
        self._data.ctrl[self.layout.motors] = 0.0
        self.held = True

    def push(self, velocity: FloatArray) -> None:
        """Add to the velocity of the base, as a shove does [m/s; world; Shape (3,)]."""
        self.body.push(velocity)
        mujoco.mj_step1(self._model, self._data)

    def place(self, placement: Placement) -> RobotState:
        """Put this robot into a state; time stands still and the others stay as they are.

        Raises:
            StateError: there is not one number for each joint, or another body is asked for: a world has one model.
        """
        if placement.varies_body:
            raise StateError("a robot in a shared world keeps its friction, mass and centre of mass")
        self.body.put(placement)
        return self._world.settle(self)

    def stand(self, rng: np.random.Generator | None = None) -> RobotState:
        """Stand it at its start, held; time and the other robots go on.

        Args:
            rng: draws a small perturbation of pose and velocity; without it the pose is exact.
        """
        self.stand_at_start(rng)
        return self._world.settle(self)

    def stand_at_start(self, rng: np.random.Generator | None) -> None:
        """As `stand`, but a forward pass has to follow."""
        self._data.qpos[self._qpos_at] = self._start
        self._data.qvel[self._dof_at] = 0.0
        self.hold()
        if rng is not None:
            self.body.perturb(rng)

    def read(self) -> RobotState:
        """The last state, again."""
        return self._state

    def measure(self, stamp_ns: int) -> RobotState:
        """Take the state that the data hold now."""
        self._state = self.body.measured(stamp_ns)
        return self._state

    def ground_truth(self) -> GroundTruth:
        """See `SimulationBackend.ground_truth`."""
        return self.body.ground_truth(self._state.stamp_ns, held=self.held)

    def locked(self) -> Callable[[], None]:
        """What puts it back where it is now, without velocity."""
        qpos = self._data.qpos[self._qpos_at]

        def put_back() -> None:
            self._data.qpos[self._qpos_at] = qpos
            self._data.qvel[self._dof_at] = 0.0

        return put_back


class SharedWorld:
    """Robots on one floor that touch each other, advanced together one state period at a time.

    Never waits for a clock. Alone in its world, a robot moves to the bit as in a `MujocoBackend`; robots that do not
    touch do not change each other's motion by a bit.

    Args:
        members: the robots; see `prepare_team`.
        state_rate: states per second [Hz].
        timestep: of the physics; see `MujocoBackend` [s].
        initial_position: poses to start in by name, of robots that do not start in their default pose [rad].
        visual: load the geometry that only serves pictures.
        welded: joints made rigid in every robot; see `prepare`.
        extend: adds to the model; see `prepare_team`.

    Attributes:
        model, data: MuJoCo's.
        robots: by name, in the order of `members`.

    Raises:
        ConfigError, ModelError, StateError: as of `prepare_team` and `MujocoBackend`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        state_rate: float = 500.0,
        timestep: float | None = None,
        initial_position: Mapping[str, FloatArray] | None = None,
        visual: bool = False,
        welded: Mapping[str, float] | None = None,
        extend: Callable[[mujoco.MjSpec], None] | None = None,
    ) -> None:
        self._time = Periods(state_rate, timestep)
        self.model: mujoco.MjModel = prepare_team(
            members, timestep=self._time.timestep, visual=visual, welded=welded, extend=extend
        )
        self.data = mujoco.MjData(self.model)
        poses = dict(initial_position or {})
        for name in poses:
            if name not in [member.name for member in members]:
                raise ConfigError(f"no robot '{name}' to start; {did_you_mean(name, [m.name for m in members])}")
        self.robots: dict[str, WorldRobot] = {}
        for member in members:
            pose = poses.get(member.name, member.robot.default_position)
            self.robots[member.name] = WorldRobot(self, member, checked(member.robot, pose, "initial position"))
        self._qvel = self.data.qvel
        self._periods = 0
        self.reset()

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""
        return self._time.period_ns

    @property
    def stamp_ns(self) -> int:
        """Simulated time [ns]."""
        return self._time.stamp_ns(self._periods)

    @property
    def root_bodies(self) -> tuple[int, ...]:
        """The bodies that float, one for each robot."""
        return tuple(robot.layout.root_body for robot in self.robots.values())

    def robot(self, name: str) -> RobotSpec:
        """What a robot is.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self.robots:
            raise ConfigError(f"no robot '{name}' in the world; {did_you_mean(name, list(self.robots))}")
        return self.robots[name].robot

    def reset(self, rng: np.random.Generator | None = None) -> dict[str, RobotState]:
        """Stand all robots at their starts, held, at time 0.

        Args:
            rng: draws small perturbations of poses and velocities, robot by robot; without it they are exact.

        Returns:
            The first states, by name.
        """
        mujoco.mj_resetData(self.model, self.data)
        self._periods = 0
        for robot in self.robots.values():
            robot.stand_at_start(rng)
        mujoco.mj_forward(self.model, self.data)
        for robot in self.robots.values():
            robot.body.lie_still()
        return self._measured()

    def step(self, efforts: Mapping[str, FloatArray] | None = None) -> dict[str, RobotState]:
        """Let one state period pass.

        Args:
            efforts: given to robots by name first, as by `WorldRobot.give` [N·m].

        Returns:
            The states at the end of the period, by name.

        Raises:
            ConfigError: there is no robot of a name.
            StateError: an effort has a wrong shape or is not finite.
            ModelError: the physics diverged; reset before the next step.
        """
        for name, effort in (efforts or {}).items():
            self.robot(name)
            self.robots[name].give(effort)
        held = [robot for robot in self.robots.values() if robot.held]
        if len(held) == len(self.robots):
            self._qvel[:] = 0.0
            mujoco.mj_step1(self.model, self.data)
        else:
            self._advance([robot.locked() for robot in held])
        for robot in held:
            robot.body.lie_still()
        self._periods += 1
        if not self._qvel.dot(self._qvel) < DIVERGED_SPEED**2:
            raise self._diverged()
        return self._measured()

    def settle(self, robot: WorldRobot) -> RobotState:
        """After one robot was put somewhere: what follows from it; its accelerometer reads as if it were held."""
        others = [(other, other.body.acceleration()) for other in self.robots.values() if other is not robot]
        mujoco.mj_forward(self.model, self.data)
        for other, acceleration in others:
            other.body.feel(acceleration)
        robot.body.lie_still()
        return robot.measure(self.stamp_ns)

    def _advance(self, put_back: Sequence[Callable[[], None]]) -> None:
        """One period of physics; see `MujocoBackend.step` for its order."""
        mujoco.mj_step2(self.model, self.data)
        if not put_back and self._time.substeps > 1:
            mujoco.mj_step(self.model, self.data, self._time.substeps - 1)
        for _ in range(self._time.substeps - 1 if put_back else 0):
            for each in put_back:
                each()
            mujoco.mj_step(self.model, self.data)
        for each in put_back:
            each()
        mujoco.mj_step1(self.model, self.data)

    def _measured(self) -> dict[str, RobotState]:
        stamp_ns = self.stamp_ns
        return {name: robot.measure(stamp_ns) for name, robot in self.robots.items()}

    def _diverged(self) -> ModelError:
        # NaN fails every comparison.
        for name, robot in self.robots.items():
            speed = np.concatenate([robot.root_state[1], self._qvel[robot.layout.dof]])
            if not speed.dot(speed) < DIVERGED_SPEED**2:
                return ModelError(f"robot '{name}' of the shared world: {robot.body.diverged(self.stamp_ns)}")
        return ModelError(f"the physics of the shared world diverged at {self.stamp_ns * 1e-9:.3f} s; reset it")
