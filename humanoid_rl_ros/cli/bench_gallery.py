"""`humanoid_rl bench gallery`: every bundle of a folder walks through the ROS graph, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.bundle import FILE_NAME

SLACK_S = 120.0
SLOWEST = 0.05
"""Real-time factor at which a run is given up."""


@dataclass(frozen=True)
class GalleryOptions:
    """What `humanoid_rl bench gallery` was asked.

    Attributes:
        folder: holds the bundles.
        robot: of them all; empty for each one's own.
        seconds: simulated time of each run [s].
        command: [m/s, m/s, rad/s].
        only: parts of folder names; empty for all.
        pictures: where the runs are drawn, or None.
    """

    folder: Path
    robot: str = ""
    seconds: float = 20.0
    command: tuple[float, float, float] = (0.5, 0.0, 0.0)
    only: Sequence[str] = ()
    pictures: Path | None = None


def run_gallery(options: GalleryOptions, *, json_file: Path | None, console: Console) -> bool:
    """Let them walk, and print the table.

    Each run is a `humanoid_rl demo` of its own: three nodes, real DDS, lock-step. One that cannot run takes no other
    along.

    Args:
        options: which, and how long.
        json_file: where the results go, or None.
        console: where the table goes.

    Returns:
        Whether every robot stood to the end.

    Raises:
        ConfigError: there is no bundle.
    """
    folders = [
        path.parent
        for path in sorted(options.folder.glob(f"*/{FILE_NAME}"))
        if not options.only or any(part in path.parent.name for part in options.only)
    ]
    if not folders:
        raise ConfigError(f"{options.folder}: no bundle in it, that is no folder with {FILE_NAME}")
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    for folder in folders:
        console.print(f"{folder.name} …", markup=False, soft_wrap=True)
        results.append({"bundle": folder.name, **_run(folder, options)})
        console.print(f"  {_outcome(results[-1])}", markup=False, soft_wrap=True)
    console.print(_table(results, options))
    if json_file is not None:
        write_json(json_file, {"seconds": options.seconds, "command": options.command, "results": results})
    return all(result.get("stood", False) for result in results)


def _run(folder: Path, options: GalleryOptions) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "result.json"
        picture = (options.pictures or Path(scratch)).absolute() / f"{folder.name}.png"
        command = [sys.executable, "-m", "humanoid_rl_ros", "demo", "--policy", str(folder.absolute())]
        command += ["--robot", options.robot] if options.robot else []
        command += ["--command", *map(str, options.command), "--seconds", str(options.seconds)]
        command += ["--json", str(file), "--picture", str(picture), "--get-up", "none"]
        timeout = SLACK_S + options.seconds / SLOWEST
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return {"error": f"did not come to an end within {timeout:g} s"}
        if file.is_file():
            result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return result
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"error": lines[-1].removeprefix("error: ")}


def _outcome(result: Mapping[str, Any]) -> str:
    if "error" in result:
        return f"not run: {result['error']}"
    speed, seconds = result["mean_speed"], result["seconds_upright"]
    why = "" if result["stood"] else f": {result['safety_state']} {result['safety_reason']}"
    return f"upright {seconds:.1f} s, {speed:.2f} m/s{why}"


def _table(results: Sequence[Mapping[str, Any]], options: GalleryOptions) -> Table:
    asked = " ".join(f"{value:g}" for value in options.command)
    table = Table(title=f"{options.seconds:g} s at ({asked}) m/s m/s rad/s, lock-step", title_style="bold")
    for heading in ("policy", "robot"):
        table.add_column(heading)
    for heading in ("upright\ns", "speed\nm/s", "at limit\n%", "clamped\n%", "tick p50\nms", "tick p99\nms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        if "error" in result:
            table.add_row(escape(result["bundle"]), f"[red]{escape(result['error'])}[/]", *[""] * 6)
            continue
        colour = "green" if result["stood"] else "red"
        tick = result["inference_ms"]
        table.add_row(
            escape(result["bundle"]),
            escape(result["robot"]),
            f"[{colour}]{result['seconds_upright']:.1f}[/]",
            f"{result['mean_speed']:.2f}",
            f"{100.0 * result['effort_at_limit']:.1f}",
            f"{100.0 * result['clamped_fraction']:.1f}",
            f"{tick['p50']:.2f}",
            f"{tick['p99']:.2f}",
        )
    return table
