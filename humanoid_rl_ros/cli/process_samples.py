"""What a process costs over hours: memory, threads, descriptors, time of the processor, and whether it grows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError

MEGABYTE = 1e6
QUANTITIES = ("rss", "uss", "heap", "threads", "descriptors", "cpu")


@dataclass(frozen=True)
class ProcessSample:
    """A process at one moment.

    Attributes:
        rss: memory it holds, with what it shares with others [MB].
        uss: memory that would be free without it [MB]. It falls and rises as others load the same libraries.
        heap: memory of no file, which is what a leak grows [MB].
        threads: how many.
        descriptors: open files and sockets.
        cpu: time of the processor since its start [s].
    """

    rss: float
    uss: float
    heap: float
    threads: int
    descriptors: int
    cpu: float


def sample_process(pid: int) -> ProcessSample | None:
    """How a process stands now, or None where it is gone.

    Raises:
        HumanoidError: this system does not tell.
    """
    folder = Path("/proc") / str(pid)
    if not Path("/proc/self/smaps_rollup").exists():
        raise HumanoidError("the memory of a process stands in /proc/PID/smaps_rollup, which this system does not have")
    try:
        # Of the process as a whole: the kernel adds up its mappings, which takes about a millisecond.
        memory = _kilobytes((folder / "smaps_rollup").read_text(encoding="ascii"))
        words = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        descriptors = len(os.listdir(folder / "fd"))
    except (OSError, IndexError):
        return None
    if "Rss" not in memory:
        return None  # ended, and not waited for yet
    return ProcessSample(
        rss=memory["Rss"] * 1024 / MEGABYTE,
        uss=(memory["Private_Clean"] + memory["Private_Dirty"]) * 1024 / MEGABYTE,
        heap=memory["Anonymous"] * 1024 / MEGABYTE,
        threads=int(words[17]),
        descriptors=descriptors,
        cpu=(int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"),
    )


def _kilobytes(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def robust_slope(time: FloatArray, value: FloatArray) -> float:
    """Theil and Sen: the median of the slopes between all pairs. A single step or a peak does not move it.

    Args:
        time: ascending [s; Shape (n,)].
        value: at these times [Shape (n,)].

    Returns:
        Change per second; nan of fewer than two.
    """
    if len(time) < 2:
        return float("nan")
    first, second = np.triu_indices(len(time), k=1)
    return float(np.median((value[second] - value[first]) / (time[second] - time[first])))


class ProcessSeries:
    """The samples of one process, never more than `capacity`: when they are full, every other one is dropped.

    Args:
        name: of the process, for people.
        pid: its number.
        capacity: even, and at least 4.
    """

    def __init__(self, name: str, pid: int, capacity: int = 1024) -> None:
        self.name, self.pid = name, pid
        self._rows = np.zeros((capacity, 1 + len(QUANTITIES)))
        self._count = self._seen = 0
        self._every = 1

    def add(self, time: float, sample: ProcessSample) -> None:
        """How it stood at a time [s]."""
        if self._seen % self._every == 0:
            if self._count == len(self._rows):
                self._count //= 2
                self._rows[: self._count] = self._rows[::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self._rows[self._count] = (time, *(getattr(sample, name) for name in QUANTITIES))
                self._count += 1
        self._seen += 1

    @property
    def time(self) -> FloatArray:
        """Of each sample that is kept [s]."""
        return self._rows[: self._count, 0]

    def of(self, quantity: str) -> FloatArray:
        """One of `QUANTITIES`."""
        return self._rows[: self._count, 1 + QUANTITIES.index(quantity)]

    def use(self, since: float) -> ProcessUse:
        """What it came to from a time on [s]."""
        kept = self.time >= since
        if not kept.any():
            kept = np.ones(self._count, dtype=bool)
        time = self.time[kept]
        span = float(time[-1] - time[0]) if len(time) > 1 else 0.0
        rss, uss, heap, threads, descriptors, cpu = (self.of(quantity)[kept] for quantity in QUANTITIES)
        slopes = [robust_slope(time, memory) if span else 0.0 for memory in (rss, heap)]
        return ProcessUse(
            name=self.name,
            seconds=span,
            rss=_last(rss),
            uss=_last(uss),
            heap=_last(heap),
            rss_per_hour=slopes[0] * 3600.0,
            heap_per_hour=slopes[1] * 3600.0,
            growth=max(slopes) * span,
            threads=round(_last(threads)),
            more_threads=_more(threads),
            descriptors=round(_last(descriptors)),
            more_descriptors=_more(descriptors),
            cpu=float(cpu[-1] - cpu[0]) / span if span else 0.0,
        )


def _last(values: FloatArray) -> float:
    return float(values[-1]) if len(values) else 0.0


def _more(counts: FloatArray) -> int:
    """By how much the last tenth is above the first, each by its median."""
    if not len(counts):
        return 0
    tenth = max(1, len(counts) // 10)
    return round(float(np.median(counts[-tenth:]) - np.median(counts[:tenth])))


@dataclass(frozen=True)
class ProcessUse:
    """What a process came to.

    Attributes:
        name: of the process.
        seconds: from the first sample that counts to the last [s].
        rss, uss, heap: at the end [MB].
        rss_per_hour, heap_per_hour: slopes [MB/h].
        growth: the larger of both slopes times the time measured [MB].
        threads, descriptors: at the end.
        more_threads, more_descriptors: than at the beginning.
        cpu: share of one core.
    """

    name: str
    seconds: float
    rss: float
    uss: float
    heap: float
    rss_per_hour: float
    heap_per_hour: float
    growth: float
    threads: int
    more_threads: int
    descriptors: int
    more_descriptors: int
    cpu: float
