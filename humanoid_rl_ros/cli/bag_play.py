"""`humanoid_rl bag play`: a bag in simulated time to nodes that run, and how punctual it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.nodes.player_node import play
from humanoid_rl_ros.nodes.player_performance import PlaySummary


def run_play(parameters: Mapping[str, Any], *, json_file: Path | None, console: Console) -> None:
    """Play until the end or a signal, and print what was played.

    Args:
        parameters: of `PlayerParameters`, by name.
        json_file: where the summary goes, or None.
        console: where the lines and the table go.

    Raises:
        HumanoidError: it could not start, or somebody appeared with whom it must not be mixed.
    """
    # An empty list has no type that ROS could infer.
    given = {name: value for name, value in parameters.items() if value != []}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.1f} of {task.total:.1f} s"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("playing", total=1.0)

        def say(line: str) -> None:
            loud = "bold red" if line.startswith("WARNING") else None
            bar.console.print(line, style=loud, markup=False, soft_wrap=True)

        summary = play(given, say=say, progress=lambda done, total: bar.update(task, completed=done, total=total))
    console.print(_table(summary))
    console.print(summary.line(), markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, as_json(summary))
    if summary.failure is not None:
        raise summary.failure


def as_json(summary: PlaySummary) -> dict[str, Any]:
    """A summary made of JSON types."""
    return {**asdict(summary), "failure": str(summary.failure) if summary.failure is not None else None}


def _table(summary: PlaySummary) -> Table:
    table = Table()
    table.add_column("topic")
    table.add_column("messages", justify="right")
    for name, count in sorted(summary.counts.items()):
        table.add_row(escape(name), str(count))
    return table
