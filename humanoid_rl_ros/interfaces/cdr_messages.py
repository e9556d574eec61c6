"""Messages of the graph read from their serialised form, without message classes: what a bag is decoded with.

Joint states and IMU messages are read by `cdr`; layout and terms are described there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, stamp_ns

_BODY = len(ENCAPSULATION)
_COUNT = struct.Struct("<I")
_STAMP = struct.Struct("<iI")
_BYTE = struct.Struct("B")
_POSE_DOUBLES = 7
_TWIST_DOUBLES = 6
_COVARIANCE_DOUBLES = 36
_LEAST_STATUS = 17
"""Of a diagnostic status [bytes]: its level, three texts and a count."""
_LEAST_PAIR = 8
_LEAST_DIMENSION = 12


class CdrReader:
    """Goes through the fields of one serialised message; every length is compared with what is left.

    Args:
        raw: serialised form.

    Raises:
        StateError: it is not little-endian CDR.
    """

    def __init__(self, raw: bytes) -> None:
        if raw[:2] != ENCAPSULATION[:2] or len(raw) < _BODY:
            raise StateError(f"message has encapsulation {raw[:4].hex()}, expected {ENCAPSULATION.hex()}")
        self._raw = raw
        self._offset = _BODY

    def _take(self, length: int, alignment: int) -> int:
        """Where a field of so many bytes begins; the next begins behind it."""
        begin = self._offset + (_BODY - self._offset) % alignment
        if begin + length > len(self._raw):
            raise StateError(f"message of {len(self._raw)} bytes is cut off")
        self._offset = begin + length
        return begin

    def byte(self) -> int:
        """An unsigned byte."""
        return int(_BYTE.unpack_from(self._raw, self._take(1, 1))[0])

    def unsigned(self) -> int:
        """An unsigned number of four bytes."""
        return int(_COUNT.unpack_from(self._raw, self._take(4, 4))[0])

    def count(self, least: int) -> int:
        """How many items follow, each at least so many bytes long.

        Raises:
            StateError: there is no room for them.
        """
        found = self.unsigned()
        if found * least > len(self._raw) - self._offset:
            raise StateError(f"message is cut off: {found} items in a message of {len(self._raw)} bytes")
        return found

    def text(self) -> str:
        """A text; bytes that are no UTF-8 are replaced."""
        length = self.count(1)
        begin = self._take(length, 1)
        return self._raw[begin : begin + length].rstrip(b"\0").decode("utf-8", errors="replace")

    def stamp(self) -> int:
        """A stamp [ns]."""
        return stamp_ns(*_STAMP.unpack_from(self._raw, self._take(_STAMP.size, 4)))

    def doubles(self, count: int) -> FloatArray:
        """So many doubles: a view [Shape (count,)]."""
        return np.frombuffer(self._raw, "<f8", count, self._take(8 * count, 8))

    def double_sequence(self) -> FloatArray:
        """A sequence of doubles: a view."""
        count = self.count(8)
        return self.doubles(count) if count else np.zeros(0)

    def float_sequence(self) -> Float32Array:
        """A sequence of floats: a view."""
        count = self.count(4)
        return np.frombuffer(self._raw, "<f4", count, self._take(4 * count, 4))

    def byte_sequence(self) -> bytes:
        """A sequence of bytes."""
        count = self.count(1)
        begin = self._take(count, 1)
        return self._raw[begin : begin + count]

    def layout_labels(self) -> tuple[str, ...]:
        """Labels of the dimensions in the layout at the head of a multi-array, which every one here leaves flat."""
        labels = []
        for _ in range(self.count(_LEAST_DIMENSION)):
            labels.append(self.text())
            self.unsigned()
            self.unsigned()
        self.unsigned()
        return tuple(labels)


@dataclass(frozen=True)
class RawStatus:
    """A diagnostic status as it was sent.

    Attributes:
        level: 0 OK, 1 WARN, 2 ERROR, 3 STALE.
        name, message, hardware_id: its texts.
        values: by key; of a key that stands twice, the last.
    """

    level: int
    name: str
    message: str
    hardware_id: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class RawDiagnostics:
    """A diagnostic array as it was sent.

    Attributes:
        stamp_ns: [ns].
        status: of each component.
    """

    stamp_ns: int
    status: tuple[RawStatus, ...]


@dataclass(frozen=True, eq=False)
class RawTwist:
    """A velocity as it was sent.

    Attributes:
        stamp_ns: [ns]; None of a message without header.
        numbers: linear x, y, z [m/s], angular x, y, z [rad/s; Shape (6,)].
    """

    stamp_ns: int | None
    numbers: FloatArray


@dataclass(frozen=True, eq=False)
class RawOdometry:
    """An odometry message as it was sent.

    Attributes:
        stamp_ns: [ns].
        frame_id, child_frame_id: of pose and twist.
        pose: position x, y, z [m], orientation xyzw [Shape (7,)].
        twist: linear x, y, z [m/s], angular x, y, z [rad/s; Shape (6,)].
    """

    stamp_ns: int
    frame_id: str
    child_frame_id: str
    pose: FloatArray
    twist: FloatArray


@dataclass(frozen=True, eq=False)
class RawPoseArray:
    """Poses as they were sent.

    Attributes:
        stamp_ns: [ns].
        frame_id: of all of them.
        poses: position x, y, z [m], orientation xyzw of each [Shape (k, 7)].
    """

    stamp_ns: int
    frame_id: str
    poses: FloatArray


def _status(reader: CdrReader) -> RawStatus:
    level, name, message, hardware_id = reader.byte(), reader.text(), reader.text(), reader.text()
    pairs = [(reader.text(), reader.text()) for _ in range(reader.count(_LEAST_PAIR))]
    return RawStatus(level, name, message, hardware_id, dict(pairs))


def read_diagnostic_status(raw: bytes) -> RawStatus:
    """Read a serialised `diagnostic_msgs/DiagnosticStatus`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return _status(CdrReader(raw))


