"""Lines and histograms as SVG that a browser draws without a script, and that a script can zoom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.bags.report.envelope import envelope, steps
from humanoid_rl_ros.bags.report.timing import Histogram
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray

HEIGHT = 1000
"""Of the coordinates of a chart; a value is one of so many steps between its bottom and its top."""
TICKS_PER_S = 1000
"""Horizontal coordinates are milliseconds."""
_OUTSIDE = 300
_BEYOND_S = 0.1


@dataclass(frozen=True)
class Tick:
    """A line of the grid.

    Attributes:
        place: percent from the left or the top.
        text: beside it.
    """

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """One series of a chart.

    Attributes:
        name: in the legend; empty for none.
        style: class of its stroke.
        path: SVG path data.
        pieces: the same as times [s] and values.
    """

    name: str
    style: str
    path: str
    pieces: list[tuple[FloatArray, FloatArray]]


@dataclass
class Chart:
    """A chart over time.

    Attributes:
        title, unit: its head.
        begin, end: of its time axis [s].
        low, high: of its value axis.
        lines: its series.
        levels: values of horizontal lines, with their style.
        marks: times of vertical lines [s].
        note: a line below.
        detail: a few words beside the title.
        fixed: whether it keeps its time axis when the others zoom.
        small: whether it is one of many.
        rows: how many rows of bars it has in place of a value axis; 0 of a chart of values.
    """

    title: str
    unit: str
    begin: float
    end: float
    low: float
    high: float
    lines: list[Line] = field(default_factory=list)
    levels: list[tuple[float, str]] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    note: str = ""
    detail: str = ""
    fixed: bool = False
    small: bool = False
    rows: int = 0

    @property
    def edges(self) -> tuple[int, int]:
        """Left and right end of its coordinates."""
        begin = round(self.begin * TICKS_PER_S)
        return begin, max(begin + 1, round(self.end * TICKS_PER_S))

    @property
    def viewbox(self) -> str:
        """Of its time and values."""
        begin, end = self.edges
        return f"{begin} 0 {end - begin} {HEIGHT}"

    @property
    def value_ticks(self) -> list[Tick]:
        """Of the value axis."""
        if self.rows:
            return []
        values = nice(self.low, self.high, 3 if self.small else 5)
        if self.small and self.levels:
            values = sorted({0.0, *(value for value, _ in self.levels)})
        return [Tick(self.top(value), _number(value)) for value in values]

    @property
    def time_ticks(self) -> list[Tick]:
        """Of the time axis."""
        span = max(self.end - self.begin, 1e-9)
        count = 5 if self.small else 9
        return [Tick((t - self.begin) / span * 100.0, _number(t)) for t in nice(self.begin, self.end, count)]

    def top(self, value: float) -> float:
        """Where a value is [percent from the top]."""
        return (self.high - value) / (self.high - self.low) * 100.0

    def add(self, name: str, style: str, time: FloatArray, values: FloatArray | Float32Array, buckets: int) -> None:
        """Draw a series of measurements, as far as it is of the chart's time."""
        inside = (time >= self.begin - _BEYOND_S) & (time <= self.end + _BEYOND_S)
        self._draw(name, style, envelope(time[inside], values[inside], buckets))

    def add_steps(self, name: str, style: str, time: FloatArray, values: FloatArray) -> None:
        """Draw a series of commands, each of which holds until the next."""
        sound = np.isfinite(values)
        self._draw(name, style, [steps(time[sound], values[sound], self.end)])

    def add_bars(self, name: str, style: str, spans: Sequence[tuple[float, float]], row: int) -> None:
        """Draw spans of time as bars in a row, counted from the top [s]."""
        height = self.high - (row + 0.5) / self.rows * (self.high - self.low)
        inside = [(max(a, self.begin), min(b, self.end)) for a, b in spans if b > self.begin and a < self.end]
        self._draw(name, f"{style} span", [(np.array(span), np.full(2, height)) for span in inside])

    def add_level(self, value: float, style: str) -> None:
        """Draw a horizontal line."""
        self.levels.append((value, style))

    def _draw(self, name: str, style: str, pieces: list[tuple[FloatArray, FloatArray]]) -> None:
        path = "".join(self._path(t, v) for t, v in pieces if len(t))
        if path:
            self.lines.append(Line(name, style, path, pieces))

    def _path(self, time: FloatArray, values: FloatArray) -> str:
        x = np.round(time * TICKS_PER_S).astype(np.int64)
        scaled = np.round((self.high - values) / (self.high - self.low) * HEIGHT)
        y = np.clip(scaled, -_OUTSIDE, HEIGHT + _OUTSIDE).astype(np.int64)
        dx, dy = np.diff(x), np.diff(y)
        moved = (dx != 0) | (dy != 0)
        numbers = np.column_stack((dx[moved], dy[moved])).ravel().tolist()
        # A piece of one point is drawn as a dot: a line of no length with round ends.
        return f"M{x[0]} {y[0]}l" + (" ".join(map(str, numbers)) if numbers else "0 0")


