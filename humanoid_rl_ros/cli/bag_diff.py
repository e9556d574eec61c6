"""`humanoid_rl bag diff`: two recordings lined up, and where they part."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.bags.diff import diff_bags
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.run_difference import COMPLETE, Place, RunDifference, StateChange, as_json
from humanoid_rl_ros.cli.files import write_json

STATES_SHOWN = 30


def run_diff(
    first: Path,
    second: Path,
    *,
    align: str,
    namespaces: tuple[str | None, str | None],
    json_file: Path | None,
    console: Console,
) -> bool:
    """Compare, and print how and where they part.

    Args:
        first, second: the bags.
        align: as `humanoid_rl_ros.bags.runs.line_up` takes it.
        namespaces: of the robot in each; None for the one there is.
        json_file: where everything goes, or None.
        console: where it is shown.

    Returns:
        Whether they are the same to the bit.

    Raises:
        BagError: a bag cannot be read, or they cannot be lined up.
    """
    with Bag(first) as one, Bag(second) as other:
        found = diff_bags(one, other, align=align, namespaces=namespaces)
    show_difference(found, (str(first), str(second)), console)
    if json_file is not None:
        write_json(json_file, {"first": str(first), "second": str(second), **as_json(found)})
    return found.identical


def show_difference(found: RunDifference, names: tuple[str, str], console: Console) -> None:
    """Print it all.

    Args:
        found: what came of the comparison.
        names: of the two runs.
        console: where it is shown.
    """
    zero = ", ".join(f"{origin:.3f} s" for origin in found.origins)
    console.print(f"lined up {found.aligned} (0 is at {zero} of the bags)", markup=False, soft_wrap=True)
    console.print(_signals(found, names))
    if any(found.states):
        console.print(_states(found, names))
    for line in (*(f"note: {text}" for text in found.missing), *(f"note: {text}" for text in found.problems)):
        console.print(line, markup=False, soft_wrap=True)
    for line in verdict(found):
        console.print(line, markup=False, soft_wrap=True)


def verdict(found: RunDifference) -> list[str]:
    """For people: where they part."""
    if found.identical:
        return ["the same: every number that was compared, and every state of the safety monitor"]
    lines = []
    if found.incomplete:
        names = ", ".join(signal.name for signal in found.incomplete)
        lines.append(f"fewer than {100.0 * COMPLETE:.0f} % of the moments are in both: {names}")
    if found.first is not None:
        lines.append(f"first difference: {_where(*found.first)}")
    parted = found.parted
    together = "they stay together" + (" within the tolerances" if found.first else " in what both have")
    lines.append(together if parted is None else f"they part: {_where(*parted)}")
    if (states := found.state_parting) is not None:
        lines.append("the safety monitor parts: " + ", not ".join(_state(change) for change in states))
    return lines


def _where(name: str, place: Place) -> str:
    return f"{name} {place.column} at {place.time:+.3f} s: {place.first:.6g} and {place.second:.6g}"


def _state(change: StateChange | None) -> str:
    if change is None:
        return "nothing more"
    return f"{change.state} {change.reason}".rstrip() + f" at {change.time:+.3f} s"


def _signals(found: RunDifference, names: tuple[str, str]) -> Table:
    table = Table(title=f"{escape(names[0])}  and  {escape(names[1])}", title_style="bold")
    table.add_column("signal")
    for heading in ("compared", "the same", "rms", "tolerance", "parts at"):
        table.add_column(heading, justify="right")
    table.add_column("largest difference")
    for signal in found.signals:
        colour = "green" if signal.first is None else "yellow" if signal.parted is None else "red"
        largest = signal.largest
        table.add_row(
            signal.name + ("" if signal.exact else " ~"),
            str(signal.compared),
            f"[{colour}]{signal.identical}[/]",
            f"{signal.rms:.3g}" if signal.first else "",
            f"{signal.tolerance:g}",
            "" if signal.parted is None else f"{signal.parted.time:+.3f} s",
            "" if largest is None else f"{largest.size:.3g} {escape(largest.column)} at {largest.time:+.3f} s",
        )
    if not all(signal.exact for signal in found.signals):
        table.caption = "~: not of the same moments; the nearest were compared"
    return table


def _states(found: RunDifference, names: tuple[str, str]) -> Table:
    table = Table(title="safety monitor", title_style="bold")
    for name in names:
        table.add_column(escape(Path(name).name))
    first, second = found.states
    for k in range(min(STATES_SHOWN, max(len(first), len(second)))):
        cells = [_state(states[k]) if k < len(states) else "" for states in (first, second)]
        table.add_row(*map(escape, cells))
    return table
