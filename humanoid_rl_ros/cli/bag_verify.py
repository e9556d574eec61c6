"""`humanoid_rl bag verify`: a folder of reference recordings through the code as it is now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.metadata import METADATA
from humanoid_rl_ros.bags.replay import ReplayOptions
from humanoid_rl_ros.bags.replay_summary import ReplaySummary
from humanoid_rl_ros.cli.bag_replay import field_text, replayed
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import BagError, HumanoidError


def run_verify(folder: Path, options: ReplayOptions, *, json_file: Path | None, console: Console) -> bool:
    """Replay every bag of a folder, and print which of them the code still does what it did.

    Args:
        folder: of bags, or one bag; bundles that several of them share may lie in its ``bundles``.
        options: how they are replayed.
        json_file: where the results go, or None.
        console: where they are shown.

    Returns:
        Whether nothing differs by more than the tolerance in any of them.

    Raises:
        BagError: there is no bag.
    """
    bags = find_bags(folder)
    options = replace(options, bundles=(*options.bundles, folder / BUNDLES))
    found: dict[str, ReplaySummary | str] = {}
    for bag in bags:
        try:
            found[str(bag)] = replayed(bag, options, console)
        except HumanoidError as error:
            found[str(bag)] = str(error)
    console.print(_table(found, options))
    if json_file is not None:
        write_json(json_file, {"tolerance": options.tolerance, "bags": {k: _plain(v) for k, v in found.items()}})
    return all(isinstance(summary, ReplaySummary) and summary.flawless for summary in found.values())


def find_bags(folder: Path) -> list[Path]:
    """The bags of a folder, by name; the folder itself where it is one.

    Raises:
        BagError: there is none.
    """
    if (folder / METADATA).is_file() or folder.suffix in (".mcap", ".db3"):
        return [folder]
    found = sorted({path.parent for kind in (METADATA, "*.mcap", "*.db3") for path in folder.glob(f"*/{kind}")})
    if not found:
        raise BagError(f"{folder}: no bag in it, that is no folder with {METADATA} or an .mcap or .db3 file")
    return found


def _plain(result: ReplaySummary | str) -> dict[str, Any]:
    return {"error": result} if isinstance(result, str) else result.as_json()


def _table(found: dict[str, ReplaySummary | str], options: ReplayOptions) -> Table:
    table = Table(title=f"replayed by the code as it is; tolerance {options.tolerance:g}", title_style="bold")
    for heading in ("bag", "result"):
        table.add_column(heading, overflow="fold")
    for heading in ("messages", "to the bit", "× real time"):
        table.add_column(heading, justify="right")
    for name, result in found.items():
        if isinstance(result, str):
            table.add_row(escape(Path(name).name), f"[red]{escape(result)}[/]", "", "", "")
            continue
        counts = [count for node in result.nodes.values() for count in node.counts.values()]
        identical = sum(count.identical for count in counts)
        colour = "green" if result.flawless else "red"
        speed = result.duration / result.wall if result.wall else 0.0
        table.add_row(
            escape(Path(name).name),
            f"[{colour}]{escape(outcome(result))}[/]",
            str(result.compared),
            str(identical),
            f"{speed:.0f}",
        )
    return table


def outcome(result: ReplaySummary) -> str:
    """For people, in one line."""
    if result.same and not result.flawless:
        return "; ".join(result.problems) or "the same outwardly; its inner state is another"
    if result.identical:
        return "the same to the bit"
    if result.same:
        return "the same within the tolerance"
    if result.first is None:
        return "; ".join(result.problems) or "nothing was compared"
    first = result.first
    where = f"{first.topic} message {first.number}: {first.kind}"
    return where + (f", {field_text(first.fields[0])}" if first.fields else "")
