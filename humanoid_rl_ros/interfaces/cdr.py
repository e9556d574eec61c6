"""Joint states and IMU messages read from and written to their serialised form, without a message object between.

rclpy turns every message into Python objects field by field, which for these two takes longer than everything this
package computes from them. Their layout is fixed but for the texts at their head, so that a head seen once tells where
the numbers of the next message are.

Layout: plain CDR, little endian (OMG DDSI-RTPS 10): four bytes of encapsulation, then the fields, each aligned to its
size counted from behind the encapsulation; a text is its length with the final zero, then its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import StateError

ENCAPSULATION = b"\x00\x01\x00\x00"
_LITTLE_ENDIAN = ENCAPSULATION[:2]
_BODY = len(ENCAPSULATION)
_STAMP = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_HEAD = _BODY + _STAMP.size
_DOUBLE = 8
_IMU_DOUBLES = 37
MOST_TEMPLATES = 32
"""Kept by a writer: one for each text at the head of its messages."""
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class RawJointState:
    """A joint state as it was sent.

    Attributes:
        stamp_ns: [ns].
        frame_id: of its header.
        name: joint names, in the message's order.
        position, velocity, effort: in that order; any may be empty.
    """

    stamp_ns: int
    frame_id: str
    name: list[str]
    position: FloatArray
    velocity: FloatArray
    effort: FloatArray


def stamp_ns(seconds: int, nanoseconds: int) -> int:
    """The two parts of a ROS stamp as integer nanoseconds.

    Raises:
        StateError: it has a second or more of nanoseconds, which no clock gives and no answer could carry back.
    """
    if nanoseconds >= NANOSECONDS:
        raise StateError(f"stamp has {nanoseconds} nanoseconds, expected fewer than {NANOSECONDS}")
    return seconds * NANOSECONDS + nanoseconds


def read_stamp(raw: bytes) -> int:
    """The stamp of a serialised message that begins with a header [ns].

    Raises:
        StateError: it is not little-endian CDR, or the stamp is none.
        struct.error: it is cut off.
    """
    if raw[:2] != _LITTLE_ENDIAN:
        raise StateError(f"message has encapsulation {raw[:4].hex()}, expected {ENCAPSULATION.hex()}")
    return stamp_ns(*_STAMP.unpack_from(raw, _BODY))


def _aligned(offset: int, size: int) -> int:
    """The next offset that is a multiple of `size` from behind the encapsulation."""
    return offset + (_BODY - offset) % size


def _text(raw: bytes, offset: int) -> tuple[str, int]:
    offset = _aligned(offset, _COUNT.size)
    (length,) = _COUNT.unpack_from(raw, offset)
    offset += _COUNT.size
    end = offset + length
    if end > len(raw):
        raise StateError(f"message is cut off: a text of {length} bytes in a message of {len(raw)}")
    return raw[offset:end].rstrip(b"\0").decode("utf-8", errors="replace"), end


def _doubles(raw: bytes, offset: int) -> tuple[FloatArray, int]:
    offset = _aligned(offset, _COUNT.size)
    (count,) = _COUNT.unpack_from(raw, offset)
    offset += _COUNT.size
    if count == 0:
        return _NOTHING, offset
    offset = _aligned(offset, _DOUBLE)
    end = offset + count * _DOUBLE
    if end > len(raw):
        raise StateError(f"message is cut off: {count} numbers in a message of {len(raw)} bytes")
    return np.frombuffer(raw, "<f8", count, offset), end


_NOTHING: FloatArray = np.zeros(0)


class JointStateReader:
    """Reads serialised `sensor_msgs/JointState`; remembers the texts at the head of the last one."""

    def __init__(self) -> None:
        self._head = b""
        self._frame_id = ""
        self._names: list[str] = []

    def read(self, raw: bytes) -> RawJointState:
        """The message.

        Args:
            raw: serialised form.

        Returns:
            Its fields; the arrays are views of `raw`.

        Raises:
            StateError: it is not little-endian CDR, or is cut off.
        """
        try:
            stamp = read_stamp(raw)
            end = _HEAD + len(self._head)
            if not self._head or raw[_HEAD:end] != self._head:
                end = self._read_head(raw)
            position, end = _doubles(raw, end)
            velocity, end = _doubles(raw, end)
            effort, end = _doubles(raw, end)
        except struct.error:
            raise StateError(f"message of {len(raw)} bytes is cut off") from None
        return RawJointState(stamp, self._frame_id, self._names, position, velocity, effort)

    def _read_head(self, raw: bytes) -> int:
        frame_id, offset = _text(raw, _HEAD)
        offset = _aligned(offset, _COUNT.size)
        (count,) = _COUNT.unpack_from(raw, offset)
        offset += _COUNT.size
        if count > len(raw):
            raise StateError(f"message is cut off: {count} joints in a message of {len(raw)} bytes")
        names = []
        for _ in range(count):
            name, offset = _text(raw, offset)
            names.append(name)
        # The count that follows stands at the next multiple of four; those bytes are padding and may hold anything.
        self._head, self._frame_id, self._names = raw[_HEAD:offset], frame_id, names
        return offset


@dataclass(frozen=True, eq=False)
class RawImu:
    """An IMU message as it was sent.

    Attributes:
        stamp_ns: [ns].
        numbers: orientation xyzw, its covariance, rates, covariance, acceleration, covariance [Shape (37,)].
    """

    stamp_ns: int
    numbers: FloatArray


def read_imu(raw: bytes) -> RawImu:
    """Read a serialised `sensor_msgs/Imu`.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    try:
        stamp = read_stamp(raw)
        (length,) = _COUNT.unpack_from(raw, _HEAD)
    except struct.error:
        raise StateError(f"message of {len(raw)} bytes is cut off") from None
    offset = _aligned(_HEAD + _COUNT.size + length, _DOUBLE)
    if offset + _IMU_DOUBLES * _DOUBLE > len(raw):
        raise StateError(f"message of {len(raw)} bytes is cut off")
    return RawImu(stamp, np.frombuffer(raw, "<f8", _IMU_DOUBLES, offset))


