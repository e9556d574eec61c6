"""The walking policy on every robot of many teams at once, in physics: velocity commands in, PD targets out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.action import ActionProcessor
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation_view import bounded
from humanoid_rl_ros.core.gait import GaitClock
from humanoid_rl_ros.core.joints import indices_of
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.simulation.carried_beam import BeamSpec, BeamState
from humanoid_rl_ros.simulation.team_simulation import TeamPose, TeamSimulation


class TeamWalk:
    """Teams that walk, each robot by the same policy bundle; a `humanoid_rl_ros.envs.team_bodies.TeamBodies`.

    Args:
        robot: must have a model.
        bundle: a policy that walks by velocity commands.
        worlds, robots: how many.
        welded: whether joints that the policy holds are rigid.
        threads: of the physics.
        beam: that the robots carry, or None.

    Attributes:
        simulation: the worlds.

    Raises:
        ConfigError, ContractError, ModelError, PolicyError: the bundle does not fit the robot, or cannot be run on many
            robots at once.
    """

    def __init__(
        self,
        robot: RobotSpec,
        bundle: PolicyBundle,
        worlds: int,
        robots: int,
        *,
        welded: bool,
        threads: int,
        beam: BeamSpec | None = None,
    ) -> None:
        _require_batchable(bundle)
        if bundle.imu:
            robot = replace(robot, imu=ImuSpec(robot.imu.frame, bundle.imu))
        pose, gains = pose_and_gains(bundle, robot)
        kept = np.arange(robot.n_joints)
        if welded:
            kept = np.array([i for i, name in enumerate(robot.joint_names) if name in bundle.joints], dtype=np.intp)
        rigid = {name: float(pose[i]) for i, name in enumerate(robot.joint_names) if i not in kept}
        robot = replace(robot, joints=tuple(robot.joints[i] for i in kept))
        self.bundle = bundle
        self.simulation = TeamSimulation(
            robot,
            PDGains(gains.kp[kept], gains.kd[kept], gains.effort_limit[kept]),
            worlds,
            robots,
            timestep=1.0 / bundle.pd_rate,
            substeps=round(bundle.pd_rate * bundle.control_period),
            initial_position=pose[kept],
            threads=threads,
            welded=rigid,
            beam=beam,
        )
        self._shape, rows = (worlds, robots), worlds * robots
        self._pose = pose[kept]
        self._driven = indices_of(tuple(bundle.joints), robot.joint_names, what="driven joint", where="the robot")
        self._network = bundle.load_network()
        self._builder = ObservationBuilder(
            bundle.observation,
            robot.joint_names,
            n_actions=len(bundle.joints),
            n_phases=len(bundle.gait.phases) if bundle.gait else 0,
            batch_shape=(rows,),
        )
        self._action = ActionProcessor(bundle.action, (rows,))
        self._gait = GaitClock(bundle.gait, self.period, (rows,)) if bundle.gait else None

    @property
    def period(self) -> float:
        """See `TeamBodies.period`; that of the bundle."""
        return self.bundle.control_period

    def place(self, worlds: BoolArray, position: FloatArray, heading: FloatArray) -> None:
        """See `TeamBodies.place`."""
        self.simulation.place(np.flatnonzero(worlds), position, heading)
        rows = np.repeat(worlds, self._shape[1])
        self._builder.reset(rows)
        self._action.reset(rows)
        if self._gait is not None:
            self._gait.reset(rows)

    def push(self, worlds: IndexArray, robots: IndexArray, velocity: FloatArray) -> None:
        """See `TeamBodies.push`."""
        self.simulation.push(worlds, robots, velocity)

    def pose(self) -> TeamPose:
        """See `TeamBodies.pose`."""
        return self.simulation.pose()

    def load(self) -> BeamState | None:
        """See `TeamBodies.load`."""
        return self.simulation.load()

    def down(self, tilt_limit: float, height_limit: float) -> BoolArray:
        """See `TeamBodies.down`."""
        pose = self.simulation.pose()
        low = pose.position[..., 2] < height_limit * self.simulation.standing_height
        return np.asarray(low | (rotations.tilt(pose.orientation) > tilt_limit))

    def step(self, command: FloatArray) -> BoolArray:
        """See `TeamBodies.step`."""
        asked = bounded(command, self.bundle.command).reshape(-1, 3)
        small = (np.abs(asked) < self.bundle.command.dead_band).all(axis=1)
        asked[small] = bounded(np.zeros(3), self.bundle.command)
        none = np.zeros((len(asked), 0))
        sine, cosine = self._gait.sine_cosine(asked) if self._gait else (none, none)
        state = self.simulation.states()
        seen = self._builder.build(ObservationInput(state, asked, self._action.last_action, sine, cosine))
        action = self._network.infer_batch(seen)
        target = np.tile(self._pose, (len(asked), 1))
        target[:, self._driven] = self._action.apply(action.astype(np.float64))
        if self._gait is not None:
            self._gait.advance(asked)
        before = self.simulation.snapshot()
        self.simulation.step(target)
        diverged = self.simulation.diverged()
        if diverged.any():
            self.simulation.put_back(np.flatnonzero(diverged), before)
        return diverged

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "simulation": self.simulation.snapshot(),
            "observation": self._builder.state_dict(),
            "last_action": self._action.last_action.copy(),
            "phase": self._gait.phase.copy() if self._gait else np.zeros(0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.simulation.restore(state["simulation"])
        self._builder.load_state_dict(state["observation"])
        self._action.last_action = state["last_action"].copy()
        if self._gait is not None:
            self._gait.phase = state["phase"]

    def close(self) -> None:
        """End the threads of the physics."""
        self.simulation.close()


def _require_batchable(bundle: PolicyBundle) -> None:
    command, action = bundle.command, bundle.action
    if "velocity_commands" not in bundle.observation.term_names():
        raise ConfigError(f"policy '{bundle.name}' takes no velocity command, so a team cannot walk by it")
    reasons = {
        "its action is an effort": action.kind == "effort",
        "its last action is taken after the effort limit": action.last_action == "after_effort_clip",
        "its action is filtered or delayed": action.low_pass != 1.0 or action.delay > 0,
        "its target or effort is filtered": bundle.target_low_pass != 1.0 or bundle.effort_low_pass != 1.0,
        "its targets are clamped to joint limits": bundle.clamp_target_to_joint_limits,
        "its command has a slew rate": any(math.isfinite(rate) for rate in command.slew_rate),
        "its network is recurrent": bool(bundle.weights.recurrent),
    }
    for reason, there in reasons.items():
        if there:
            raise ConfigError(f"policy '{bundle.name}' cannot be run on many robots at once: {reason}")
    substeps = bundle.pd_rate * bundle.control_period
    if not math.isclose(substeps, round(substeps), abs_tol=1e-6):
        raise ConfigError(f"policy '{bundle.name}': its control period is no whole multiple of its PD period")
