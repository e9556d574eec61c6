"""`humanoid_rl bag replay`: the recording through the very code that ran, and where it says something else."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from humanoid_rl_ros.bags.comparison import Divergence, TopicCount
from humanoid_rl_ros.bags.replay import ReplayOptions, replay_bag
from humanoid_rl_ros.bags.replay_summary import ReplaySummary, summarise
from humanoid_rl_ros.bags.words import FieldDifference
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.control.software import software

FIELDS_SHOWN = 8
WHOLE = 0.995


def run_replay(bag: Path, options: ReplayOptions, *, json_file: Path | None, console: Console) -> bool:
    """Replay, and print what came of it.

    Args:
        bag: the bag.
        options: what, and how.
        json_file: where the result goes, or None.
        console: where it is shown.

    Returns:
        Whether nothing differs by more than the tolerance.

    Raises:
        HumanoidError: it cannot be replayed here.
    """
    summary = replayed(bag, options, console)
    console.print(_table(bag, summary))
    if summary.first is not None:
        show_divergence(summary.first, summary.start_ns, console)
    for name, (then, now) in summary.other_software.items():
        console.print(f"recorded with {name} {then}, replayed with {now or 'none'}", markup=False, soft_wrap=True)
    for problem in summary.problems:
        console.print(f"note: {problem}", markup=False, soft_wrap=True)
    console.print(verdict(summary), markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, {"bag": str(bag), **summary.as_json()})
    return summary.same


def replayed(bag: Path, options: ReplayOptions, console: Console) -> ReplaySummary:
    """Replay with a bar that shows how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("replaying", total=None)
        result = replay_bag(bag, options, lambda done, whole: bar.update(task, completed=done, total=whole))
    return summarise(result, software())


def _table(bag: Path, summary: ReplaySummary) -> Table:
    table = Table(title=escape(str(bag)), title_style="bold")
    table.add_column("node")
    table.add_column("said on")
    for heading in ("recorded", "identical", "close", "differing", "missing", "additional"):
        table.add_column(heading, justify="right")
    table.add_column("largest difference")
    for name, node in summary.nodes.items():
        for topic, count in sorted(node.counts.items()):
            numbers = (count.recorded, count.identical, count.close, count.differing, count.missing, count.additional)
            colour = "red" if count.parted else "green"
            cells = [f"[{colour}]{number}[/]" if number else "" for number in numbers]
            table.add_row(name, topic, *cells, escape(_largest(count)))
        states = node.result
        if states.states:
            colour = "green" if states.equal_states == states.states else "yellow"
            equal = f"[{colour}]{states.equal_states}[/]"
            table.add_row(name, "(inner state)", str(states.states), equal, *[""] * 5)
    return table


def _largest(count: TopicCount) -> str:
    item = count.largest
    return "" if item is None else f"{item.size:.3g} {item.field} {item.element}".rstrip()


def show_divergence(found: Divergence, start_ns: int, console: Console) -> None:
    """Say what parted first, and when, counted from the beginning of the bag."""
    at = f"{(found.wall_ns - start_ns) * 1e-9:.3f} s"
    what = {
        "differs": "is another",
        "unknown": "is another (it was not recorded itself, only its digest)",
        "missing": "was said then, and not now",
        "additional": "is said now, and was not then",
    }[found.kind]
    console.print(f"first difference: {found.topic}, message {found.number}, at {at} of the bag: {what}", markup=False)
    for item in found.fields[:FIELDS_SHOWN]:
        console.print(f"  {field_text(item)}", markup=False, soft_wrap=True)
    if len(found.fields) > FIELDS_SHOWN:
        console.print(f"  … and {len(found.fields) - FIELDS_SHOWN} more", markup=False)


def field_text(item: FieldDifference) -> str:
    """A field that differs, in one line."""
    name = f"{item.field}[{item.element}]" if item.element else item.field
    return f"{name}: recorded {item.recorded!r}, replayed {item.replayed!r}"


def verdict(summary: ReplaySummary) -> str:
    """For people, in one line."""
    speed = summary.duration / summary.wall if summary.wall > 0.0 else 0.0
    how = f"{summary.compared} messages of {summary.duration:.1f} s in {summary.wall:.1f} s ({speed:.0f} × real time)"
    gaps = "" if summary.fed > WHOLE else f", in the {100.0 * summary.fed:.0f} % of the journals that could be fed"
    if summary.identical:
        return f"bit-identical{gaps}: {how}"
    if summary.same:
        return f"the same within the tolerance{gaps}: {how}"
    if summary.first is None:
        return f"not wholly replayed, and no difference in what was: {how}"
    return f"DIFFERENT: {how}"
