"""`humanoid_rl`: one entry point; every command ends with one clear line when it cannot do what was asked."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from humanoid_rl_ros import __version__
from humanoid_rl_ros.cli.bag_commands import bag_app
from humanoid_rl_ros.cli.bench_commands import bench_app
from humanoid_rl_ros.cli.map_commands import map_app, navigate
from humanoid_rl_ros.cli.policy_commands import policy_app
from humanoid_rl_ros.cli.safety_commands import safety_app
from humanoid_rl_ros.cli.terminal import JsonFile, console, error_console, training_libraries
from humanoid_rl_ros.core.errors import HumanoidError

app = typer.Typer(
    help="Run a learned policy on a humanoid with ROS 2, keep the robot safe, and see what happened.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
robot_app = typer.Typer(help="Robot files.", no_args_is_help=True)
app.add_typer(robot_app, name="robot")
app.add_typer(policy_app, name="policy")
app.add_typer(bag_app, name="bag")
app.add_typer(bench_app, name="bench")
app.add_typer(safety_app, name="safety")
app.add_typer(map_app, name="map")
app.command("navigate")(navigate)


Terrain = Annotated[float, typer.Option(min=0.0, max=0.5, help="Height of hills to walk over (m).")]
Payload = Annotated[float, typer.Option(min=0.0, max=2.0, help="Load, as a share of the robot's mass.")]


class Mode(str, Enum):
    """How simulated time passes."""

    lockstep = "lockstep"
    realtime = "realtime"


class CommandType(str, Enum):
    """Message type of joint commands."""

    float64_multi_array = "float64_multi_array"
    joint_state = "joint_state"


class CmdVelType(str, Enum):
    """Message type of velocity commands."""

    twist_stamped = "twist_stamped"
    twist = "twist"


@app.command()
def demo(
    robot: Annotated[
        str,
        typer.Option(
            help="Shipped robot, robot YAML, or model file (MJCF, URDF); by default the policy's, or reference."
        ),
    ] = "",
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
    terrain: Terrain = 0.0,
    payload: Payload = 0.0,
    weak_joint: Annotated[
        str, typer.Option(metavar="'JOINT SHARE'", help="Joint that gives a share of its effort alone.")
    ] = "",
    json_file: JsonFile = None,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="Where to draw the run.")] = Path(
        "humanoid_rl_demo.png"
    ),
    robots: Annotated[
        int, typer.Option(min=0, max=8, help="Robots in one world, each in a namespace; by default the one.")
    ] = 0,
    team: Annotated[str, typer.Option(metavar="NAMES", help="Their names, apart by commas, such as left,right.")] = "",
    kill: Annotated[
        list[str] | None,
        typer.Option(metavar="'T NAME'", help="End the policy of a robot of a team after T s; may be repeated."),
    ] = None,
) -> None:
    """Start simulation, policy and safety monitor as three ROS 2 nodes and watch them; exit 0 if the robot stood."""
    from humanoid_rl_ros.cli.demo import DemoOptions, parse_pushes, run_demo
    from humanoid_rl_ros.cli.team_demo import parse_kills, run_team_demo, team_names
    from humanoid_rl_ros.nodes.launch_arguments import borne

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
        borne(terrain, payload, weak_joint),
    )
    names = team_names(robots, team)
    kills = parse_kills(kill or [], names)
    if not (run_team_demo(options, names, kills, console) if names else run_demo(options, console)):
        raise typer.Exit(1)


@app.command()
def train(
    algorithm: Annotated[
        str, typer.Argument(metavar="q_learning|sarsa|reinforce|dqn|td3|ppo|sac", help="How to learn.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of the whole run, of all robots together.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the run.")],
    task: Annotated[
        str | None,
        typer.Option(help="Shipped task (walk, reach, formation, …), task YAML, or gymnasium:ID; walk by default."),
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
    env: Annotated[
        str, typer.Option(metavar="process|ros", help="Where the physics runs: in this process, or behind ROS topics.")
    ] = "process",
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="With --env ros: of a simulator that runs, one for each robot; without, they are started."),
    ] = None,
) -> None:
    """Train a policy in simulation; Ctrl-C saves and leaves, --resume goes on, FOLDER/policy is what it learned."""
    with training_libraries():
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
        env=env,
        namespaces=tuple(namespace or ()),
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
    with training_libraries():
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
    terrain: Terrain = 0.0,
    payload: Payload = 0.0,
    weak: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of its effort that one joint gives.")] = 1.0,
    weak_joint: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="With --weak: joints among which it is drawn; may be repeated."),
    ] = None,
    noise: Annotated[float, typer.Option(min=0.0, help="Factor on the task's own noise and sensor errors.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the physics; one per core by default.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of a team: draw the paths of its robots (PNG or SVG).")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Survival, tracking error, energy and effort over commands and pushes; exit 0 if no robot fell."""
    with training_libraries():
        from humanoid_rl_ros.cli.evaluate import EvaluateOptions, parse_command, run_evaluate
        from humanoid_rl_ros.envs.evaluation import EvaluationSpec

    options = EvaluateOptions(
        policy=policy,
        robot=robot,
        task=task,
        commands=[parse_command(text) for text in command or ()],
        pushes=push or (),
        spec=EvaluationSpec(
            repeats=repeats,
            seconds=seconds,
            friction=friction,
            mass=mass,
            terrain=terrain,
            payload=payload,
            weak=weak,
            weak_joints=tuple(weak_joint or ()),
            noise=noise,
            seed=seed,
        ),
        threads=threads,
        json_file=json_file,
        picture=picture,
    )
    if not run_evaluate(options, console):
        raise typer.Exit(1)


