"""How well a team keeps its formation, by a learned policy or by the hand-written law, in the same worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from humanoid_rl_ros.control.formation_deciders import Decide
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import wrapped
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.formation_spec import FormationSpec
from humanoid_rl_ros.envs.formation_worlds import FormationWorlds

GROUNDED = 0.01
"""A beam that comes nearer to the floor has been dropped [m]."""
CLOSE = 0.45
"""Nearer to another than this a robot's arms touch the other's, roughly [m]."""


@dataclass(frozen=True)
class FormationMeasure:
    """What became of some teams, over the time that all of a team stood.

    Attributes:
        teams: how many.
        survival: share of the teams of which no robot fell.
        slot_error: distance of the robots from their slots, averaged [m].
        slot_error_95: exceeded by one in twenty [m].
        velocity_error: of the formation's velocity from its command, averaged [m/s].
        heading_error: of the robots' headings from the formation's, averaged [rad].
        drift: how far the formation's heading is in the end from where its commands would have turned it, averaged
            [rad].
        closest: the least distance between two robots of a team, averaged over the teams [m].
        close_share: share of the time in which two robots were nearer than `CLOSE`.
        tension: largest of a sling in the time of a decision, averaged; 0 where nothing is carried [N].
        tension_95: exceeded by one decision in twenty [N].
        dropped: share of the teams whose beam came down on the floor.
    """

    teams: int
    survival: float
    slot_error: float
    slot_error_95: float
    velocity_error: float
    heading_error: float
    drift: float
    closest: float
    close_share: float
    tension: float = 0.0
    tension_95: float = 0.0
    dropped: float = 0.0

    @property
    def score(self) -> float:
        """Survival less slot error [m] and velocity error [m/s]."""
        return self.survival - self.slot_error - self.velocity_error


@dataclass(frozen=True)
class FormationResult:
    """The measures of one way to decide.

    Attributes:
        everyone: of all teams.
        equal: of those whose robots all walk as they are told; None where there are none.
        slowed: of those with one that walks slower; None where there are none.
    """

    everyone: FormationMeasure
    equal: FormationMeasure | None
    slowed: FormationMeasure | None


@dataclass(frozen=True, eq=False)
class FormationRun:
    """Teams that walked by one way to decide.

    Attributes:
        result: what became of them.
        period: between two decisions [s].
        position: of the robots after each decision [m; Shape (t, teams, n, 2)].
        standing: whether all of a team stood until then [Shape (t, teams)].
        slowed: the robot that walks slower than it is told, −1 where there is none [Shape (teams,)].
    """

    result: FormationResult
    period: float
    position: FloatArray
    standing: BoolArray
    slowed: IndexArray


def evaluate_formation(
    robot: RobotSpec,
    spec: FormationSpec,
    deciders: Sequence[Callable[[CommandSpec], Decide]],
    *,
    commands: Sequence[tuple[float, float, float]] = (),
    teams: int = 32,
    seconds: float = 30.0,
    seed: int = 0,
    threads: int = 1,
) -> list[FormationRun]:
    """Let teams walk in physics, with all the chance that the task has; each way to decide meets the same.

    Args:
        robot: must have a model.
        spec: the task.
        deciders: each is made for the ranges of the walking policy.
        commands: of formations, held by one team after the other in turn [m/s, m/s, rad/s]; none: drawn as the task
            says.
        teams: worlds.
        seconds: length [s].
        seed: of all chance.
        threads: of the physics.

    Returns:
        One run for each way to decide, in order.

    Raises:
        ConfigError, ContractError, ModelError, PolicyError: robot, task and walking policy do not fit.
    """
    if teams < 1 or not seconds > 0.0:
        raise ConfigError(f"an evaluation needs at least one team and a time above 0 s, found {teams} and {seconds:g}")
    spec = replace(spec, bodies="physics", episode=replace(spec.episode, length=seconds + 2.0 * spec.period))
    worlds = FormationWorlds(robot, spec, teams, threads=threads)
    if commands:
        worlds.hold_command(np.array([commands[i % len(commands)] for i in range(teams)]))
    try:
        return [_run(worlds, make(worlds.ranges), round(seconds / spec.period), seed) for make in deciders]
    finally:
        worlds.close()


def _run(worlds: FormationWorlds, decide: Decide, steps: int, seed: int) -> FormationRun:
    worlds.reset(np.random.default_rng(seed))
    n = worlds.worlds
    slowed: BoolArray = np.asarray((worlds.factor < 1.0).any(axis=1))
    standing: BoolArray = np.ones(n, dtype=bool)
    scored, error, missing, heading, nearest, position = [], [], [], [], [], []
    tension, low = [], []
    off_course: list[FloatArray] = []
    course, turned_by = worlds.truth().frame.heading, np.zeros(n)
    for _ in range(max(1, steps)):
        step = worlds.step(decide(worlds.view()))
        standing &= ~np.asarray(step.fallen.any(axis=1))
        scored.append(standing.copy())
        error.append(np.linalg.norm(step.slot_error, axis=-1))
        missing.append(np.linalg.norm((step.team_velocity - step.view.command)[:, :2], axis=-1))
        heading.append(np.abs(step.heading_error))
        nearest.append(step.nearest.min(axis=-1))
        position.append(step.view.position)
        now = step.view.frame.heading
        turned_by += wrapped(now - course) - worlds.spec.period * step.view.command[:, 2]
        course = now
        off_course.append(np.where(standing, turned_by, off_course[-1] if off_course else 0.0))
        tension.append(step.tension)
        low.append(step.clearance < GROUNDED)

    def measure(teams: BoolArray) -> FormationMeasure | None:
        if not teams.any():
            return None
        counted = np.array(scored)[:, teams]
        if not counted.any():
            return FormationMeasure(int(teams.sum()), 0.0, *(float("nan"),) * 7)
        off, close = np.array(error)[:, teams][counted], np.array(nearest)[:, teams]
        return FormationMeasure(
            teams=int(teams.sum()),
            survival=float(standing[teams].mean()),
            slot_error=float(off.mean()),
            slot_error_95=float(np.quantile(off, 0.95)),
            velocity_error=float(np.array(missing)[:, teams][counted].mean()),
            heading_error=float(np.array(heading)[:, teams][counted].mean()),
            drift=float(np.abs(off_course[-1][teams]).mean()),
            closest=float(np.where(counted, close, np.inf).min(axis=0)[counted.any(axis=0)].mean()),
            close_share=float((close < CLOSE)[counted].mean()),
            tension=float(np.array(tension)[:, teams][counted].mean()),
            tension_95=float(np.quantile(np.array(tension)[:, teams][counted], 0.95)),
            dropped=float(np.array(low)[:, teams].any(axis=0).mean()),
        )

    everyone = measure(np.ones(n, dtype=bool))
    assert everyone is not None
    result = FormationResult(everyone, measure(~slowed), measure(slowed))
    slow_one = np.where(slowed, (worlds.factor < 1.0).argmax(axis=1), -1)
    return FormationRun(result, worlds.spec.period, np.array(position), np.array(scored), slow_one)
