"""Writes the messages that the nodes send again and again, without a message object between. Layout as of `cdr`."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, NANOSECONDS, add_text, padded

_COUNT = struct.Struct("<I")
_STAMP = struct.Struct("<iI")


def write_float64_array(values: FloatArray) -> bytes:
    """A `std_msgs/Float64MultiArray` without dimensions: what ros2_control's effort controllers take.

    Args:
        values: [Shape (n,)].
    """
    # No dimension, no offset; the count ends at a multiple of eight but for these four bytes.
    head = ENCAPSULATION + _COUNT.pack(0) + _COUNT.pack(0) + _COUNT.pack(len(values))
    padding = b"\0" * 4 if len(values) else b""
    return head + padding + np.ascontiguousarray(values, dtype="<f8").tobytes()


def write_byte_array(label: str, data: bytes) -> bytes:
    """A `std_msgs/UInt8MultiArray` of one dimension of that label."""
    body = bytearray(ENCAPSULATION) + _COUNT.pack(1)
    add_text(body, label)
    padded(body, _COUNT.size).extend(_COUNT.pack(len(data)) * 2 + _COUNT.pack(0) + _COUNT.pack(len(data)))
    return bytes(body) + data


def write_clock(time_ns: int) -> bytes:
    """A `rosgraph_msgs/Clock` of a time from 0 on [ns]."""
    return ENCAPSULATION + _STAMP.pack(*divmod(time_ns, NANOSECONDS))


def write_string(text: str) -> bytes:
    """A `std_msgs/String`."""
    body = bytearray(ENCAPSULATION)
    add_text(body, text)
    return bytes(body)


def write_diagnostic_status(level: int, name: str, text: str, hardware_id: str, values: Mapping[str, object]) -> bytes:
    """A `diagnostic_msgs/DiagnosticStatus`.

    Args:
        level: 0 for OK, 1 for WARN, 2 for ERROR, 3 for STALE.
        name: of what it is about.
        text: for people.
        hardware_id: of the robot.
        values: by key, as text by `shown`.
    """
    body = bytearray(ENCAPSULATION) + bytes([level])
    for part in (name, text, hardware_id):
        add_text(body, part)
    padded(body, _COUNT.size).extend(_COUNT.pack(len(values)))
    for key, value in values.items():
        add_text(body, key)
        add_text(body, shown(value))
    return bytes(body)


def shown(value: object) -> str:
    """A value as text; floats keep six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
