"""How the base moved: tilt, height, and the velocity that was asked against the one there was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.bags.series import RobotTime, Series, VelocitySeries
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray

_PLANAR = [0, 1, 5]


@dataclass(frozen=True, eq=False)
class Trace:
    """Values over time.

    Attributes:
        time: [s; Shape (n,)].
        values: [Shape (n,) or (n, columns)].
        source: where they come from, for people.
    """

    time: FloatArray
    values: FloatArray
    source: str


def tilt_trace(series: Series, time: RobotTime) -> Trace | None:
    """Angle between the base and upright [deg], from the IMU, else from the odometry."""
    imu, odometry = series.imu, series.odometry
    if imu is not None:
        at, orientation, source = time.of(imu.log_ns, imu.stamp_ns), imu.orientation, "IMU"
    elif odometry is not None and odometry.orientation is not None:
        at, orientation = time.of(odometry.log_ns, odometry.stamp_ns), odometry.orientation
        source = "odometry; no IMU was recorded"
    else:
        return None
    length = np.linalg.norm(orientation, axis=1)
    sound = np.isfinite(length) & (length > 0.5)
    if not sound.any():
        return None
    unit = orientation[sound] / length[sound, None]
    return Trace(at[sound], np.degrees(rotations.tilt(unit)), source)


def tilt_rate_trace(series: Series, time: RobotTime) -> Trace | None:
    """Size of the base's horizontal turning rate [rad/s]."""
    imu = series.imu
    if imu is None:
        return None
    values = np.hypot(imu.angular_velocity[:, 0], imu.angular_velocity[:, 1])
    return Trace(time.of(imu.log_ns, imu.stamp_ns), values, "IMU")


def height_trace(series: Series, time: RobotTime) -> Trace | None:
    """Of the base [m]."""
    odometry = series.odometry
    if odometry is None or odometry.position is None:
        return None
    return Trace(time.of(odometry.log_ns, odometry.stamp_ns), odometry.position[:, 2], "odometry")


def velocity_trace(velocity: VelocitySeries | None, time: RobotTime, source: str) -> Trace | None:
    """Forward, left [m/s] and turning [rad/s; Shape (n, 3)]."""
    if velocity is None:
        return None
    return Trace(time.of(velocity.log_ns, velocity.stamp_ns), velocity.velocity[:, _PLANAR], source)


def asked_trace(series: Series, time: RobotTime) -> Trace | None:
    """The commands; where none were recorded, the one that the policy node was set to."""
    if series.asked is not None:
        return velocity_trace(series.asked, time, "cmd_vel")
    for setup in series.setups:
        fixed = setup.parameters.get("velocity_command")
        if setup.parameters.get("use_cmd_vel") is False and isinstance(fixed, list) and len(fixed) == 3:
            try:
                values = np.array([[float(v) for v in fixed]] * 2)
            except (TypeError, ValueError):
                return None
            return Trace(np.array([0.0, time.end]), values, "parameter velocity_command of the policy node")
    return None


def velocity_error(asked: Trace | None, measured: Trace | None, driven: list[tuple[float, float]]) -> FloatArray | None:
    """Root mean square of measured less asked, while the policy drove the robot.

    Args:
        asked, measured: [Shape (n, 3)].
        driven: times in which it did [s]; empty: all.

    Returns:
        [m/s, m/s, rad/s; Shape (3,)]; None where one was not recorded.
    """
    if asked is None or measured is None or not len(asked.time):
        return None
    place = np.searchsorted(asked.time, measured.time, side="right") - 1
    valid = place >= 0
    if driven:
        valid &= np.any([(measured.time >= start) & (measured.time < end) for start, end in driven], axis=0)
    if not valid.any():
        return None
    error = measured.values[valid] - asked.values[place[valid]]
    error = error[np.isfinite(error).all(axis=1)]
    if not len(error):
        return None
    return np.asarray(np.sqrt(np.mean(np.square(error), axis=0)))
