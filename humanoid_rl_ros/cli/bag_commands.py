"""`humanoid_rl bag …`: what happened is recorded, made whole, replayed, compared, looked at."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from humanoid_rl_ros.cli.terminal import JsonFile, console

bag_app = typer.Typer(help="Bags: recordings of the graph, as rosbag2 has them.", no_args_is_help=True)


class Compression(str, Enum):
    """Of a bag's chunks."""

    zstd = "zstd"
    lz4 = "lz4"
    none = "none"


@bag_app.command("record")
def bag_record(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make; by default bag_<date>_<time>."),
    ] = None,
    topics: Annotated[
        list[str] | None, typer.Option("--topics", help="Topic beside those of the table; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every topic that is not hidden.")] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of the nodes.")] = "",
    split_size: Annotated[float, typer.Option(min=0.0, help="Size of one file (MB); 0 for any.")] = 1000.0,
    split_time: Annotated[float, typer.Option(min=0.0, help="Time in one file (s); 0 for any.")] = 1800.0,
    min_free: Annotated[float, typer.Option(min=0.0, help="Free disk space to leave (MB).")] = 500.0,
    memory: Annotated[float, typer.Option(min=0.001, help="Messages kept in memory at most (MB).")] = 256.0,
    compression: Annotated[Compression, typer.Option(help="Of the bag.")] = Compression.zstd,
    flight: Annotated[
        float,
        typer.Option(min=0.0, max=3600.0, help="Keep the last so many seconds; write them at a fault (s)."),
    ] = 0.0,
    after: Annotated[float, typer.Option(min=0.0, max=600.0, help="With --flight: go on after a fault (s).")] = 5.0,
    seconds: Annotated[float, typer.Option(min=0.0, help="End after so long (s); 0 for never.")] = 0.0,
    bundles: Annotated[bool, typer.Option(help="Copy the bundles of the policies that run into the bag.")] = True,
    json_file: JsonFile = None,
) -> None:
    """Record the topics of the table, as MCAP in rosbag2's layout, until Ctrl-C; exit 2 if it ended by itself."""
    from humanoid_rl_ros.cli.bag_record import run_record

    parameters = {
        "output": str(output or ""),
        "topics": list(topics or ()),
        "all_topics": everything,
        "split_size": split_size,
        "split_time": split_time,
        "min_free": min_free,
        "memory": memory,
        "compression": compression.value,
        "flight": flight,
        "after": after,
        "seconds": seconds,
        "bundles": bundles,
    }
    run_record(parameters, namespace=namespace, json_file=json_file, console=console)


