"""The charts of a report as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from humanoid_rl_ros.bags.report.findings import Findings
from humanoid_rl_ros.bags.report.timing import Histogram
from humanoid_rl_ros.bags.series import RobotTime, Series
from humanoid_rl_ros.cli import report_charts as charts
from humanoid_rl_ros.cli.demo_report import STATE_COLOURS
from humanoid_rl_ros.cli.report_svg import Chart
from humanoid_rl_ros.core.errors import HumanoidError, MissingDependencyError

_COLOURS = {
    "measured": "tab:blue",
    "commanded": "tab:orange",
    "error": "tab:purple",
    "left": "tab:blue",
    "right": "tab:orange",
    "s1": "tab:blue",
    "s2": "tab:orange",
    "s3": "tab:green",
    "s4": "tab:purple",
    "s5": "tab:cyan",
}
LARGEST_FAULTS = 20
_DPI = 110


def write_png(folder: Path, series: Series, findings: Findings, time: RobotTime) -> None:
    """Draw every group of charts that there is.

    Args:
        folder: made where it does not exist.
        series, findings: of one bag.
        time: of it.

    Raises:
        HumanoidError: a file cannot be written.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
    except ModuleNotFoundError:
        raise MissingDependencyError("--png needs matplotlib: pip install 'humanoid_rl_ros[plot]'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        groups = {
            "motion": (charts.motion_charts(findings)[0], 1),
            "efforts": (charts.effort_charts(series, findings)[0], 3),
            "tracking_error": (charts.tracking_charts(findings)[0], 3),
            "feet": (charts.contact_charts(series, findings, time)[0], 1),
        }
        for fault in findings.faults[:LARGEST_FAULTS]:
            groups[f"fault_{fault.number}"] = (charts.fault_view(series, findings, fault).charts, 2)
        for name, (group, columns) in groups.items():
            if group:
                _draw(folder / f"{name}.png", group, columns, findings)
        histograms = [*findings.periods, *findings.latencies]
        if histograms:
            _draw_histograms(folder / "timing.png", histograms)
    except OSError as error:
        raise HumanoidError(f"cannot write {error.filename or folder}: {error.strerror}") from None


def _figure(count: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib import pyplot

    rows = -(-count // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width, height * rows + 0.4), layout="constrained", squeeze=False
    )
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.set_visible(False)
    return figure, flat


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    try:
        figure.savefig(path, dpi=_DPI)
    finally:
        pyplot.close(figure)


def _draw(path: Path, group: Sequence[Chart], columns: int, findings: Findings) -> None:
    figure, axes = _figure(len(group), columns, 13.0, 1.7 if columns == 3 else 2.2)
    for axis, chart in zip(axes, group, strict=False):
        for span in findings.spans:
            colour = STATE_COLOURS.get(span.state)
            if colour is not None and span.end > chart.begin and span.start < chart.end:
                axis.axvspan(span.start, span.end, color=colour, alpha=0.18, linewidth=0)
        for line in chart.lines:
            style, _, kind = line.style.partition(" ")
            for number, (time, values) in enumerate(line.pieces):
                axis.plot(
                    time,
                    values,
                    color=_COLOURS[style],
                    linewidth=9.0 if kind == "span" else 0.9,
                    linestyle="--" if kind == "dashed" else "-",
                    solid_capstyle="butt" if kind == "span" else "projecting",
                    label=line.name if line.name and not number else None,
                )
        for value, _ in chart.levels:
            axis.axhline(value, color="tab:red", linestyle="--", linewidth=1)
        for mark in chart.marks:
            axis.axvline(mark, color="tab:red", linewidth=1)
        unit = f" [{chart.unit}]" if chart.unit else ""
        axis.set(xlim=(chart.begin, chart.end), ylim=(chart.low, chart.high))
        axis.set_title(f"{chart.title}{unit}", fontsize="small", loc="left")
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize="x-small")
        if chart.rows:
            axis.set_yticks([])
        if not chart.small and axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", fontsize="x-small")
    _save(figure, path)


def _draw_histograms(path: Path, histograms: Sequence[Histogram]) -> None:
    figure, axes = _figure(len(histograms), 2, 13.0, 2.2)
    for axis, histogram in zip(axes, histograms, strict=False):
        axis.stairs(histogram.counts, histogram.edges, fill=True)
        axis.set(xscale="log", yscale="log", xlabel="ms")
        axis.set_title(
            f"{histogram.name}: p50 {histogram.p50:.3g}, p99 {histogram.p99:.3g}, largest {histogram.largest:.3g} ms",
            fontsize="small",
            loc="left",
        )
        axis.grid(alpha=0.3)
    _save(figure, path)
