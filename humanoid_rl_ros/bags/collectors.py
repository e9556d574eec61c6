"""Take the messages of one topic each, batch by batch, and make arrays of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.bags.columns import Rows, Times
from humanoid_rl_ros.bags.series import ContactSeries, ImuSeries, JointSeries, NodeHealth, VelocitySeries
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr import JointStateReader
from humanoid_rl_ros.interfaces.cdr_batch import read_imus, read_joint_states
from humanoid_rl_ros.interfaces.cdr_messages import (
    RawStatus,
    read_bool,
    read_diagnostic_array,
    read_diagnostic_status,
    read_float32_array,
    read_float64_array,
    read_layout_labels,
    read_odometry,
    read_twist,
    read_twist_stamped,
)
from humanoid_rl_ros.interfaces.topics import NAME_SEPARATOR

_BATCH = 256
_FIELDS = ("position", "velocity", "effort")
_WXYZ = [3, 0, 1, 2]
LARGEST = 1e9
"""Of the numbers that are kept, in any unit."""


class Collector(Protocol):
    """Takes the messages of a topic in the order of log time."""

    problems: list[str]

    def take(self, log_ns: int, data: bytes) -> None:
        """Take one."""

    def finish(self) -> None:
        """There are no more."""


class _Batches:
    """Gathers messages, so that many are read at once; of a long recording every few.

    Args:
        stride: of so many messages one is taken.
    """

    def __init__(self, stride: int = 1) -> None:
        self.problems: list[str] = []
        self._stride = stride
        self._phase = 0
        self._times: list[int] = []
        self._data: list[bytes] = []
        self._malformed = 0
        self._unsound = 0

    def take(self, log_ns: int, data: bytes) -> None:
        """See `Collector`."""
        self._phase += 1
        if self._stride > 1 and self._phase % self._stride:
            return
        self._times.append(log_ns)
        self._data.append(data)
        if len(self._times) >= _BATCH:
            self._flush()

    def finish(self) -> None:
        """See `Collector`."""
        if self._times:
            self._flush()
        if self._unsound:
            self.problems.append(f"{self._unsound} numbers are NaN, infinite or beyond {LARGEST:g}; left out")
        if self._malformed:
            self.problems.append(f"{self._malformed} messages are malformed; left out")

    def _flush(self) -> None:
        times, data = np.array(self._times, dtype=np.int64), self._data
        self._times, self._data = [], []
        self._malformed += len(data) - self._read(times, data)

    def _sound(self, values: NDArray[Any]) -> NDArray[Any]:
        """With NaN for what no robot has, so that nothing that is computed of it overflows."""
        sound = np.abs(values) <= LARGEST
        if sound.all():
            return values
        self._unsound += int(sound.size - sound.sum())
        return np.where(sound, values, np.nan)

    def _read(self, times: Any, data: list[bytes]) -> int:
        """Keep what is in these messages; how many could be read."""
        raise NotImplementedError


class JointCollector(_Batches):
    """Joint states, efforts or commands.

    Args:
        names: joints of the robot; empty to take those of the first message.
        stride: of so many messages one is taken.
        plain: whether they are arrays in the robot's order, without names and stamps.
    """

    def __init__(self, names: Sequence[str], stride: int = 1, *, plain: bool = False) -> None:
        super().__init__(stride)
        self._names = tuple(names)
        self._plain = plain
        self._reader = JointStateReader()
        self._log, self._stamp = Times(), Times()
        self._columns: dict[str, Rows] = {}
        self._frames: list[tuple[int, str]] = []
        self._rows = 0
        self._strangers: set[str] = set()

    def _read(self, times: Any, data: list[bytes]) -> int:
        if self._plain:
            return self._read_plain(times, data)
        read = 0
        for batch in read_joint_states(data, self._reader):
            read += len(batch.rows)
            self._log.extend(times[batch.rows])
            self._stamp.extend(batch.stamp_ns)
            if not self._frames or self._frames[-1][1] != batch.frame_id:
                self._frames.append((self._rows, batch.frame_id))
            self._names = self._names or batch.name
            for field in _FIELDS:
                self._add(field, getattr(batch, field), batch.name)
            self._rows += len(batch.rows)
        return read

    def _read_plain(self, times: Any, data: list[bytes]) -> int:
        found, rows = [], []
        for row, raw in enumerate(data):
            try:
                values = read_float64_array(raw)
            except StateError:
                continue
            self._names = self._names or tuple(f"joint {i + 1}" for i in range(values.size))
            if values.size == len(self._names):
                found.append(values)
                rows.append(row)
        if found:
            self._log.extend(times[rows])
            self._add("effort", np.array(found), self._names)
            self._rows += len(found)
        return len(found)

    def _add(self, field: str, values: FloatArray, names: Sequence[str]) -> None:
        """Rows of one field, in the order of our joints; NaN where a message says nothing."""
        rows = len(values)
        given = values.ndim == 2 and values.shape[1] == len(names) and rows > 0
        column = self._columns.get(field)
        if column is None:
            if not given or not names:
                return
            column = self._columns[field] = Rows(len(self._names), np.float32)
            column.add(np.full((self._rows, len(self._names)), np.nan, dtype=np.float32))
        if given:
            values = self._sound(values)
        if given and tuple(names) == self._names:
            column.add(values)
            return
        block = np.full((rows, len(self._names)), np.nan, dtype=np.float32)
        if given:
            place = {name: i for i, name in enumerate(names)}
            for i, name in enumerate(self._names):
                if name in place:
                    block[:, i] = values[:, place[name]]
            self._strangers |= set(names) - set(self._names)
        column.add(block)

    def finish(self) -> None:
        """See `Collector`."""
        super().finish()
        if self._strangers:
            self.problems.append(f"joints that the robot does not have are left out: {_some(self._strangers)}")

    def series(self, topic: str, order: Sequence[str] = ()) -> JointSeries | None:
        """What was collected; None if nothing was.

        Args:
            topic: its name.
            order: joints to give, where it has just these in another order.
        """
        if not self._rows:
            return None
        names = self._names
        arrays = {name: column.array() for name, column in self._columns.items()}
        if order and set(order) == set(names) and tuple(order) != names:
            columns = [names.index(name) for name in order]
            names = tuple(order)
            arrays = {name: array[:, columns] for name, array in arrays.items()}
        elif self._plain and len(order) == len(names) and names[0] == "joint 1":
            names = tuple(order)
            self.problems.append("the message names no joints; taken to be in the order of the joint states")
        return JointSeries(
            topic,
            names,
            self._log.array(),
            None if self._plain else self._stamp.array(),
            arrays.get("position"),
            arrays.get("velocity"),
            arrays.get("effort"),
            tuple(self._frames),
        )


class ImuCollector(_Batches):
    """IMU messages."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__(stride)
        self._log, self._stamp, self._numbers = Times(), Times(), Rows(10, np.float64)

    def _read(self, times: Any, data: list[bytes]) -> int:
        batch = read_imus(data)
        self._log.extend(times[batch.rows])
        self._stamp.extend(batch.stamp_ns)
        self._numbers.add(self._sound(batch.numbers[:, [3, 0, 1, 2, 13, 14, 15, 25, 26, 27]]))
        return len(batch.rows)

    def series(self) -> ImuSeries | None:
        """What was collected; None if nothing was."""
        numbers = self._numbers.array()
        if not len(numbers):
            return None
        return ImuSeries(self._log.array(), self._stamp.array(), numbers[:, :4], numbers[:, 4:7], numbers[:, 7:])


