"""Teams that walk in formation, many worlds at once: velocity commands in, what happened out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import slots, turned, wrapped
from humanoid_rl_ros.core.formation_view import TeamView
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.commands import CommandSampler
from humanoid_rl_ros.envs.formation_spec import FormationSpec
from humanoid_rl_ros.envs.formation_step import FormationStep, formation_step
from humanoid_rl_ros.envs.team_bodies import TeamBodies
from humanoid_rl_ros.envs.team_stand_in import TeamStandIn
from humanoid_rl_ros.envs.team_walk import TeamWalk
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy

CLEAR = 0.7
"""No two robots start nearer to each other [m]."""
_DRAWN = (
    *("slot", "factor", "push_in", "shape_in", "velocity", "command_before", "told", "position_bias", "heading_bias"),
    *("late", "past_position", "past_heading", "past_velocity", "steps"),
)


class FormationWorlds:
    """w worlds with a team of n robots each. Commands are taken as they come: who decides them is not known here.

    Args:
        robot: must have a model.
        spec: the task.
        worlds: how many.
        threads: of the physics.

    Attributes:
        bodies: the robots.
        steps: decisions since each episode began [Shape (w,)].

    Raises:
        ConfigError, ContractError, ModelError, PolicyError: robot, task and walking policy do not fit.
    """

    def __init__(self, robot: RobotSpec, spec: FormationSpec, worlds: int, *, threads: int = 1) -> None:
        bundle = find_policy(spec.walk)
        ratio = spec.period / bundle.control_period
        if not math.isclose(ratio, round(ratio), abs_tol=1e-6) or round(ratio) < 1:
            raise ConfigError(
                f"{spec.source}: 'period' {spec.period:g} s is no whole multiple of the {bundle.control_period:g} s "
                f"of policy '{bundle.name}'"
            )
        self.spec, self.worlds, self.robots, self.robot = spec, worlds, spec.robots, robot
        self.bodies = _bodies(robot, spec, bundle, worlds, threads)
        self.ranges = bundle.command
        self._control_steps = round(ratio)
        self._newest = 1.0 - math.exp(-bundle.control_period / spec.averaging) if spec.averaging > 0.0 else 1.0
        self._commands = CommandSampler(spec.commands, worlds, spec.period)
        self._rng = np.random.default_rng(0)
        w, n = worlds, spec.robots
        self.slot, self.factor = np.zeros((w, n, 2)), np.ones((w, n))
        self.push_in: IndexArray = np.zeros((w, n), dtype=np.intp)
        self.velocity, self.told, self.command_before = np.zeros((w, n, 3)), np.zeros((w, n, 3)), np.zeros((w, n, 3))
        self.position_bias, self.heading_bias = np.zeros((w, n, 2)), np.zeros((w, n))
        self.shape_in: IndexArray = np.zeros(w, dtype=np.intp)
        self.late: IndexArray = np.zeros(w, dtype=np.intp)
        kept = 1 + round(spec.randomisation.delay / bundle.control_period)
        # The newest first.
        self.past_position, self.past_heading = np.zeros((w, kept, n, 2)), np.zeros((w, kept, n))
        self.past_velocity = np.zeros((w, kept, n, 3))
        self.steps: IndexArray = np.zeros(w, dtype=np.intp)
        self._held: FloatArray | None = None
        self._view: TeamView | None = None

    def hold_command(self, command: FloatArray) -> None:
        """Give every formation a velocity that it keeps [m/s, m/s, rad/s; Shape (w, 3) or (3,)].

        Raises:
            ConfigError: it has another shape, or is not finite.
        """
        command = np.asarray(command, dtype=np.float64)
        if command.shape not in ((3,), (self.worlds, 3)) or not np.isfinite(command).all():
            raise ConfigError(f"a command of a formation is 3 finite numbers, x y yaw, found {command.tolist()}")
        self._held = np.broadcast_to(command, (self.worlds, 3)).copy()
        self._commands.command[...] = self._held

    @property
    def longest(self) -> int:
        """Decisions of an episode."""
        return max(1, round(self.spec.episode.length / self.spec.period))

    def reset(self, rng: np.random.Generator) -> None:
        """Start every world anew, with all randomness from here on drawn from this generator."""
        self._rng = rng
        if isinstance(self.bodies, TeamStandIn):
            self.bodies.rng = np.random.default_rng(rng.integers(2**63))
        self.start(np.ones(self.worlds, dtype=bool))

    def start(self, which: BoolArray) -> None:
        """New episodes in some worlds [Shape (w,)]."""
        rows = np.flatnonzero(which)
        chance, rng, k, n = self.spec.randomisation, self._rng, int(which.sum()), self.robots
        self._shape(rows)
        before = self.slot[rows]
        self._shape(rows)
        slow, which_robot = rng.random(k) < chance.slow_share, rng.integers(0, n, k)
        self.factor[rows] = 1.0
        self.factor[rows[slow], which_robot[slow]] = rng.uniform(*chance.slow_factor, size=k)[slow]
        facing = rng.uniform(-math.pi, math.pi, k)
        place = _apart(before, chance.start_position, rng)
        heading = facing[:, None] + chance.start_heading * rng.uniform(-1.0, 1.0, (k, n))
        self.bodies.place(which, turned(place, facing[:, None]), heading)
        self.position_bias[rows] = chance.position_bias * rng.uniform(-1.0, 1.0, (k, n, 2))
        self.heading_bias[rows] = chance.heading_bias * rng.uniform(-1.0, 1.0, (k, n))
        self.velocity[rows] = self.told[rows] = self.command_before[rows] = 0.0
        self.steps[rows] = 0
        self.late[rows] = rng.integers(0, self.past_heading.shape[1], k)
        self._remember(rows, anew=True)
        if self._held is None:
            self._commands.draw(rows, 1.0, rng)
        self._wait_for_push(np.repeat(rows, n), np.tile(np.arange(n), k))
        self._view = None

    def view(self) -> TeamView:
        """What odometry tells the robots now, late and with errors; the same until the next step or start."""
        if self._view is None:
            chance, rng, at = self.spec.randomisation, self._rng, np.arange(self.worlds)
            w, n = self.worlds, self.robots
            position, heading, velocity = (
                past[at, self.late] for past in (self.past_position, self.past_heading, self.past_velocity)
            )
            self._view = TeamView(
                position + self.position_bias + chance.position_noise * rng.standard_normal((w, n, 2)),
                wrapped(heading + self.heading_bias + chance.heading_noise * rng.standard_normal((w, n))),
                velocity + chance.velocity_noise * rng.standard_normal((w, n, 3)),
                self.slot.copy(),
                self._commands.command.copy(),
                self.told.copy(),
            )
        return self._view

    def truth(self) -> TeamView:
        """What odometry without errors would tell; all its own."""
        pose = self.bodies.pose()
        return TeamView(
            pose.position[..., :2].copy(),
            rotations.roll_pitch_yaw(pose.orientation)[..., 2],
            self.velocity.copy(),
            self.slot.copy(),
            self._commands.command.copy(),
            self.told.copy(),
        )

    def step(self, command: FloatArray) -> FormationStep:
        """One decision of every robot.

        Args:
            command: brought into the ranges of the walking policy [m/s, m/s, rad/s; Shape (w, n, 3)].

        Returns:
            What became of it; the next command of the formation is drawn after it.
        """
        self.command_before, self.told = self.told, np.array(command, dtype=np.float64)
        fallen: BoolArray = np.zeros((self.worlds, self.robots), dtype=bool)
        diverged: BoolArray = np.zeros(self.worlds, dtype=bool)
        tension, clearance = np.zeros(self.worlds), np.full(self.worlds, np.inf)
        for _ in range(self._control_steps):
            self._push()
            diverged |= self.bodies.step(self.told * self.factor[..., None])
            self._follow()
            if (load := self.bodies.load()) is not None:
                tension = np.maximum(tension, load.tension.max(axis=1))
                clearance = np.minimum(clearance, load.clearance)
            fallen |= self.bodies.down(self.spec.episode.tilt_limit, self.spec.episode.height_limit)
            self._remember(np.arange(self.worlds))
        fallen |= diverged[:, None]
        found = formation_step(
            self.truth(), self.command_before.copy(), fallen, diverged, self.factor.copy(), tension, clearance
        )
        self.steps += 1
        if self._held is None and (due := self._commands.tick()).size:
            self._commands.draw(due, 1.0, self._rng)
        self.shape_in -= 1
        if (due := np.flatnonzero(self.shape_in <= 0)).size:
            self._shape(due)
        self._view = None
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self.view()
        assert self._view is not None
        return {
            "rng": self._rng.bit_generator.state,
            "bodies": self.bodies.state_dict(),
            "drawn": {name: getattr(self, name).copy() for name in _DRAWN},
            "command": self._commands.command.copy(),
            "command_steps_left": self._commands.steps_left.copy(),
            "command_held": self._held is not None,
            "seen": [self._view.position, self._view.heading, self._view.velocity],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._rng.bit_generator.state = state["rng"]
        self.bodies.load_state_dict(state["bodies"])
        for name in _DRAWN:
            getattr(self, name)[...] = state["drawn"][name]
        self._commands.command[...] = state["command"]
        self._commands.steps_left[...] = state["command_steps_left"]
        self._held = state["command"].copy() if state["command_held"] else None
        truth = self.truth()
        position, heading, velocity = (part.copy() for part in state["seen"])
        self._view = TeamView(position, heading, velocity, truth.slot, truth.command, truth.last_command)

    def close(self) -> None:
        """End the threads of the physics."""
        self.bodies.close()

    def _follow(self) -> None:
        """Advance the mean velocities."""
        pose = self.bodies.pose()
        heading = rotations.roll_pitch_yaw(pose.orientation)[..., 2]
        along = turned(pose.linear_velocity[..., :2], -heading)
        turning = rotations.rotate(pose.orientation, pose.angular_velocity)[..., 2:]
        self.velocity += self._newest * (np.concatenate([along, turning], axis=-1) - self.velocity)

    def _remember(self, worlds: IndexArray, *, anew: bool = False) -> None:
        """Keep what odometry will tell later; `anew` as if it had been so for ever."""
        truth = self.truth()
        for past, now in (
            (self.past_position, truth.position),
            (self.past_heading, truth.heading),
            (self.past_velocity, truth.velocity),
        ):
            past[worlds, 1:] = now[worlds, None] if anew else past[worlds, :-1]
            past[worlds, 0] = now[worlds]

    def _shape(self, worlds: IndexArray) -> None:
        """Another shape and spacing for some worlds."""
        spec, rng = self.spec, self._rng
        for world in worlds:
            shape, spacing = str(rng.choice(spec.shapes)), float(rng.uniform(*spec.spacing))
            self.slot[world] = slots(shape, self.robots, spacing)
        wait = rng.uniform(*spec.randomisation.shape_period, size=len(worlds))
        self.shape_in[worlds] = np.maximum(1, np.round(wait / spec.period)).astype(np.intp)

    def _push(self) -> None:
        chance = self.spec.randomisation
        if chance.push_speed <= 0.0:
            return
        self.push_in -= 1
        worlds, robots = np.nonzero(self.push_in <= 0)
        if not worlds.size:
            return
        angle = self._rng.uniform(-math.pi, math.pi, worlds.size)
        # The square root spreads the pushes evenly over a disc.
        speed = chance.push_speed * np.sqrt(self._rng.random(worlds.size))
        velocity = speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.bodies.push(worlds, robots, velocity)
        self._wait_for_push(worlds, robots)

    def _wait_for_push(self, worlds: IndexArray, robots: IndexArray) -> None:
        wait = self._rng.uniform(*self.spec.randomisation.push_period, size=worlds.size)
        self.push_in[worlds, robots] = np.maximum(1, np.round(wait / self.bodies.period)).astype(np.intp)


def _bodies(robot: RobotSpec, spec: FormationSpec, bundle: PolicyBundle, worlds: int, threads: int) -> TeamBodies:
    if spec.bodies == "stand_in":
        period = bundle.control_period
        return TeamStandIn(spec.stand_in, bundle.command, worlds, spec.robots, period=period, height=1.0)
    return TeamWalk(robot, bundle, worlds, spec.robots, welded=spec.welded, threads=threads, beam=spec.beam)


def _apart(slot: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
    """Places around slots, no two nearer than `CLEAR` or than the slots are [m; Shape (k, n, 2)]."""
    offset = size * rng.uniform(-1.0, 1.0, slot.shape)
    n = slot.shape[1]
    pairs = np.triu_indices(n, 1)

    def nearest(place: FloatArray) -> FloatArray:
        apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1)
        return np.asarray(apart[:, pairs[0], pairs[1]].min(axis=1))

    least = np.minimum(CLEAR, nearest(slot)) - 1e-9
    for _ in range(20):
        close = nearest(slot + offset) < least
        if not close.any():
            break
        offset[close] *= 0.5
    return slot + offset
