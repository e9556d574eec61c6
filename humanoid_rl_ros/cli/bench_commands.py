"""`humanoid_rl bench …`: measurements."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from humanoid_rl_ros.cli.terminal import JsonFile, Robot, console, training_libraries

bench_app = typer.Typer(help="Measurements.", no_args_is_help=True)


class Held(str, Enum):
    """What becomes of joints that a policy does not drive while it is trained."""

    welded = "welded"
    simulated = "simulated"


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


@bench_app.command("adaptation")
def bench_adaptation(
    policies: Annotated[
        list[str] | None, typer.Argument(metavar="POLICY|RUN|CHECKPOINT", help="By default walk_adaptive and walk.")
    ] = None,
    robot: Robot = "reference",
    task: Annotated[str, typer.Option(help="Task whose noise, falls and load count.")] = "walk_adaptive",
    repeats: Annotated[int, typer.Option(min=1, help="Robots of each of four commands, in each round.")] = 8,
    seconds: Annotated[float, typer.Option(min=3.0, help="Simulated time (s).")] = 15.0,
    seeds: Annotated[int, typer.Option(min=1, help="Rounds, each with a chance of its own.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the first round.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Part of a condition's name; may be repeated.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the physics; one per core by default.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Falls, way and tracking error over hills, with loads and weak joints, of policies that meet the same chance."""
    with training_libraries():
        from humanoid_rl_ros.cli.bench_adaptation import AdaptationOptions, run_adaptation

    names = tuple(policies or ("walk_adaptive", "walk"))
    options = AdaptationOptions(names, robot, task, repeats, seconds, seeds, seed, tuple(only or ()), threads)
    run_adaptation(options, json_file=json_file, console=console)


