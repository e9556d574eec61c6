"""`humanoid_rl bench recording`: what the recorder keeps up with, and what a kill costs it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.bags.recover import recover
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.processes import NodeProcess, ProcessError, ProcessGroup, isolate
from humanoid_rl_ros.cli.raw_publisher import topic_names

START_S, END_S = 20.0, 20.0
LEAST_KILL_S, MOST_KILL_S = 1.5, 4.0
"""After the first message: when a recording is killed [s]."""


@dataclass(frozen=True)
class RecordingOptions:
    """What is measured.

    Attributes:
        topics: published at once.
        rates: of each topic, one after the other [Hz].
        seconds: length of one turn [s].
        rounds: turns at each rate.
        kills: recordings that are killed.
        seed: of the moments.
    """

    topics: int
    rates: Sequence[int]
    seconds: float
    rounds: int
    kills: int
    seed: int


@dataclass
class TurnResult:
    """One recording.

    Attributes:
        rate: messages per second of each topic that were asked for [Hz].
        took: time in which they were sent [s].
        sent: messages published on all topics.
        in_bag: those of them that the bag holds.
        said_lost: those that the recorder says are lost or dropped.
        megabytes: of the bag.
        cpu: share of one core that the recorder used while it recorded, its start included.
    """

    rate: int
    took: float
    sent: int
    in_bag: int
    said_lost: int
    megabytes: float
    cpu: float


def run_recording(options: RecordingOptions, *, json_file: Path | None, console: Console) -> bool:
    """Measure and print the tables.

    Args:
        options: what is measured.
        json_file: where the results go, or None.
        console: where the tables go.

    Returns:
        Whether every message was recorded.

    Raises:
        HumanoidError: a process did not start or died.
    """
    isolate()
    moments = random.Random(options.seed)
    turns: list[TurnResult] = []
    killed: list[float] = []
    with TemporaryDirectory() as scratch, console.status("measuring") as status:
        for turn in range(options.rounds):
            for rate in options.rates:
                status.update(f"round {turn + 1} of {options.rounds}: {options.topics} topics at {rate} Hz")
                turns.append(_turn(options, rate, Path(scratch) / f"{rate}_{turn}"))
        for kill in range(options.kills):
            status.update(f"kill {kill + 1} of {options.kills}")
            moment = moments.uniform(LEAST_KILL_S, MOST_KILL_S)
            killed.append(_kill(options, moment, Path(scratch) / f"kill_{kill}"))
    console.print(_turns_table(options, turns))
    if killed:
        console.print(_kills_table(options, killed))
    if json_file is not None:
        rows = [asdict(turn) for turn in turns]
        write_json(json_file, {"topics": options.topics, "turns": rows, "seconds_lost_at_sigkill": killed})
    return all(turn.sent == turn.in_bag for turn in turns)


def _turn(options: RecordingOptions, rate: int, bag: Path) -> TurnResult:
    result = bag.with_suffix(".json")
    with ProcessGroup() as processes:
        recorder = _start_recorder(processes, options.topics, bag, "--json", str(result))
        before, clock = _cpu_seconds(recorder), time.monotonic()
        publisher = _start_publisher(processes, options.topics, rate, options.seconds)
        publisher.process.wait(START_S + 3.0 * options.seconds)
        cpu = (_cpu_seconds(recorder) - before) / (time.monotonic() - clock)
        each, took = _sent(publisher)
        recorder.process.send_signal(signal.SIGINT)
        if recorder.process.wait(END_S) != 0:
            raise ProcessError(f"the recorder failed: {recorder.last_error()}")
    summary = json.loads(result.read_text(encoding="utf-8"))
    counts = inspect(bag).counts
    in_bag = sum(counts.get(f"/{name}", 0) for name in topic_names(options.topics))
    said = sum(summary["lost"].values()) + sum(summary["dropped"].values())
    return TurnResult(rate, took, each * options.topics, in_bag, said, summary["megabytes"], cpu)


def _kill(options: RecordingOptions, moment: float, bag: Path) -> float:
    """Kill a recording so long after its first message.

    Returns:
        Time from the last message that can be read to the kill [s].
    """
    with ProcessGroup() as processes:
        recorder = _start_recorder(processes, options.topics, bag)
        publisher = _start_publisher(processes, options.topics, options.rates[0], 1e6)
        until = time.monotonic() + START_S
        while not (bag.exists() and any(file.stat().st_size > 100_000 for file in bag.glob("*.mcap"))):
            processes.check()
            if time.monotonic() > until:
                raise ProcessError(f"nothing recorded after {START_S:g} s: {recorder.last_error()}")
            time.sleep(0.01)
        time.sleep(moment)
        recorder.process.kill()
        killed_ns = time.time_ns()
        recorder.process.wait()
        publisher.process.kill()
    return (killed_ns - recover(bag).end_ns) * 1e-9


def _start_recorder(processes: ProcessGroup, count: int, bag: Path, *further: str) -> NodeProcess:
    names = [word for name in topic_names(count) for word in ("--topics", name)]
    return processes.start(
        "humanoid_rl_ros", ["bag", "record", "--output", str(bag), "--min-free", "0", *names, *further]
    )


def _start_publisher(processes: ProcessGroup, count: int, rate: int, seconds: float) -> NodeProcess:
    return processes.start("humanoid_rl_ros.cli.raw_publisher", [str(count), str(rate), str(seconds)])


def _sent(publisher: NodeProcess) -> tuple[int, float]:
    """Messages of each topic, and the time it took [s]."""
    found = re.search(r"sent (\d+) in ([\d.]+) s", publisher.output())
    if found is None:
        raise ProcessError(f"the publisher failed: {publisher.last_error()}")
    return int(found.group(1)), float(found.group(2))


def _cpu_seconds(node: NodeProcess) -> float:

    fields = Path(f"/proc/{node.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _turns_table(options: RecordingOptions, turns: Sequence[TurnResult]) -> Table:
    table = Table(title=f"{options.topics} topics, {options.seconds:g} s each")
    for heading in ("Hz each", "messages/s", "sent", "in the bag", "lost", "said lost", "MB/s", "cores"):
        table.add_column(heading, justify="right")
    for turn in turns:
        table.add_row(
            str(turn.rate),
            f"{turn.sent / turn.took:.0f}",
            str(turn.sent),
            str(turn.in_bag),
            str(turn.sent - turn.in_bag),
            str(turn.said_lost),
            f"{turn.megabytes / turn.took:.2f}",
            f"{turn.cpu:.2f}",
        )
    return table


def _kills_table(options: RecordingOptions, killed: Sequence[float]) -> Table:
    table = Table(title=f"seconds lost at SIGKILL, {options.topics} topics at {options.rates[0]} Hz")
    for heading in ("kills", "median", "max"):
        table.add_column(heading, justify="right")
    table.add_row(str(len(killed)), f"{np.median(killed):.3f}", f"{max(killed):.3f}")
    return table
