"""The journal of a node in its serialised form: what it consumed, when, and the digests of what it said to it.

A batch is a head and entries, little endian:

    head   4 bytes magic, u64 incarnation, u64 number of the first entry, i64 wall time [ns], i64 monotonic time [ns],
           u32 number of entries
    entry  u8 kind, i64 monotonic time [ns], u32 length, then as many bytes

Entries are numbered from 0 in each incarnation, that is each start of a node's process. Kinds below `KEY` are what was
consumed, and their bytes the serialised message. `KEY` is the whole state of the node between two entries; `BEGIN` is
one before which the node wrote nothing, since nobody listened. Kinds from `SAID` on are what it said to the entry
before, on topics in the order of `SPOKEN`: a CRC-32 of the serialised message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic

MAGIC = b"HRJ1"
LABEL = "humanoid_rl_ros journal 1"
KEY, BEGIN = 64, 65
SAID = 128
SPOKEN: tuple[Topic, ...] = (
    topics.POLICY_EFFORT,
    topics.POLICY_OBSERVATION,
    topics.POLICY_ACTION,
    topics.JOINT_COMMAND,
    topics.SAFETY_STATUS,
)
"""Topics that controls speak on; the order is that of recorded journals and never changes."""

_HEAD = struct.Struct("<4sQQqqI")
_ENTRY = struct.Struct("<BqI")
_CRC = struct.Struct("<I")
_SAID_ON = {topic.name: SAID + i for i, topic in enumerate(SPOKEN)}


class JournalEntry(NamedTuple):
    """One entry.

    Attributes:
        kind: as of the module.
        now_ns: monotonic time of the node [ns].
        data: its bytes.
    """

    kind: int
    now_ns: int
    data: bytes

    @property
    def said_on(self) -> Topic | None:
        """The topic that something was said on; None of what was consumed.

        Raises:
            StateError: the topic is not known.
        """
        if self.kind < SAID:
            return None
        if self.kind - SAID >= len(SPOKEN):
            raise StateError(f"journal entry of kind {self.kind} is not known")
        return SPOKEN[self.kind - SAID]

    @property
    def digest(self) -> int:
        """CRC-32 of what was said.

        Raises:
            StateError: it has none.
        """
        if len(self.data) != _CRC.size:
            raise StateError(f"journal entry has {len(self.data)} bytes where a digest should be")
        return int(_CRC.unpack(self.data)[0])


@dataclass(frozen=True)
class JournalBatch:
    """Entries that were sent together.

    Attributes:
        incarnation: of the node's process.
        first: number of the first entry.
        wall_ns, monotonic_ns: the node's two clocks at one moment [ns].
        entries: in order.
    """

    incarnation: int
    first: int
    wall_ns: int
    monotonic_ns: int
    entries: tuple[JournalEntry, ...]


class JournalWriter:
    """Collects entries and makes batches of them.

    Args:
        incarnation: tells this process of the node from the one before.
    """

    def __init__(self, incarnation: int) -> None:
        self._incarnation = incarnation
        self._first = 0
        self._parts: list[bytes] = []
        self._count = 0
        self.size = 0
        """Bytes that wait."""

    def add(self, kind: int, now_ns: int, data: bytes) -> None:
        """Something was consumed, or is the state now."""
        self._parts.append(_ENTRY.pack(kind, now_ns, len(data)))
        self._parts.append(data)
        self._count += 1
        self.size += _ENTRY.size + len(data)

    def said(self, topic: Topic, now_ns: int, data: bytes) -> None:
        """Something was said to the entry before."""
        self.add(_SAID_ON[topic.name], now_ns, _CRC.pack(crc32(data)))

    def take(self, wall_ns: int, monotonic_ns: int) -> bytes:
        """All that waits as a batch; empty where nothing does."""
        if not self._count:
            return b""
        head = _HEAD.pack(MAGIC, self._incarnation, self._first, wall_ns, monotonic_ns, self._count)
        batch = b"".join((head, *self._parts))
        self._first += self._count
        self.clear()
        return batch

    def clear(self) -> None:
        """Forget what waits."""
        self._parts, self._count, self.size = [], 0, 0


def read_batch(data: bytes) -> JournalBatch:
    """Read a batch.

    Raises:
        StateError: it is none, or is cut off.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise StateError(f"no journal of this version: it begins with {data[: len(MAGIC)]!r}, expected {MAGIC!r}")
    if len(data) < _HEAD.size:
        raise StateError(f"journal batch of {len(data)} bytes is cut off")
    _, incarnation, first, wall_ns, monotonic_ns, count = _HEAD.unpack_from(data)
    entries = tuple(_entries(data, count))
    return JournalBatch(incarnation, first, wall_ns, monotonic_ns, entries)


def _entries(data: bytes, count: int) -> Iterator[JournalEntry]:
    offset = _HEAD.size
    for _ in range(count):
        if offset + _ENTRY.size > len(data):
            raise StateError(f"journal batch of {len(data)} bytes is cut off")
        kind, now_ns, length = _ENTRY.unpack_from(data, offset)
        offset += _ENTRY.size
        if offset + length > len(data):
            raise StateError(f"journal batch of {len(data)} bytes is cut off")
        yield JournalEntry(kind, now_ns, data[offset : offset + length])
        offset += length