@bench_app.command("ros-env")
def bench_ros_env(
    task: Annotated[str, typer.Option(help="Shipped task or task YAML.")] = "walk",
    robot: Robot = "reference",
    robots: Annotated[int, typer.Option(min=1, help="Robots stepped together, each with a simulator.")] = 1,
    steps: Annotated[int, typer.Option(min=10, help="Control steps of a turn.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of episodes and actions.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Steps a second of an environment over ROS beside the same one in this process; exit 0 if not a bit differs."""
    with training_libraries():
        from humanoid_rl_ros.cli.bench_ros_env import RosEnvOptions, run_ros_env

    options = RosEnvOptions(task, robot, robots, steps, rounds, seed)
    if run_ros_env(options, json_file=json_file, console=console).steps_differing:
        raise typer.Exit(1)


@bench_app.command("learners")
def bench_learners(
    task: Annotated[str, typer.Option(help="As `humanoid_rl train` takes it.")] = "gymnasium:CliffWalking-v1",
    learner: Annotated[list[str] | None, typer.Option(help="Which; all that suit the task by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of each learner.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of each run.")] = 20_000,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Of the runs and the picture.")] = Path("runs/learners"),
    every: Annotated[
        int | None, typer.Option(min=1, metavar="STEPS", help="Between two evaluations; a twentieth of a run.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[LEARNER:]KEY=VALUE", help="For all learners, or for one; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 1,
    json_file: JsonFile = None,
) -> None:
    """Train the learners that suit a task, several seeds each: curves with confidence bands, beside what is known."""
    with training_libraries():
        from humanoid_rl_ros.cli.bench_learners import LearnersOptions, run_learners

    options = LearnersOptions(
        task=task,
        learners=tuple(learner or ()),
        seeds=seeds,
        steps=steps,
        out=out,
        every=every,
        settings=tuple(settings or ()),
        jobs=jobs,
        json_file=json_file,
    )
    run_learners(options, console)


@bench_app.command("gallery")
def bench_gallery(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of bundles.")],
    robot: Annotated[str, typer.Option(help="Robot of them all; by default each policy's own.")] = "",
    seconds: Annotated[float, typer.Option(min=1.0, help="Simulated time (s).")] = 20.0,
    command: Annotated[
        tuple[float, float, float], typer.Option(metavar="X Y YAW", help="Velocity command (m/s, m/s, rad/s).")
    ] = (0.5, 0.0, 0.0),
    only: Annotated[list[str] | None, typer.Option(help="Part of a bundle's folder name; may be repeated.")] = None,
    pictures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where to draw the runs.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Let every bundle of a folder walk through the ROS graph in lock-step; exit 0 if all stood."""
    from humanoid_rl_ros.cli.bench_gallery import GalleryOptions, run_gallery

    options = GalleryOptions(folder, robot, seconds, command, tuple(only or ()), pictures)
    if not run_gallery(options, json_file=json_file, console=console):
        raise typer.Exit(1)


@bench_app.command("tick")
def bench_tick(
    bundles: Annotated[
        list[str] | None, typer.Argument(metavar="BUNDLE", help="Bundles; by default the benchmark's 512-256-128.")
    ] = None,
    robot: Annotated[str, typer.Option(help="Robot of them all; by default each policy's own.")] = "",
    inferences: Annotated[int, typer.Option(min=100, help="Of each bundle in one turn.")] = 5000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each bundle, to even out a busy machine.")] = 3,
    json_file: JsonFile = None,
) -> None:
    """Time the policy node from a joint state's bytes to the published effort, for states that take an inference."""
    from humanoid_rl_ros.cli.bench_tick import run_tick

    run_tick(bundles or [], robot=robot, inferences=inferences, rounds=rounds, json_file=json_file, console=console)


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


@bench_app.command("soak")
def bench_soak(
    seconds: Annotated[float, typer.Option(min=1.0, help="Time measured, after the warm-up (s).")] = 3600.0,
    rate: Annotated[int, typer.Option(min=50, max=1000, help="Joint states per second.")] = 500,
    robot: Robot = "reference",
    policy: Annotated[str, typer.Option(help="Bundle; by default the one shipped for the robot.")] = "",
    command: Annotated[
        tuple[float, float, float], typer.Option(metavar="X Y YAW", help="Velocity command (m/s, m/s, rad/s).")
    ] = (0.5, 0.0, 0.0),
    warm_up: Annotated[float, typer.Option(min=0.0, help="Time before, in which caches fill (s).")] = 60.0,
    growth: Annotated[float, typer.Option(min=0.0, help="Memory by which a process may grow meanwhile (MB).")] = 8.0,
    record: Annotated[str, typer.Option(metavar="FOLDER", help="Also record the run, to a folder.")] = "",
    json_file: JsonFile = None,
    picture: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw what grew and came late.")] = None,
) -> None:
    """Let the whole graph walk in real time for an hour; exit 1 if something died, fell, or grew beyond its bound."""
    from humanoid_rl_ros.cli.bench_soak import SoakOptions, run_soak
    from humanoid_rl_ros.cli.soak_report import Bounds

    options = SoakOptions(
        robot=robot,
        policy=policy,
        seconds=seconds,
        warm_up=warm_up,
        rate=rate,
        command=command,
        record=record,
        bounds=Bounds(memory=growth),
        json_file=json_file,
        picture=picture,
    )
    if not run_soak(options, console):
        raise typer.Exit(1)


@bench_app.command("recording")
def bench_recording(
    topics: Annotated[int, typer.Option(min=1, help="Topics that are published.")] = 5,
    rate: Annotated[list[int], typer.Option(help="Messages per second of each; may be repeated.")] = [1000],  # noqa: B006  # typer copies it
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of one turn (s).")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns at each rate.")] = 3,
    kills: Annotated[int, typer.Option(min=0, help="Recordings that are killed at a random moment.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the moments.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Messages recorded and lost at a rate, and the seconds that a kill loses; exit 1 if a message was lost."""
    from humanoid_rl_ros.cli.bench_recording import RecordingOptions, run_recording

    options = RecordingOptions(topics, tuple(rate), seconds, rounds, kills, seed)
    if not run_recording(options, json_file=json_file, console=console):
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
    with training_libraries():
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
