"""`humanoid_rl`: one entry point; every command ends with one clear line when it cannot do what was asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from humanoid_rl_ros import __version__
from humanoid_rl_ros.core.errors import HumanoidError, MissingDependencyError

app = typer.Typer(
    help="Run a learned policy on a humanoid with ROS 2, keep the robot safe, and see what happened.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
robot_app = typer.Typer(help="Robot files.", no_args_is_help=True)
policy_app = typer.Typer(help="Policy bundles.", no_args_is_help=True)
bench_app = typer.Typer(help="Measurements.", no_args_is_help=True)
app.add_typer(robot_app, name="robot")
app.add_typer(policy_app, name="policy")
app.add_typer(bench_app, name="bench")

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)


class Mode(str, Enum):
    """How simulated time passes."""

    lockstep = "lockstep"
    realtime = "realtime"


class Held(str, Enum):
    """What becomes of joints that a policy does not drive while it is trained."""

    welded = "welded"
    simulated = "simulated"


JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")]
Robot = Annotated[str, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF).")]


@app.command()
def demo(
    robot: Robot = "reference",
    policy: Annotated[
        str, typer.Option(help="Shipped policy or bundle folder; by default the one shipped for the robot.")
    ] = "",
    command: Annotated[
        tuple[float, float, float], typer.Option(metavar="X Y YAW", help="Velocity command (m/s, m/s, rad/s).")
    ] = (0.5, 0.0, 0.0),
    seconds: Annotated[float, typer.Option(min=0.1, help="Simulated time (s).")] = 20.0,
    mode: Annotated[Mode, typer.Option(help="Wait for each command, or step by the wall clock.")] = Mode.lockstep,
    entry_blend: Annotated[
        float | None,
        typer.Option(min=0.0, help="Time to take over from the measured pose (s); the bundle's by default."),
    ] = None,
    safety: Annotated[str, typer.Option(metavar="FILE", help="Safety YAML instead of the shipped one.")] = "",
    push: Annotated[
        list[str] | None,
        typer.Option(metavar="'T X Y'", help="Shove the base after T s by (X, Y) m/s, in the world; may be repeated."),
    ] = None,
    get_up: Annotated[
        str | None,
        typer.Option(help="Bundle that gets the robot up; by default the one shipped for it, none for none."),
    ] = None,
    json_file: JsonFile = None,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="Where to draw the run.")] = Path(
        "humanoid_rl_demo.png"
    ),
) -> None:
    """Start simulation, policy and safety monitor as three ROS 2 nodes and watch them; exit 0 if the robot stood."""
    from humanoid_rl_ros.cli.demo import DemoOptions, parse_pushes, run_demo

    options = DemoOptions(
        robot,
        policy,
        command,
        seconds,
        mode.value,
        json_file,
        picture,
        entry_blend,
        safety,
        parse_pushes(push or []),
        "" if get_up == "none" else get_up,
    )
    if not run_demo(options, console):
        raise typer.Exit(1)


@app.command()
def train(
    algorithm: Annotated[str, typer.Argument(metavar="ppo|sac", help="How to learn.")],
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of the whole run, of all robots together.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the run.")],
    task: Annotated[
        str | None,
        typer.Option(help="Shipped task (walk, stand, get_up), task YAML, or gymnasium:ID; walk by default."),
    ] = None,
    robot: Annotated[
        str | None, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF); reference by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random; 0 by default.")] = None,
    environments: Annotated[
        int | None, typer.Option(min=1, help="Robots that learn together; the learner YAML's by default.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Learner YAML to lay over the shipped one.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Key of the learner or the task; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in FOLDER was stopped.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the physics; one per core by default.")] = None,
    torch_threads: Annotated[int, typer.Option(min=1, help="Of the learner's arithmetic.")] = 1,
    checkpoint_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds between two checkpoints.")] = 120.0,
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="STEPS",
            help="Steps between two evaluations; 0 for none; by default 2 million, in Gymnasium 100 thousand.",
        ),
    ] = None,
    json_file: JsonFile = None,
    export: Annotated[bool, typer.Option(help="Write the policy bundle at the end.")] = True,
) -> None:
    """Train a policy in simulation; Ctrl-C saves and leaves, --resume goes on, FOLDER/policy is what it learned."""
    with _training_libraries():
        from humanoid_rl_ros.cli.train import run_train
        from humanoid_rl_ros.cli.train_settings import TrainOptions

    options = TrainOptions(
        algorithm=algorithm,
        steps=steps,
        out=out,
        task=task,
        robot=robot,
        seed=seed,
        environments=environments,
        config=config,
        settings=tuple(settings or ()),
        resume=resume,
        threads=threads,
        torch_threads=torch_threads,
        checkpoint_seconds=checkpoint_seconds,
        evaluate_every=evaluate_every,
        json_file=json_file,
        export=export,
    )
    code = run_train(options, console)
    if code:
        raise typer.Exit(code)


@app.command("export")
def export_command(
    source: Annotated[Path, typer.Argument(metavar="CHECKPOINT|RUN", help="Checkpoint, or run folder: its newest.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Bundle to write.")],
) -> None:
    """Write the policy bundle of a checkpoint, and verify that ONNX gives the actions of torch."""
    with _training_libraries():
        from humanoid_rl_ros.cli.export import run_export

    run_export(source, output, console)


@app.command("evaluate")
def evaluate_command(
    policy: Annotated[str, typer.Argument(metavar="POLICY|RUN|CHECKPOINT", help="What to let walk.")],
    robot: Annotated[
        str, typer.Option(help="Shipped robot, robot YAML, or model file; what a run was trained on, or reference.")
    ] = "",
    task: Annotated[
        str, typer.Option(help="Task whose noise and falls count; what a run was trained on, or walk.")
    ] = "",
    command: Annotated[
        list[str] | None,
        typer.Option(metavar="'X Y YAW'", help="Velocity command (m/s, m/s, rad/s); may be repeated."),
    ] = None,
    push: Annotated[
        list[float] | None, typer.Option(min=0.0, help="Speed a push adds every 4 s (m/s); may be repeated.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Robots for each row; in Gymnasium, episodes.")] = 8,
    seconds: Annotated[float, typer.Option(min=3.0, help="Simulated time (s).")] = 20.0,
    friction: Annotated[tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="Range of friction.")] = None,
    mass: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Range of the mass factor.")] = (
        1.0,
        1.0,
    ),
    noise: Annotated[float, typer.Option(min=0.0, help="Factor on the task's own noise and sensor errors.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the physics; one per core by default.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Survival, tracking error, energy and effort over commands and pushes; exit 0 if no robot fell."""
    with _training_libraries():
        from humanoid_rl_ros.cli.evaluate import EvaluateOptions, parse_command, run_evaluate
        from humanoid_rl_ros.envs.evaluation import EvaluationSpec

    options = EvaluateOptions(
        policy=policy,
        robot=robot,
        task=task,
        commands=[parse_command(text) for text in command or ()],
        pushes=push or (),
        spec=EvaluationSpec(repeats=repeats, seconds=seconds, friction=friction, mass=mass, noise=noise, seed=seed),
        threads=threads,
        json_file=json_file,
    )
    if not run_evaluate(options, console):
        raise typer.Exit(1)


