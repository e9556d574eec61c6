"""A run as signals over one time, and two runs lined up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from humanoid_rl_ros.bags.collect import collect
from humanoid_rl_ros.bags.network_series import NetworkSeries, collect_network
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.run_difference import StateChange
from humanoid_rl_ros.bags.series import JointSeries, RobotTime, Series, TimesArray
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import BagError, did_you_mean
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_messages import RawStatus
from humanoid_rl_ros.safety.status import PASSING_NAMES, SafetyState

ALIGNMENTS = ("auto", "stamp", "active", "start", "clock")
_At: TypeAlias = Callable[[TimesArray, "TimesArray | None"], FloatArray]
MOST_LATE_S = 1.0
"""Of a status: how long after the state that it is for it may be recorded [s]."""
_ACTIVE = SafetyState.ACTIVE.value
SHARED = 0.5
"""Share of the joint states of the shorter run that the other must have too, for their stamps to be one clock."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One quantity of a run.

    Attributes:
        name: such as ``joint_states effort``.
        quantity: key of `TOLERANCES`.
        columns: names of its numbers.
        time: [s from where the runs are lined up; Shape (n,)].
        values: [Shape (n, columns)].
    """

    name: str
    quantity: str
    columns: tuple[str, ...]
    time: FloatArray
    values: np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass
class Run:
    """A bag's numbers and their time; `origin` is what is 0 [s since the bag began]."""

    series: Series
    network: list[NetworkSeries]
    time: RobotTime
    start_ns: int
    origin: float = 0.0

    @property
    def states(self) -> tuple[StateChange, ...]:
        """Changes of the safety monitor from its first arming on, if there is one."""
        changes = [
            StateChange(
                self.when(log_ns, status) - self.origin, status.values.get("state", ""), status.values.get("reason", "")
            )
            for log_ns, status in self.series.statuses
        ]
        first = next((k for k, change in enumerate(changes) if change.state in PASSING_NAMES), 0)
        said = [(change.state, change.reason) for change in changes]
        return tuple(change for k, change in enumerate(changes) if k >= first and (k == 0 or said[k] != said[k - 1]))

    def when(self, log_ns: int, status: RawStatus) -> float:
        """When a status began to hold: by the stamp of the first state it is for, where that can be [s]."""
        logged = float(self.time.of_log(np.array([log_ns]))[0])
        since = status.values.get("since_ns", "")
        if not self.time.by_stamps or not since.isdigit():
            return logged
        stamped = float(self.time.of_stamp(np.array([int(since)]))[0])
        return stamped if abs(stamped - logged) < MOST_LATE_S else logged


def read_run(bag: Bag, namespace: str | None) -> Run:
    """The run of a robot in a bag.

    Raises:
        BagError: there are several robots and none is named.
    """
    series = collect(bag, namespace)
    network = collect_network(bag, series.namespace)
    return Run(series, network, RobotTime(series, bag.start_ns, bag.end_ns), bag.start_ns)


def line_up(one: Run, other: Run, align: str) -> str:
    """Set the origins of both.

    Args:
        one, other: the runs.
        align: one of `ALIGNMENTS`.

    Returns:
        How, for people.

    Raises:
        BagError: they cannot be lined up so.
    """
    if align not in ALIGNMENTS:
        raise BagError(f"no way '{align}' to line runs up; {did_you_mean(align, ALIGNMENTS)}")
    if align == "clock":
        # Of one recording: what is 0 for the first is the same moment of the recorder's clock in the second.
        other.origin = float(other.time.of_log(np.array([one.start_ns]))[0])
        one.origin = float(one.time.of_log(np.array([one.start_ns]))[0])
        return "by the recorder's clock"
    if align in ("auto", "stamp"):
        shared = _shared_stamps(one, other)
        if shared >= SHARED:
            # One clock: what is 0 for the first is 0 for the second.
            other.origin = (one.time.origin_ns - other.time.origin_ns) * 1e-9
            return "by equal stamps"
        if align == "stamp":
            raise BagError(f"only {100.0 * shared:.0f} % of the joint states have the same stamps in both runs")
    if align in ("auto", "active"):
        origins = [_first_active(run) for run in (one, other)]
        if None not in origins:
            one.origin, other.origin = (float(origin or 0.0) for origin in origins)
            return "from where the safety monitor first was ACTIVE"
        if align == "active":
            raise BagError("the safety monitor was not ACTIVE in both runs")
    for run in (one, other):
        states = run.series.joint_states
        run.origin = 0.0 if states is None else float(run.time.of(states.log_ns[:1], _head(states.stamp_ns))[0])
    return "from the first joint states"


