"""The numbers of a report as CSV: one file for each group of signals, units in the head of each column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.findings import Findings
from humanoid_rl_ros.bags.series import JointSeries, RobotTime, Series, TimesArray, VelocitySeries
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError

_FIELDS = (("position", "rad"), ("velocity", "rad/s"), ("effort", "N·m"))
_TARGETS = (("position", "target rad"), ("effort", "N·m"))
_TWIST = ("x [m/s]", "y [m/s]", "z [m/s]", "about x [rad/s]", "about y [rad/s]", "about z [rad/s]")
_POSE = ("x [m]", "y [m]", "z [m]", "qw", "qx", "qy", "qz")


def write_csv(folder: Path, bag: Bag, series: Series, findings: Findings) -> None:
    """Write every group that the bag has.

    Args:
        folder: made where it does not exist.
        bag, series, findings: of one bag.

    Raises:
        HumanoidError: a file cannot be written.
    """
    time = RobotTime(series, bag.start_ns, bag.end_ns)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _joints(folder / "joint_states.csv", series.joint_states, time, _FIELDS)
        _joints(folder / "policy_effort.csv", series.policy_effort, time, _TARGETS)
        _joints(folder / "commands.csv", series.command, time, (("effort", "N·m"),))
        if findings.traces.tracking is not None and series.policy_effort is not None:
            names = [f"{name} [rad]" for name in findings.traces.tracking_names]
            efforts = series.policy_effort
            _signals(
                folder / "tracking_error.csv", efforts.log_ns, efforts.stamp_ns, time, names, [findings.traces.tracking]
            )
        if series.imu is not None:
            imu = series.imu
            names = [
                "qw",
                "qx",
                "qy",
                "qz",
                *(f"rate {a} [rad/s]" for a in "xyz"),
                *(f"acceleration {a} [m/s²]" for a in "xyz"),
            ]
            columns = [imu.orientation, imu.angular_velocity, imu.linear_acceleration]
            _signals(folder / "imu.csv", imu.log_ns, imu.stamp_ns, time, names, columns)
        _velocities(folder / "velocity_command.csv", series.asked, time)
        _velocities(folder / "odometry.csv", series.odometry, time)
        for topic, contact in series.contacts.items():
            names = [f"{name} [N]" for name in contact.names] if contact.forces else list(contact.names)
            _signals(
                folder / f"contacts{topic.replace('/', '_')}.csv", contact.log_ns, None, time, names, [contact.values]
            )
        _records(folder / "safety_states.csv", findings.spans)
        _records(folder / "faults.csv", findings.faults)
        _records(folder / "events.csv", findings.events)
        _records(folder / "topics.csv", findings.topics)
        _records(folder / "joints.csv", findings.joints)
    except OSError as error:
        raise HumanoidError(f"cannot write {error.filename or folder}: {error.strerror}") from None


def _joints(path: Path, joints: JointSeries | None, time: RobotTime, fields: Sequence[tuple[str, str]]) -> None:
    if joints is None:
        return
    names: list[str] = []
    columns: list[NDArray[Any]] = []
    for field, unit in fields:
        values = getattr(joints, field)
        if values is not None:
            names += [f"{name} {field} [{unit}]" for name in joints.names]
            columns.append(values)
    _signals(path, joints.log_ns, joints.stamp_ns, time, names, columns)


def _velocities(path: Path, velocity: VelocitySeries | None, time: RobotTime) -> None:
    if velocity is None:
        return
    names, columns = [*_TWIST], [velocity.velocity]
    if velocity.position is not None and velocity.orientation is not None:
        names, columns = [*_TWIST, *_POSE], [*columns, velocity.position, velocity.orientation]
    _signals(path, velocity.log_ns, velocity.stamp_ns, time, names, columns)


def _signals(
    path: Path,
    log_ns: TimesArray,
    stamp_ns: TimesArray | None,
    time: RobotTime,
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
) -> None:
    seconds: FloatArray = time.of(log_ns, stamp_ns)
    stamps = stamp_ns if stamp_ns is not None else np.zeros_like(log_ns)
    width = sum(column.shape[1] for column in columns)
    form = "%.6f,%d,%d" + ",%.7g" * width + "\n"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(["time [s]", "log [ns]", "stamp [ns]", *names])
        for begin in range(0, len(log_ns), 1024):
            rows = slice(begin, begin + 1024)
            block = np.hstack([column[rows] for column in columns]).tolist() if columns else [[]] * len(log_ns[rows])
            heads = zip(seconds[rows].tolist(), log_ns[rows].tolist(), stamps[rows].tolist(), strict=True)
            file.writelines(form % (*head, *row) for head, row in zip(heads, block, strict=True))


def _records(path: Path, records: Sequence[Any]) -> None:
    if not records:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [asdict(record) for record in records]
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
