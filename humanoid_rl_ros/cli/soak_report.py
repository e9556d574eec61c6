"""What came of a soak: numbers, what is wrong with them, tables, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.intervals import Peaks
from humanoid_rl_ros.cli.process_samples import ProcessSeries, ProcessUse
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.safety.status import ON_ITS_FEET

SHOWN_CHANGES = 20
ON_ITS_FEET_NAMES = frozenset(state.value for state in ON_ITS_FEET)


@dataclass(frozen=True)
class Bounds:
    """By how much a process may grow over the time measured.

    Attributes:
        memory: held or of its own, by the slope [MB].
        threads, descriptors: how many more.
    """

    memory: float = 8.0
    threads: int = 2
    descriptors: int = 4


@dataclass(frozen=True)
class SoakResult:
    """The numbers of a soak, counted from the end of the warm-up.

    Attributes:
        robot, policy: what ran.
        rate: joint states per second [Hz].
        seconds: measured [s].
        asked_seconds: that was asked for [s].
        warm_up: before it [s].
        ended: why it ended early, or empty.
        processes: each node, and the command itself.
        answered: joint states that a joint command answered.
        missed: joint states between them that none answered.
        interval_ms: from one answered state's command to the next, p50, p99, p99.9 and max [ms].
        late_intervals: longer than two periods of the joint states.
        late_steps: steps of the simulation that were given up, because the machine did not keep up.
        late_ticks: inferences later than half a control period.
        own_damping: times the motors damped by themselves.
        refused, rejected: messages that policy and simulation, or the monitor, did not take.
        faults, falls: times the monitor took the motors from the policy, and times the robot fell.
        set_up: times the robot was set up again, because it would not have walked on.
        safety_state: of the monitor at the end.
        visits: how often it came to each state.
        changes: the newest hundred of them: time [s], state, reason.
        walked: way of the base over the ground [m].
        highest_tilt_deg, lowest_height: of the base [deg, m].
        real_time_factor: simulated over wall time.
    """

    robot: str
    policy: str
    rate: int
    seconds: float
    asked_seconds: float
    warm_up: float
    ended: str
    processes: list[ProcessUse]
    answered: int
    missed: int
    interval_ms: Mapping[str, float]
    late_intervals: int
    late_steps: int
    late_ticks: int
    own_damping: int
    refused: int
    rejected: int
    faults: int
    falls: int
    set_up: int
    safety_state: str
    visits: Mapping[str, int]
    changes: Sequence[tuple[float, str, str]]
    walked: float
    highest_tilt_deg: float
    lowest_height: float
    real_time_factor: float

    def failures(self, bounds: Bounds) -> list[str]:
        """What is wrong, a line each; nothing of a soak that went well."""
        found = [self.ended] if self.ended else []
        if self.falls:
            found.append(f"the robot fell ({self.falls} times)")
        elif self.faults:
            found.append(f"the safety monitor took the motors from the policy ({self.faults} times)")
        if not self.ended and self.safety_state not in ON_ITS_FEET_NAMES:  # what ends a soak early ends the nodes, too
            found.append(f"the safety monitor was {self.safety_state or 'not heard'} at the end")
        for use in self.processes:
            for what, more, bound, unit in (
                ("memory", use.growth, bounds.memory, " MB"),
                ("threads", use.more_threads, bounds.threads, ""),
                ("descriptors", use.more_descriptors, bounds.descriptors, ""),
            ):
                if more > bound:
                    found.append(f"{use.name}: {what} grew by {more:.3g}{unit}, bound {bound:g}{unit}")
        return found

    def as_json(self, bounds: Bounds) -> dict[str, Any]:
        """The fields as JSON types, with bounds and verdict."""
        return asdict(self) | {"bounds": asdict(bounds), "failures": self.failures(bounds)}


def print_result(result: SoakResult, bounds: Bounds, console: Console) -> None:
    """The tables, and what is wrong."""
    console.print(_process_table(result))
    console.print(_graph_table(result))
    for at, state, text in result.changes[-SHOWN_CHANGES:]:
        console.print(f"{at:9.1f} s  {text or state}", soft_wrap=True, markup=False)
    failures = result.failures(bounds)
    for line in failures:
        console.print(f"failed: {line}", style="red", markup=False, soft_wrap=True)
    if not failures:
        console.print(
            f"nothing died, fell or grew (bounds: {bounds.memory:g} MB, {bounds.threads} threads, "
            f"{bounds.descriptors} descriptors)",
            soft_wrap=True,
        )


def _process_table(result: SoakResult) -> Table:
    table = Table(
        title=f"{result.seconds:.0f} s at {result.rate} Hz, after {result.warm_up:.0f} s; memory in MB",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for heading in ("process", "RSS", "USS", "heap", "RSS/h", "heap/h", "threads", "files", "core"):
        table.add_column(heading, justify="left" if heading == "process" else "right", no_wrap=True)
    for use in result.processes:
        table.add_row(
            use.name if " " in use.name else use.name.partition("_")[0],
            *(f"{memory:.1f}" for memory in (use.rss, use.uss, use.heap)),
            *(f"{slope:+.2f}" for slope in (use.rss_per_hour, use.heap_per_hour)),
            f"{use.threads} {use.more_threads:+d}",
            f"{use.descriptors} {use.more_descriptors:+d}",
            f"{use.cpu:.2f}",
        )
    return table


def _graph_table(result: SoakResult) -> Table:
    table = Table(show_header=False, box=box.SIMPLE)
    states = result.answered + result.missed
    interval = result.interval_ms
    rows = {
        "joint states answered": f"{result.answered}",
        "missed": f"{result.missed} ({100.0 * result.missed / max(states, 1):.3f} %)",
        "time between commands": "  ".join(f"{name} {value:.2f} ms" for name, value in interval.items()),
        "longer than two periods": f"{result.late_intervals} ({100.0 * result.late_intervals / max(states, 1):.3f} %)",
        "simulation steps given up": f"{result.late_steps}",
        "late inferences": f"{result.late_ticks}",
        "motors damped by themselves": f"{result.own_damping}",
        "messages refused": f"{result.refused + result.rejected}",
        "safety monitor": f"{result.safety_state}, {sum(result.visits.values())} changes, {result.faults} faults, "
        f"{result.falls} falls, {result.set_up} times set up again",
        "walked": f"{result.walked:.0f} m, lowest {result.lowest_height:.2f} m, tilted up to "
        f"{result.highest_tilt_deg:.1f}°",
        "real-time factor": f"{result.real_time_factor:.3f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def draw(result: SoakResult, series: Sequence[ProcessSeries], peaks: Peaks, path: Path) -> None:
    """Memory, processor and the longest intervals over time, as a picture.

    Raises:
        HumanoidError: it cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(10, 8), layout="constrained")
    for one in series:
        time, memory, cpu = one.time / 60.0, one.of("heap"), one.of("cpu")
        if len(time) < 2:
            continue
        axes[0].plot(time, memory, label=one.name)
        axes[1].plot(time[1:], np.diff(cpu) / np.diff(one.time), linewidth=0.8, label=one.name)
    if peaks.points:
        at, longest = np.array(peaks.points).T
        axes[2].semilogy(at / 60.0, np.maximum(longest, 1e-2), linewidth=0.8)
    axes[2].axhline(1e3 / result.rate, color="0.6", linestyle="--", linewidth=1)
    for axis in axes:
        axis.axvline(result.warm_up / 60.0, color="0.6", linestyle=":", linewidth=1)
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="memory of no file [MB]", title=f"{result.robot}, {result.policy}, {result.rate} Hz")
    axes[1].set(ylabel="share of one core")
    axes[2].set(ylabel="longest time between\ncommands [ms]", xlabel="time [min]; dotted: end of the warm-up")
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as problem:  # a format that matplotlib does not know is a ValueError
        raise HumanoidError(f"cannot write {path}: {problem}") from None
    finally:
        pyplot.close(figure)
