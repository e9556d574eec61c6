"""Teams in formation as a batch that learners know: every robot of every team is a row, and all share one policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import turned
from humanoid_rl_ros.core.formation_view import (
    OBSERVATION_SIZE,
    TeamView,
    corrected,
    heading_error,
    observe,
    slot_error,
    slot_velocity,
    team_velocity,
)
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep
from humanoid_rl_ros.envs.formation_rewards import REWARDS, formation_rewards
from humanoid_rl_ros.envs.formation_spec import FormationSpec
from humanoid_rl_ros.envs.formation_step import FormationStep
from humanoid_rl_ros.envs.formation_worlds import FormationWorlds

_PER_ROBOT = 8


class FormationBatch:
    """w teams of n robots as w · n rows; a `humanoid_rl_ros.envs.batch_env.BatchEnv`.

    The rows of a team follow one another. The actor of a robot sees what odometry tells it, the critic the truth about
    the whole team, the robot's own part first. A team ends as one: all of its rows are terminated when one robot falls.

    Args:
        robot: must have a model.
        spec: the task.
        n_envs: robots of all teams, a whole multiple of those of one.
        threads: of the physics.
        stream: batches that learn together, each in a process of its own, differ in this, and so in their randomness.

    Raises:
        ConfigError, ContractError, ModelError, PolicyError: robot, task and walking policy do not fit.
    """

    def __init__(
        self, robot: RobotSpec, spec: FormationSpec, n_envs: int, *, threads: int = 1, stream: int = 0
    ) -> None:
        if n_envs < spec.robots or n_envs % spec.robots:
            raise ConfigError(
                f"task '{spec.name}' has teams of {spec.robots} robots; the number of environments must be a multiple "
                f"of that, found {n_envs}"
            )
        self.spec, self._n, self._stream = spec, n_envs, stream
        self.worlds = FormationWorlds(robot, spec, n_envs // spec.robots, threads=threads)
        self._scale = np.array(spec.action_scale)
        self._length: IndexArray = np.zeros(self.worlds.worlds, dtype=np.intp)
        self._return: FloatArray = np.zeros(n_envs)
        self._clear()

    @property
    def n_envs(self) -> int:
        """Robots of all teams."""
        return self._n

    @property
    def observation_size(self) -> int:
        """Width of what the actor sees."""
        return OBSERVATION_SIZE

    @property
    def critic_size(self) -> int:
        """Width of what the critic sees."""
        return OBSERVATION_SIZE + 3 + _PER_ROBOT * self.spec.robots

    @property
    def action_low(self) -> FloatArray:
        """Lower bounds of the action [Shape (3,)]."""
        return -np.ones(3)

    @property
    def action_high(self) -> FloatArray:
        """Upper bounds of the action [Shape (3,)]."""
        return np.ones(3)

    @property
    def control_period(self) -> float:
        """Time between two actions [s]."""
        return self.spec.period

    @property
    def mirror(self) -> BatchMirror | None:
        """None: in the mirror the slots of a team are others."""
        return None

    def reset(self, seed: int) -> BatchObservation:
        """See `BatchEnv.reset`; first episodes are cut at random lengths, so that teams do not end in step."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(self._stream,)))
        self.worlds.reset(rng)
        self.worlds.steps[:] = rng.integers(0, self.worlds.longest, self.worlds.worlds)
        self._length[:], self._return[:] = 0, 0.0
        self._clear()
        return self._observe()

    def step(self, action: Float32Array) -> BatchStep:
        """See `BatchEnv.step`."""
        worlds, team = self.worlds, self.spec.robots
        chosen = action.astype(np.float64).reshape(worlds.worlds, team, 3)
        step = worlds.step(corrected(worlds.view(), chosen, self._scale, worlds.ranges))
        terms = formation_rewards(step, self.spec.rewards, self.spec.period).reshape(self._n, -1)
        down: BoolArray = np.asarray(step.fallen.any(axis=1))
        late: BoolArray = (worlds.steps >= worlds.longest) & ~down
        self._count(step, terms)
        final = self._observe()
        observation, ended = final, down | late
        if ended.any():
            self._end(ended, down)
            worlds.start(ended)
            first = self._observe()
            rows = np.repeat(ended, team)
            observation = BatchObservation(final.policy.copy(), final.critic.copy())
            observation.policy[rows], observation.critic[rows] = first.policy[rows], first.critic[rows]
        return BatchStep(observation, terms.sum(axis=1), np.repeat(down, team), np.repeat(late, team), final)

    def statistics(self) -> dict[str, float]:
        """See `BatchEnv.statistics`; ``reward/<term>`` per second, ``formation/...`` errors [m], [m/s], [rad]."""
        found: dict[str, float] = {}
        if self._returns:
            found["episode/return"] = float(np.mean(self._returns))
            found["episode/length"] = float(np.mean(self._lengths))
            found["episode/count"] = float(len(self._returns))
            found["end/fall"] = self._falls / len(self._lengths)
        if self._samples:
            for name, total in zip(REWARDS, self._terms, strict=True):
                found[f"reward/{name}"] = float(total / self._samples / self.spec.period)
            names = ("slot_error", "velocity_error", "heading_error")
            found |= {f"formation/{n}": float(v / self._samples) for n, v in zip(names, self._errors, strict=True)}
        self._clear()
        return found

    def state_dict(self) -> dict[str, Any]:
        """See `BatchEnv.state_dict`."""
        return {
            "identity": self._identity(),
            "worlds": self.worlds.state_dict(),
            "length": self._length.copy(),
            "return": self._return.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `BatchEnv.load_state_dict`."""
        if state.get("identity") != self._identity():
            raise ConfigError(
                f"the environment was saved for {state.get('identity')}, and this one is {self._identity()}"
            )
        self.worlds.load_state_dict(state["worlds"])
        self._length[...], self._return[...] = state["length"], state["return"]
        self._clear()

    def close(self) -> None:
        """See `BatchEnv.close`."""
        self.worlds.close()

    def _observe(self) -> BatchObservation:
        seen = observe(self.worlds.view())
        truth = self.worlds.truth()
        told = privileged(truth, self.worlds.factor).astype(np.float32)
        critic = np.concatenate([observe(truth), told], axis=-1)
        return BatchObservation(seen.reshape(self._n, -1), critic.reshape(self._n, -1))

    def _identity(self) -> str:
        return f"{self._n} x {self.worlds.robot.name} at {self.spec.name} in teams of {self.spec.robots}"

    def _clear(self) -> None:
        self._samples, self._falls = 0, 0
        self._terms, self._errors = np.zeros(len(REWARDS)), np.zeros(3)
        self._returns: list[float] = []
        self._lengths: list[int] = []

    def _count(self, step: FormationStep, terms: FloatArray) -> None:
        self._length += 1
        self._return += terms.sum(axis=1)
        self._samples += len(terms)
        self._terms += terms.sum(axis=0)
        missing = np.linalg.norm((step.team_velocity - step.view.command)[:, :2], axis=-1)
        self._errors += (
            np.linalg.norm(step.slot_error, axis=-1).sum(),
            missing.sum() * self.spec.robots,
            np.abs(step.heading_error).sum(),
        )

    def _end(self, ended: BoolArray, down: BoolArray) -> None:
        rows = np.repeat(ended, self.spec.robots)
        self._returns += self._return[rows].tolist()
        self._lengths += self._length[ended].tolist()
        self._falls += int(down.sum())
        self._return[rows], self._length[ended] = 0.0, 0


def privileged(truth: TeamView, factor: FloatArray) -> FloatArray:
    """What the critic of each robot is told besides a view without errors: the whole team, itself first.

    Of the formation, how its velocity differs from its command. Of each robot, along the heading of the one who is
    told: slot error, heading error, how its velocity differs from its slot's, and what it walks of what it is told.

    Args:
        truth: of all teams [Shape (w, n, ...)].
        factor: [Shape (w, n)].

    Returns:
        [Shape (w, n, 3 + 8 n)].
    """
    n = truth.slot.shape[-2]
    turn = heading_error(truth)
    error, lag = slot_error(truth), truth.velocity - slot_velocity(truth)
    team = truth.command - team_velocity(truth)
    parts = [np.broadcast_to(team[:, None], (*turn.shape, 3))]
    for shift in range(n):
        other = (np.arange(n) + shift) % n
        relative = truth.heading[:, other] - truth.heading
        parts += [
            turned(error[:, other], turn),
            np.stack([np.sin(turn[:, other]), np.cos(turn[:, other])], axis=-1),
            turned(lag[:, other, :2], relative),
            lag[:, other, 2:],
            factor[:, other, None],
        ]
    return np.concatenate(parts, axis=-1)