class VelocityCollector(_Batches):
    """Velocity commands or odometry.

    Args:
        kind: type of the messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind.rpartition("/")[2]
        self._log, self._stamp, self._numbers = Times(), Times(), Rows(13, np.float64)

    def _read(self, times: Any, data: list[bytes]) -> int:
        rows = [(log_ns, *row) for log_ns, raw in zip(times, data, strict=True) if (row := self._row(raw)) is not None]
        for log_ns, stamp_ns, values in rows:
            self._log.add(int(log_ns))
            self._stamp.add(stamp_ns)
            self._numbers.add(values[None])
        return len(rows)

    def _row(self, raw: bytes) -> tuple[int, FloatArray] | None:
        values = np.full(13, np.nan)
        try:
            if self._kind == "Odometry":
                odometry = read_odometry(raw)
                values[:6], values[6:] = self._sound(odometry.twist), self._sound(odometry.pose)
                return odometry.stamp_ns, values
            twist = read_twist(raw) if self._kind == "Twist" else read_twist_stamped(raw)
        except StateError:
            return None
        values[:6] = self._sound(twist.numbers)
        return twist.stamp_ns or 0, values

    def series(self) -> VelocitySeries | None:
        """What was collected; None if nothing was."""
        numbers = self._numbers.array()
        if not len(numbers):
            return None
        stamps = None if self._kind == "Twist" else self._stamp.array()
        if self._kind != "Odometry":
            return VelocitySeries(self._log.array(), stamps, numbers[:, :6])
        return VelocitySeries(self._log.array(), stamps, numbers[:, :6], numbers[:, 6:9], numbers[:, 9:][:, _WXYZ])


class StatusCollector(_Batches):
    """Statuses of the safety monitor."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, RawStatus]] = []

    def _read(self, times: Any, data: list[bytes]) -> int:
        before = len(self.found)
        for log_ns, raw in zip(times, data, strict=True):
            try:
                self.found.append((int(log_ns), read_diagnostic_status(raw)))
            except StateError:
                continue
        return len(self.found) - before


