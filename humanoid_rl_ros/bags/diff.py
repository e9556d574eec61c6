"""Two recordings lined up: where they part, by which signal first, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.run_difference import Place, RunDifference, SignalDifference
from humanoid_rl_ros.bags.runs import Signal, line_up, read_run, signals_of
from humanoid_rl_ros.bags.series import TimesArray
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.errors import BagError

TOLERANCES = {
    "position": 0.02,
    "velocity": 0.5,
    "effort": 2.0,
    "target": 0.02,
    "angular velocity": 0.1,
    "gravity": 0.02,
    "asked velocity": 0.01,
    "base velocity": 0.1,
    "height": 0.02,
    "observation": 0.05,
    "action": 0.05,
}
"""From which difference on two runs of one robot have parted: rad, rad/s, N·m, m, m/s; of the network's numbers as
they are."""
SHARED = 0.5
"""Share of the messages of the shorter run that must have one of the same time, for nothing else to be compared."""


def diff_bags(
    first: Bag, second: Bag, *, align: str = "auto", namespaces: Sequence[str | None] = (None, None)
) -> RunDifference:
    """Line two runs up and compare them.

    Args:
        first, second: open bags.
        align: ``stamp``, ``active``, ``start``, or ``auto``: by equal stamps where the runs share them, else from where
            the robot was first let go, else from the beginnings.
        namespaces: of the robot in each; None for the one there is.

    Raises:
        BagError: they cannot be lined up so, or have nothing in common.
    """
    runs = [read_run(bag, namespace) for bag, namespace in zip((first, second), namespaces, strict=True)]
    aligned = line_up(runs[0], runs[1], align)
    ours, theirs = ({signal.name: signal for signal in signals_of(run)} for run in runs)
    signals = [_compare(ours[name], theirs[name]) for name in ours if name in theirs]
    which = ("first", "second")
    missing = [
        f"{name}: in the {which[k]} alone"
        for k, (one, other) in enumerate(((ours, theirs), (theirs, ours)))
        for name in one
        if name not in other
    ]
    if not signals:
        raise BagError(f"{first.path} and {second.path} have no signal in common")
    problems = [*first.problems, *runs[0].series.problems, *second.problems, *runs[1].series.problems]
    return RunDifference(
        aligned,
        (runs[0].origin, runs[1].origin),
        tuple(signals),
        (runs[0].states, runs[1].states),
        tuple(missing),
        tuple(dict.fromkeys(problems)),
    )


def _compare(one: Signal, other: Signal) -> SignalDifference:
    columns = [name for name in one.columns if name in other.columns]
    only = tuple(sorted({*one.columns, *other.columns} - set(columns)))
    a, b, exact = _pairs(one.time, other.time)
    here = replace(one, time=one.time[a], values=one.values[a][:, [one.columns.index(c) for c in columns]])
    there = other.values[b][:, [other.columns.index(c) for c in columns]]
    with np.errstate(invalid="ignore"):
        gap = np.abs(here.values.astype(np.float64) - there.astype(np.float64))
    both_nan = np.isnan(here.values) & np.isnan(there)
    gap[both_nan] = 0.0
    gap[np.isnan(gap)] = np.inf
    different: BoolArray = gap.max(axis=1, initial=0.0) > 0.0
    tolerance = TOLERANCES[one.quantity]
    result = SignalDifference(
        one.name,
        len(a),
        max(len(one.time), len(other.time)),
        int(len(a) - different.sum()),
        exact,
        only=only,
        tolerance=tolerance,
    )
    if not different.any():
        return result

    def place(row: int) -> Place:
        column = int(np.argmax(gap[row]))
        return Place(float(here.time[row]), columns[column], float(here.values[row, column]), float(there[row, column]))

    far = np.flatnonzero(gap.max(axis=1) > tolerance)
    finite = np.where(np.isfinite(gap), gap, 0.0)
    return replace(
        result,
        rms=float(np.sqrt(np.mean(finite**2))),
        first=place(int(np.flatnonzero(different)[0])),
        parted=place(int(far[0])) if len(far) else None,
        largest=place(int(np.argmax(gap.max(axis=1)))),
    )


def _pairs(one: FloatArray, other: FloatArray) -> tuple[TimesArray, TimesArray, bool]:
    """Rows of both runs that belong together: of the same time, or where too few are, the nearest in time."""
    nanoseconds = [np.round(times * 1e9).astype(np.int64) for times in (one, other)]
    common, a, b = np.intersect1d(_coarse(nanoseconds[0]), _coarse(nanoseconds[1]), return_indices=True)
    if len(common) >= SHARED * min(len(one), len(other)):
        return a.astype(np.int64), b.astype(np.int64), True
    if len(one) < 2 or len(other) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), False
    order = np.argsort(other, kind="stable")
    sorted_times = other[order]
    right = np.clip(np.searchsorted(sorted_times, one), 1, len(other) - 1)
    nearest = np.where(one - sorted_times[right - 1] < sorted_times[right] - one, right - 1, right)
    period = max(float(np.median(np.diff(np.sort(one)))), float(np.median(np.diff(sorted_times))))
    near = np.abs(sorted_times[nearest] - one) <= 0.75 * period
    return np.flatnonzero(near).astype(np.int64), order[nearest[near]].astype(np.int64), False


def _coarse(times: TimesArray) -> TimesArray:
    """Stamps that went through floating point may be a nanosecond off."""
    return (times + 500) // 1000
