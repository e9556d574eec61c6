"""`humanoid_rl bag info`: a bag at a glance."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.bags.facts import BagFacts, inspect
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.recording import MEGABYTE
from humanoid_rl_ros.bags.writer import SCHEMA_KEY, VERSION_KEY
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import BagError


def run_info(path: Path, *, json_file: Path | None, console: Console) -> bool:
    """Print what a bag holds.

    Args:
        path: its folder, or one file.
        json_file: where the same goes, or None.
        console: where the tables go.

    Returns:
        Whether nothing is wrong with it.

    Raises:
        BagError: there is no bag.
    """
    facts = inspect(path)
    console.print(_topics(facts))
    console.print(_overview(facts))
    problems = [*facts.problems, *_found_by_reading(path, facts)]
    for problem in problems:
        console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, {**_as_json(facts), "problems": problems})
    return not problems


def _found_by_reading(path: Path, facts: BagFacts) -> list[str]:
    """What only shows when every message is read; nothing more of a bag that is known to be torn."""
    if facts.problems:
        return []
    try:
        with Bag(path) as bag:
            deque(bag.messages(), maxlen=0)
            return list(bag.problems)
    except BagError as error:
        return [str(error)]


def _topics(facts: BagFacts) -> Table:
    table = Table(title=escape(str(facts.path)), title_style="bold")
    for heading in ("topic", "type", "messages", "Hz", "lost"):
        table.add_column(heading, justify="left" if heading in ("topic", "type") else "right")
    lost = facts.lost()
    for name, count in sorted(facts.counts.items()):
        rate = f"{count / facts.seconds:.1f}" if facts.seconds else "–"
        gone = "–" if lost is None else str(lost.get(name, 0))
        table.add_row(escape(name), escape(facts.topics[name].type_name), str(count), rate, gone)
    return table


def _overview(facts: BagFacts) -> Table:
    table = Table(show_header=False)
    start = datetime.fromtimestamp(facts.start_ns * 1e-9).astimezone().isoformat(sep=" ", timespec="milliseconds")
    files = [f"{f.name} ({size / MEGABYTE:.1f} MB)" for f, size in zip(facts.files, facts.sizes, strict=True)]
    version = facts.custom.get(VERSION_KEY)
    setups = sorted(name for name, count in facts.counts.items() if name.endswith("/setup") and count)
    rows = {
        "begins": start if facts.start_ns else "–",
        "lasts": f"{facts.seconds:.3f} s",
        "messages": str(sum(facts.counts.values())),
        "files": "\n".join(files),
        "recorded by": f"humanoid_rl_ros {version}" if version else "not said",
        "because of": facts.custom.get("humanoid_rl_reason", ""),
        "recovered": "yes" if "humanoid_rl_recovered" in facts.custom else "",
        "setup of": ", ".join(setups) or "none: the nodes published none while it was recorded",
        "bundles": ", ".join(facts.bundles) or "none",
    }
    for key, value in rows.items():
        if value:
            table.add_row(escape(key), escape(value))
    return table


def _as_json(facts: BagFacts) -> dict[str, Any]:
    lost = facts.lost()
    return {
        "path": str(facts.path),
        "start_ns": facts.start_ns,
        "seconds": facts.seconds,
        "topics": {
            name: {
                "type": facts.topics[name].type_name,
                "count": count,
                "lost": None if lost is None else lost.get(name, 0),
            }
            for name, count in facts.counts.items()
        },
        "files": [{"name": f.name, "bytes": size} for f, size in zip(facts.files, facts.sizes, strict=True)],
        "version": facts.custom.get(VERSION_KEY),
        "schema": facts.custom.get(SCHEMA_KEY),
        "bundles": facts.bundles,
        "problems": facts.problems,
    }
