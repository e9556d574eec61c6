"""A robot in MuJoCo behind the simulation interface."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.backend import GroundTruth
from humanoid_rl_ros.simulation.body_variation import vary_body
from humanoid_rl_ros.simulation.hardship import Hardship, burden, ground
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.obstacles import Box, adder, require_room
from humanoid_rl_ros.simulation.periods import Periods
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.simulated_body import SimulatedBody, check_placement, checked
from humanoid_rl_ros.simulation.team_model import StartPlace, start_qpos

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
            2 ms [s].
        initial_position: pose to start in, by default the robot's [rad; Shape (n,)].
        visual: load the geometry that only serves pictures; the physics is the same without.
        welded: joints of the model made rigid; see `humanoid_rl_ros.simulation.mujoco_model.prepare`.
        start: where the robot starts; None: where its model puts it.
        obstacles: what stands on the floor.
        hardship: what the robot has to bear.
        extend: adds to the model what the caller needs besides.

    Raises:
        ConfigError: the timestep does not divide the state period, or the model cannot be found.
        ModelError: the model cannot be driven, or the robot starts in an obstacle.
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
        start: StartPlace | None = None,
        obstacles: Sequence[Box] = (),
        hardship: Hardship | None = None,
        extend: Callable[[mujoco.MjSpec], None] | None = None,
    ) -> None:
        self.robot = robot
        self._time = Periods(state_rate, timestep)
        self._substeps = self._time.substeps
        hardship = hardship or Hardship()
        if hardship.terrain > 0.0 and start not in (None, StartPlace()):
            raise ConfigError("hills begin around the origin, where a robot on them starts: leave one of them out")
        parts = (adder(obstacles), ground(robot, hardship), extend)

        def add(spec: mujoco.MjSpec) -> None:
            for part in parts:
                if part is not None:
                    part(spec)

        self.model: mujoco.MjModel = prepare(
            robot, timestep=self._time.timestep, visual=visual, welded=welded, extend=add
        )
        self.data = mujoco.MjData(self.model)
        self.layout = layout(self.model, robot)
        burden(self.model, self.layout, robot, hardship)
        self._body = SimulatedBody(robot, self.model, self.data, self.layout)
        initial = (
            robot.default_position if initial_position is None else checked(robot, initial_position, "initial position")
        )
        self._initial_qpos = start_qpos(self.model, self.layout, initial, start or StartPlace())
        if obstacles:
            require_room(self.model, self.layout, self._initial_qpos)
        # Looked up once, because an attribute of MuJoCo's data costs as much as a copy of 29 numbers.
        self._qpos, self._qvel = self.data.qpos, self.data.qvel
        self._periods = 0
        self._held = True
        self._nominal: mujoco.MjModel | None = None
        self._variation: tuple[float, float, FloatArray] | None = None
        self._state = self.reset()

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""
        return self._time.period_ns

    @property
    def foot_names(self) -> tuple[str, ...]:
        """The bodies whose load `ground_truth` gives, in its order."""
        return self._body.foot_names

    @property
    def has_feet(self) -> bool:
        """Whether joints are between the root and every body that it stands on; what lies on its root has no feet."""
        return self._body.has_feet

    @property
    def root_bodies(self) -> tuple[int, ...]:
        """The body that floats."""
        return (self.layout.root_body,)

    def reset(self, rng: np.random.Generator | None = None) -> RobotState:
        """See `SimulationBackend.reset`; the accelerometer reads as if the robot were held."""
        if self._variation is not None:
            self._vary(Placement())
        mujoco.mj_resetData(self.model, self.data)
        self._qpos[:] = self._initial_qpos
        if rng is not None:
            self._body.perturb(rng)
        self._periods = 0
        self._held = True
        mujoco.mj_forward(self.model, self.data)
        self._body.lie_still()
        return self._measured()

    def step(self, effort: FloatArray) -> RobotState:
        """See `SimulationBackend.step`.

        Orientation, rates and velocity are those of the returned instant. The accelerometer is that of the last
        physics step: an acceleration exists only once forces do.
        """
        self._body.drive(effort)
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
            raise self._body.diverged(self._stamp())
        return self._measured()

    def hold(self) -> RobotState:
        """See `SimulationBackend.hold`."""
        self._held = True
        self._qvel[:] = 0.0
        mujoco.mj_step1(self.model, self.data)
        self._body.lie_still()
        self._periods += 1
        return self._measured()

    def push(self, velocity: FloatArray) -> None:
        """Add to the velocity of the base, as a shove does [m/s; world; Shape (3,)]."""
        self._body.push(velocity)
        mujoco.mj_step1(self.model, self.data)

    def place(self, placement: Placement) -> RobotState:
        """Put the robot into a state, in a body of its own; time stands still.

        What is not given stays as it is; `reset` undoes everything. The accelerometer reads as if the robot were held.

        Returns:
            The state that it is in then.

        Raises:
            StateError: there is not one number for each joint.
        """
        check_placement(self.robot, placement)
        if placement.varies_body:
            self._vary(placement)
        self._body.put(placement)
        mujoco.mj_forward(self.model, self.data)
        self._body.lie_still()
        return self._measured()

    @property
    def root_state(self) -> tuple[FloatArray, FloatArray]:
        """Pose of the root body, position then wxyz, and its velocity, linear in the world, angular in the body.

        Exactly what the physics goes on from [m; world; Shape (7,)], [m/s, rad/s; Shape (6,)].
        """
        return self._body.root_state

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
        return self._body.ground_truth(self._stamp(), held=self._held)

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

    def _stamp(self) -> int:
        return self._time.stamp_ns(self._periods)

    def _measured(self) -> RobotState:
        self._state = self._body.measured(self._stamp())
        return self._state
