"""Intervals and peaks in bounded memory, against the same of arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.cli.intervals import Intervals, Peaks


@given(st.lists(st.floats(0.02, 5000.0), min_size=1, max_size=300), st.floats(1.0, 100.0))
def test_percentiles_are_those_of_the_numbers_to_a_hundredth(values: list[float], share: float) -> None:
    intervals = Intervals()
    for value in values:
        intervals.add(value)
    exact = float(np.percentile(values, share, method="inverted_cdf"))
    assert exact <= intervals.percentile(share) * (1 + 1e-9)
    assert intervals.percentile(share) <= exact * 1.0101
    assert intervals.longest == max(values)
    assert intervals.count == len(values)


def test_what_is_longer_is_counted() -> None:
    intervals = Intervals()
    for value in (0.0, 1.0, 1.9, 2.1, 30.0, 1e9):
        intervals.add(value)
    assert intervals.above(2.0) == 3
    assert intervals.longest == 1e9


def test_no_interval_has_no_percentile() -> None:
    assert Intervals().percentile(99.0) == 0.0


@given(st.lists(st.floats(0.0, 100.0), max_size=200))
def test_no_peak_is_lost_when_stretches_are_joined(values: list[float]) -> None:
    peaks = Peaks(capacity=8)
    for at, value in enumerate(values):
        peaks.add(float(at), value)
    assert len(peaks.points) < 8
    covered = int(peaks.points[-1][0]) + 1 if peaks.points else 0
    assert len(values) - covered < max(1, len(values) // 4 + 1)
    assert max((p for _, p in peaks.points), default=0.0) == max(values[:covered], default=0.0)
    assert [at for at, _ in peaks.points] == sorted(at for at, _ in peaks.points)
