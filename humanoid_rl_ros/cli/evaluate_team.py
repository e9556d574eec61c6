"""`humanoid_rl evaluate` of a team: how well it keeps its formation, beside the hand-written law, as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.checkpoint_policy import CheckpointPolicy
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.formation_picture import draw_formations
from humanoid_rl_ros.control.formation_deciders import BASELINE, by_law, by_policy
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.evaluation import Act, EvaluationSpec
from humanoid_rl_ros.envs.formation_evaluation import FormationMeasure, FormationResult, evaluate_formation
from humanoid_rl_ros.envs.formation_spec import FormationSpec, formation_task, is_formation
from humanoid_rl_ros.resources import find_robot, find_team, is_team, robot_named

if TYPE_CHECKING:
    from humanoid_rl_ros.cli.evaluate import EvaluateOptions

TASK = "formation"
LAW = "hand-written law"


@dataclass(frozen=True)
class _Team:
    """What decides for a team.

    Attributes:
        name: for the table.
        act: actions for observations.
        scale: what an action of 1 is worth [m/s, m/s, rad/s].
        spec: the task.
        robot: as `find_robot` takes it.
    """

    name: str
    act: Act
    scale: tuple[float, float, float]
    spec: FormationSpec
    robot: str


def evaluates_team(options: EvaluateOptions, trained: CheckpointPolicy | None) -> bool:
    """Whether this is a team's policy: a bundle of one, or what a run on a team's task has learned."""
    return is_formation(trained.task) if trained is not None else is_team(options.policy)


def run_evaluate_team(options: EvaluateOptions, trained: CheckpointPolicy | None, console: Console) -> bool:
    """Let teams walk by the policy and by the hand-written law, and print what came of it.

    Args:
        options: what to try.
        trained: of a run or checkpoint, else None.
        console: where to show it.

    Returns:
        Whether no robot fell by the policy.

    Raises:
        HumanoidError: policy, robot or task cannot be found or do not fit.
    """
    spec, usual = options.spec, EvaluationSpec()
    means_nothing = {
        "--push": bool(options.pushes),
        **{f"--{name}": getattr(spec, name) != getattr(usual, name) for name in ("friction", "mass", "noise")},
    }
    if said := [name for name, there in means_nothing.items() if there]:
        raise ConfigError(
            f"{options.policy} is of a team, where {said[0]} means nothing; its task has chance of its own"
        )
    team = _team(options, trained)
    learned, law = evaluate_formation(
        find_robot(team.robot),
        team.spec,
        [partial(by_policy, team.act, team.scale), partial(by_law, gains=BASELINE)],
        commands=options.commands,
        teams=spec.repeats,
        seconds=spec.seconds,
        seed=spec.seed,
        threads=options.threads or len(os.sched_getaffinity(0)),
    )
    console.print(_table({team.name: learned.result, LAW: law.result}, team, spec.seconds))
    if options.picture is not None:
        draw_formations({team.name: learned, LAW: law}, options.picture)
        console.print(f"paths: {options.picture}", markup=False, soft_wrap=True)
    if options.json_file is not None:
        write_json(
            options.json_file,
            {
                "policy": team.name,
                "robot": team.robot,
                "task": team.spec.name,
                "seed": spec.seed,
                "seconds": spec.seconds,
                "learned": asdict(learned.result),
                "law": {"gains": asdict(BASELINE), **asdict(law.result)},
            },
        )
    return learned.result.everyone.survival == 1.0


def _team(options: EvaluateOptions, trained: CheckpointPolicy | None) -> _Team:
    if trained is not None:
        overrides = {} if options.task else trained.record.overrides
        task = formation_task(options.task or trained.task, overrides)
        name = f"{trained.record.algorithm}, {trained.steps} steps"
        return _Team(name, trained.act, task.action_scale, task, options.robot or trained.robot)
    bundle = find_team(options.policy)
    task = formation_task(options.task or (bundle.name if is_formation(bundle.name) else TASK))
    return _Team(
        bundle.name, bundle.load_network(), bundle.action_scale, task, options.robot or robot_named(bundle.robot)
    )


def _table(results: dict[str, FormationResult], team: _Team, seconds: float) -> Table:
    title = f"{team.spec.name}: teams of {team.spec.robots}, {seconds:g} s"
    table = Table(title=title, title_style="bold")
    table.add_column("who decides", min_width=12)
    carried = team.spec.beam is not None
    of_load = ("sling\nN", "95 %\nN", "dropped\n%") if carried else ("heading\nrad", "closest\nm")
    for heading in ("teams", "stood\n%", "slot\nm", "95 %\nm", "velocity\nm/s", *of_load):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, result in results.items():
        for kind, found in (("", result.everyone), ("equal", result.equal), ("one slow", result.slowed)):
            if found is not None:
                table.add_row(f"{name}" if not kind else f"  {kind}", *_cells(found, carried=carried))
    return table


def _cells(found: FormationMeasure, *, carried: bool) -> Sequence[str]:
    colour = "green" if found.survival == 1.0 else "red"
    load = (f"{found.tension:.1f}", f"{found.tension_95:.1f}", f"{100.0 * found.dropped:.0f}")
    return (
        str(found.teams),
        f"[{colour}]{100.0 * found.survival:.0f}[/]",
        f"{found.slot_error:.3f}",
        f"{found.slot_error_95:.3f}",
        f"{found.velocity_error:.3f}",
        *(load if carried else (f"{found.heading_error:.3f}", f"{found.closest:.2f}")),
    )
