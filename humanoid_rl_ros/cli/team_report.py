"""What came of a run of several robots: a table, and a picture of them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from humanoid_rl_ros.cli.demo_report import DemoResult
from humanoid_rl_ros.cli.observer import HeardRobot
from humanoid_rl_ros.core.errors import HumanoidError, MissingDependencyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.mujoco_render import render
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.shared_world import SharedWorld
from humanoid_rl_ros.simulation.team_model import Member

FRAME = 1280, 640
"""Width and height of the picture of the robots [pixel]."""


def team_table(results: Mapping[str, DemoResult], killed: Collection[str]) -> Table:
    """A row for each robot."""
    first = next(iter(results.values()))
    table = Table(
        *("robot", "outcome", "mean velocity", "lowest base", "largest tilt", "safety monitor"),
        title=f"{first.policy} · {first.mode} · {first.seconds:.2f} s at {first.real_time_factor:.2f} × real time",
        title_justify="left",
    )
    for name, result in results.items():
        outcome = result.outcome + (" (its policy was killed)" if name in killed else "")
        table.add_row(
            name,
            outcome,
            "({:.2f}, {:.2f}) m/s, {:.2f} rad/s".format(*result.mean_velocity),
            f"{result.min_height:.3f} m",
            f"{result.max_tilt_deg:.1f}°",
            result.safety_state + (f" ({result.safety_reason})" if result.safety_reason else ""),
        )
    return table


def draw_team(robots: Mapping[str, HeardRobot], results: Mapping[str, DemoResult], robot: RobotSpec, path: Path) -> str:
    """All robots at the end in one frame, their paths from above, and their heights over time, as a PNG.

    Args:
        robots: what was heard of each.
        results: what came of each.
        robot: what they are.
        path: the file.

    Returns:
        Why the frame is missing, or an empty text.

    Raises:
        HumanoidError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    note = ""
    try:
        image = _frame(robots, robot)
    except MissingDependencyError as error:
        image, note = None, f"no picture of the robots: {error}"
    first = next(iter(results.values()))
    figure = pyplot.figure(figsize=(12, 11 if image is not None else 6), layout="constrained")
    figure.suptitle(f"{len(robots)} × {first.robot} · policy {first.policy} · {first.mode}")
    rows: Any = [["frame", "frame"], ["path", "height"]] if image is not None else [["path", "height"]]
    axes: Any = figure.subplot_mosaic(rows, height_ratios=[1.3, 1.0] if image is not None else [1.0])
    if image is not None:
        axes["frame"].imshow(image)
        axes["frame"].set_axis_off()
    for i, (name, heard) in enumerate(robots.items()):
        way, colour = np.array(heard.path), f"C{i}"
        axes["path"].plot(way[:, 0], way[:, 1], color=colour, label=f"{name}: {results[name].outcome}")
        axes["path"].plot(*way[-1, :2], marker="o", color=colour)
        axes["height"].plot(heard.recording.time, heard.recording.height, color=colour, label=name)
    axes["path"].set(xlabel="x [m]", ylabel="y [m]", title="from above", aspect="equal", adjustable="datalim")
    highest = max(max(heard.recording.height) for heard in robots.values())
    axes["height"].set(xlabel="simulated time [s]", ylabel="base height [m]", ylim=(0.0, 1.15 * highest))
    for name in ("path", "height"):
        axes[name].grid(alpha=0.3)
        axes[name].legend(fontsize="small")
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as problem:  # a format that matplotlib does not know is a ValueError
        raise HumanoidError(f"cannot write {path}: {problem}") from None
    finally:
        pyplot.close(figure)
    return note


def _frame(robots: Mapping[str, HeardRobot], robot: RobotSpec) -> Any:
    """The robots where they were heard last."""
    world = SharedWorld([Member(name, robot) for name in robots], visual=True)
    for name, heard in robots.items():
        pose = np.array(
            [heard.joints.get(j, q) for j, q in zip(robot.joint_names, robot.default_position, strict=True)]
        )
        world.robots[name].place(
            Placement(base_position=heard.position, base_orientation=heard.orientation, joint_position=pose)
        )
    return render(world, width=FRAME[0], height=FRAME[1])
