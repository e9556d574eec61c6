"""Many humanoids at one task, stepped together: physics in C, observations and rewards in one pass over arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core.action import ActionProcessor
from humanoid_rl_ros.core.arrays import EVERYONE, BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import GaitClock
from humanoid_rl_ros.core.joints import indices_of
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep
from humanoid_rl_ros.envs.commands import CommandSampler
from humanoid_rl_ros.envs.curriculum import Curriculum
from humanoid_rl_ros.envs.episode_log import EpisodeLog
from humanoid_rl_ros.envs.hand_targets import HandTargets, HandTargetSampling
from humanoid_rl_ros.envs.measurement import measured_state, true_state
from humanoid_rl_ros.envs.privileged import batch_mirror, privileged, privileged_size
from humanoid_rl_ros.envs.pushes import Pushes
from humanoid_rl_ros.envs.randomisation import EpisodeDraws
from humanoid_rl_ros.envs.rewards import RewardSum, is_up
from humanoid_rl_ros.envs.start_poses import down_states, put_at_start
from humanoid_rl_ros.envs.step import TaskStep
from humanoid_rl_ros.envs.task_contract import matching_joints, observation_spec, task_contract
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.envs.truth import Truth
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


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
        simulate: makes the physics, by default in this process.

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
        simulate: Callable[..., BatchSimulation] = BatchSimulation,
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
        hands = _hand_sampling(task, robot, contract)
        self.simulation = simulate(
            self.robot,
            PDGains(gains.kp[kept], gains.kd[kept], gains.effort_limit[kept], gains.low_pass),
            n_envs,
            timestep=1.0 / contract.pd_rate,
            substeps=round(substeps),
            initial_position=pose[kept],
            threads=threads,
            welded={name: float(pose[i]) for i, name in enumerate(robot.joint_names) if i not in kept},
            varied=task.randomisation.varies_bodies,
            **({} if task.terrain is None else {"terrain": task.terrain.shape, "tallest": task.terrain.height[1]}),
            **({"hands": robot.hands} if hands else {}),
        )
        self._pose = pose[kept]
        joints = self.robot.joint_names
        self._driven = indices_of(tuple(contract.joints), joints, what="driven joint", where="the robot")
        n_phases = len(contract.gait.phases) if contract.gait else 0
        sizes: dict[str, Any] = {"n_actions": len(contract.joints), "n_phases": n_phases, "batch_shape": (n_envs,)}
        self._builder = ObservationBuilder(contract.observation, joints, **sizes)
        critic = observation_spec(task, robot, tuple(contract.joints), critic=True)
        self._critic_builder = ObservationBuilder(critic, joints, **sizes)
        self._action = ActionProcessor(contract.action, (n_envs,))
        self._gait = GaitClock(contract.gait, contract.control_period, (n_envs,)) if contract.gait else None
        self._truth = Truth(
            self.simulation,
            task.episode,
            self._pose,
            gains.effort_limit[kept],
            period=contract.control_period,
            averaging=task.commands.averaging,
            stand_threshold=contract.gait.stand_threshold if contract.gait else contract.observation.stand_threshold,
        )
        self._commands = CommandSampler(task.commands, n_envs, contract.control_period)
        self._hands = HandTargets(hands, n_envs, contract.control_period) if hands else None
        self._draws = self._undrawn()
        self.simulation.carrier(task.randomisation.payload_on)
        self._rewards = RewardSum(task.rewards, joints)
        self._curriculum = Curriculum(task.curriculum, n_envs)
        self._log = EpisodeLog(n_envs, self._rewards.names, contract.control_period)
        self._longest = max(1, round(task.episode.length / contract.control_period))
        self._rng = np.random.default_rng(0)
        self._lying: FloatArray | None = None
        self._pushes = Pushes(task.randomisation, n_envs, contract.control_period)
        self._target = np.tile(self._pose, (n_envs, 1))
        reached = hands.full if hands else None
        self._mirror = batch_mirror(self.simulation, contract, critic, self._draws, reached) if task.symmetric else None
        self._hand_errors: list[float] = []
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
        return self._critic_builder.size + privileged_size(
            len(self.simulation.foot_names), self._draws, hands=self._hands is not None
        )

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
    def hands(self) -> HandTargets | None:
        """The hand targets that robots follow now, or None of a policy that has none."""
        return self._hands

    @property
    def mirror(self) -> BatchMirror | None:
        """The mirror of the task, or None where the task says that it has none."""
        return self._mirror

    def reset(self, seed: int) -> BatchObservation:
        """See `BatchEnv.reset`."""
        self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(self._stream,)))
        self._curriculum.reset()
        self._log = EpisodeLog(self._n, self._rewards.names, self.control_period)
        if self.task.episode.start != "standing":
            if self._draws.varies_bodies:
                everyone = np.arange(self._n)
                self.simulation.vary(everyone, self._undrawn().bodies(everyone))
            self._lying = down_states(self.task.episode.start, self.simulation, self._pose, self._rng)
        anew = np.ones(self._n, dtype=bool)
        self._start(anew)
        if self.task.episode.random_first and self._auto_reset:
            self._log.steps[:] = self._rng.integers(0, self._longest, self._n)
        return self._observe()

    def step(self, action: Float32Array) -> BatchStep:
        """See `BatchEnv.step`."""
        simulation = self.simulation
        previous_action, previous_target = self._action.last_action, self._target
        driven = self._action.apply(action.astype(np.float64))
        self._target = previous_target.copy()
        self._target[:, self._driven] = driven
        self._pushes.apply(simulation.base_linear_velocity, self._curriculum.level["disturbances"], self._rng)
        before = simulation.qpos.copy(), simulation.qvel.copy()
        # The law reads the encoders: where they are off, it reaches for what is off by as much.
        simulation.step(
            self._target - self._draws.encoder_offset,
            previous=previous_target - self._draws.encoder_offset,
            delay=self._draws.delay,
            borne=self._curriculum.level["weight"],
        )
        diverged = simulation.diverged()
        if diverged.any():
            rows = np.flatnonzero(diverged)
            simulation.place(rows, before[0][rows], np.zeros_like(before[1][rows]))
        phase = self._gait.phase if self._gait else np.zeros((self._n, 0))
        hand_target = self._hands.current if self._hands else None
        step = self._truth.look(
            self._commands.command, self._action.last_action, previous_action, phase, diverged, hand_target
        )
        self.last_step = step
        terms = self._rewards.terms(step, self._curriculum.level["penalties"])
        terms[diverged] = 0.0
        self.last_terms = terms
        error = step.mean_velocity - step.command
        if self._hands is not None:
            self._hand_errors.append(float(np.sqrt(((step.hand_position - step.hand_target) ** 2).sum(axis=2)).mean()))
        self._log.add(terms, np.hypot(error[:, 0], error[:, 1]), error[:, 2])
        truncated = (self._log.steps >= self._longest) & ~step.fallen
        done = step.fallen | truncated
        if self._gait is not None:
            self._gait.advance(self._commands.command)
        self._replace_commands()
        self._move_hand_targets()
        final = self._observe()
        observation = final
        ended = np.flatnonzero(done)
        self._end(ended, step, diverged)
        if self._auto_reset and ended.size:
            self._start(done)
            observation = BatchObservation(final.policy.copy(), final.critic.copy())
            first = self._observe(ended)
            observation.policy[ended], observation.critic[ended] = first.policy, first.critic
        return BatchStep(observation, terms.sum(axis=1), step.fallen, truncated, final)

    def statistics(self) -> dict[str, float]:
        """See `BatchEnv.statistics`; ``reward/<term>`` per second, errors [m/s], [rad/s], [m], levels of curricula."""
        found = self._log.statistics()
        if self._hand_errors:
            found["task/hand_error"] = float(np.mean(self._hand_errors))
            self._hand_errors.clear()
        found |= {f"curriculum/{spec.name}": self._curriculum.level[spec.name] for spec in self.task.curriculum}
        if any(spec.standing_above > 0.0 for spec in self.task.curriculum):
            found["curriculum/standing"] = self._curriculum.mean_standing
        return found

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
            "push_in": self._pushes.steps_left.copy(),
            "target": self._target.copy(),
            "mean_velocity": self._truth.mean_velocity.copy(),
            "last_action": self._action.last_action.copy(),
            "phase": self._gait.phase.copy() if self._gait else np.zeros(0),
            "observation": self._builder.state_dict(),
            "critic_observation": self._critic_builder.state_dict(),
            "lying": np.zeros((0, 0)) if self._lying is None else self._lying.copy(),
            **({"hands": self._hands.state_dict()} if self._hands else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `BatchEnv.load_state_dict`."""
        if state.get("identity") != self._identity():
            raise ConfigError(
                f"the environment was saved for {state.get('identity')}, and this one is {self._identity()}"
            )
        self._rng.bit_generator.state = state["rng"]
        self._draws.load_state_dict(state["draws"])
        if self._draws.varies_bodies:
            everyone = np.arange(self._n)
            self.simulation.vary(everyone, self._draws.bodies(everyone))
        self.simulation.restore(state["simulation"])
        self._curriculum.load_state_dict(state["curriculum"])
        self._log.load_state_dict(state["log"])
        self._commands.command[...] = state["command"]
        self._commands.steps_left[...] = state["command_steps_left"]
        self._held_command = state["command"].copy() if state.get("command_held") else None
        self._pushes.steps_left[...] = state["push_in"]
        self._target = state["target"].copy()
        self._truth.mean_velocity = state["mean_velocity"].copy()
        self._action.last_action = state["last_action"].copy()
        if self._gait is not None:
            self._gait.phase = state["phase"]
        self._builder.load_state_dict(state["observation"])
        self._critic_builder.load_state_dict(state["critic_observation"])
        if self._hands is not None:
            self._hands.load_state_dict(state["hands"])
        self._lying = state["lying"].copy() if state["lying"].size else None

    def close(self) -> None:
        """See `BatchEnv.close`."""
        self.simulation.close()

    def _undrawn(self) -> EpisodeDraws:
        """Episodes in which nothing varies, as long as nothing is drawn."""
        return EpisodeDraws(
            self.task.randomisation,
            self._n,
            self.robot.n_joints,
            self.simulation.timestep,
            weakenable=self._weakenable(),
            ground=self.task.terrain,
        )

    def _weakenable(self) -> IndexArray:
        """The joints of which one may be weak."""
        patterns = self.task.randomisation.weak_joints
        if not patterns:
            return self._driven
        weak = matching_joints(self.robot, patterns, f"{self.task.source}: randomisation", "'weak_joints' pattern")
        return np.array([self.robot.joint_names.index(name) for name in weak])

    def _identity(self) -> str:
        return f"{self._n} x {self.robot.name} at {self.task.name} with {self.robot.n_joints} joints"

    def _observe(self, rows: IndexArray | None = None) -> BatchObservation:
        """What actor and critic of all robots see, or of some, whose histories alone advance [Shape (k,)]."""
        here = EVERYONE if rows is None else rows
        command, last = self._commands.command[here], self._action.last_action[here]
        clock = self._gait.sine_cosine(self._commands.command) if self._gait else (np.zeros((self._n, 0)),) * 2
        sine, cosine = (of_all[here] for of_all in clock)
        truth = true_state(self.simulation, here)
        level = self._curriculum.level["disturbances"]
        measured = measured_state(truth, self._draws, level, self._rng, here)
        asked = (command, last, sine, cosine, *(() if self._hands is None else (self._hands.seen[here],)))
        policy = self._builder.build(ObservationInput(measured, *asked), rows)
        critic = self._critic_builder.build(ObservationInput(truth, *asked), rows)
        more = privileged(self.simulation, self._draws, self._truth, here, self._hands)
        return BatchObservation(policy, np.concatenate([critic, more], axis=1))

    def _replace_commands(self) -> None:
        if self._held_command is not None:
            return
        due = self._commands.tick()
        if due.size:
            self._commands.draw(due, self._curriculum.level["commands"], self._rng)

    def _move_hand_targets(self) -> None:
        if self._hands is None:
            return
        self._hands.draw(self._hands.tick(), self._curriculum.level["commands"], self._rng)
        self._hands.advance()

    def _end(self, which: IndexArray, step: TaskStep, diverged: BoolArray) -> None:
        lengths, errors = self._log.end(which, step.fallen, diverged) if which.size else (np.zeros(0), np.zeros(0))
        self._curriculum.update(lengths / self._longest, errors, is_up(step)[which].astype(np.float64))

    def _start(self, which: BoolArray) -> None:
        """New episodes for the robots of a mask."""
        rows = np.flatnonzero(which)
        spec, simulation = self.task.randomisation, self.simulation
        level = self._curriculum.level["disturbances"]
        self._draws.draw(rows, level, self._rng)
        if self._draws.varies_bodies:
            simulation.vary(rows, self._draws.bodies(rows))
        put_at_start(simulation, rows, self._pose, self._lying, spec, self._rng)
        if self._held_command is None:
            self._commands.draw(rows, self._curriculum.level["commands"], self._rng)
        if self._hands is not None:
            self._hands.draw(rows, self._curriculum.level["commands"], self._rng)
            self._hands.start(rows)
        self._pushes.restart(rows, self._rng)
        self._target[rows] = self._pose
        self._truth.reset(which)
        self._action.reset(which)
        self._builder.reset(which)
        self._critic_builder.reset(which)
        if self._gait is not None:
            self._gait.reset(which)


def _hand_sampling(task: TaskSpec, robot: RobotSpec, contract: PolicyBundle) -> HandTargetSampling | None:
    """The ranges that the policy was trained on, else the task's; None where nobody asks for hands."""
    own = task.hand_targets
    if contract.hand_targets is None and own is None:
        return None
    if not robot.hands:
        raise ConfigError(
            f"{task.source}: hands are brought to targets, and robot '{robot.name}' names none: "
            "give 'hands' a left and a right site or body of its model"
        )
    if contract.hand_targets is None:
        return own
    return replace(own, full=contract.hand_targets) if own else HandTargetSampling(contract.hand_targets)


def _simulated(robot: RobotSpec, contract: PolicyBundle, *, welded: bool) -> tuple[RobotSpec, IndexArray]:
    """The robot as it is simulated, and which joints of the whole robot it keeps."""
    if contract.imu:
        robot = replace(robot, imu=ImuSpec(robot.imu.frame, contract.imu))
    kept = np.arange(robot.n_joints)
    if welded:
        kept = np.array([i for i, name in enumerate(robot.joint_names) if name in contract.joints], dtype=np.intp)
        robot = replace(robot, joints=tuple(robot.joints[i] for i in kept))
    return robot, kept
