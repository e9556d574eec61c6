"""`humanoid_rl evaluate`: how a policy does over commands and pushes, as a table; in Gymnasium, over episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from humanoid_rl_ros.cli.checkpoint_policy import CheckpointPolicy, checkpoint_policy, is_checkpoint
from humanoid_rl_ros.cli.evaluate_team import evaluates_team, run_evaluate_team
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.evaluation import COMMANDS, Act, CommandResult, EvaluationSpec, evaluate
from humanoid_rl_ros.envs.gymnasium_task import gymnasium_arguments, gymnasium_id
from humanoid_rl_ros.envs.hand_score import NEAR_M
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy, find_robot

PUSHES = (0.0, 0.4)
"""Tried where nobody says otherwise [m/s]."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What `humanoid_rl evaluate` was asked.

    Attributes:
        policy: shipped policy, bundle folder, run folder or checkpoint.
        robot, task: names or paths; empty for a run's own.
        commands: velocity commands [m/s, m/s, rad/s]; empty for the usual grid, within what the policy was trained on.
        pushes: speeds that pushes add, each a round of its own [m/s]; empty for `PUSHES`.
        spec: length, robots a command, friction, masses, noise, seed. In a Gymnasium environment episodes and seed.
        threads: of the physics.
        json_file: where to write, or None.
        picture: where to draw the paths of a team, or None.
    """

    policy: str
    robot: str
    task: str
    commands: Sequence[tuple[float, float, float]]
    pushes: Sequence[float]
    spec: EvaluationSpec
    threads: int | None
    json_file: Path | None
    picture: Path | None = None


def run_evaluate(options: EvaluateOptions, console: Console) -> bool:
    """Let a policy walk, and print what came of it.

    Args:
        options: what to try.
        console: where to show it.

    Returns:
        Whether no robot fell; in a Gymnasium environment, where nobody says what a fall is, True.

    Raises:
        HumanoidError: policy, robot or task cannot be found or do not fit.
    """
    trained = checkpoint_policy(Path(options.policy)) if is_checkpoint(options.policy) else None
    if trained is not None and (id := gymnasium_id(trained.task)) is not None:
        _run_episodes(options, trained, id, console)
        return True
    if evaluates_team(options, trained):
        return run_evaluate_team(options, trained, console)
    if options.picture is not None:
        raise ConfigError(f"{options.policy} is of one robot; --picture draws the paths of a team, so leave it out")
    contract, act, robot, task = _policy(options, trained)
    commands = list(options.commands) or [c for c in COMMANDS if _within(c, contract)]
    pushes = options.pushes or PUSHES
    results: list[CommandResult] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("walking", total=len(pushes))
        for push in pushes:
            spec = replace(options.spec, commands=commands, push_speed=push)
            results += evaluate(robot, task, act, spec, contract=contract, threads=options.threads)
            progress.advance(shown)
    table = _hand_table if all(result.hands for result in results) else _table
    console.print(table(results, robot, contract, options.spec))
    if options.json_file is not None:
        write_json(
            options.json_file,
            {"policy": contract.name, "robot": robot.name, "task": task, "results": [asdict(r) for r in results]},
        )
    return all(result.survival == 1.0 for result in results)


def parse_command(text: str) -> tuple[float, float, float]:
    """``X Y YAW`` as numbers.

    Raises:
        ConfigError: it is not of that form.
    """
    try:
        x, y, yaw = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ConfigError(f"--command takes three numbers, 'X Y YAW', found '{text}'") from None
    return x, y, yaw


def _run_episodes(options: EvaluateOptions, trained: CheckpointPolicy, id: str, console: Console) -> None:
    from humanoid_rl_ros.envs.gymnasium_evaluation import run_episodes  # Gymnasium; a robot needs none

    spec, usual = options.spec, EvaluationSpec()
    means_nothing = {
        "--robot": bool(options.robot),
        "--task": bool(options.task),
        "--command": bool(options.commands),
        "--push": bool(options.pushes),
        **{
            f"--{name.replace('_joints', '-joint')}": getattr(spec, name) != getattr(usual, name)
            for name in ("seconds", "friction", "mass", "terrain", "payload", "weak", "weak_joints", "noise")
        },
    }
    if said := [name for name, there in means_nothing.items() if there]:
        raise ConfigError(f"{options.policy} learned in {trained.task}, where {said[0]} means nothing; leave it out")
    arguments = gymnasium_arguments(trained.record.overrides)
    found = run_episodes(id, trained.act, spec.repeats, seed=spec.seed, threads=options.threads, **arguments)
    mean, std = float(found.returns.mean()), float(found.returns.std())
    console.print(
        f"{trained.record.algorithm} on {id} after {trained.steps} steps, {spec.repeats} episodes: "
        f"return {mean:.4g} ± {std:.3g}, length {found.lengths.mean():.0f} steps",
        markup=False,
        soft_wrap=True,
    )
    if options.json_file is not None:
        write_json(
            options.json_file,
            {
                **trained.record.as_dict(),
                "steps": trained.steps,
                "evaluation_seed": spec.seed,
                "mean_return": mean,
                "std_return": std,
                "returns": found.returns.tolist(),
                "lengths": found.lengths.tolist(),
            },
        )


def _policy(options: EvaluateOptions, trained: CheckpointPolicy | None) -> tuple[PolicyBundle, Act, RobotSpec, str]:
    if trained is not None:
        robot = find_robot(options.robot or trained.robot)
        return trained.robot_contract(), trained.act, robot, options.task or trained.task
    bundle = find_policy(options.policy)
    task = options.task or ("reach" if bundle.observes_hand_targets else "walk")
    return bundle, bundle.load_network().infer_batch, find_robot(options.robot or "reference"), task


def _within(command: tuple[float, float, float], contract: PolicyBundle) -> bool:
    ranges = contract.command
    return all(
        low <= value <= high
        for value, (low, high) in zip(command, (ranges.linear_x, ranges.linear_y, ranges.angular_z), strict=True)
    )


def _table(results: Sequence[CommandResult], robot: RobotSpec, contract: PolicyBundle, spec: EvaluationSpec) -> Table:
    title = f"{contract.name} on {robot.name}: {spec.repeats} robots a row, {spec.seconds:g} s"
    table = Table(title=title, title_style="bold")
    # Units stand in the headings: eight columns must fit a narrow terminal.
    headings = ("command\nm/s m/s rad/s", "push\nm/s", "stood\n%", "velocity\nm/s m/s rad/s", "error\nm/s")
    for heading in (*headings, "turn error\nrad/s", "CoT", "effort\n%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for r in results:
        colour = "green" if r.survival == 1.0 else "red"
        table.add_row(
            " ".join(f"{v:+.1f}" for v in r.command),
            f"{r.push_speed:.1f}",
            f"[{colour}]{100.0 * r.survival:.0f}[/]",
            " ".join(f"{v:+.2f}" for v in r.velocity),
            f"{r.velocity_error:.3f}",
            f"{r.yaw_error:.3f}",
            "–" if r.cost_of_transport is None else f"{r.cost_of_transport:.2f}",
            f"{100.0 * r.effort_share:.0f}",
        )
    return table


def _hand_table(
    results: Sequence[CommandResult], robot: RobotSpec, contract: PolicyBundle, spec: EvaluationSpec
) -> Table:
    title = f"{contract.name} on {robot.name}: {spec.repeats} robots a row, {spec.seconds:g} s"
    table = Table(title=title, title_style="bold")
    headings = (
        "push\nm/s",
        "stood\n%",
        "hands, mean\nm",
        "median\nm",
        f"within {NEAR_M:g} m\n%",
        "drift\nm/s",
        "effort\n%",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for r in results:
        assert r.hands is not None
        colour = "green" if r.survival == 1.0 else "red"
        table.add_row(
            f"{r.push_speed:.1f}",
            f"[{colour}]{100.0 * r.survival:.0f}[/]",
            f"{r.hands.mean:.3f}",
            f"{r.hands.median:.3f}",
            f"{100.0 * r.hands.near:.0f}",
            f"{r.velocity_error:.3f}",
            f"{100.0 * r.effort_share:.0f}",
        )
    return table
