"""Joint targets, written to and read from serialised `trajectory_msgs/JointTrajectory`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, NANOSECONDS, add_text, padded
from humanoid_rl_ros.interfaces.cdr_messages import CdrReader

_STAMP = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_DOUBLE = 8
_LEAST_TEXT, _LEAST_POINT = 4, 24
Point = tuple[FloatArray, int]
"""Positions to reach for [rad; Shape (n,)], and until when, from the stamp [ns]."""


@dataclass(frozen=True, eq=False)
class RawJointTargets:
    """Joint targets as they were sent.

    Attributes:
        stamp_ns: of the state that they answer [ns].
        frame_id: of the header.
        name: joint names, in the message's order.
        points: one after the other.
    """

    stamp_ns: int
    frame_id: str
    name: list[str]
    points: list[Point]


class JointTargetsWriter:
    """Writes targets of always the same joints.

    Args:
        names: of the joints.
    """

    def __init__(self, names: Sequence[str]) -> None:
        head = bytearray(ENCAPSULATION) + _STAMP.pack(0, 0)
        add_text(head, "")
        padded(head, _COUNT.size).extend(_COUNT.pack(len(names)))
        for name in names:
            add_text(head, name)
        self._head = padded(head, _COUNT.size)

    def write(self, stamp_ns: int, points: Sequence[Point]) -> bytes:
        """The serialised message.

        Args:
            stamp_ns: of the state that they answer [ns].
            points: in the order of the names.
        """
        body = bytearray(self._head)
        _STAMP.pack_into(body, len(ENCAPSULATION), *divmod(stamp_ns, NANOSECONDS))
        body.extend(_COUNT.pack(len(points)))
        for position, until_ns in points:
            padded(body, _COUNT.size).extend(_COUNT.pack(len(position)))
            padded(body, _DOUBLE).extend(position.tobytes())
            body.extend(3 * _COUNT.pack(0) + _STAMP.pack(*divmod(until_ns, NANOSECONDS)))
        return bytes(body)


def read_joint_targets(raw: bytes) -> RawJointTargets:
    """Read the message; velocities, accelerations and efforts in it are passed over.

    Raises:
        StateError: it is not little-endian CDR, or is cut off.
    """
    reader = CdrReader(raw)
    stamp = reader.stamp()
    frame = reader.text()
    names = [reader.text() for _ in range(reader.count(_LEAST_TEXT))]
    points = []
    for _ in range(reader.count(_LEAST_POINT)):
        position = reader.double_sequence()
        for _ in range(3):
            reader.double_sequence()
        points.append((position, reader.stamp()))
    if not points:
        raise StateError("message has no point")
    return RawJointTargets(stamp, frame, names, points)
