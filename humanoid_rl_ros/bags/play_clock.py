"""Simulated time for a bag that is played: the recorded clock, or one made of stamps, and never behind a message."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.playing import Selection
from humanoid_rl_ros.bags.reader import Bag, BagMessage
from humanoid_rl_ros.bags.series import JointSeries, RobotTime, Series
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import read_stamp
from humanoid_rl_ros.interfaces.cdr_messages import read_clock
from humanoid_rl_ros.interfaces.cdr_writers import write_clock

CLOCK_PERIOD_NS = 10_000_000
LARGEST_LEAD_NS = 500_000_000
"""Of a stamp before the clock; one that is further ahead is of another clock, or of before a reset [ns]."""
_BEFORE_FIRST_NS = 100_000_000
"""Where time begins before the first message of the recorded clock, which may come long after the bag began [ns]."""
_LATEST_NS = (2**31 - 1) * 1_000_000_000
_STAMPED = frozenset(
    {
        topics.JOINT_STATES.type_name,
        topics.IMU.type_name,
        topics.ODOMETRY.type_name,
        topics.VELOCITY_COMMAND.type_name,
        topics.HAND_TARGETS.type_name,
    }
)
"""Types that begin with a header."""


class Due(NamedTuple):
    """Something to publish.

    Attributes:
        log_ns: when, on the recorder's clock [ns].
        topic: where.
        data: serialised.
    """

    log_ns: int
    topic: str
    data: bytes


class _Tick(NamedTuple):
    """The robot's time at a log time [ns]."""

    log_ns: int
    time_ns: int


class _Clock:
    """Decides what is published as time; it goes back where the recorded clock was set back, and nowhere else."""

    def __init__(self, topic: str, now_ns: int) -> None:
        self._topic = topic
        self._now_ns = now_ns
        self._recorded_ns: int | None = None

    def say(self, log_ns: int) -> Due:
        """The time now, as a message."""
        return Due(log_ns, self._topic, write_clock(self._now_ns))

    def recorded(self, message: BagMessage) -> Iterator[Due]:
        """A message of the recorded clock."""
        time_ns = _recorded_time(message)
        if time_ns is None:
            return
        set_back = self._recorded_ns is not None and time_ns < self._recorded_ns
        self._recorded_ns = time_ns
        if set_back or time_ns >= self._now_ns:
            self._now_ns = time_ns
            yield self.say(message.log_ns)

    def made(self, log_ns: int, time_ns: int) -> Iterator[Due]:
        """Time has come to this point."""
        if time_ns > self._now_ns:
            self._now_ns = time_ns
            yield self.say(log_ns)

    def before(self, message: BagMessage) -> Iterator[Due]:
        """What a message needs: its stamp must not be in the future of who hears it."""
        if message.type not in _STAMPED:
            return
        try:
            stamp_ns = read_stamp(message.data)
        except (StateError, struct.error):
            return
        if 0 < stamp_ns - self._now_ns <= LARGEST_LEAD_NS:
            yield from self.made(message.log_ns, stamp_ns)


def _recorded_time(message: BagMessage) -> int | None:
    try:
        time_ns = read_clock(message.data)
    except (StateError, struct.error):
        return None
    return time_ns if time_ns >= 0 else None


def timeline(bag: Bag, selection: Selection, start_ns: int, end_ns: int) -> Iterator[Due]:
    """What is published, clock included, in the order of log time.

    Latched messages from before the start come first, as one who subscribes late would get them.

    Args:
        bag: the recording.
        selection: of it.
        start_ns: log time from which on [ns].
        end_ns: log time before which [ns].
    """
    names = [topic.name for topic in selection.topics]
    first = None
    if selection.clock_recorded:
        found = (m for m in bag.messages([selection.clock], start_ns, end_ns) if _recorded_time(m) is not None)
        first = next(found, None)
    if first is not None:
        begun_ns = (_recorded_time(first) or 0) - min(first.log_ns - start_ns, _BEFORE_FIRST_NS)
        source = bag.messages([*names, selection.clock], start_ns, end_ns)
        ticks: Iterator[_Tick] = iter(())
    else:
        time = _robot_time(bag, selection.namespace, start_ns, end_ns)
        begun_ns = _times(time, np.array([start_ns]))[0]
        source = bag.messages(names, start_ns, end_ns)
        ticks = _ticks(time, start_ns, end_ns)
    clock = _Clock(selection.clock, max(0, begun_ns))
    yield clock.say(start_ns)
    yield from _latched_before(bag, selection, start_ns)
    sources: tuple[Iterator[BagMessage | _Tick], ...] = (ticks, source)  # of the same time, a tick is first
    for item in heapq.merge(*sources, key=_log_ns):
        if isinstance(item, _Tick):
            yield from clock.made(item.log_ns, item.time_ns)
        elif item.topic == selection.clock:
            yield from clock.recorded(item)
        else:
            yield from clock.before(item)
            yield Due(item.log_ns, item.topic, item.data)


def _log_ns(item: BagMessage | _Tick) -> int:
    return item.log_ns


def _latched_before(bag: Bag, selection: Selection, start_ns: int) -> Iterator[Due]:
    latched = [topic.name for topic in selection.topics if topic.latched]
    if not latched or start_ns <= bag.start_ns:
        return
    # The bag does not tell the publishers of a topic apart; two of static transforms say different things.
    said = dict.fromkeys((message.topic, message.data) for message in bag.messages(latched, None, start_ns))
    for topic, data in said:
        yield Due(start_ns, topic, data)


def _robot_time(bag: Bag, namespace: str, start_ns: int, end_ns: int) -> RobotTime:
    """Log times as the robot's, by the stamps of its joint states where they are a clock."""
    name = full_name(topics.JOINT_STATES, namespace)
    log_ns, stamps = [], []
    for message in bag.messages([name], start_ns, end_ns) if name in bag.topics else ():
        try:
            stamp_ns = read_stamp(message.data)
        except (StateError, struct.error):
            continue
        if 0 <= stamp_ns <= _LATEST_NS:
            log_ns.append(message.log_ns)
            stamps.append(stamp_ns)
    states = JointSeries(name, (), np.array(log_ns, dtype=np.int64), np.array(stamps, dtype=np.int64))
    return RobotTime(Series(joint_states=states), start_ns, end_ns)


def _times(time: RobotTime, log_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """The robot's time at log times [ns]."""
    seconds = time.of_log(log_ns)
    return [time.origin_ns + round(value * 1e9) for value in seconds.tolist()]


def _ticks(time: RobotTime, start_ns: int, end_ns: int) -> Iterator[_Tick]:
    """One clock period of the recorder apart."""
    block_ns = 100 * CLOCK_PERIOD_NS
    for begin_ns in range(start_ns, end_ns, block_ns):
        log_ns = np.arange(begin_ns, min(begin_ns + block_ns, end_ns), CLOCK_PERIOD_NS, dtype=np.int64)
        yield from map(_Tick, log_ns.tolist(), _times(time, log_ns))