def padded(body: bytearray, size: int) -> bytearray:
    """Fill up, so that what comes next begins at a multiple of `size`."""
    body.extend(b"\0" * ((_BODY - len(body)) % size))
    return body


def add_text(body: bytearray, text: str) -> None:
    """Append a text."""
    data = text.encode() + b"\0"
    padded(body, _COUNT.size).extend(_COUNT.pack(len(data)) + data)


class JointStateWriter:
    """Writes `sensor_msgs/JointState` of always the same joints.

    Args:
        names: joint names.
        fields: which of position, velocity and effort the messages carry; the others are empty.
    """

    def __init__(self, names: Sequence[str], fields: Sequence[str]) -> None:
        self._names = tuple(names)
        self._fields = tuple(fields)
        self._templates: dict[str, tuple[bytearray, list[int]]] = {}

    def _template(self, frame_id: str) -> tuple[bytearray, list[int]]:
        body = bytearray(ENCAPSULATION) + _STAMP.pack(0, 0)
        add_text(body, frame_id)
        padded(body, _COUNT.size).extend(_COUNT.pack(len(self._names)))
        for name in self._names:
            add_text(body, name)
        offsets = []
        for field in ("position", "velocity", "effort"):
            count = len(self._names) if field in self._fields else 0
            padded(body, _COUNT.size).extend(_COUNT.pack(count))
            if count:
                padded(body, _DOUBLE)
                offsets.append(len(body))
                body.extend(bytes(count * _DOUBLE))
        return body, offsets

    def write(self, stamp_ns: int, frame_id: str, *values: FloatArray) -> bytes:
        """The serialised message.

        Args:
            stamp_ns: [ns].
            frame_id: of the header.
            values: one array for each of the fields, in the order position, velocity, effort.
        """
        template = self._templates.get(frame_id)
        if template is None:
            if len(self._templates) >= MOST_TEMPLATES:  # of a frame that says something new each time
                self._templates.clear()
            template = self._templates.setdefault(frame_id, self._template(frame_id))
        body, offsets = template
        _STAMP.pack_into(body, _BODY, *divmod(stamp_ns, NANOSECONDS))
        for offset, array in zip(offsets, values, strict=True):
            data = array.tobytes()
            body[offset : offset + len(data)] = data
        return bytes(body)


class ImuWriter:
    """Writes `sensor_msgs/Imu` of always the same frame, with covariances zero, which says unknown.

    Args:
        frame_id: of the header.
    """

    def __init__(self, frame_id: str) -> None:
        body = bytearray(ENCAPSULATION) + _STAMP.pack(0, 0)
        add_text(body, frame_id)
        self._body = padded(body, _DOUBLE)
        self._numbers = np.zeros(_IMU_DOUBLES)

    def write(self, stamp_ns: int, orientation_xyzw: FloatArray, rates: FloatArray, acceleration: FloatArray) -> bytes:
        """The serialised message.

        Args:
            stamp_ns: [ns].
            orientation_xyzw: in ROS's order [Shape (4,)].
            rates: [rad/s; Shape (3,)].
            acceleration: [m/s²; Shape (3,)].
        """
        _STAMP.pack_into(self._body, _BODY, *divmod(stamp_ns, NANOSECONDS))
        numbers = self._numbers
        numbers[0:4], numbers[13:16], numbers[25:28] = orientation_xyzw, rates, acceleration
        return bytes(self._body) + numbers.tobytes()


class Float32ArrayWriter:
    """Writes `std_msgs/Float32MultiArray` of always the same label and length.

    Args:
        label: of its one dimension.
        size: how many numbers.
    """

    def __init__(self, label: str, size: int) -> None:
        body = bytearray(ENCAPSULATION) + _COUNT.pack(1)
        add_text(body, label)
        padded(body, _COUNT.size).extend(_COUNT.pack(size) + _COUNT.pack(size))  # size and stride of the dimension
        self._head = bytes(body) + _COUNT.pack(0) + _COUNT.pack(size)  # no offset, then the numbers

    def write(self, values: Float32Array) -> bytes:
        """The serialised message [Shape (size,)]."""
        return self._head + values.tobytes()
