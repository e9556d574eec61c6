"""`humanoid_rl bag report`: what happened in a recording, as a page, and as CSV, PNG and JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from humanoid_rl_ros.bags.collect import Report, collect
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.findings import Findings, find
from humanoid_rl_ros.bags.series import RobotTime
from humanoid_rl_ros.cli.files import write_json, write_text
from humanoid_rl_ros.core.errors import HumanoidError, MissingDependencyError
from humanoid_rl_ros.resources import find_robot


@dataclass(frozen=True)
class ReportOptions:
    """What `humanoid_rl bag report` was asked.

    Attributes:
        bag: folder or file.
        output: page to write.
        csv, png: folders for further files, or None.
        json_file: file for the findings, or None.
        namespace: of the robot; None for the only one.
        robot: as `humanoid_rl_ros.resources` finds it; empty for the recorded one.
        start, end: what the charts show [s]; None for all.
    """

    bag: Path
    output: Path
    csv: Path | None = None
    png: Path | None = None
    json_file: Path | None = None
    namespace: str | None = None
    robot: str = ""
    start: float | None = None
    end: float | None = None


def run_report(options: ReportOptions, console: Console) -> None:
    """Read the bag and write what was asked.

    Raises:
        HumanoidError: the bag cannot be read, holds several robots, or a file cannot be written.
    """
    begun = time.monotonic()
    robot = find_robot(options.robot) if options.robot else None
    for path in (options.output, options.json_file):
        if path is not None and not path.absolute().parent.is_dir():
            raise HumanoidError(f"cannot write {path}: no folder {path.absolute().parent}")
    try:
        from humanoid_rl_ros.cli.report_page import page
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingDependencyError("the page needs jinja2: pip install 'humanoid_rl_ros[bags]'") from None
    with Bag(options.bag) as bag:
        with _progress(console, f"reading {bag.count} messages") as tell:
            series = collect(bag, options.namespace, robot, tell)
        findings = _shown(find(bag, series), options)
        write_text(options.output, page(bag, series, findings))
        if options.json_file is not None:
            write_json(options.json_file, findings.as_json())
        if options.csv is not None:
            from humanoid_rl_ros.cli.report_csv import write_csv

            write_csv(options.csv, bag, series, findings)
        if options.png is not None:
            from humanoid_rl_ros.cli.report_png import write_png

            write_png(options.png, series, findings, RobotTime(series, bag.start_ns, bag.end_ns))
    for problem in findings.problems:
        console.print(f"note: {problem}", markup=False, soft_wrap=True)
    console.print(findings.verdict, markup=False, soft_wrap=True)
    size = options.output.stat().st_size / 1e6
    console.print(f"wrote {options.output} ({size:.1f} MB) in {time.monotonic() - begun:.1f} s", soft_wrap=True)


def _shown(findings: Findings, options: ReportOptions) -> Findings:
    """With the part that the charts are to show."""
    if options.start is None and options.end is None:
        return findings
    begin = max(0.0, options.start or 0.0)
    end = findings.duration if options.end is None else min(options.end, findings.duration)
    if not begin < end:
        raise HumanoidError(f"nothing to show from {begin:g} s to {end:g} s: the bag is {findings.duration:.3f} s long")
    return replace(findings, view=(begin, end))


@contextmanager
def _progress(console: Console, what: str) -> Iterator[Report]:
    with Progress(TextColumn(what), BarColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)