class HealthCollector(_Batches):
    """Diagnostics of all nodes."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, RawStatus] = {}
        self._changes: dict[str, list[tuple[int, int, str]]] = {}

    def _read(self, times: Any, data: list[bytes]) -> int:
        read = 0
        for log_ns, raw in zip(times, data, strict=True):
            try:
                diagnostics = read_diagnostic_array(raw)
            except StateError:
                continue
            read += 1
            for status in diagnostics.status:
                before = self._last.get(status.name)
                if before is None or before.level != status.level:
                    self._changes.setdefault(status.name, []).append((int(log_ns), status.level, status.message))
                self._last[status.name] = status
        return read

    def series(self, namespace: str) -> dict[str, NodeHealth]:
        """By name of the node, without namespace; those of other robots are left out."""
        return {
            name.rpartition("/")[2]: NodeHealth(status, tuple(self._changes[name]))
            for name, status in self._last.items()
            if not name.startswith("/") or name.rpartition("/")[0] == namespace
        }


class ContactCollector(_Batches):
    """A topic of contacts.

    Args:
        kind: type of the messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind.rpartition("/")[2]
        self._log = Times()
        self._rows: Rows | None = None
        self._names: tuple[str, ...] = ()
        self._width = 0

    def _read(self, times: Any, data: list[bytes]) -> int:
        read = 0
        for log_ns, raw in zip(times, data, strict=True):
            try:
                values = self._values(raw)
            except StateError:
                continue
            if self._rows is None and values.size:
                self._rows, self._width = Rows(values.size), values.size
                self._names = self._names_in(raw)
            if self._rows is not None and values.size == self._width:
                self._rows.add(self._sound(values)[None])
                self._log.add(int(log_ns))
                read += 1
        return read

    def _values(self, raw: bytes) -> Any:
        if self._kind == "Bool":
            return np.array([read_bool(raw)], dtype=np.float32)
        return read_float32_array(raw) if self._kind == "Float32MultiArray" else read_float64_array(raw)

    def _names_in(self, raw: bytes) -> tuple[str, ...]:
        """Names in the label of the only dimension, or of one dimension for each foot; without any, numbers."""
        labels = () if self._kind == "Bool" else read_layout_labels(raw)
        names = tuple(name.strip() for label in labels for name in label.split(NAME_SEPARATOR))
        if len(names) == self._width == len(set(names)) and all(names):
            return names
        return tuple(str(i) for i in range(self._width))

    def series(self) -> ContactSeries:
        """What was collected."""
        values = self._rows.array() if self._rows is not None else np.zeros((0, 0), dtype=np.float32)
        return ContactSeries(self._log.array(), values, self._names, bool((values > 1.0).any()))


def _some(names: set[str], most: int = 3) -> str:
    listed = sorted(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
