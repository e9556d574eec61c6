"""`humanoid_rl evaluate`: how a policy does over commands and pushes, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from humanoid_rl_ros.cli.checkpoint_policy import checkpoint_policy, is_checkpoint
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.evaluation import COMMANDS, Act, CommandResult, EvaluationSpec, evaluate
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy, find_robot


@dataclass(frozen=True)
class EvaluateOptions:
    """What `humanoid_rl evaluate` was asked.

    Attributes:
        policy: shipped policy, bundle folder, run folder or checkpoint.
        robot, task: names or paths; empty for a run's own.
        commands: velocity commands [m/s, m/s, rad/s]; empty for the usual grid, within what the policy was trained on.
        pushes: speeds that pushes add, each a round of its own [m/s].
        spec: length, robots a command, friction, masses, noise, seed.
        threads: of the physics.
        json_file: where to write, or None.
    """

    policy: str
    robot: str
    task: str
    commands: Sequence[tuple[float, float, float]]
    pushes: Sequence[float]
    spec: EvaluationSpec
    threads: int | None
    json_file: Path | None


def run_evaluate(options: EvaluateOptions, console: Console) -> bool:
    """Let a policy walk, and print what came of it.

    Args:
        options: what to try.
        console: where to show it.

    Returns:
        Whether no robot fell.

    Raises:
        HumanoidError: policy, robot or task cannot be found or do not fit.
    """
    contract, act, robot, task = _policy(options)
    commands = list(options.commands) or [c for c in COMMANDS if _within(c, contract)]
    results: list[CommandResult] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("walking", total=len(options.pushes))
        for push in options.pushes:
            spec = replace(options.spec, commands=commands, push_speed=push)
            results += evaluate(robot, task, act, spec, contract=contract, threads=options.threads)
            progress.advance(shown)
    console.print(_table(results, robot, contract, options.spec))
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


def _policy(options: EvaluateOptions) -> tuple[PolicyBundle, Act, RobotSpec, str]:
    if is_checkpoint(options.policy):
        trained = checkpoint_policy(Path(options.policy))
        robot = find_robot(options.robot or trained.robot)
        return trained.contract, trained.act, robot, options.task or trained.task
    bundle = find_policy(options.policy)
    network = bundle.load_network()
    batch = getattr(network, "infer_batch", None)
    if batch is None:
        raise ConfigError(f"policy '{bundle.name}': only ONNX policies can be evaluated; {bundle.weights.path} is none")
    return bundle, batch, find_robot(options.robot or "reference"), options.task or "walk"


def _within(command: tuple[float, float, float], contract: PolicyBundle) -> bool:
    ranges = contract.command
    return all(
        low <= value <= high
        for value, (low, high) in zip(command, (ranges.linear_x, ranges.linear_y, ranges.angular_z), strict=True)
    )


def _table(results: Sequence[CommandResult], robot: RobotSpec, contract: PolicyBundle, spec: EvaluationSpec) -> Table:
    title = f"{contract.name} on {robot.name}: {spec.repeats} robots a row, {spec.seconds:g} s"
    table = Table(title=title, title_style="bold")
    headings = ("command x, y, yaw", "push", "survival", "velocity x, y, yaw", "error", "yaw error", "CoT", "effort")
    for heading in headings:
        table.add_column(heading, justify="right")
    for r in results:
        colour = "green" if r.survival == 1.0 else "red"
        table.add_row(
            " ".join(f"{v:+.2f}" for v in r.command),
            f"{r.push_speed:.2f} m/s",
            f"[{colour}]{r.survival:.0%}[/]",
            " ".join(f"{v:+.2f}" for v in r.velocity),
            f"{r.velocity_error:.3f} m/s",
            f"{r.yaw_error:.3f} rad/s",
            "–" if r.cost_of_transport is None else f"{r.cost_of_transport:.2f}",
            f"{r.effort_share:.0%}",
        )
    return table
