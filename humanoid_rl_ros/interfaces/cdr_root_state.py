"""The state of one floating body, written to and read from serialised `sensor_msgs/MultiDOFJointState`."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, NANOSECONDS, add_text, padded
from humanoid_rl_ros.interfaces.cdr_messages import CdrReader

_COUNT = struct.Struct("<I")
_STAMP = struct.Struct("<iI")
_DOUBLE = 8
_POSE, _VELOCITY = 7, 6


@dataclass(frozen=True, eq=False)
class RawRootState:
    """The state of a floating body as it was sent.

    Attributes:
        stamp_ns: [ns].
        pose: position, then orientation xyzw [m; world; Shape (7,)].
        velocity: linear, then angular [m/s, rad/s; Shape (6,)].
    """

    stamp_ns: int
    pose: FloatArray
    velocity: FloatArray


class RootStateWriter:
    """Writes the state of always the same body, without a wrench.

    Args:
        frame_id: of the header, the world.
        name: of the body.
    """

    def __init__(self, frame_id: str, name: str) -> None:
        body = bytearray(ENCAPSULATION) + _STAMP.pack(0, 0)
        add_text(body, frame_id)
        padded(body, _COUNT.size).extend(_COUNT.pack(1))
        add_text(body, name)
        padded(body, _COUNT.size).extend(_COUNT.pack(1))
        pose_at = len(padded(body, _DOUBLE))
        body.extend(bytes(_POSE * _DOUBLE) + _COUNT.pack(1))
        velocity_at = len(padded(body, _DOUBLE))
        body.extend(bytes(_VELOCITY * _DOUBLE) + _COUNT.pack(0))
        self._body = body
        self._pose = slice(pose_at, pose_at + _POSE * _DOUBLE)
        self._velocity = slice(velocity_at, velocity_at + _VELOCITY * _DOUBLE)

    def write(self, stamp_ns: int, pose: FloatArray, velocity: FloatArray) -> bytes:
        """The serialised message.

        Args:
            stamp_ns: [ns].
            pose: position, then orientation xyzw [Shape (7,)].
            velocity: linear, then angular [Shape (6,)].
        """
        _STAMP.pack_into(self._body, len(ENCAPSULATION), *divmod(stamp_ns, NANOSECONDS))
        self._body[self._pose] = pose.tobytes()
        self._body[self._velocity] = velocity.tobytes()
        return bytes(self._body)


def read_root_state(raw: bytes) -> RawRootState:
    """Read the message.

    Raises:
        StateError: it is not little-endian CDR, is cut off, or is not of one body.
    """
    reader = CdrReader(raw)
    stamp = reader.stamp()
    reader.text()
    names = [reader.text() for _ in range(reader.count(4))]
    counts = [len(names), reader.count(_POSE * _DOUBLE)]
    if counts == [1, 1]:
        pose = reader.doubles(_POSE)
        counts.append(reader.count(_VELOCITY * _DOUBLE))
        if counts[-1] == 1:
            return RawRootState(stamp, pose, reader.doubles(_VELOCITY))
    raise StateError(f"message is of {counts} bodies, poses and velocities, expected one of each")
