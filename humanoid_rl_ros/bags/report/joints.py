"""Efforts against their limits and tracking errors, joint by joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.bags.series import JointSeries, Series
from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.topics import read_standby

AT_LIMIT = 0.99
"""Share of its limit from which on an effort is at it."""


@dataclass(frozen=True)
class JointFindings:
    """What one joint did.

    Attributes:
        name: of the joint.
        effort_limit: [N·m]; None where nobody knows it.
        peak_measured, peak_commanded: largest effort by size [N·m]; None where it was not recorded.
        peak_time: of the larger of the two [s].
        peak_share: that, as a share of the limit.
        at_limit: share of the commands (or of the measured efforts) that were at the limit.
        tracking_rms, tracking_peak: of target less measured position [rad].
        nearest_stop: least distance to a position limit [rad]; negative beyond it.
    """

    name: str
    effort_limit: float | None = None
    peak_measured: float | None = None
    peak_commanded: float | None = None
    peak_time: float = 0.0
    peak_share: float | None = None
    at_limit: float | None = None
    tracking_rms: float | None = None
    tracking_peak: float | None = None
    nearest_stop: float | None = None


def limits_of(robot: RobotSpec | None, names: tuple[str, ...]) -> FloatArray | None:
    """Effort limits of these joints [N·m; Shape (n,)], NaN of those that the robot does not have."""
    if robot is None:
        return None
    known = {joint.name: joint.effort_limit for joint in robot.joints}
    return np.array([known.get(name, np.nan) for name in names])


def _targets(efforts: JointSeries | None) -> tuple[JointSeries, Float32Array] | None:
    if efforts is None or efforts.position is None:
        return None
    return efforts, efforts.position


def standby_rows(efforts: JointSeries) -> BoolArray:
    """Which policy efforts show the policy alive and are not to be sent on [Shape (n,)]."""
    standby = np.zeros(len(efforts.log_ns), dtype=np.bool_)
    ends = [row for row, _ in efforts.frames[1:]] + [len(standby)]
    for (begin, frame), end in zip(efforts.frames, ends, strict=True):
        standby[begin:end] = read_standby(frame) is not None
    return standby


def tracking_error(series: Series) -> tuple[JointSeries, Float32Array] | None:
    """Target less measured position at every policy effort that has targets.

    A target is compared with the first joint state after the one that it answers, which is the first that it can have
    moved. Of targets that are not to be sent on there is none: NaN.

    Returns:
        The efforts, and the errors [rad; Shape (n, joints)]; None where no targets or no positions were recorded.
    """
    found, states = _targets(series.policy_effort), series.joint_states
    if found is None or states is None or states.position is None:
        return None
    efforts, targets = found
    if efforts.stamp_ns is not None and states.stamp_ns is not None and np.all(np.diff(states.stamp_ns) >= 0):
        place = np.searchsorted(states.stamp_ns, efforts.stamp_ns, side="right")
    else:
        place = np.searchsorted(states.log_ns, efforts.log_ns, side="right")
    place = np.minimum(place, len(states.log_ns) - 1)
    if efforts.names == states.names:
        measured = states.position[place]
    else:
        column = {name: i for i, name in enumerate(states.names)}
        measured = np.full(targets.shape, np.nan, dtype=np.float32)
        for i, name in enumerate(efforts.names):
            if name in column:
                measured[:, i] = states.position[place, column[name]]
    error = np.asarray(targets - measured, dtype=np.float32)
    error[standby_rows(efforts)] = np.nan
    return efforts, error


def _peak(values: Float32Array | None, column: int) -> tuple[float | None, int]:
    if values is None or column >= values.shape[1] or not len(values):
        return None, 0
    sizes = np.abs(values[:, column])
    if np.isnan(sizes).all():
        return None, 0
    row = int(np.nanargmax(sizes))
    return float(sizes[row]), row


def joint_findings(series: Series, times: dict[str, FloatArray]) -> tuple[JointFindings, ...]:
    """Of every joint, in the order of the joint states.

    Args:
        series: of the bag.
        times: of the rows of ``measured`` and ``commanded`` [s].
    """
    states, commands = series.joint_states, series.command or series.policy_effort
    names = states.names if states is not None else commands.names if commands is not None else ()
    limits = limits_of(series.robot, names)
    tracked = tracking_error(series)
    found = []
    for i, name in enumerate(names):
        limit = float(limits[i]) if limits is not None and np.isfinite(limits[i]) else None
        measured, measured_row = _peak(states.effort if states is not None else None, i)
        values = _column(commands, name)
        commanded, commanded_row = _peak(None if values is None else values[:, None], 0)
        peak = max((p for p in (measured, commanded) if p is not None), default=None)
        at = times["commanded"][commanded_row] if commanded is not None and commanded == peak else None
        if at is None and measured is not None:
            at = times["measured"][measured_row]
        judged = (
            values if values is not None else (states.effort[:, i] if states and states.effort is not None else None)
        )
        error = _column_of(tracked, name)
        found.append(
            JointFindings(
                name,
                limit,
                measured,
                commanded,
                float(at) if at is not None else 0.0,
                peak / limit if peak is not None and limit else None,
                float(np.mean(np.abs(judged) >= AT_LIMIT * limit)) if judged is not None and limit else None,
                float(np.sqrt(np.nanmean(np.square(error)))) if error is not None and len(error) else None,
                float(np.nanmax(np.abs(error))) if error is not None and len(error) else None,
                _nearest_stop(series, name, i),
            )
        )
    return tuple(found)


def _column(joints: JointSeries | None, name: str) -> Float32Array | None:
    if joints is None or joints.effort is None or name not in joints.names:
        return None
    return joints.effort[:, joints.names.index(name)]


def _column_of(tracked: tuple[JointSeries, Float32Array] | None, name: str) -> Float32Array | None:
    if tracked is None or name not in tracked[0].names:
        return None
    column = tracked[1][:, tracked[0].names.index(name)]
    return None if np.isnan(column).all() else column


def _nearest_stop(series: Series, name: str, column: int) -> float | None:
    states, robot = series.joint_states, series.robot
    if robot is None or states is None or states.position is None or name not in robot.joint_names:
        return None
    joint = robot.joints[robot.joint_names.index(name)]
    values = states.position[:, column]
    if np.isnan(values).all():
        return None
    room = min(float(np.nanmin(values)) - joint.lower, joint.upper - float(np.nanmax(values)))
    return room if np.isfinite(room) else None