def nice(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from low to high."""
    span = high - low
    if not (math.isfinite(span) and span > 0.0):
        return [low]
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−") if value else "0"


def around(values: list[FloatArray], least: float = 0.0) -> tuple[float, float]:
    """Bottom and top of a chart that shows all these values with some room, at least so high."""
    sound = [v[np.isfinite(v)] for v in values]
    low = min((float(v.min()) for v in sound if len(v)), default=0.0)
    high = max((float(v.max()) for v in sound if len(v)), default=0.0)
    room = max(0.06 * (high - low), 0.5 * (least - (high - low)), 1e-6)
    return low - room, high + room


@dataclass(frozen=True)
class Bars:
    """A histogram with logarithmic axes, as rectangles in percent.

    Attributes:
        title, detail, note: beside it.
        bars: left, width and height of each [percent].
        ticks: of the durations.
        counts: of the numbers of messages.
    """

    title: str
    detail: str
    note: str
    bars: list[tuple[float, float, float]]
    ticks: list[Tick]
    counts: list[Tick]


def bars_of(histogram: Histogram) -> Bars:
    """Draw a histogram."""
    edges = np.log10(histogram.edges)
    left, span = float(edges[0]), float(edges[-1] - edges[0])
    top = math.log10(max(2.0, float(histogram.counts.max()))) * 1.05
    floor = -0.15  # a single message is seen, too
    bars = [
        (
            round((float(edges[i]) - left) / span * 100.0, 3),
            round(float(edges[i + 1] - edges[i]) / span * 100.0, 3),
            round((math.log10(count) - floor) / (top - floor) * 100.0, 2),
        )
        for i, count in enumerate(histogram.counts.tolist())
        if count
    ]
    counts = [
        Tick(100.0 - (power - floor) / (top - floor) * 100.0, f"{10**power:,}".replace(",", " "))
        for power in range(int(top) + 1)
    ]
    below = f"; {histogram.below} at or below zero" if histogram.below else ""
    return Bars(
        histogram.name,
        f"p50 {_ms(histogram.p50)} · p99 {_ms(histogram.p99)} · largest {_ms(histogram.largest)}{below}",
        histogram.note,
        bars,
        _ratio_ticks(left, span),
        counts,
    )


def _ratio_ticks(left: float, span: float) -> list[Tick]:
    """At 1, 2 and 5 of every power of ten; more of them where the whole is less than two."""
    factors: tuple[int, ...] = (1, 2, 5) if span < 2.0 else (1,) if span > 4.0 else (1, 3)
    if span < 0.5:
        factors = (1, 2, 3, 4, 5, 6, 7, 8, 9)
    found = []
    for power in range(math.floor(left) - 1, math.ceil(left + span) + 1):
        for factor in factors:
            place = (power + math.log10(factor) - left) / span * 100.0
            if 0.0 <= place <= 100.0:
                found.append(Tick(place, f"{factor * 10.0**power:g}"))
    return found


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000.0 else f"{value / 1000.0:.3g} s"
