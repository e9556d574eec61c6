"""`humanoid_rl policy …`: bundles are imported, shown, checked, compared, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from humanoid_rl_ros.cli.terminal import JsonFile, Robot, console

policy_app = typer.Typer(help="Policy bundles.", no_args_is_help=True)


@policy_app.command("stand")
def policy_stand(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Bundle to write.")],
    robot: Robot = "reference",
    period: Annotated[float, typer.Option(min=0.002, help="Time between two inferences (s).")] = 0.02,
) -> None:
    """Make a standing policy for a robot, to run the graph with before anything is trained."""
    from humanoid_rl_ros.cli.policy_stand import stand

    stand(robot, output, period=period)
    console.print(f"wrote {output}")


@policy_app.command("import")
def policy_import(
    weights: Annotated[Path, typer.Argument(metavar="FILE", help="ONNX, TorchScript, or a checkpoint.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Bundle to write.")],
    config: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="YAML or JSON that goes with it; may be repeated.")
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help="Of the configurations; by default judged by their keys.")
    ] = "",
    robot: Annotated[str, typer.Option(help="What 'robot' stands for in answers: shipped robot, YAML or model.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Key of policy.yaml that no file says; may be repeated."),
    ] = None,
    name: Annotated[str, typer.Option(help="Of the policy; by default the folder's.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a complete bundle in the folder.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing; mark what is missing with ???.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Read checkpoints that hold pickles; you know where they come from.")
    ] = False,
    normaliser: Annotated[
        Path | None, typer.Option(metavar="FILE", help="VecNormalize statistics of Stable-Baselines3, or none.")
    ] = None,
    activation: Annotated[str | None, typer.Option(help="Of an rsl_rl checkpoint, which does not say.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Of one without a std: mean, mean-and-std or beta:LOWER:UPPER.")
    ] = None,
) -> None:
    """Make a bundle of a policy that somebody else trained; exit 1 while something is missing."""
    from humanoid_rl_ros.cli.policy_import import ImportOptions, may_ask, run_import

    options = ImportOptions(
        weights=weights,
        configs=tuple(config or ()),
        out=output,
        format=format_name,
        robot=robot,
        settings=tuple(settings or ()),
        name=name,
        overwrite=overwrite,
        ask=not no_input and may_ask(),
        trust=trust,
        normaliser=normaliser,
        activation=activation,
        head=head,
    )
    if not run_import(options, console):
        raise typer.Exit(1)


@policy_app.command("compare")
def policy_compare(
    bundle: Annotated[str, typer.Argument(help="Shipped policy or bundle folder.")],
    recording: Annotated[Path, typer.Argument(metavar="FILE.npz", help="What the policy's own code saw and said.")],
    robot: Annotated[str, typer.Option(help="Robot whose joint limits count; by default none.")] = "",
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest difference that is allowed.")] = 1e-5,
    json_file: JsonFile = None,
) -> None:
    """Compare observation, network output and target with a recording of the policy's own code, number by number."""
    from humanoid_rl_ros.cli.policy_compare import compare_policy

    if not compare_policy(bundle, recording, robot, console, tolerance=tolerance, json_file=json_file):
        raise typer.Exit(1)


@policy_app.command("sign")
def policy_sign(bundle: Annotated[Path, typer.Argument(help="Bundle folder.")]) -> None:
    """Write the digests of all its files into SHA256SUMS; from then on a changed bundle is refused."""
    from humanoid_rl_ros.cli.policy_sign import sign_policy

    sign_policy(bundle, console)


@policy_app.command("show")
def policy_show(
    bundle: Annotated[str, typer.Argument(help="Shipped policy or bundle folder.")],
    labels: Annotated[bool, typer.Option("--labels", help="Name every number of the observation.")] = False,
) -> None:
    """Print what a bundle says: joints with pose and gains, observation term by term, action, rates, commands."""
    from humanoid_rl_ros.cli.policy_show import show_policy

    show_policy(bundle, console, labels=labels)


@policy_app.command("check")
def policy_check(
    bundle: Annotated[str, typer.Argument(help="Shipped policy or bundle folder.")],
    robot: Annotated[
        str, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF); by default the policy's own.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=0.0, help="Simulated time; 0 for none (s).")] = 10.0,
    command: Annotated[
        tuple[float, float, float], typer.Option(metavar="X Y YAW", help="Velocity after 2 s (m/s, m/s, rad/s).")
    ] = (0.5, 0.0, 0.0),
    json_file: JsonFile = None,
) -> None:
    """Compare a bundle with a robot line by line, try its network, let it walk in simulation; exit 0 if all fits."""
    from humanoid_rl_ros.cli.policy_check import CheckOptions, check_policy

    if not check_policy(CheckOptions(bundle, robot, seconds, command, json_file), console):
        raise typer.Exit(1)
