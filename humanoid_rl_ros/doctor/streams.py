"""Judges when messages come: rates, jitter, stamps."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.doctor.graph_facts import Heard, Stream, TopicFacts
from humanoid_rl_ros.interfaces.cdr import read_stamp

SHORTEST_S = 0.5
"""Time in which whoever speaks at all has spoken."""
FEWEST = 10
"""Messages from which on a rate is one."""
SLOW_SHARE = 0.8
"""Of a rate that is wanted: what is less is too little."""
SLOWEST_HZ = 100.0
"""Joint states below this rate have not been seen to hold a humanoid up."""
LATE_SHARE = 0.5
"""Of a time-out of the safety monitor."""
APART = 0.1
"""Share by which the rates of stamps and of arrivals may differ."""
AHEAD_S, BEHIND_S = 0.05, 0.2
"""By which a stamp may be after, or before, the time of its arrival."""
OF_THIS_CENTURY_NS = 1_000_000_000_000_000_000
"""A stamp below this counts from a start, and not from 1970."""


@dataclass(frozen=True)
class Expected:
    """What a stream is held against.

    Attributes:
        timeout: of the safety monitor for this topic [s]; 0: none.
        flood_rate: above which it calls it a flood [Hz]; 0: none.
        least_rate: below which it does not work [Hz]; 0: none.
        wanted_rate: at which the PD law was trained [Hz]; 0: not known.
    """

    timeout: float = 0.0
    flood_rate: float = 0.0
    least_rate: float = 0.0
    wanted_rate: float = 0.0


def stream_of(heard: Sequence[Heard], *, stamped: bool = True) -> Stream:
    """Times of messages.

    Args:
        heard: in the order of arrival.
        stamped: whether they begin with a header.
    """
    arrived = np.array([message.monotonic_ns for message in heard], dtype=np.int64)
    periods = np.asarray((arrived[1:] - arrived[:-1]) * 1e-9, dtype=np.float64)
    if not stamped:
        return Stream(periods)
    stamps, arrivals, unreadable = [], [], 0
    for message in heard:
        try:
            stamp = read_stamp(message.raw)
        except (StateError, struct.error):
            unreadable += 1
            continue
        in_simulation = message.simulated_ns is not None and stamp < OF_THIS_CENTURY_NS
        stamps.append(stamp)
        arrivals.append(message.simulated_ns if in_simulation else message.wall_ns)
    return Stream(periods, np.array(stamps, dtype=np.int64), np.array(arrivals, dtype=np.int64), unreadable)


def judge_stream(facts: TopicFacts, expected: Expected, *, stalled: float = 0.0, stamped: bool = True) -> list[Finding]:
    """Rate, jitter and stamps of one topic that has a publisher.

    Args:
        facts: what was heard.
        expected: what it is held against.
        stalled: longest time in which whoever listened was not given the processor [s].
        stamped: whether its messages begin with a header.
    """
    label = f"graph.{facts.topic.name.strip('/').replace('/', '.')}"
    if not facts.publishers or (facts.conflicts and not facts.heard):
        return []
    if len(facts.heard) < FEWEST:
        found = f"{len(facts.heard)} messages in {facts.listened:.1f} s"
        if facts.listened < SHORTEST_S:
            return [note(f"{label}.rate", f"{found}: its publisher was found late", "again, and longer: --seconds 10")]
        todo = "the publisher is there and says nothing: is it active, or does it wait for something?"
        return [error(f"{label}.rate", found, todo) if expected.timeout else note(f"{label}.rate", found)]
    stream = stream_of(facts.heard, stamped=stamped)
    findings = [*_rate(label, stream, expected), *_jitter(label, stream, expected, stalled)]
    return [*findings, *_stamps(label, stream)] if stamped else findings


def rate_of(stream: Stream) -> float:
    """Messages for each second of wall time, the median; what was lost on the way to us does not lower it [Hz]."""
    return 1.0 / max(float(np.median(stream.periods)), 1e-9)


def _stamped_rate(stream: Stream) -> float:
    """The same of their own time; 0: the stamps do not say, or go back."""
    steps = np.diff(stream.stamps_ns) if stream.stamps_ns is not None else np.zeros(0)
    if np.any(steps < 0):
        return 0.0
    steps = steps[steps > 0]
    return 1e9 / float(np.median(steps)) if steps.size >= FEWEST // 2 else 0.0


def _rate(label: str, stream: Stream, expected: Expected) -> Iterable[Finding]:
    mean = 1.0 / max(float(np.mean(stream.periods)), 1e-9)
    stamped = _stamped_rate(stream)
    rate = stamped or rate_of(stream)
    text = f"{rate:.1f} Hz"
    if stamped and abs(mean - stamped) > APART * stamped:
        text += f" by its stamps, {mean:.1f} Hz arrived"
    wanted = expected.wanted_rate
    if expected.least_rate and rate < SLOW_SHARE * expected.least_rate:
        yield error(f"{label}.rate", text, f"at least {expected.least_rate:g} Hz: the policy answers nothing faster")
    elif expected.flood_rate and mean > expected.flood_rate:
        todo = f"the monitor calls more than {expected.flood_rate:g} Hz a flood: flood_rate, or parameter state_rate"
        yield warning(f"{label}.rate", text, todo)
    elif wanted and rate < SLOW_SHARE * wanted:
        yield warning(f"{label}.rate", text, f"the PD law was trained at {wanted:g} Hz: raise the driver's rate")
    elif expected.timeout and not wanted and rate < SLOWEST_HZ:
        yield warning(
            f"{label}.rate", text, f"raise it: a torque is held for {1e3 / rate:.0f} ms; 200 to 1000 Hz are usual"
        )
    else:
        yield ok(f"{label}.rate", text)


def _jitter(label: str, stream: Stream, expected: Expected, stalled: float) -> Iterable[Finding]:
    p50, p99 = (float(value) * 1e3 for value in np.percentile(stream.periods, (50, 99)))
    longest = float(np.max(stream.periods))
    text = f"periods p50 {p50:.2f}, p99 {p99:.2f}, max {longest * 1e3:.2f} ms"
    limit = expected.timeout
    if limit and longest > LATE_SHARE * limit and longest - stalled < LATE_SHARE * limit:
        # What came meanwhile was replaced by what came next: nobody can tell whether it came in time.
        found = f"{text}, and the doctor itself was held up for {stalled * 1e3:.0f} ms"
        yield note(
            f"{label}.jitter", found, "again with less load, or as a real-time task: chrt -f 50 humanoid_rl doctor"
        )
    elif limit and longest > limit:
        todo = f"the monitor damps after {limit * 1e3:g} ms: real-time priority for the driver, fewer programs, a cable"
        yield error(f"{label}.jitter", text, todo)
    elif limit and longest > LATE_SHARE * limit:
        todo = f"the monitor damps after {limit * 1e3:g} ms; look at machine.load and machine.realtime_priority"
        yield warning(f"{label}.jitter", text, todo)
    else:
        yield ok(f"{label}.jitter", text)


def _stamps(label: str, stream: Stream) -> Iterable[Finding]:
    name, stamps, arrivals = f"{label}.stamps", stream.stamps_ns, stream.arrivals_ns
    assert stamps is not None
    assert arrivals is not None  # they come together
    if stream.unreadable:
        yield error(
            name, f"{stream.unreadable} messages without a readable stamp", "the nodes refuse them: see their logs"
        )
    if not stamps.size:
        return
    if not stamps.any():
        yield error(name, "all stamps are 0", "the driver must stamp each measurement: a frozen sensor looks like this")
        return
    steps = np.diff(stamps)
    backwards, repeated = int(np.sum(steps < 0)), int(np.sum(steps == 0))
    ages = (arrivals - stamps) * 1e-9
    age, least = float(np.median(ages)), float(np.min(ages))
    if backwards:
        todo = "two publishers, or a clock that is set while the robot runs: the monitor stops it"
        yield error(name, f"go back {backwards} times", todo)
    elif repeated > steps.size // 2:
        yield error(name, f"{repeated} of {steps.size} repeat the one before", "the driver sends one measurement again")
    elif int(np.median(stamps)) < OF_THIS_CENTURY_NS <= int(np.median(arrivals)):
        todo = "nothing here needs the system's time, but bags and other nodes do: stamp with the node's clock"
        yield note(name, f"count from a start ({stamps[-1] * 1e-9:.1f} s), and no clock is published", todo)
    elif least < -AHEAD_S:
        yield warning(
            name, f"up to {-least:.3f} s in the future", "synchronise the clocks of the two computers (chrony)"
        )
    elif age > BEHIND_S:
        todo = "another computer's clock, or a queue on the way: synchronise the clocks, and send with depth 1"
        yield warning(name, f"{age:.3f} s old when they arrive", todo)
    else:
        yield ok(name, f"{abs(age) * 1e3:.1f} ms from the time of their arrival")
