"""Periods, gaps and latencies: what came when, and what did not come."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.bags.bag_message import BagTopic
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.joints import standby_rows
from humanoid_rl_ros.bags.series import JointSeries, RobotTime, Series, TimesArray
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.interfaces import topics

LOSS_KEYS = ("humanoid_rl_lost", "humanoid_rl_dropped")
"""What the package's own recorder says in the custom data of a bag: JSON, messages by topic."""
_OF_THE_POLICY = (topics.POLICY_EFFORT, topics.POLICY_OBSERVATION, topics.POLICY_ACTION)
_UNSTEADY = (topics.DIAGNOSTICS.type_name, topics.SAFETY_STATUS.type_name, "rcl_interfaces/msg/Log")
"""Types of what several nodes say, or one when there is something to say."""
_LEAST = 10
"""Messages from which on a period is spoken of."""
_LEAST_REGULAR = 50
_REGULAR = 3.0
"""A topic is regular where nine of ten periods are at most so many medians long."""
_GAP = 2.0
"""Periods from which on a message was late or missing."""
_SAME_CLOCK = 0.01
_BINS = 60


@dataclass(frozen=True)
class TopicTiming:
    """How a topic came.

    Attributes:
        name, type: of the topic.
        count: messages.
        rate: on the average [Hz].
        period: median [s]; 0 where there are too few messages.
        regular: whether it comes with a period.
        longest_gap: [s], and where it begins [s].
        gap_at: [s].
        gaps: periods that are more than twice the median.
        missing: messages that would fill the gaps; by the stamps where it has them, which tell late from lost.
        lost: messages that the recorder never got; None where the bag does not say.
        by: the clock of these numbers: ``stamps``, ``log``, or ``robot`` for log times put on the robot's clock.
    """

    name: str
    type: str
    count: int
    rate: float = 0.0
    period: float = 0.0
    regular: bool = False
    longest_gap: float = 0.0
    gap_at: float = 0.0
    gaps: int = 0
    missing: int = 0
    lost: int | None = None
    by: str = "log"


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts over times, in bins of one ratio.

    Attributes:
        name: what was measured.
        edges: of the bins [ms; Shape (n + 1,)].
        counts: [Shape (n,)].
        p50, p99, largest: [ms].
        below: values that are zero or negative, and in no bin.
        note: what to know about it.
    """

    name: str
    edges: FloatArray
    counts: NDArray[np.int64]
    p50: float
    p99: float
    largest: float
    below: int = 0
    note: str = ""


def histogram(name: str, seconds: FloatArray, note: str = "") -> Histogram | None:
    """Of durations [s]; None where there is none."""
    values = seconds[np.isfinite(seconds)] * 1e3
    above = values[values > 0.0]
    if not len(above):
        return None
    low = max(float(above.min()), 1e-3)
    high = float(above.max())
    if high < 1.5 * low:
        low, high = 0.7 * low, 1.4 * high  # one value is a bar in the middle, and no wall
    edges = np.geomspace(low * 0.999, high * 1.001, _BINS + 1)
    counts, _ = np.histogram(above, edges)
    return Histogram(
        name,
        edges,
        counts,
        float(np.percentile(values, 50)),
        float(np.percentile(values, 99)),
        float(values.max()),
        int(len(values) - len(above)),
        note,
    )


def _stamps_by_topic(series: Series) -> dict[str, TimesArray]:
    """Of those topics whose messages have stamps of the robot's clock and were all kept."""
    found: dict[str, TimesArray] = {}
    for joints in (series.joint_states, series.policy_effort, series.command):
        if joints is not None and joints.stamp_ns is not None:
            found[joints.topic] = joints.stamp_ns
    if series.imu is not None:
        found[full_name(topics.IMU, series.namespace)] = series.imu.stamp_ns
    return {name: stamps for name, stamps in found.items() if len(stamps) == len(series.arrivals.get(name, ()))}


def _excused(series: Series, name: str, log_ns: TimesArray) -> BoolArray:
    """Steps in which a topic need not keep its period.

    On standby the policy node shows itself alive now and then, and runs no network.
    """
    excused = np.zeros(max(0, len(log_ns) - 1), dtype=np.bool_)
    efforts = series.policy_effort
    own = [full_name(topic, series.namespace) for topic in _OF_THE_POLICY]
    if efforts is None or name not in own or not len(excused):
        return excused
    standby = np.flatnonzero(np.diff(np.concatenate([[0], standby_rows(efforts).astype(np.int8), [0]])))
    for begin, end in zip(standby[::2], standby[1::2], strict=True):
        since = efforts.log_ns[begin]
        until = efforts.log_ns[min(end, len(efforts.log_ns) - 1)]
        excused |= (log_ns[1:] >= since) & (log_ns[:-1] <= until)
    return excused


