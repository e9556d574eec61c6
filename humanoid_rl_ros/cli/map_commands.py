"""`humanoid_rl map` and `humanoid_rl navigate`: floors, and robots that cross them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from humanoid_rl_ros.cli.terminal import JsonFile, console, error_console
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.navigation.map_file import parse_point

map_app = typer.Typer(help="Maps of the floor, as of nav2's map_server.", no_args_is_help=True)
MapName = Annotated[str, typer.Argument(metavar="MAP", help="Shipped map, or a map's YAML.")]


@map_app.command("show")
def map_show(
    name: MapName,
    goal: Annotated[str, typer.Option(metavar="X,Y", help="Show the grid that leads there (m).")] = "",
    cell: Annotated[float, typer.Option(help="Edge of the grid's cells (m).")] = 0.25,
    radius: Annotated[float, typer.Option(help="Of the robot (m).")] = 0.3,
    moves: Annotated[int, typer.Option(help="4 or 8 directions.")] = 8,
) -> None:
    """Size and squares of a map; with --goal the grid that a way is learned on."""
    from humanoid_rl_ros.cli.map_show import show_map

    show_map(name, parse_point(goal, "--goal") if goal else None, cell, radius, moves, console)


@map_app.command("save")
def map_save(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="YAML; a .pgm is written beside it.")],
    topic: Annotated[str, typer.Option(help="Of the nav_msgs/OccupancyGrid.")] = "map",
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to wait for it (s).")] = 10.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
) -> None:
    """Write the map that somebody publishes as a file."""
    from humanoid_rl_ros.cli.map_save import save_published_map

    save_published_map(output, topic, namespace, seconds, console, overwrite=overwrite)


def navigate(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Shipped navigation bundle, or its folder.")],
    floor: Annotated[
        str, typer.Option("--map", metavar="MAP", help="What stands in the world; by default the bundle's map.")
    ] = "",
    start: Annotated[
        str,
        typer.Option(metavar="X,Y[,YAW]", help="Start (m, rad); by default where the way is the longest."),
    ] = "",
    robot: Annotated[str, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF).")] = "reference",
    policy: Annotated[str, typer.Option(help="Policy that walks; by default the one shipped for the robot.")] = "",
    realtime: Annotated[bool, typer.Option("--realtime", help="Step by the wall clock, not in lock-step.")] = False,
    seconds: Annotated[float, typer.Option(min=0.0, help="Simulated time it may take (s); 0: by the way.")] = 0.0,
    json_file: JsonFile = None,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="Where to draw the walk.")] = Path(
        "humanoid_rl_navigate.png"
    ),
) -> None:
    """Let a simulated robot walk to the goal by a learned policy, through the ROS graph; exit 0 if it arrives."""
    from humanoid_rl_ros.cli.navigate import NavigateOptions, run_navigate

    options = NavigateOptions(
        bundle=bundle,
        floor=floor,
        start=start_of(start),
        robot=robot,
        policy=policy,
        mode="realtime" if realtime else "lockstep",
        seconds=seconds,
        json_file=json_file,
        picture=picture,
    )
    result = run_navigate(options, console)
    if not result.succeeded:
        error_console.print(f"error: {result.outcome}", style="red", markup=False)
        raise typer.Exit(1)


def start_of(text: str) -> tuple[float, ...]:
    """A place that was given as text: x, y [m], yaw [rad]; empty for none.

    Raises:
        ConfigError: it is not two or three numbers.
    """
    words = text.replace(",", " ").split()
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        numbers = (0.0,)
    if len(numbers) not in (0, 2, 3):
        raise ConfigError(f"--start is two or three numbers, 'x,y' or 'x,y,yaw', found '{text}'")
    return numbers
