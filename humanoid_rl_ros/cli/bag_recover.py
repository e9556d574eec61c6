"""`humanoid_rl bag recover`: what could be read, and what could not."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.bags.recover import Recovery, recover
from humanoid_rl_ros.cli.files import write_json


def run_recover(bag: Path, output: Path | None, *, json_file: Path | None, console: Console) -> None:
    """Recover a bag and print what became of it.

    Args:
        bag: folder or file.
        output: folder to make, or None for the bag's own.
        json_file: where the result goes, or None.
        console: where the tables go.

    Raises:
        BagError: nothing can be recovered.
    """
    with console.status("reading"):
        recovery = recover(bag, output)
    console.print(_files(recovery))
    console.print(_topics(recovery))
    until = datetime.fromtimestamp(recovery.end_ns * 1e-9).astimezone().isoformat(timespec="milliseconds")
    total = sum(recovery.counts.values())
    console.print(
        f"{recovery.folder}: {total} messages until {until}; {recovery.lost_bytes} bytes behind tears are lost",
        markup=False,
        soft_wrap=True,
    )
    for kept in recovery.kept:
        console.print(f"the original is kept as {kept}", markup=False, soft_wrap=True)
    if json_file is not None:
        files = [asdict(file) for file in recovery.files]
        write_json(
            json_file,
            {
                "folder": str(recovery.folder),
                "files": files,
                "counts": recovery.counts,
                "end_ns": recovery.end_ns,
                "lost_bytes": recovery.lost_bytes,
                "kept": [str(path) for path in recovery.kept],
            },
        )


def _files(recovery: Recovery) -> Table:
    table = Table()
    for heading in ("file", "was", "messages", "lost bytes", "why"):
        table.add_column(heading, justify="right" if heading in ("messages", "lost bytes") else "left")
    for file in recovery.files:
        reason = file.reason or (f"{file.bad_chunks} damaged chunks" if file.bad_chunks else "")
        table.add_row(escape(file.name), file.state, str(file.facts.count), str(file.lost_bytes), escape(reason))
    return table


def _topics(recovery: Recovery) -> Table:
    table = Table()
    table.add_column("topic")
    table.add_column("messages", justify="right")
    for name, count in sorted(recovery.counts.items()):
        table.add_row(escape(name), str(count))
    return table