def _timing(
    topic: BagTopic, seconds: FloatArray, excused: BoolArray, origin: FloatArray, lost: int | None, by: str
) -> TopicTiming:
    count = len(seconds)
    steps = np.diff(seconds)
    positive = steps[(steps > 0) & ~excused]
    if count < _LEAST or not len(positive):
        return TopicTiming(topic.name, topic.type, count, lost=lost)
    span = float(seconds[-1] - seconds[0])
    median = float(np.median(positive))
    steady = topic.type not in _UNSTEADY and count >= _LEAST_REGULAR
    regular = steady and float(np.percentile(positive, 90)) <= _REGULAR * median
    judged = np.where(excused, 0.0, steps)
    longest = int(np.argmax(judged))
    late = judged[judged > _GAP * median] if regular else steps[:0]
    return TopicTiming(
        topic.name,
        topic.type,
        count,
        rate=(count - 1) / span if span > 0.0 else 0.0,
        period=median,
        regular=regular,
        longest_gap=float(judged[longest]),
        gap_at=float(origin[longest]),
        gaps=len(late),
        missing=int(np.sum(np.round(late / median) - 1.0)) if len(late) else 0,
        lost=lost,
        by=by,
    )


def recorded_losses(bag: Bag) -> dict[str, int]:
    """Messages by topic that the recorder never got, or dropped: as it says itself, else by sequence numbers."""
    found: dict[str, int] = dict.fromkeys(bag.topics, 0)
    said = False
    for key in LOSS_KEYS:
        try:
            for topic, count in json.loads(bag.custom[key]).items():
                found[str(topic)] = found.get(str(topic), 0) + int(count)
            said = True
        except (KeyError, ValueError, AttributeError, TypeError):
            continue
    return found if said else dict(bag.lost)


def topic_timings(bag: Bag, series: Series, time: RobotTime) -> tuple[TopicTiming, ...]:
    """Of every topic of the robot that was recorded, those of the control path first.

    By the stamps where the messages have them, which tell a late message from a lost one; else by the time of the
    recording, put on the robot's clock, so that a simulation that stands still makes no gap.
    """
    stamped = _stamps_by_topic(series) if time.by_stamps else {}
    losses = recorded_losses(bag)
    found = []
    for name, topic in bag.topics.items():
        log_ns = series.arrivals.get(name, np.zeros(0, dtype=np.int64))
        at = time.of_log(log_ns)
        if name in stamped:
            seconds, by = stamped[name] * 1e-9 - stamped[name][:1] * 1e-9, "stamps"
        elif time.by_stamps and abs(time.factor - 1.0) > _SAME_CLOCK:
            seconds, by = at, "robot"
        else:
            seconds, by = (log_ns - log_ns[:1]) * 1e-9, "log"
        excused = _excused(series, name, log_ns)
        found.append(_timing(topic, seconds, excused, at, losses.get(name), by))
    return tuple(sorted(found, key=lambda t: (t.name not in stamped, t.name)))


def period_histograms(series: Series) -> tuple[Histogram, ...]:
    """Between joint states, and between policy efforts: as they arrived, and by their stamps."""
    found = []
    for joints in (series.joint_states, series.policy_effort, series.command):
        if joints is None or len(joints.log_ns) < 2:
            continue
        found.append(histogram(f"{joints.topic}, as recorded", np.diff(joints.log_ns) * 1e-9))
        if joints.stamp_ns is not None and joints is series.joint_states:
            found.append(histogram(f"{joints.topic}, by its stamps", np.diff(joints.stamp_ns) * 1e-9))
    return tuple(h for h in found if h is not None)


def _latency(source: JointSeries, answer: JointSeries) -> FloatArray:
    """From the first message of a stamp to the answer with the same stamp [s]; answers to nothing recorded are out."""
    if source.stamp_ns is None or answer.stamp_ns is None:
        return np.zeros(0)
    stamps, first = np.unique(source.stamp_ns, return_index=True)
    place = np.searchsorted(stamps, answer.stamp_ns)
    place[place == len(stamps)] = 0
    matched = stamps[place] == answer.stamp_ns
    # A stamp that stands still (a simulation that waits) is answered more than once: the first answer counts.
    _, once = np.unique(answer.stamp_ns, return_index=True)
    firsts = np.zeros(len(matched), dtype=np.bool_)
    firsts[once] = True
    chosen = matched & firsts
    return np.asarray((answer.log_ns[chosen] - source.log_ns[first[place[chosen]]]) * 1e-9, dtype=np.float64)


def latency_histograms(series: Series) -> tuple[tuple[Histogram, ...], tuple[str, ...]]:
    """Joint state to policy effort to command, and what could not be measured."""
    found: list[Histogram | None] = []
    notes: list[str] = []
    states, efforts, commands = series.joint_states, series.policy_effort, series.command
    names = ("joint state to policy effort", "policy effort to command", "joint state to command")
    for name, source, answer in zip(names, (states, efforts, states), (efforts, commands, commands), strict=True):
        if source is None or answer is None:
            notes.append(f"{name}: not measured, {'the first' if source is None else 'the second'} was not recorded.")
        elif answer.stamp_ns is None:
            notes.append(f"{name}: not measured, commands of type Float64MultiArray carry no stamp to match.")
        else:
            result = histogram(name, _latency(source, answer))
            found.append(result)
            if result is None:
                notes.append(f"{name}: not measured, no stamp of the second is one of the first.")
            elif result.below:
                notes.append(
                    f"{name}: {result.below} answers were recorded before their question; not in the histogram."
                )
    return tuple(h for h in found if h is not None), tuple(notes)
