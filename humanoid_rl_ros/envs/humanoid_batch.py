"""Many humanoids at one task, stepped together: physics in C, observations and rewards in one pass over arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.action import ActionProcessor
from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import GaitClock, is_standing
from humanoid_rl_ros.core.joints import indices_of
from humanoid_rl_ros.core.mirror import Mirroring, mirror_action, partners
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_mirror import mirror_observation
from humanoid_rl_ros.core.observation_spec import ObservationSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep
from humanoid_rl_ros.envs.commands import CommandSampler
from humanoid_rl_ros.envs.curriculum import Curriculum
from humanoid_rl_ros.envs.episode_log import EpisodeLog
from humanoid_rl_ros.envs.measurement import measured_state, true_state
from humanoid_rl_ros.envs.randomisation import EpisodeDraws
from humanoid_rl_ros.envs.rewards import RewardSum
from humanoid_rl_ros.envs.start_poses import lying_states
from humanoid_rl_ros.envs.step import TaskStep
from humanoid_rl_ros.envs.task_contract import observation_spec, task_contract
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation, unvaried
from humanoid_rl_ros.simulation.symmetry import robot_mirror

_NO_PHASE = np.zeros(0)
# A start that differs from the start pose begins this much above the floor, so that no foot starts inside it [m].
_START_CLEARANCE = 0.02
_CONTACT_FORCE = 5.0
# The critic's extra numbers: base height, friction, mass, centre of mass, delay, mean velocity; which of them turn
# their sign in the mirror: the sideways ones, and the turn rate.
_N_BODY, _SIDEWAYS = 10, [4, 8, 9]


class HumanoidBatch:
    """n humanoids at a task; a `humanoid_rl_ros.envs.batch_env.BatchEnv`.

    Args:
        robot: must have a model.
        task: what it does and is paid for.
        n_envs: robots.
        contract: the policy it is to run, by default what the task promises; with another lab's bundle the task's
            ranges and rewards are played with that policy's observation, action and gains.
        threads: of the physics; by default as many as this process has cores.
        auto_reset: whether a robot whose episode ended starts anew in the same step.
        stream: batches that learn together, each in a process of its own, differ in this, and so in their randomness.

    Raises:
        ConfigError, ContractError, ModelError: robot, task and contract do not fit, or the robot cannot be simulated.
    """

    def __init__(
        self,
        robot: RobotSpec,
        task: TaskSpec,
        n_envs: int,
        *,
        contract: PolicyBundle | None = None,
        threads: int | None = None,
        auto_reset: bool = True,
        stream: int = 0,
    ) -> None:
        self.contract = contract = task_contract(task, robot) if contract is None else contract
        self.task, self._n, self._auto_reset, self._stream = task, n_envs, auto_reset, stream
        if contract.action.kind == "effort" or contract.action.last_action == "after_effort_clip":
            raise ConfigError(f"policy '{contract.name}': its kind of action cannot be simulated in a batch")
        pose, gains = pose_and_gains(contract, robot)
        self.robot, kept = _simulated(robot, contract, welded=task.control.held_joints == "welded")
        substeps = contract.pd_rate * contract.control_period
        if not math.isclose(substeps, round(substeps), abs_tol=1e-6):
            raise ConfigError(f"policy '{contract.name}': its control period is no whole multiple of its PD period")
        self.simulation = BatchSimulation(
            self.robot,
            PDGains(gains.kp[kept], gains.kd[kept], gains.effort_limit[kept], gains.low_pass),
            n_envs,
            timestep=1.0 / contract.pd_rate,
            substeps=round(substeps),
            initial_position=pose[kept],
            threads=threads,
            welded={name: float(pose[i]) for i, name in enumerate(robot.joint_names) if i not in kept},
            varied=task.randomisation.varies_bodies,
        )
        self._pose, self._effort_limit = pose[kept], gains.effort_limit[kept]
        joints = self.robot.joint_names
        self._driven = indices_of(tuple(contract.joints), joints, what="driven joint", where="the robot")
        n_phases = len(contract.gait.phases) if contract.gait else 0
        sizes: dict[str, Any] = {"n_actions": len(contract.joints), "n_phases": n_phases, "batch_shape": (n_envs,)}
        self._builder = ObservationBuilder(contract.observation, joints, **sizes)
        critic = observation_spec(task, robot, tuple(contract.joints), critic=True)
        self._critic_builder = ObservationBuilder(critic, joints, **sizes)
        self._action = ActionProcessor(contract.action, (n_envs,))
        self._gait = GaitClock(contract.gait, contract.control_period, (n_envs,)) if contract.gait else None
        self._stand_threshold = contract.gait.stand_threshold if contract.gait else contract.observation.stand_threshold
        self._commands = CommandSampler(task.commands, n_envs, contract.control_period)
        self._draws = EpisodeDraws(task.randomisation, n_envs, self.robot.n_joints, self.simulation.timestep)
        self._rewards = RewardSum(task.rewards, joints)
        self._curriculum = Curriculum(task.curriculum, n_envs)
        self._log = EpisodeLog(n_envs, self._rewards.names, contract.control_period)
        self._longest = max(1, round(task.episode.length / contract.control_period))
        self._nominal_height = float(self._height_of(self.simulation.initial_qpos))
        self._rng = np.random.default_rng(0)
        self._lying: FloatArray | None = None
        self._push_in: IndexArray = np.zeros(n_envs, dtype=np.intp)
        self._target = np.tile(self._pose, (n_envs, 1))
        self._mean_velocity = np.zeros((n_envs, 3))
        averaging = task.commands.averaging
        self._newest = 1.0 - math.exp(-contract.control_period / averaging) if averaging > 0.0 else 1.0
        self._mirror = self._mirrored(critic) if task.symmetric else None
        self.last_step: TaskStep | None = None
        self.last_terms: FloatArray = np.zeros((n_envs, len(self._rewards.names)))

    @property
    def n_envs(self) -> int:
        """Robots."""
        return self._n

    @property
    def observation_size(self) -> int:
        """Width of what the actor sees."""
        return self._builder.size

    @property
    def critic_size(self) -> int:
        """Width of what the critic sees."""
        return self._critic_builder.size + _N_BODY + 2 * len(self.simulation.foot_names)

    @property
    def action_low(self) -> FloatArray:
        """Lower bounds of the action [Shape (a,)]."""
        return np.asarray(self.contract.action.clip_lower)

    @property
    def action_high(self) -> FloatArray:
        """Upper bounds of the action [Shape (a,)]."""
        return np.asarray(self.contract.action.clip_upper)

    @property
    def control_period(self) -> float:
        """Time between two actions [s]."""
        return self.contract.control_period

    @property
    def reward_names(self) -> tuple[str, ...]:
        """The reward terms, in the order of `last_terms`."""
        return self._rewards.names

    @property
    def command(self) -> FloatArray:
        """The commands that robots follow now [Shape (n, 3)]."""
        return self._commands.command

    def _mirrored(self, critic: ObservationSpec) -> BatchMirror:
        """The mirror of what actor and critic see.

        Raises:
            ContractError, ModelError: left and right differ.
        """
        simulation, contract = self.simulation, self.contract
        joints = robot_mirror(simulation.model, self.robot)
        driven = tuple(contract.joints)
        policy = mirror_observation(contract.observation, joints, driven=driven, gait=contract.gait)
        seen = mirror_observation(critic, joints, driven=driven, gait=contract.gait)
        feet = partners(simulation.foot_names)
        # Of the extra numbers, those of the feet change places and the sideways centre of mass its sign.
        extra = np.concatenate([np.arange(_N_BODY), _N_BODY + feet, _N_BODY + len(feet) + feet])
        sign = np.ones(len(extra), dtype=np.float32)
        sign[_SIDEWAYS] = -1.0
        critic_mirror = Mirroring(
            np.concatenate([seen.index, len(seen.index) + extra]), np.concatenate([seen.sign, sign])
        )
        return BatchMirror(policy, critic_mirror, mirror_action(contract.action, joints))

    def hold_command(self, command: FloatArray) -> None:
        """Give every robot a command that it keeps until it is given another [Shape (n, 3) or (3,)].

        Raises:
            ConfigError: it has another shape, or is not finite.
        """
        command = np.asarray(command, dtype=np.float64)
        fits = command.shape in ((3,), (self._n, 3))
        if not fits or not np.isfinite(command).all():
            found = "NaN or Inf" if fits else f"shape {command.shape}"
            raise ConfigError(
                f"a command is 3 finite numbers, x y yaw, or so for each of {self._n} robots; found {found}"
            )
        self._held_command = np.broadcast_to(command, (self._n, 3)).copy()
        self._commands.command[...] = self._held_command

    _held_command: FloatArray | None = None

    @property
    def mirror(self) -> BatchMirror | None:
        """The mirror of the task, or None where the task says that it has none."""
        return self._mirror

    def reset(self, seed: int) -> BatchObservation:
        """See `BatchEnv.reset`."""
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(self._stream,)))
        self._curriculum.reset()
        self._log = EpisodeLog(self._n, self._rewards.names, self.control_period)
        if self.task.episode.start == "lying":
            if self.task.randomisation.varies_bodies:
                everyone = np.arange(self._n)
                self.simulation.vary(everyone, unvaried(self._n, self.robot.n_joints))
            self._lying = lying_states(self.simulation, self._pose, self._rng)
        anew = np.ones(self._n, dtype=bool)
        self._start(anew)
        if self.task.episode.random_first and self._auto_reset:
            self._log.steps[:] = self._rng.integers(0, self._longest, self._n)
        return self._observe(true_state(self.simulation), anew)

    def restart(self, which: BoolArray) -> BatchObservation:
        """Start some robots anew; the rows of the others are of no use [Shape (n,)]."""
        self._start(which)
        return self._observe(true_state(self.simulation), which)

    def step(self, action: Float32Array) -> BatchStep:
        """See `BatchEnv.step`."""
        simulation = self.simulation
        previous_action, previous_target = self._action.last_action, self._target
        driven = self._action.apply(action.astype(np.float64))
        self._target = previous_target.copy()
        self._target[:, self._driven] = driven
        self._push()
        before = simulation.qpos.copy(), simulation.qvel.copy()
        # The law reads the encoders: where they are off, it reaches for what is off by as much.
        simulation.step(
            self._target - self._draws.encoder_offset,
            previous=previous_target - self._draws.encoder_offset,
            delay=self._draws.delay,
        )
        diverged = simulation.diverged()
        if diverged.any():
            rows = np.flatnonzero(diverged)
            simulation.place(rows, before[0][rows], np.zeros_like(before[1][rows]))
        step = self._look(previous_action, diverged)
        self.last_step = step
        terms = self._rewards.terms(step, self._curriculum.level["penalties"])
        terms[diverged] = 0.0
        self.last_terms = terms
        error = step.mean_velocity - step.command
        self._log.add(terms, np.hypot(error[:, 0], error[:, 1]), error[:, 2])
        truncated = (self._log.steps >= self._longest) & ~step.fallen
        done = step.fallen | truncated
        if self._gait is not None:
            self._gait.advance(self._commands.command)
        self._replace_commands()
        final = self._observe(true_state(simulation), None)
        observation = final
        self._end(np.flatnonzero(done), step.fallen, diverged)
        if self._auto_reset and done.any():
            self._start(done)
            fresh = self._observe(true_state(simulation), done)
            observation = BatchObservation(
                np.where(done[:, None], fresh.policy, final.policy), np.where(done[:, None], fresh.critic, final.critic)
            )
        return BatchStep(observation, terms.sum(axis=1), step.fallen, truncated, final)

    def statistics(self) -> dict[str, float]:
        """See `BatchEnv.statistics`; ``reward/<term>`` per second, errors [m/s], [rad/s], levels of the curriculum."""
        found = self._log.statistics()
        return found | {f"curriculum/{spec.name}": self._curriculum.level[spec.name] for spec in self.task.curriculum}

    def state_dict(self) -> dict[str, Any]:
        """See `BatchEnv.state_dict`."""
        return {
            "identity": self._identity(),
            "rng": self._rng.bit_generator.state,
            "simulation": dict(self.simulation.snapshot()),
            "draws": dict(self._draws.state_dict()),
            "curriculum": self._curriculum.state_dict(),
            "log": self._log.state_dict(),
            "command": self._commands.command.copy(),
            "command_steps_left": self._commands.steps_left.copy(),
            "command_held": self._held_command is not None,
            "push_in": self._push_in.copy(),
            "target": self._target.copy(),
            "mean_velocity": self._mean_velocity.copy(),
            "last_action": self._action.last_action.copy(),
            "phase": self._gait.phase.copy() if self._gait else np.zeros(0),
            "observation": self._builder.state_dict(),
            "critic_observation": self._critic_builder.state_dict(),
            "lying": np.zeros((0, 0)) if self._lying is None else self._lying.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `BatchEnv.load_state_dict`."""
        if state.get("identity") != self._identity():
            raise ConfigError(
                f"the environment was saved for {state.get('identity')}, and this one is {self._identity()}"
            )
        self._rng.bit_generator.state = state["rng"]
        self._draws.load_state_dict(state["draws"])
        if self.task.randomisation.varies_bodies:
            everyone = np.arange(self._n)
            self.simulation.vary(everyone, self._draws.bodies(everyone))
        self.simulation.restore(state["simulation"])
        self._curriculum.load_state_dict(state["curriculum"])
        self._log.load_state_dict(state["log"])
        self._commands.command[...] = state["command"]
        self._commands.steps_left[...] = state["command_steps_left"]
        self._held_command = state["command"].copy() if state.get("command_held") else None
        self._push_in[...] = state["push_in"]
        self._target = state["target"].copy()
        self._mean_velocity = state["mean_velocity"].copy()
        self._action.last_action = state["last_action"].copy()
        if self._gait is not None:
            self._gait.phase = state["phase"]
        self._builder.load_state_dict(state["observation"])
        self._critic_builder.load_state_dict(state["critic_observation"])
        self._lying = state["lying"].copy() if state["lying"].size else None

    def close(self) -> None:
        """See `BatchEnv.close`."""
        self.simulation.close()

    def _identity(self) -> str:
        return f"{self._n} x {self.robot.name} at {self.task.name} with {self.robot.n_joints} joints"

    def _height_of(self, qpos: FloatArray) -> FloatArray:
        return np.asarray(qpos[self.simulation.layout.root_qpos + 2])

    def _look(self, previous_action: FloatArray, diverged: BoolArray) -> TaskStep:
        """The truth at the end of a control step."""
        simulation, sensors, command = self.simulation, self.simulation.sensors, self._commands.command
        orientation = simulation.base_orientation
        w, x, y, z = orientation.T
        # Where the base's x axis points, on the floor.
        ahead_x, ahead_y = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)
        norm = np.maximum(np.hypot(ahead_x, ahead_y), 1e-9)
        cos, sin = ahead_x / norm, ahead_y / norm
        v = simulation.base_linear_velocity
        heading_velocity = np.stack([cos * v[:, 0] + sin * v[:, 1], cos * v[:, 1] - sin * v[:, 0], v[:, 2]], axis=1)
        turning = simulation.base_angular_velocity[:, 2:]
        moving = np.concatenate([heading_velocity[:, :2], turning], axis=1)
        self._mean_velocity = self._mean_velocity + self._newest * (moving - self._mean_velocity)
        gravity = rotations.projected_gravity(orientation)
        height = simulation.base_height
        episode = self.task.episode
        fallen = diverged | (height < episode.height_limit * self._nominal_height)
        if math.isfinite(episode.tilt_limit):
            fallen |= gravity[:, 2] > -math.cos(episode.tilt_limit)
        feet = sensors.foot_position
        apart = feet[:, 0] - feet[:, -1]
        return TaskStep(
            command=command.copy(),
            standing=is_standing(command, self._stand_threshold),
            mean_velocity=self._mean_velocity,
            linear_velocity=heading_velocity,
            # Copies: what is looked at must not change when a robot is put back to its start.
            angular_velocity=simulation.base_angular_velocity.copy(),
            gravity=gravity,
            height=height,
            nominal_height=self._nominal_height,
            joint_position=simulation.joint_position,
            joint_velocity=simulation.joint_velocity,
            default_position=self._pose,
            lower=self.robot.lower,
            upper=self.robot.upper,
            effort=sensors.effort.copy(),
            effort_limit=self._effort_limit,
            action=self._action.last_action,
            last_action=previous_action,
            foot_height=feet[:, :, 2] - sensors.standing_height,
            foot_velocity=sensors.foot_velocity.copy(),
            foot_up=sensors.foot_up[:, :, 2].copy(),
            foot_force=sensors.foot_force,
            foot_distance=np.abs(cos * apart[:, 1] - sin * apart[:, 0]),
            phase=self._gait.phase if self._gait else np.zeros((self._n, 0)),
            fallen=fallen,
            period=self.control_period,
        )

    def _observe(self, truth: Any, which: BoolArray | None) -> BatchObservation:
        """What actor and critic see; `which` robots' histories advance."""
        command = self._commands.command
        sine, cosine = self._gait.sine_cosine(command) if self._gait else (_NO_PHASE, _NO_PHASE)
        measured = measured_state(truth, self._draws, self._curriculum.level["disturbances"], self._rng)
        last = self._action.last_action
        policy = self._builder.build(ObservationInput(measured, command, last, sine, cosine), which)
        critic = self._critic_builder.build(ObservationInput(truth, command, last, sine, cosine), which)
        return BatchObservation(policy, np.concatenate([critic, self._privileged()], axis=1))

    def _privileged(self) -> Float32Array:
        draws, sensors = self._draws, self.simulation.sensors
        friction = np.where(np.isnan(draws.friction), 1.0, draws.friction)
        height = self.simulation.base_height - self._nominal_height
        body = [height, friction, draws.mass - 1.0, *(10.0 * draws.centre_of_mass.T)]
        body += [draws.delay / self.simulation.substeps, *self._mean_velocity.T]
        feet = [sensors.foot_force > _CONTACT_FORCE, 10.0 * (sensors.foot_position[:, :, 2] - sensors.standing_height)]
        return np.concatenate([np.stack(body, axis=1), *feet], axis=1).astype(np.float32)

    def _push(self) -> None:
        spec = self.task.randomisation
        if spec.push_speed <= 0.0:
            return
        self._push_in -= 1
        due = np.flatnonzero(self._push_in <= 0)
        if not due.size:
            return
        angle = self._rng.uniform(-np.pi, np.pi, due.size)
        speed = self._curriculum.level["disturbances"] * spec.push_speed * np.sqrt(self._rng.random(due.size))
        self.simulation.base_linear_velocity[due, 0] += speed * np.cos(angle)
        self.simulation.base_linear_velocity[due, 1] += speed * np.sin(angle)
        self._push_in[due] = self._wait(due.size)

    def _wait(self, k: int) -> IndexArray:
        wait = self._rng.uniform(*self.task.randomisation.push_period, size=k)
        return np.maximum(1, np.round(wait / self.control_period)).astype(np.intp)

    def _replace_commands(self) -> None:
        if self._held_command is not None:
            return
        due = self._commands.tick()
        if due.size:
            self._commands.draw(due, self._curriculum.level["commands"], self._rng)

    def _end(self, which: IndexArray, fallen: BoolArray, diverged: BoolArray) -> None:
        lengths, errors = self._log.end(which, fallen, diverged) if which.size else (np.zeros(0), np.zeros(0))
        self._curriculum.update(lengths / self._longest, errors)

    def _start(self, which: BoolArray) -> None:
        """New episodes for the robots of a mask."""
        rows, k = np.flatnonzero(which), int(which.sum())
        spec, simulation = self.task.randomisation, self.simulation
        level = self._curriculum.level["disturbances"]
        self._draws.draw(rows, level, self._rng)
        if spec.varies_bodies:
            simulation.vary(rows, self._draws.bodies(rows))
        place = simulation.layout
        qvel = np.zeros((k, simulation.model.nv))
        if self._lying is not None:
            qpos = self._lying[self._rng.integers(0, len(self._lying), k)]
        else:
            qpos = np.tile(simulation.initial_qpos, (k, 1))
            if spec.start_position > 0.0:
                noise = self._rng.uniform(-spec.start_position, spec.start_position, (k, self.robot.n_joints))
                qpos[:, place.qpos] = np.clip(self._pose + noise, self.robot.lower, self.robot.upper)
                qpos[:, place.root_qpos + 2] += _START_CLEARANCE
            if spec.start_velocity > 0.0:
                qvel[:, place.root_dof : place.root_dof + 6] = self._rng.uniform(
                    -spec.start_velocity, spec.start_velocity, (k, 6)
                )
        simulation.place(rows, qpos, qvel)
        if self._held_command is None:
            self._commands.draw(rows, self._curriculum.level["commands"], self._rng)
        self._push_in[rows] = self._wait(k) if spec.push_speed > 0.0 else 0
        self._target[rows] = self._pose
        self._mean_velocity = np.where(which[:, None], 0.0, self._mean_velocity)
        self._action.reset(which)
        self._builder.reset(which)
        self._critic_builder.reset(which)
        if self._gait is not None:
            self._gait.reset(which)


def _simulated(robot: RobotSpec, contract: PolicyBundle, *, welded: bool) -> tuple[RobotSpec, IndexArray]:
    """The robot as it is simulated, and which joints of the whole robot it keeps."""
    if contract.imu:
        robot = replace(robot, imu=ImuSpec(robot.imu.frame, contract.imu))
    kept = np.arange(robot.n_joints)
    if welded:
        kept = np.array([i for i, name in enumerate(robot.joint_names) if name in contract.joints], dtype=np.intp)
        robot = replace(robot, joints=tuple(robot.joints[i] for i in kept))
    return robot, kept