def read_diagnostic_array(raw: bytes) -> RawDiagnostics:
    """Read a serialised `diagnostic_msgs/DiagnosticArray`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    reader = CdrReader(raw)
    stamp = reader.stamp()
    reader.text()
    return RawDiagnostics(stamp, tuple(_status(reader) for _ in range(reader.count(_LEAST_STATUS))))


def read_layout_labels(raw: bytes) -> tuple[str, ...]:
    """Labels of the dimensions of a serialised `std_msgs` multi-array, of numbers of any kind.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return CdrReader(raw).layout_labels()


def _behind_layout(raw: bytes) -> CdrReader:
    """At the numbers of a multi-array."""
    reader = CdrReader(raw)
    reader.layout_labels()
    return reader


def read_float64_array(raw: bytes) -> FloatArray:
    """Read a serialised `std_msgs/Float64MultiArray`; its layout is not read.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return _behind_layout(raw).double_sequence()


def read_float32_array(raw: bytes) -> Float32Array:
    """Read a serialised `std_msgs/Float32MultiArray`; its layout is not read.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return _behind_layout(raw).float_sequence()


def read_uint8_array(raw: bytes) -> bytes:
    """Read a serialised `std_msgs/UInt8MultiArray`; its layout is not read.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return _behind_layout(raw).byte_sequence()


def read_string(raw: bytes) -> str:
    """Read a serialised `std_msgs/String`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return CdrReader(raw).text()


def read_bool(raw: bytes) -> bool:
    """Read a serialised `std_msgs/Bool`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return CdrReader(raw).byte() != 0


def read_clock(raw: bytes) -> int:
    """Read a serialised `rosgraph_msgs/Clock` [ns].

    Raises:
        StateError: it is not little-endian CDR, is cut off, or the stamp is none.
    """
    return CdrReader(raw).stamp()


def read_twist(raw: bytes) -> RawTwist:
    """Read a serialised `geometry_msgs/Twist`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    return RawTwist(None, CdrReader(raw).doubles(_TWIST_DOUBLES))


def read_twist_stamped(raw: bytes) -> RawTwist:
    """Read a serialised `geometry_msgs/TwistStamped`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    reader = CdrReader(raw)
    stamp = reader.stamp()
    reader.text()
    return RawTwist(stamp, reader.doubles(_TWIST_DOUBLES))


def read_pose_array(raw: bytes) -> RawPoseArray:
    """Read a serialised `geometry_msgs/PoseArray`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    reader = CdrReader(raw)
    stamp, frame_id = reader.stamp(), reader.text()
    count = reader.count(8 * _POSE_DOUBLES)
    poses = reader.doubles(count * _POSE_DOUBLES) if count else np.zeros(0)
    return RawPoseArray(stamp, frame_id, poses.reshape(count, _POSE_DOUBLES))


def read_odometry(raw: bytes) -> RawOdometry:
    """Read a serialised `nav_msgs/Odometry`; its covariances are not read.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    reader = CdrReader(raw)
    stamp, frame_id, child_frame_id = reader.stamp(), reader.text(), reader.text()
    pose = reader.doubles(_POSE_DOUBLES)
    reader.doubles(_COVARIANCE_DOUBLES)
    twist = reader.doubles(_TWIST_DOUBLES)
    reader.doubles(_COVARIANCE_DOUBLES)
    return RawOdometry(stamp, frame_id, child_frame_id, pose, twist)
