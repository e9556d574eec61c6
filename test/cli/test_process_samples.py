"""What a process costs, and whether it grows."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.cli.process_samples import ProcessSample, ProcessSeries, robust_slope, sample_process

SECONDS = np.arange(100.0)


def filled(memory: np.ndarray, capacity: int = 1024) -> ProcessSeries:
    series = ProcessSeries("node", 1, capacity)
    for at, megabytes in enumerate(memory):
        series.add(float(at), ProcessSample(100.0 + megabytes, 50.0, megabytes, 3, 7, 0.25 * at))
    return series


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux")
def test_a_process_that_takes_memory_threads_and_files_shows_it() -> None:
    code = (
        "import sys, threading; print(flush=True); input()\n"
        "held = b'x' * 50_000_000; files = [open('/dev/null') for _ in range(5)]\n"
        "gate = threading.Event(); [threading.Thread(target=gate.wait, daemon=True).start() for _ in range(3)]\n"
        "print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = sample_process(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        after = sample_process(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
    assert before is not None
    assert after is not None
    assert after.threads - before.threads == 3
    assert after.descriptors - before.descriptors == 5
    assert after.heap - before.heap == pytest.approx(50.0, abs=2.0)
    for quantity in ("rss", "uss"):  # pages of the libraries come and go with the machine's memory
        assert getattr(after, quantity) - getattr(before, quantity) == pytest.approx(50.0, abs=10.0)
    assert sample_process(process.pid) is None


def test_slope_of_a_line_is_exact_and_a_step_or_a_peak_does_not_move_it() -> None:
    line = 3.0 + 0.01 * SECONDS
    assert robust_slope(SECONDS, line) == pytest.approx(0.01)
    assert robust_slope(SECONDS, np.where(SECONDS > 97.0, 80.0, 40.0)) == 0.0
    assert robust_slope(SECONDS, line + 50.0 * (SECONDS == 40.0)) == pytest.approx(0.01)


def test_a_leak_is_seen_whatever_the_noise_and_a_level_is_none() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.3, 100)
    leaking, level = filled(40.0 + 0.05 * SECONDS + noise).use(10.0), filled(40.0 + noise).use(10.0)
    assert leaking.heap_per_hour == pytest.approx(180.0, rel=0.1)
    assert leaking.growth == pytest.approx(0.05 * 89.0, rel=0.1)
    assert abs(level.growth) < 0.3
    assert leaking.cpu == pytest.approx(0.25)
    assert (leaking.threads, leaking.descriptors, leaking.more_threads) == (3, 7, 0)


@given(st.integers(0, 500))
def test_memory_of_the_watcher_is_bounded_and_covers_all_of_the_time(count: int) -> None:
    series = filled(0.1 * np.arange(count), capacity=16)
    assert len(series.time) <= 16
    if count:
        assert series.time[0] == 0.0
        assert series.time[-1] >= count / 2 - 1
        assert np.array_equal(series.of("heap"), 0.1 * series.time)
        assert np.ptp(np.diff(series.time)) == 0.0 if len(series.time) > 1 else True
    if count > 1:
        assert series.use(0.0).heap_per_hour == pytest.approx(360.0)