@app.command("onboard")
def onboard_command(
    robot: Annotated[str, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF).")],
    policy: Annotated[str, typer.Option(help="Shipped policy or bundle folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write; they stay there.")],
    name: Annotated[str, typer.Option(help="Of the services: NAME-safety-monitor, NAME-policy.")] = "humanoid",
    user: Annotated[str, typer.Option(help="User they run as; by default you.")] = "",
    namespace: Annotated[str, typer.Option(help="Of the nodes, for a robot among others.")] = "",
    profile: Annotated[
        str, typer.Option(metavar="FILE", help="Profile YAML instead of the shipped one; none for none.")
    ] = "",
    command_type: Annotated[
        CommandType, typer.Option(help="Joint commands that the robot's driver takes.")
    ] = CommandType.float64_multi_array,
    cmd_vel_type: Annotated[CmdVelType, typer.Option(help="Velocity commands.")] = CmdVelType.twist_stamped,
    base_velocity_topic: Annotated[
        str, typer.Option(metavar="TOPIC", help="Odometry of an estimator, for policies that observe the velocity.")
    ] = "",
    entry_blend: Annotated[
        float | None,
        typer.Option(min=0.0, max=60.0, help="Time to take over from the measured pose (s); the profile's by default."),
    ] = None,
    safety: Annotated[str, typer.Option(metavar="FILE", help="Safety YAML instead of the shipped one.")] = "",
    get_up: Annotated[str, typer.Option(help="Bundle that gets the robot up after a fall; by default none.")] = "",
    policies: Annotated[
        list[str] | None, typer.Option("--also", help="Further bundle to switch to; may be repeated.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
) -> None:
    """Write systemd units that run policy and safety monitor on a robot's computer, and their parameters."""
    from humanoid_rl_ros.cli.onboard import OnboardOptions, write_onboard

    options = OnboardOptions(
        robot=robot,
        policy=policy,
        folder=output,
        name=name,
        user=user,
        namespace=namespace,
        profile=profile,
        command_type=command_type.value,
        cmd_vel_type=cmd_vel_type.value,
        base_velocity_topic=base_velocity_topic,
        entry_blend=entry_blend,
        limits=safety,
        get_up=get_up,
        policies=policies or (),
        overwrite=overwrite,
    )
    write_onboard(options, console)


@app.command()
def doctor(
    robot: Annotated[str, typer.Option(help="Robot whose joints the joint states should have.")] = "",
    policy: Annotated[str, typer.Option(metavar="BUNDLE", help="Policy that should fit it, and its rates.")] = "",
    limits: Annotated[str, typer.Option(metavar="FILE", help="Safety YAML instead of the shipped one.")] = "",
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
    seconds: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="Time to listen to the graph (s); 0: the machine only.")
    ] = 3.0,
    json_file: JsonFile = None,
) -> None:
    """Look at the machine and the running graph, say what to do about each finding; exit 0 if there is no error."""
    from humanoid_rl_ros.cli.doctor import DoctorOptions, run_doctor

    if not run_doctor(DoctorOptions(robot, policy, limits, namespace, seconds, json_file), console):
        raise typer.Exit(1)


