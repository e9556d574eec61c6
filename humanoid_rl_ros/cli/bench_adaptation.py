"""`humanoid_rl bench adaptation`: policies over uneven ground, with loads and weak joints, robot by robot beside."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from humanoid_rl_ros.cli.checkpoint_policy import checkpoint_policy, is_checkpoint
from humanoid_rl_ros.cli.confidence import Interval, mean_interval, share_interval
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.evaluation import SETTLE, Act, EvaluationSpec, evaluate_robots
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy, find_robot

LEGS = ("*hip*", "*knee*", "*ankle*")
COMMANDS = ((0.6, 0.0, 0.0), (0.4, 0.0, 0.5), (-0.3, 0.0, 0.0), (0.0, 0.25, 0.0))
"""Held by the robots by turns [m/s, m/s, rad/s]."""
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "even ground": {},
    "hills of 4 cm": {"terrain": 0.04},
    "hills of 8 cm": {"terrain": 0.08},
    "hills of 12 cm": {"terrain": 0.12},
    "load of 10 %": {"payload": 0.1},
    "load of 20 %": {"payload": 0.2},
    "hip joint at 50 %": {"weak": 0.5, "weak_joints": ("*hip*",)},
    "knee at 50 %": {"weak": 0.5, "weak_joints": ("*knee*",)},
    "ankle joint at 50 %": {"weak": 0.5, "weak_joints": ("*ankle*",)},
    "all of it": {"terrain": 0.08, "payload": 0.2, "weak": 0.5, "weak_joints": LEGS, "push_speed": 0.4},
}
"""What an evaluation has besides the task's noise; all of it: 8 cm, 20 %, a leg joint at 50 %, pushes of 0.4 m/s."""


