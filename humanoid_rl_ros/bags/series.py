"""The numbers of a bag as arrays: what the robot measured, what it was asked, what it said of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.control.setup import NodeSetup
from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.cdr_messages import RawStatus

TimesArray = NDArray[np.int64]
_ORDERLY = 0.999
"""Share of the stamps that must not go back, for them to be a clock."""


@dataclass(frozen=True, eq=False)
class JointSeries:
    """Messages with a number for each joint.

    Attributes:
        topic: whose.
        names: joints, in the order of the columns.
        log_ns: when they were recorded [ns; Shape (n,)].
        stamp_ns: their stamps [ns; Shape (n,)]; None where the messages have none.
        position, velocity, effort: [rad], [rad/s], [N·m; Shape (n, joints)]; None where none has any, NaN where one
            lacks it.
        frames: rows at which `header.frame_id` changes, and to what.
    """

    topic: str
    names: tuple[str, ...]
    log_ns: TimesArray
    stamp_ns: TimesArray | None
    position: Float32Array | None = None
    velocity: Float32Array | None = None
    effort: Float32Array | None = None
    frames: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, eq=False)
class ImuSeries:
    """IMU messages.

    Attributes:
        log_ns, stamp_ns: [ns; Shape (n,)].
        orientation: IMU frame in the world [wxyz; Shape (n, 4)].
        angular_velocity: [rad/s; Shape (n, 3)].
        linear_acceleration: [m/s²; Shape (n, 3)].
    """

    log_ns: TimesArray
    stamp_ns: TimesArray
    orientation: FloatArray
    angular_velocity: FloatArray
    linear_acceleration: FloatArray


@dataclass(frozen=True, eq=False)
class VelocitySeries:
    """Velocities: asked, or measured.

    Attributes:
        log_ns: [ns; Shape (n,)].
        stamp_ns: [ns; Shape (n,)]; None where the messages have none.
        velocity: linear x, y, z [m/s], angular x, y, z [rad/s; base frame; Shape (n, 6)].
        position: [m; world; Shape (n, 3)]; None of messages without a pose.
        orientation: [wxyz; Shape (n, 4)]; the same.
    """

    log_ns: TimesArray
    stamp_ns: TimesArray | None
    velocity: FloatArray
    position: FloatArray | None = None
    orientation: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class ContactSeries:
    """A topic of contacts.

    Attributes:
        log_ns: [ns; Shape (n,)].
        values: 0 and 1, or forces, as they were published [Shape (n, contacts)].
        names: of the feet, as the messages say them, else numbers from 0.
        forces: whether the values are forces [N].
    """

    log_ns: TimesArray
    values: Float32Array
    names: tuple[str, ...]
    forces: bool


@dataclass(frozen=True)
class NodeHealth:
    """What a node said on /diagnostics.

    Attributes:
        last: its last status.
        changes: log time [ns], level and message whenever its level changed.
    """

    last: RawStatus
    changes: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, eq=False)
class Series:
    """Everything that a report is made of; what the bag does not have is None or empty.

    Attributes:
        namespace: of the robot.
        robot: the recorded one, or the one named; None where nobody knows it.
        setups: what the nodes said they were made of.
        joint_states, policy_effort, command: measured, from the policy, to the motors.
        imu: the IMU's.
        asked, odometry: velocity commands, and true or estimated velocities.
        statuses: log time [ns] and status of the safety monitor.
        health: of each node, by name.
        contacts: by topic.
        arrivals: log times of every topic [ns].
        problems: what was wrong with single topics.
    """

    namespace: str = ""
    robot: RobotSpec | None = None
    setups: tuple[NodeSetup, ...] = ()
    joint_states: JointSeries | None = None
    policy_effort: JointSeries | None = None
    command: JointSeries | None = None
    imu: ImuSeries | None = None
    asked: VelocitySeries | None = None
    odometry: VelocitySeries | None = None
    statuses: Sequence[tuple[int, RawStatus]] = ()
    health: Mapping[str, NodeHealth] = field(default_factory=dict)
    contacts: Mapping[str, ContactSeries] = field(default_factory=dict)
    arrivals: Mapping[str, TimesArray] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class RobotTime:
    """Puts log times and stamps on one axis: seconds since the bag began, on the robot's own clock.

    In lock-step a simulated second takes as long as it takes, and a chart over the recorder's clock would be stretched.
    The joint states say how the two clocks go together. Where their stamps are no clock (all zero, or going back), the
    recorder's is all there is.

    Args:
        series: the bag's.
        start_ns, end_ns: first and last log time of the bag [ns].
    """

    def __init__(self, series: Series, start_ns: int, end_ns: int) -> None:
        self._log = np.array([start_ns, end_ns], dtype=np.int64)
        self._stamp = self._log
        self.by_stamps = False
        """Whether the joint states' stamps are the clock."""
        self.why_not = "no joint states"
        source = series.joint_states
        if source is not None and source.stamp_ns is not None and len(source.log_ns) > 1:
            self._take(source.log_ns, source.stamp_ns)
        self.origin_ns = int(self._stamp[0]) - (int(self._log[0]) - start_ns)
        self.end = float(self.of_log(np.array([end_ns]))[0]) if end_ns > start_ns else 0.0

    def _take(self, log_ns: TimesArray, stamp_ns: TimesArray) -> None:
        steps = np.diff(stamp_ns)
        if stamp_ns[-1] <= stamp_ns[0] or (steps < 0).sum() > (1.0 - _ORDERLY) * len(steps):
            self.why_not = "the stamps of the joint states are no clock"
            return
        if (steps < -1_000_000_000).any():
            self.why_not = "the stamps of the joint states jump back"
            return
        keep = np.concatenate([[True], np.diff(np.maximum.accumulate(stamp_ns)) > 0])
        self._log, self._stamp = log_ns[keep], stamp_ns[keep]
        self.by_stamps, self.why_not = True, ""

    @property
    def factor(self) -> float:
        """Seconds of the robot's clock in one of the recorder's."""
        log = int(self._log[-1] - self._log[0])
        return int(self._stamp[-1] - self._stamp[0]) / log if log else 1.0

    def of_stamp(self, stamp_ns: TimesArray) -> FloatArray:
        """Stamps as seconds [s]."""
        return np.asarray((np.asarray(stamp_ns, dtype=np.int64) - self.origin_ns) * 1e-9, dtype=np.float64)

    def of_log(self, log_ns: TimesArray) -> FloatArray:
        """Log times as seconds [s]."""
        log_ns = np.asarray(log_ns, dtype=np.int64)
        base = self._log[0]
        inside = np.interp((log_ns - base) * 1e-9, (self._log - base) * 1e-9, (self._stamp - self.origin_ns) * 1e-9)
        # Beyond the joint states both clocks are taken to run alike.
        before = np.minimum(log_ns - base, 0) * 1e-9
        after = np.maximum(log_ns - self._log[-1], 0) * 1e-9
        return np.asarray(inside + before + after, dtype=np.float64)

    def of(self, log_ns: TimesArray, stamp_ns: TimesArray | None) -> FloatArray:
        """By the stamps where they are of the robot's clock, else by the log times [s]."""
        if stamp_ns is None or not self.by_stamps or not len(stamp_ns):
            return self.of_log(log_ns)
        if self._on_clock(stamp_ns).mean() < _ORDERLY:
            return self.of_log(log_ns)
        return self.of_stamp(stamp_ns)

    def _on_clock(self, stamp_ns: TimesArray) -> BoolArray:
        margin = 5_000_000_000
        return np.asarray((stamp_ns >= self._stamp[0] - margin) & (stamp_ns <= self._stamp[-1] + margin))