@bag_app.command("recover")
def bag_recover(
    bag: Annotated[Path, typer.Argument(help="Bag folder, with or without metadata.yaml, or one .mcap or .db3.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make; by default the bag's own."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Make a torn bag whole: read up to the tear, write the index anew, keep the original."""
    from humanoid_rl_ros.cli.bag_recover import run_recover

    run_recover(bag, output, json_file=json_file, console=console)


@bag_app.command("info")
def bag_info(
    bag: Annotated[Path, typer.Argument(help="Bag folder, or one .mcap or .db3.")],
    json_file: JsonFile = None,
) -> None:
    """Topics, rates, losses, files, what it carries and what is wrong with it; exit 1 if something is."""
    from humanoid_rl_ros.cli.bag_info import run_info

    if not run_info(bag, json_file=json_file, console=console):
        raise typer.Exit(1)


@bag_app.command("play")
def bag_play(
    bag: Annotated[Path, typer.Argument(help="Bag folder, or one .mcap or .db3.")],
    rate: Annotated[float, typer.Option(min=0.01, max=100.0, help="How fast; 2 is twice as fast as recorded.")] = 1.0,
    start: Annotated[float, typer.Option(min=0.0, help="Where to start, after the beginning of the bag (s).")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.0, help="How much of the bag to play (s); 0 for all.")] = 0.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, until Ctrl-C.")] = False,
    namespace: Annotated[
        str, typer.Option(help="Of the robot in the bag, / for none; by default the only one there is.")
    ] = "",
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="NAME", help="Topic beside what was measured and asked; may be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every topic but those that move motors.")] = False,
    with_actuators: Annotated[
        bool, typer.Option("--with-actuators", help="Those that move motors too: whoever listens moves.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0.0, max=600.0, help="How long to wait for subscribers (s).")] = 2.0,
    force: Annotated[
        bool, typer.Option("--force", help="Although a robot or a simulation is running, or a driver listens.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Play a recording in simulated time, as if the robot were there; its actuator topic is not played unasked.

    What the policy node and the safety monitor said is not played either: those that run say it anew. Exit 2 where a
    robot or a simulation is on the graph, or somebody listens whom it would move.
    """
    from humanoid_rl_ros.cli.bag_play import run_play

    parameters = {
        "bag": str(bag),
        "rate": rate,
        "start": start,
        "seconds": seconds,
        "loop": loop,
        "robot_namespace": namespace,
        "topics": list(topic or ()),
        "all_topics": everything,
        "with_actuators": with_actuators,
        "wait": wait,
        "force": force,
    }
    run_play(parameters, json_file=json_file, console=console)


@bag_app.command("replay")
def bag_replay(
    bag: Annotated[Path, typer.Argument(help="Bag folder, or one .mcap or .db3.")],
    policy: Annotated[
        str, typer.Option(metavar="BUNDLE", help="What would this policy have done? A shipped bundle, or a folder.")
    ] = "",
    safety: Annotated[str, typer.Option(metavar="FILE", help="What would these safety limits have done?")] = "",
    get_up: Annotated[str, typer.Option(metavar="BUNDLE", help="What would have got it up.")] = "",
    robot: Annotated[str, typer.Option(help="Robot; by default the recorded one, or the policy's own.")] = "",
    base_velocity_topic: Annotated[
        str, typer.Option(metavar="TOPIC", help="Odometry in the bag, for a policy that observes the base's velocity.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="With --policy or --safety: bag to make.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the nodes; by default the recorded one.")] = None,
    bundles: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Where bundles are looked for first; may be repeated.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest difference of a number that is none.")] = 0.0,
    until_divergence: Annotated[
        bool, typer.Option("--until-divergence", help="Stop at the first difference, and say where it is.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 for as many as there are cores.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Feed the recording to the very code that ran, and compare; exit 0 if it says the same, 1 if not.

    With another policy, other limits or another robot: what would they have done? That also goes with a bag that
    holds joint states and IMU alone.
    """
    if policy or safety or get_up or robot or output:
        from humanoid_rl_ros.bags.scene import WhatIf
        from humanoid_rl_ros.cli.bag_what_if import run_what_if

        if tolerance or until_divergence or jobs:
            raise typer.BadParameter("--tolerance, --until-divergence and --jobs are of a replay that asks no what if")
        asked = WhatIf(
            namespace=namespace,
            robot=robot,
            policy=policy,
            limits=safety,
            get_up=get_up,
            bundles=tuple(bundles or ()),
            base_velocity_topic=base_velocity_topic,
        )
        run_what_if(bag, asked, output, json_file=json_file, console=console)
        return
    from humanoid_rl_ros.bags.replay import ReplayOptions
    from humanoid_rl_ros.cli.bag_replay import run_replay

    options = ReplayOptions(
        namespace=namespace,
        bundles=tuple(bundles or ()),
        tolerance=tolerance,
        until_divergence=until_divergence,
        jobs=jobs,
    )
    if not run_replay(bag, options, json_file=json_file, console=console):
        raise typer.Exit(1)


@bag_app.command("diff")
def bag_diff(
    first: Annotated[Path, typer.Argument(help="A bag.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    align: Annotated[
        str,
        typer.Option(help="What is 0 of both: equal stamps, where the robot was first ACTIVE, or the start."),
    ] = "auto",
    namespace: Annotated[
        list[str] | None, typer.Option(help="Of the robot in both, or given twice, in each; by default the only one.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Line two recordings up, and say where and how they part; exit 0 if they are the same, 1 if not."""
    from humanoid_rl_ros.cli.bag_diff import run_diff

    names = tuple(namespace or ()) or (None,)
    if len(names) > 2:
        raise typer.BadParameter("--namespace is given once for both bags, or twice")
    both = (names[0], names[-1])
    if not run_diff(first, second, align=align, namespaces=both, json_file=json_file, console=console):
        raise typer.Exit(1)


@bag_app.command("verify")
def bag_verify(
    folder: Annotated[Path, typer.Argument(help="Folder of reference bags, or one bag.")],
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of a number that is none: another processor's last bits.")
    ] = 1e-3,
    bundles: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Where bundles are looked for first; may be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 for as many as there are cores.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Replay reference bags; exit 1 if the code does anything else than it did when they were recorded."""
    from humanoid_rl_ros.bags.replay import ReplayOptions
    from humanoid_rl_ros.cli.bag_verify import run_verify

    options = ReplayOptions(tolerance=tolerance, bundles=tuple(bundles or ()), jobs=jobs)
    if not run_verify(folder, options, json_file=json_file, console=console):
        raise typer.Exit(1)


@bag_app.command("report")
def bag_report(
    bag: Annotated[Path, typer.Argument(metavar="BAG", help="Folder of a bag, or one .mcap or .db3 file.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Page to write.")] = Path(
        "report.html"
    ),
    csv: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the numbers as CSV, too.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Draw the charts as PNG, too.")] = None,
    json_file: JsonFile = None,
    namespace: Annotated[
        str | None, typer.Option(help="Of the robot, where the bag holds several; / for none.")
    ] = None,
    robot: Annotated[
        str, typer.Option(help="Shipped robot, robot YAML, or model file; by default the one recorded in the bag.")
    ] = "",
    start: Annotated[float | None, typer.Option(min=0.0, help="Draw from this time on (s).")] = None,
    end: Annotated[float | None, typer.Option(min=0.0, help="Draw up to this time (s).")] = None,
) -> None:
    """Write one page that shows what happened: states, faults, motion, efforts, timing, missing messages."""
    from humanoid_rl_ros.cli.bag_report import ReportOptions, run_report

    run_report(ReportOptions(bag, output, csv, png, json_file, namespace, robot, start, end), console)