@robot_app.command("describe")
def robot_describe(
    model: Annotated[Path, typer.Argument(help="MJCF or URDF file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Robot YAML to write.")] = None,
    name: Annotated[str, typer.Option(help="Name of the robot; the model's by default.")] = "",
    imu: Annotated[str, typer.Option(help="Site or body that carries the IMU.")] = "",
) -> None:
    """Write a robot YAML for any humanoid model, and say what was inferred."""
    from humanoid_rl_ros.cli.robot import describe_robot

    describe_robot(model, output, name, imu, console, error_console)


@robot_app.command("check")
def robot_check(robot: Annotated[str, typer.Argument(help="Shipped robot, robot YAML, or model file.")]) -> None:
    """Read a robot, load its model, stand it on the floor and hold it for two simulated seconds."""
    from humanoid_rl_ros.cli.robot import check_robot

    if not check_robot(robot, console):
        raise typer.Exit(1)


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


@policy_app.command("check")
def policy_check(
    bundle: Annotated[str, typer.Argument(help="Shipped policy or bundle folder.")], robot: Robot = "reference"
) -> None:
    """Compare a bundle with a robot, without running either; exit 0 if it fits."""
    from humanoid_rl_ros.cli.policy_check import check_policy

    if not check_policy(bundle, robot, console):
        raise typer.Exit(1)


@bench_app.command("latency")
def bench_latency(
    rate: Annotated[list[int], typer.Option(help="Joint states per second; may be repeated.")] = [200, 500],  # noqa: B006  # typer copies it
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of one turn (s).")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns the chains take, to even out a busy machine.")] = 3,
    json_file: JsonFile = None,
) -> None:
    """Joint state published to clamped command received, 29 joints, through the real nodes and through a bare echo."""
    from humanoid_rl_ros.cli.bench_latency import run_latency

    run_latency(rates=rate, seconds=seconds, rounds=rounds, json_file=json_file, console=console)


