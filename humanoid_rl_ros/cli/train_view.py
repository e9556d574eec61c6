"""What `humanoid_rl train` shows while it trains: a live table, or where there is no terminal a line now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from humanoid_rl_ros.cli.live_table import LiveTable
from humanoid_rl_ros.learning.trainer import Progress

PLAIN_PERIOD_S = 5.0
COLLECT, UPDATE = "time/collect", "time/update"
# Known numbers in the order in which they are shown: name, label, unit.
TASK = (
    ("episode/return", "return", ""),
    ("episode/length", "episode", ""),
    ("task/velocity_error", "velocity error", "m/s"),
    ("task/yaw_error", "yaw error", "rad/s"),
)
LEARNER = ("policy/kl", "policy/learning_rate", "policy/temperature", "policy/epsilon")


def duration(seconds: float) -> str:
    """``59 s``, ``3 min 20 s``, ``1 h 02 min``, or a dash for ever."""
    if not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: float) -> str:
    """``950``, ``9.8 k``, ``1.23 M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


class TrainView(LiveTable):
    """Shows the newest value of everything that was ever reported.

    Args:
        console: where.
        control_period: length of a step [s]; None to count steps.
        clock: [s].
    """

    def __init__(
        self, console: Console, control_period: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console, PLAIN_PERIOD_S, clock)
        self._period = control_period
        self._latest: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        """Show where the run stands."""
        self._latest.update(progress.metrics)
        self.draw(
            lambda: self.table(progress),
            lambda: self.line(progress),
            at_once=progress.steps >= progress.total_steps,
        )

    def say(self, text: str, style: str = "") -> None:
        """A line that stays, above the table."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def line(self, progress: Progress) -> str:
        """Everything that matters in one line."""
        parts = [
            f"{count(progress.steps)} of {count(progress.total_steps)} steps",
            f"{count(progress.steps_per_second)} steps/s",
            *(f"{label} {value}" for label, value in self._task()),
        ]
        shown = sum(name in self._latest for name in LEARNER)
        parts += [f"{label} {value}" for label, value in self._learner("{:.3g}")[:shown]]
        share = self._collecting()
        parts += [share] if share else []
        return "  ".join([*parts, f"left {duration(progress.seconds_left)}"])

    def _task(self) -> list[tuple[str, str]]:
        scale = {"episode/length": (self._period, "s") if self._period is not None else (1.0, "steps")}
        rows = []
        for name, label, unit in TASK:
            if name in self._latest:
                factor, shown_unit = scale.get(name, (1.0, unit))
                rows.append((label, f"{_digits(self._latest[name] * factor)} {shown_unit}".strip()))
        return rows

    def _learner(self, form: str) -> list[tuple[str, str]]:
        """What the learner says of itself, what matters most first."""
        others = ("episode/", "task/", "reward/", "curriculum/", "end/", "evaluation/", "time/")
        names = [name for name in self._latest if not name.startswith(others)]
        first = [name for name in LEARNER if name in names]
        return [
            (name.removeprefix("policy/").replace("/", " ").replace("_", " "), form.format(self._latest[name]))
            for name in dict.fromkeys((*first, *sorted(names)))
        ]

    def _collecting(self) -> str:
        collect, update = self._latest.get(COLLECT), self._latest.get(UPDATE)
        if collect is None or update is None or collect + update <= 0.0:
            return ""
        return (
            f"collect {100.0 * collect / (collect + update):.0f} % update {100.0 * update / (collect + update):.0f} %"
        )

    def _group(self, prefix: str, form: Callable[[float], str]) -> list[tuple[str, str]]:
        names = sorted(name for name in self._latest if name.startswith(prefix))
        return [(_label(name), form(self._latest[name])) for name in names]

    def table(self, progress: Progress) -> RenderableType:
        """Everything."""
        pace = Table.grid(padding=(0, 2))
        pace.add_row(
            ProgressBar(total=progress.total_steps, completed=progress.steps, width=24),
            f"{count(progress.steps)} of {count(progress.total_steps)} steps",
            f"[bold]{count(progress.steps_per_second)} steps/s[/]",
        )
        times = [f"{duration(progress.seconds)} so far", f"{duration(progress.seconds_left)} left", self._collecting()]
        ends = [(f"ended by {name}", value) for name, value in self._group("end/", "{:.0%}".format)]
        columns = Table.grid(padding=(0, 3))
        columns.add_row(
            Group(
                _column("task", [*self._task(), *ends]),
                _column("curriculum", self._group("curriculum/", "{:.2f}".format)),
                _column("evaluation", self._group("evaluation/", _digits)),
            ),
            _column("reward per second", self._group("reward/", "{:+.3f}".format)),
            _column("learner", self._learner("{:.4g}")),
        )
        return Group(pace, " · ".join(part for part in times if part), columns)


def _digits(value: float) -> str:
    """Three of them, or as many as stand before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def _label(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ")


def _column(title: str, rows: list[tuple[str, str]]) -> RenderableType:
    if not rows:
        return ""
    table = Table(title=f"[bold]{title}[/]", title_justify="left", show_header=False, box=None, padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for label, value in rows:
        table.add_row(escape(label), value)
    return table
