"""How well a policy does its task: over commands, pushes, friction and masses, many robots at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.hand_score import REACH_S, HandResult, hand_result
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.step import TaskStep
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.policies.bundle import PolicyBundle

Act = Callable[[Float32Array], Float32Array]
"""Actions for observations [Shape (n, observation_size) -> (n, action_size)]."""

COMMANDS: tuple[tuple[float, float, float], ...] = (
    (0.0, 0.0, 0.0),
    (0.5, 0.0, 0.0),
    (-0.3, 0.0, 0.0),
    (0.0, 0.2, 0.0),
    (0.0, -0.2, 0.0),
    (0.0, 0.0, 0.5),
    (0.0, 0.0, -0.5),
)
# What a start from the start pose needs to reach its speed, and is not scored [s].
SETTLE = 2.0
# Hills are drawn from the seed and this, so that they are others than a task's own.
_UNSEEN = 1000


@dataclass(frozen=True)
class EvaluationSpec:
    """One evaluation.

    Attributes:
        commands: each is held by `repeats` robots [m/s, m/s, rad/s].
        repeats: robots a command.
        seconds: length [s].
        push_speed: speed that a push from a random side adds [m/s]; 0 for none.
        push_period: time between two pushes [s].
        friction: range; None for the model's own.
        mass: range of the factor on all masses.
        terrain: height of the hills [m]; 0 for even ground.
        payload: mass of a load as a share of the robot's own, placed as the task has it.
        weak: share of the effort it is asked for that one joint gives.
        weak_joints: patterns of the joints among which it is drawn for each robot; those that the policy drives where
            it is empty.
        noise: factor on the task's own noise and sensor errors.
        seed: of all chance.
    """

    commands: Sequence[tuple[float, float, float]] = COMMANDS
    repeats: int = 4
    seconds: float = 20.0
    push_speed: float = 0.0
    push_period: float = 4.0
    friction: tuple[float, float] | None = None
    mass: tuple[float, float] = (1.0, 1.0)
    terrain: float = 0.0
    payload: float = 0.0
    weak: float = 1.0
    weak_joints: tuple[str, ...] = ()
    noise: float = 0.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class RobotScores:
    """What became of each robot, in the order of the commands, `repeats` of each.

    Attributes:
        command: that it held [m/s, m/s, rad/s; Shape (n, 3)].
        standing: it did not fall [Shape (n,)].
        velocity: mean while it stood and was scored, along the heading; NaN of who fell before [m/s, m/s, rad/s;
            Shape (n, 3)].
        way: what it went the way that it was told, along its heading, while it stood [m; Shape (n,)].
        distance: what it went in all [m; Shape (n,)].
        energy: Σ|τ·q̇| over its weight [m; Shape (n,)].
        effort_share: largest effort as a share of its limit [Shape (n,)].
        hands: where they were and were to be, step by step.
    """

    command: FloatArray
    standing: BoolArray
    velocity: FloatArray
    way: FloatArray
    distance: FloatArray
    energy: FloatArray
    effort_share: FloatArray
    hands: HandScore

    @property
    def velocity_error(self) -> FloatArray:
        """Distance of each mean horizontal velocity from the command [m/s; Shape (n,)]."""
        error = self.velocity[:, :2] - self.command[:, :2]
        return np.asarray(np.hypot(error[:, 0], error[:, 1]))

    @property
    def yaw_error(self) -> FloatArray:
        """The same of the turn rate [rad/s; Shape (n,)]."""
        return np.abs(self.velocity[:, 2] - self.command[:, 2])


@dataclass(frozen=True)
class CommandResult:
    """What became of the robots that held one command.

    Attributes:
        command: [m/s, m/s, rad/s].
        push_speed: [m/s].
        survival: share that did not fall.
        velocity: mean over time and robots while they stood, along the heading [m/s, m/s, rad/s].
        velocity_error: distance of each robot's mean horizontal velocity from the command, averaged [m/s].
        yaw_error: the same of the turn rate [rad/s].
        cost_of_transport: Σ|τ·q̇| over weight times distance; None below 0.1 m/s.
        effort_share: largest effort as a share of its limit.
        hands: where hands had targets, else None.
    """

    command: tuple[float, float, float]
    push_speed: float
    survival: float
    velocity: tuple[float, float, float]
    velocity_error: float
    yaw_error: float
    cost_of_transport: float | None
    effort_share: float
    hands: HandResult | None = None


def evaluate(
    robot: RobotSpec,
    task: str,
    act: Act,
    spec: EvaluationSpec,
    *,
    contract: PolicyBundle | None = None,
    threads: int | None = None,
) -> list[CommandResult]:
    """Let a policy walk.

    Args:
        robot: must have a model; all of its joints are simulated.
        task: a shipped task or a task YAML, for its noise and its idea of a fall.
        act: the policy.
        spec: what to try.
        contract: the policy's bundle; by default what the task promises.
        threads: of the physics.

    Returns:
        One result for each command, in order.

    Raises:
        ConfigError, ContractError, ModelError: they do not fit.
    """
    scores = evaluate_robots(robot, task, act, spec, contract=contract, threads=threads)
    rows = (slice(i * spec.repeats, (i + 1) * spec.repeats) for i in range(len(spec.commands)))
    return [_result(command, spec, scores, own) for command, own in zip(spec.commands, rows, strict=True)]


def evaluate_robots(
    robot: RobotSpec,
    task: str,
    act: Act,
    spec: EvaluationSpec,
    *,
    contract: PolicyBundle | None = None,
    threads: int | None = None,
) -> RobotScores:
    """`evaluate`, robot by robot: with one seed the n-th robot meets the same chance whoever acts."""
    if not spec.commands or spec.repeats < 1:
        raise ConfigError("an evaluation needs at least one command and one robot")
    n = len(spec.commands) * spec.repeats
    batch = HumanoidBatch(
        robot,
        task_for(task, robot, _overrides(robot, task, spec)),
        n,
        contract=contract,
        threads=threads,
        auto_reset=False,
    )
    try:
        return _run(batch, act, spec)
    finally:
        batch.close()


def _overrides(robot: RobotSpec, task: str, spec: EvaluationSpec) -> Mapping[str, Any]:
    """The task with nothing random in it but what the evaluation asks for."""
    asked = task_for(task, robot)
    own = asked.randomisation
    noise = ("encoder_offset", "imu_tilt", "gyro_noise", "tilt_noise", "position_noise", "velocity_noise")
    chance: dict[str, Any] = {name: spec.noise * getattr(own, name) for name in noise}
    chance |= {"mass": list(spec.mass), "centre_of_mass": 0.0, "kp": [1.0, 1.0], "kd": [1.0, 1.0], "delay": 0.0}
    chance |= {"push_speed": 0.0, "start_position": 0.0, "start_velocity": 0.0}
    overrides: dict[str, Any] = {f"randomisation.{name}": value for name, value in chance.items()}
    overrides["randomisation.friction"] = None if spec.friction is None else list(spec.friction)
    overrides |= {"curriculum": None, "control.held_joints": "simulated", "episode.random_first": False}
    overrides["episode.length"] = spec.seconds + 1.0
    overrides["randomisation.payload"] = [spec.payload] * 2 if spec.payload > 0.0 else None
    overrides["randomisation.weak_joint"] = [spec.weak] * 2 if spec.weak < 1.0 else None
    overrides["randomisation.weak_joints"] = list(spec.weak_joints)
    hills = {"height": [spec.terrain] * 2, "flat_share": 0.0, "seed": _UNSEEN + spec.seed}
    overrides["terrain"] = hills if spec.terrain > 0.0 else None
    if asked.hand_targets is not None:
        overrides["hand_targets.neutral_share"] = 0.0  # where hands hang anyway is no feat
    # Nobody is paid here, and a policy without a gait clock could not be.
    return overrides | {f"rewards.{reward.name}": None for reward in asked.rewards}


def _run(batch: HumanoidBatch, act: Act, spec: EvaluationSpec) -> RobotScores:
    n, simulation = batch.n_envs, batch.simulation
    rng = np.random.default_rng(spec.seed)
    commands = np.repeat(np.array(spec.commands, dtype=np.float64), spec.repeats, axis=0)
    batch.hold_command(commands)
    seen = batch.reset(spec.seed)
    weight = float(simulation.model.body_mass.sum() * np.linalg.norm(simulation.model.opt.gravity))
    standing: BoolArray = np.ones(n, dtype=bool)
    velocity, energy, distance, scored = np.zeros((n, 3)), np.zeros(n), np.zeros(n), np.zeros(n)
    effort_share, way = np.zeros(n), np.zeros(n)
    along = commands[:, :2] / np.maximum(np.hypot(commands[:, 0], commands[:, 1]), 1e-9)[:, None]
    hands = HandScore(batch, settle=round(SETTLE / batch.control_period))
    period = batch.control_period
    push_every, settle = max(1, round(spec.push_period / period)), round(SETTLE / period)
    for k in range(round(spec.seconds / period)):
        if spec.push_speed > 0.0 and k % push_every == push_every - 1:
            side = rng.uniform(-np.pi, np.pi, n)
            simulation.base_linear_velocity[:, 0] += spec.push_speed * np.cos(side)
            simulation.base_linear_velocity[:, 1] += spec.push_speed * np.sin(side)
        seen = batch.step(act(seen.policy)).observation
        step = batch.last_step
        assert step is not None
        standing &= ~step.fallen
        hands.look(step, standing)
        effort_share = np.maximum(effort_share, np.where(standing, np.abs(step.effort / step.effort_limit).max(1), 0.0))
        if k < settle:
            continue
        moving = np.concatenate([step.linear_velocity[:, :2], step.angular_velocity[:, 2:]], axis=1)
        velocity += np.where(standing[:, None], moving, 0.0)
        scored += standing
        energy += np.where(standing, np.abs(step.effort * step.joint_velocity).sum(axis=1) * period, 0.0)
        distance += np.where(standing, np.hypot(moving[:, 0], moving[:, 1]) * period, 0.0)
        way += np.where(standing, (moving[:, :2] * along).sum(axis=1) * period, 0.0)
    mean = np.where(scored[:, None] > 0.0, velocity / np.maximum(scored, 1.0)[:, None], np.nan)
    return RobotScores(commands, standing, mean, way, distance, energy / weight, effort_share, hands)


class HandScore:
    """Distances of the hands from what was asked of them; nothing where nothing was.

    Args:
        batch: whose robots are looked at.
        settle: control steps at the beginning that are not scored.
    """

    def __init__(self, batch: HumanoidBatch, *, settle: int) -> None:
        self._batch, self._settle = batch, settle
        self._reach = round(REACH_S / batch.control_period)
        self._asked = batch.hands.asked if batch.hands else np.zeros((batch.n_envs, 2, 3))
        self._age = np.zeros(batch.n_envs, dtype=np.intp)
        self._steps = 0
        self._distances: list[FloatArray] = []

    def look(self, step: TaskStep, standing: BoolArray) -> None:
        """A control step ended; call before the next."""
        if self._batch.hands is None:
            return
        self._steps += 1
        self._age += 1
        scored = standing & (self._age >= self._reach) & (self._steps > self._settle)
        distance = np.sqrt(((step.hand_position - self._asked) ** 2).sum(axis=2))
        self._distances.append(np.where(scored[:, None], distance, np.nan))
        asked = self._batch.hands.asked
        self._age[(asked != self._asked).any(axis=(1, 2))] = 0
        self._asked = asked

    def result(self, rows: slice) -> HandResult | None:
        """Of some robots."""
        if self._batch.hands is None:
            return None
        return hand_result(np.array([distance[rows] for distance in self._distances]))


def _result(
    command: tuple[float, float, float], spec: EvaluationSpec, scores: RobotScores, rows: slice
) -> CommandResult:
    walked = np.isfinite(scores.velocity[rows, 0])
    own = scores.velocity[rows][walked] if walked.any() else np.full((1, 3), np.nan)
    error = own - np.array(command)
    travelled, moving = float(scores.distance[rows].sum()), float(np.hypot(*command[:2])) >= 0.1
    x, y, yaw = (float(v) for v in own.mean(axis=0))
    return CommandResult(
        command=command,
        push_speed=spec.push_speed,
        survival=float(scores.standing[rows].mean()),
        velocity=(x, y, yaw),
        velocity_error=float(np.hypot(error[:, 0], error[:, 1]).mean()),
        yaw_error=float(np.abs(error[:, 2]).mean()),
        cost_of_transport=float(scores.energy[rows].sum()) / travelled if moving and travelled > 0.0 else None,
        effort_share=float(scores.effort_share[rows].max()),
        hands=scores.hands.result(rows),
    )