@bench_app.command("safety")
def bench_safety(
    count: Annotated[int, typer.Option(min=1000, help="Wild inputs to the envelope.")] = 1_000_000,
    hours: Annotated[float, typer.Option(min=0.001, help="Simulated time to walk under pushes (h).")] = 1.0,
    robot: Robot = "reference",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Wild inputs against the envelope, the monitor's cost, and an hour of walking in which it must not cry wolf."""
    from humanoid_rl_ros.cli.bench_safety import run_safety

    result = run_safety(count=count, hours=hours, robot=robot, seed=seed, json_file=json_file, console=console)
    if result.broken or result.trips:
        raise typer.Exit(1)


@bench_app.command("falls")
def bench_falls(
    count: Annotated[int, typer.Option(min=1, help="Falls.")] = 100,
    robot: Robot = "reference",
    policy: Annotated[str, typer.Option(help="Bundle it walks by; by default the one shipped for the robot.")] = "",
    get_up: Annotated[str, typer.Option(help="Bundle that gets it up; by default the one shipped for it.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of directions, times and commands.")] = 0,
    safety: Annotated[str, typer.Option(metavar="FILE", help="Safety YAML instead of the shipped one.")] = "",
    json_file: JsonFile = None,
) -> None:
    """Push a walking robot over in eight directions, again and again, and count how often it gets up and walks on."""
    from humanoid_rl_ros.cli.bench_falls import FallOptions, run_falls

    run_falls(FallOptions(robot, policy, get_up, count, seed, safety), json_file=json_file, console=console)


@bench_app.command("faults")
def bench_faults(
    trials: Annotated[int, typer.Option(min=1, help="Of each fault while ACTIVE.")] = 20,
    state_trials: Annotated[int, typer.Option(min=0, help="Of each fault in every other state.")] = 3,
    kills: Annotated[int, typer.Option(min=1, help="Of each node that is killed, stopped or raises.")] = 3,
    rate: Annotated[float, typer.Option(min=50.0, max=1000.0, help="Joint states per second.")] = 200.0,
    only: Annotated[list[str] | None, typer.Option(help="Part of a fault's name; may be given again.")] = None,
    load: Annotated[int, typer.Option(min=0, help="Processes that compute beside it.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Break the graph in every way and every state, and time how soon the safety monitor is safe and what it says."""
    from humanoid_rl_ros.cli.bench_faults import FaultOptions, run_faults

    options = FaultOptions(trials, state_trials, kills, rate, tuple(only or ()), load)
    if not run_faults(options, json_file=json_file, console=console):
        raise typer.Exit(1)


@bench_app.command("training")
def bench_training(
    only: Annotated[
        str, typer.Option(metavar="NAMES", help="Of ours,sb3,rsl_rl; by default all that are installed.")
    ] = "",
    task: Annotated[str, typer.Option(help="Shipped task (walk, stand, get_up) or task YAML.")] = "walk",
    robot: Robot = "reference",
    environments: Annotated[
        int | None, typer.Option(min=1, help="Robots of each learner; the learner YAML's by default.")
    ] = None,
    held: Annotated[Held, typer.Option(help="Joints that the policy does not drive.")] = Held.welded,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Key of the learner or the task; may be repeated."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Length of one turn (s).")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each learner, to even out a busy machine.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the physics; one per core by default.")] = None,
    torch_threads: Annotated[int, typer.Option(min=1, help="Of the learners' arithmetic.")] = 1,
    time_to_walk: Annotated[
        bool, typer.Option("--time-to-walk", help="Instead: train from nothing until the robot walks.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.001, help="With it: when to give up (min).")] = 10.0,
    seeds: Annotated[int, typer.Option(min=1, help="With it: trainings.")] = 1,
    json_file: JsonFile = None,
) -> None:
    """Environment steps a second while learning, ours beside Stable-Baselines3 and rsl_rl, and where the time goes."""
    with _training_libraries():
        from humanoid_rl_ros.cli.bench_training import BenchOptions, run_training
        from humanoid_rl_ros.cli.bench_walking import run_time_to_walk

    options = BenchOptions(
        only=tuple(name.strip() for name in only.split(",") if name.strip()),
        task=task,
        robot=robot,
        environments=environments,
        held=held.value,
        settings=tuple(settings or ()),
        seed=seed,
        threads=threads,
        torch_threads=torch_threads,
    )
    if time_to_walk:
        run_time_to_walk(options, minutes=minutes, seeds=seeds, json_file=json_file, console=console)
    else:
        run_training(options, seconds=seconds, rounds=rounds, json_file=json_file, console=console)


@contextmanager
def _training_libraries() -> Iterator[None]:
    """Says what to install where an import finds a library missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__.partition(".")[0]):
            raise
        raise MissingDependencyError(
            f"training needs {error.name}, which is not installed: pip install 'humanoid_rl_ros[train]'"
        ) from None


def _version(value: bool) -> None:
    if value:
        console.print(f"humanoid_rl_ros {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of `humanoid_rl`."""
    try:
        app(standalone_mode=True)
    except HumanoidError as error:
        error_console.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        error_console.print("interrupted", markup=False)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)


if __name__ == "__main__":
    main()