@dataclass(frozen=True)
class AdaptationOptions:
    """What was asked.

    Attributes:
        policies: shipped policies, bundle folders, run folders or checkpoints; the others are compared with the first.
        robot, task: names or paths; the task's noise, falls and place of the load count.
        repeats: robots of each command and seed.
        seconds: length [s].
        seeds: rounds, each with hills, loads, joints and noise of its own.
        seed: of the first round.
        only: parts of the conditions' names; empty for all.
        threads: of the physics.
    """

    policies: Sequence[str]
    robot: str = "reference"
    task: str = "walk_adaptive"
    repeats: int = 8
    seconds: float = 15.0
    seeds: int = 2
    seed: int = 0
    only: Sequence[str] = ()
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of the robots of one policy in one condition, robot by robot.

    Attributes:
        fell: [Shape (n,)].
        way: share of the way it was told to go that it went [Shape (n,)].
        error: of the mean velocity while it stood; NaN of who fell at once [m/s; Shape (n,)].
    """

    fell: BoolArray
    way: FloatArray
    error: FloatArray


@dataclass(frozen=True)
class AdaptationRow:
    """One policy in one condition; intervals are of 95 %.

    Attributes:
        condition, policy: names.
        robots: how many.
        fell, way, error: means of an `Outcome`.
        fell_interval, way_interval, error_interval: in which they lie.
        way_behind: by how much the first policy's share of the way is larger, robot for robot; 0 of the first.
        way_behind_interval: in which that lies.
    """

    condition: str
    policy: str
    robots: int
    fell: float
    fell_interval: Interval
    way: float
    way_interval: Interval
    error: float
    error_interval: Interval
    way_behind: float = 0.0
    way_behind_interval: Interval = (0.0, 0.0)


@dataclass(frozen=True)
class _Walker:
    name: str
    contract: PolicyBundle
    act: Act = field(repr=False)


def run_adaptation(options: AdaptationOptions, *, json_file: Path | None, console: Console) -> list[AdaptationRow]:
    """Let every policy walk in every condition, with the same chance for all, and print the table.

    Raises:
        HumanoidError: a policy, robot, task or condition is not there, or they do not fit.
    """
    conditions = _conditions(options.only)
    robot = find_robot(options.robot)
    walkers = [_walker(name) for name in options.policies]
    if not walkers:
        raise ConfigError("name at least one policy")
    rows: list[AdaptationRow] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("walking", total=len(conditions) * len(walkers) * options.seeds)
        for condition, changes in conditions.items():
            first: Outcome | None = None
            for walker in walkers:
                found: list[Outcome] = []
                for seed in range(options.seed, options.seed + options.seeds):
                    spec = replace(_spec(options, seed), **changes)
                    scores = evaluate_robots(
                        robot, options.task, walker.act, spec, contract=walker.contract, threads=options.threads
                    )
                    told = np.hypot(scores.command[:, 0], scores.command[:, 1]) * (options.seconds - SETTLE)
                    found.append(Outcome(~scores.standing, scores.way / told, scores.velocity_error))
                    progress.advance(shown)
                outcome = Outcome(*(np.concatenate([getattr(o, name) for o in found]) for name in vars(found[0])))
                rows.append(adaptation_row(condition, walker.name, outcome, first))
                first = first or outcome
    console.print(_table(rows, options))
    if json_file is not None:
        asked = {**asdict(options), "commands": COMMANDS, "conditions": conditions}
        write_json(json_file, {"options": asked, "rows": [asdict(row) for row in rows]})
    return rows


def adaptation_row(condition: str, policy: str, outcome: Outcome, first: Outcome | None) -> AdaptationRow:
    """Means and intervals of one policy.

    Args:
        condition, policy: names.
        outcome: of its robots.
        first: of the first policy's in the same condition, robot for robot; None where this is it.
    """
    rng = np.random.default_rng(zlib.crc32(condition.encode()))
    fell, n = int(outcome.fell.sum()), len(outcome.fell)
    error = outcome.error[np.isfinite(outcome.error)]
    behind = outcome.way - outcome.way if first is None else first.way - outcome.way
    return AdaptationRow(
        condition,
        policy,
        robots=n,
        fell=fell / n,
        fell_interval=share_interval(fell, n),
        way=float(outcome.way.mean()),
        way_interval=mean_interval(outcome.way, rng),
        error=float(error.mean()) if error.size else float("nan"),
        error_interval=mean_interval(error, rng),
        way_behind=float(behind.mean()),
        way_behind_interval=mean_interval(behind, rng),
    )


def _spec(options: AdaptationOptions, seed: int) -> EvaluationSpec:
    return EvaluationSpec(COMMANDS, options.repeats, options.seconds, noise=1.0, seed=seed)


def _conditions(only: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found = {name: changes for name, changes in CONDITIONS.items() if not only or any(part in name for part in only)}
    if not found:
        raise ConfigError(f"no condition has '{only[0]}' in its name; there are: {', '.join(CONDITIONS)}")
    return found


def _walker(name: str) -> _Walker:
    shown = Path(name).name or name
    if is_checkpoint(name):
        trained = checkpoint_policy(Path(name))
        return _Walker(shown, trained.robot_contract(), trained.act)
    bundle = find_policy(name)
    return _Walker(shown, bundle, bundle.load_network().infer_batch)


def _table(rows: Sequence[AdaptationRow], options: AdaptationOptions) -> Table:
    n = rows[0].robots
    title = f"{n} robots a row, {options.seconds:g} s each, {options.seeds} seeds; 95 % intervals"
    # A condition has a line of its own: with a column it would not fit a narrow terminal.
    table = Table(title=title, title_style="bold", box=SIMPLE_HEAD, padding=0, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for heading in ("fell\n%", "way\n%", "behind first\n%", "error\nm/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for row in rows:
        if row.condition != before:
            table.add_row(f"[bold]{row.condition}[/]")
        before = row.condition
        low, high = row.fell_interval
        table.add_row(
            f"  {row.policy}",
            f"{100.0 * row.fell:.0f} ({100.0 * low:.0f} to {100.0 * high:.0f})",
            _with_margin(row.way, row.way_interval, 100.0),
            "" if row.policy == rows[0].policy else _with_margin(row.way_behind, row.way_behind_interval, 100.0),
            _with_margin(row.error, row.error_interval, 1.0),
        )
    return table


def _with_margin(value: float, interval: Interval, unit: float) -> str:
    """The value and half of its interval's width."""
    digits = 0 if unit > 1.0 else 3
    return f"{unit * value:.{digits}f} ± {0.5 * unit * (interval[1] - interval[0]):.{digits}f}"