def _head(stamps: TimesArray | None) -> TimesArray | None:
    return None if stamps is None else stamps[:1]


def _shared_stamps(one: Run, other: Run) -> float:
    first, second = one.series.joint_states, other.series.joint_states
    if first is None or second is None or first.stamp_ns is None or second.stamp_ns is None:
        return 0.0
    if not (one.time.by_stamps and other.time.by_stamps):
        return 0.0
    # A simulation begins at 0 each time: equal stamps are one clock only where the same was measured too.
    common, a, b = np.intersect1d(first.stamp_ns, second.stamp_ns, return_indices=True)
    least = min(len(np.unique(first.stamp_ns)), len(np.unique(second.stamp_ns)))
    if not least or first.position is None or second.position is None or first.names != second.names:
        return 0.0
    same = (first.position[a] == second.position[b]).all(axis=1)
    return float(same.sum()) / least if len(common) else 0.0


def _first_active(run: Run) -> float | None:
    found = (run.when(log, status) for log, status in run.series.statuses if status.values.get("state") == _ACTIVE)
    return next(found, None)


def signals_of(run: Run) -> Iterator[Signal]:
    """In the order in which one leads to the next."""
    series, time = run.series, run.time

    def at(log_ns: TimesArray, stamp_ns: TimesArray | None) -> FloatArray:
        return time.of(log_ns, stamp_ns) - run.origin

    if series.joint_states is not None:
        yield from _joint_signals(series.joint_states, "joint_states", ("position", "velocity"), at)
    if (imu := series.imu) is not None:
        when = at(imu.log_ns, imu.stamp_ns)
        yield Signal("imu angular velocity", "angular velocity", ("x", "y", "z"), when, imu.angular_velocity)
        yield Signal("imu orientation", "gravity", ("w", "x", "y", "z"), when, imu.orientation)
    if (asked := series.asked) is not None:
        when = at(asked.log_ns, asked.stamp_ns)
        yield Signal("cmd_vel", "asked velocity", ("x", "y", "yaw"), when, asked.velocity[:, [0, 1, 5]])
    for seen in run.network:
        columns = tuple(f"[{i}]" for i in range(seen.values.shape[1]))
        yield Signal(seen.name, seen.quantity, columns, at(seen.log_ns, seen.stamp_ns), seen.values)
    if series.policy_effort is not None:
        yield from _joint_signals(
            _passing(series.policy_effort, series.command), "policy/joint_effort", ("effort",), at
        )
    if series.command is not None:
        yield from _joint_signals(series.command, "commands", ("effort",), at)
    if series.joint_states is not None:
        yield from _joint_signals(series.joint_states, "joint_states", ("effort",), at)
    if (odom := series.odometry) is not None:
        when = at(odom.log_ns, odom.stamp_ns)
        yield Signal("odom velocity", "base velocity", ("x", "y", "z"), when, odom.velocity[:, :3])
        if odom.position is not None:
            yield Signal("odom height", "height", ("z",), when, odom.position[:, 2:])


def _frames(series: JointSeries) -> list[str]:
    """`header.frame_id` of each message."""
    edges = [row for row, _ in series.frames] + [len(series.log_ns)]
    return [frame for (row, frame), end in zip(series.frames, edges[1:], strict=True) for _ in range(row, end)]


def _passing(efforts: JointSeries, commands: JointSeries | None) -> JointSeries:
    """Without those that show what a policy that stands by would do, or that the monitor did not pass on."""
    frames = _frames(efforts)
    kept = np.array([not frame.startswith(topics.STANDBY) for frame in frames], dtype=bool)
    if commands is not None and commands.stamp_ns is not None and commands.frames and efforts.stamp_ns is not None:
        passed = set(zip(commands.stamp_ns.tolist(), _frames(commands), strict=True))
        kept &= np.array([pair in passed for pair in zip(efforts.stamp_ns.tolist(), frames, strict=True)], dtype=bool)
    rows = np.flatnonzero(kept)

    def of(values: Float32Array | None) -> Float32Array | None:
        return None if values is None else values[rows]

    stamp_ns = None if efforts.stamp_ns is None else efforts.stamp_ns[rows]
    return JointSeries(
        efforts.topic,
        efforts.names,
        efforts.log_ns[rows],
        stamp_ns,
        of(efforts.position),
        of(efforts.velocity),
        of(efforts.effort),
    )


def _joint_signals(series: JointSeries, name: str, fields: Sequence[str], at: _At) -> Iterator[Signal]:
    when = at(series.log_ns, series.stamp_ns)
    for quantity in fields:
        values = getattr(series, quantity)
        if values is not None:
            yield Signal(f"{name} {quantity}", quantity, series.names, when, values)