@robot_app.command("describe")
def robot_describe(
    model: Annotated[Path, typer.Argument(help="MJCF or URDF file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Robot YAML to write.")] = None,
    name: Annotated[str, typer.Option(help="Name of the robot; the model's by default.")] = "",
    imu: Annotated[str, typer.Option(help="Site or body that carries the IMU.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a robot YAML for any humanoid model, and say what was inferred."""
    from humanoid_rl_ros.cli.robot import describe_robot

    describe_robot(model, output, name, imu, console, error_console, overwrite=overwrite)


@robot_app.command("check")
def robot_check(robot: Annotated[str, typer.Argument(help="Shipped robot, robot YAML, or model file.")]) -> None:
    """Read a robot, load its model, stand it on the floor and hold it for two simulated seconds."""
    from humanoid_rl_ros.cli.robot import check_robot

    if not check_robot(robot, console):
        raise typer.Exit(1)


@robot_app.command("export")
def robot_export(
    robot: Annotated[str, typer.Argument(help="Shipped robot, robot YAML, or model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write into.")],
    policy: Annotated[str, typer.Option(help="Shipped policy or bundle whose pose and rate are taken.")] = "",
    state_rate: Annotated[
        float | None, typer.Option(min=1.0, help="Joint states per second (Hz); 500, or the policy's PD rate.")
    ] = None,
    substeps: Annotated[
        int, typer.Option(min=0, help="Physics steps for one joint state; 0: steps of 2 ms or less.")
    ] = 0,
    real_time_factor: Annotated[float, typer.Option(min=0.0, help="Speed of Gazebo; 0: as fast as it can.")] = 1.0,
    namespace: Annotated[str, typer.Option(help="Namespace of nodes and topics.")] = "",
    distro: Annotated[str, typer.Option(help="ROS distribution, which names plugins; else the sourced one.")] = "",
    hardware: Annotated[
        str, typer.Option(metavar="PLUGIN", help="For a real robot: its ros2_control plugin, in place of Gazebo's.")
    ] = "",
    meshes: Annotated[
        str, typer.Option(metavar="PREFIX", help="What mesh names start with, such as package://my_robot/meshes.")
    ] = "",
    fold_rotors: Annotated[
        bool | None,
        typer.Option(
            "--fold-rotors/--no-fold-rotors",
            help="Add joint armature, which URDF has not, to the links; for Gazebo yes, for hardware no.",
        ),
    ] = None,
    safety: Annotated[str, typer.Option(metavar="FILE", help="Safety YAML instead of the shipped one.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
) -> None:
    """Write what Gazebo and ros2_control read: robot.urdf, controllers.yaml, world.sdf, bridge.yaml, meshes."""
    from humanoid_rl_ros.cli.robot_export import ExportRequest, run_export

    request = ExportRequest(
        robot=robot,
        folder=output,
        policy=policy,
        state_rate=state_rate,
        substeps=substeps,
        real_time_factor=real_time_factor,
        namespace=namespace,
        distribution=distro,
        hardware=hardware,
        meshes=meshes,
        fold_rotors=fold_rotors,
        safety=safety,
        overwrite=overwrite,
    )
    run_export(request, console, error_console)


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
