"""`humanoid_rl bag record`: the recorder in this process, and what it has come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.bags.recording import MEGABYTE
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.nodes.recorder_node import record
from humanoid_rl_ros.nodes.recorder_parameters import RecordingSummary


def run_record(parameters: Mapping[str, Any], *, namespace: str, json_file: Path | None, console: Console) -> None:
    """Record until a signal, and print what was recorded.

    Args:
        parameters: of `RecorderParameters`, by name.
        namespace: of the nodes.
        json_file: where the summary goes, or None.
        console: where the table goes.

    Raises:
        HumanoidError: it could not start, or ended by itself: the disk is full, or nearly.
    """
    # An empty list has no type that ROS could infer.
    given = {name: value for name, value in parameters.items() if value != []}
    summary = record(given, namespace)
    console.print(_table(summary))
    console.print(summary.line(), markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, as_json(summary))
    if summary.failure is not None:
        raise summary.failure


def as_json(summary: RecordingSummary) -> dict[str, Any]:
    """A summary made of JSON types."""
    return {
        "bags": [str(bag) for bag in summary.bags],
        "seconds": summary.seconds,
        "messages": summary.messages,
        "megabytes": summary.bytes / MEGABYTE,
        "counts": summary.counts,
        "lost": summary.lost,
        "dropped": summary.dropped,
        "failure": str(summary.failure) if summary.failure is not None else None,
    }


def _table(summary: RecordingSummary) -> Table:
    table = Table()
    for heading in ("topic", "messages", "lost", "dropped"):
        table.add_column(heading, justify="left" if heading == "topic" else "right")
    for name in sorted(summary.counts):
        numbers = (summary.counts[name], summary.lost.get(name, 0), summary.dropped.get(name, 0))
        table.add_row(escape(name), *(str(number) for number in numbers))
    return table
