"""Records of an MCAP file: framing, the few that describe it, and the many messages of a chunk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple, TypeVar

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from humanoid_rl_ros.bags.bag_message import BagMessage
from humanoid_rl_ros.core.errors import BagError

MAGIC = b"\x89MCAP0\r\n"
FRAME = struct.Struct("<BQ")
"""Operation code and length."""
MESSAGE = struct.Struct("<BQHIQQ")
"""The same, then channel, sequence, log time, publish time; the data follow."""
_MESSAGE_FIELDS = MESSAGE.size - FRAME.size
_CHUNK = struct.Struct("<QQQII")
"""Start time, end time, unpacked size, checksum, length of the name of the compression."""
_LENGTH = struct.Struct("<Q")

_Record = TypeVar("_Record")


class ChunkHead(NamedTuple):
    """What stands before the packed messages of a chunk.

    Attributes:
        start_ns, end_ns: first and last log time [ns].
        size: unpacked [bytes].
        checksum: CRC-32 of what is unpacked; 0 for none.
        compression: its name.
        begin: where the packed data begin, from the begin of the record's contents.
        packed: their length.
    """

    start_ns: int
    end_ns: int
    size: int
    checksum: int
    compression: str
    begin: int
    packed: int


def read_chunk_head(contents: bytes) -> ChunkHead:
    """The head of a chunk.

    Raises:
        BagError: it is cut off.
    """
    try:
        start_ns, end_ns, size, checksum, length = _CHUNK.unpack_from(contents)
        name = contents[_CHUNK.size : _CHUNK.size + length].decode("utf-8", errors="replace")
        (packed,) = _LENGTH.unpack_from(contents, _CHUNK.size + length)
    except struct.error:
        raise BagError("the head of a chunk is cut off") from None
    return ChunkHead(start_ns, end_ns, size, checksum, name, _CHUNK.size + length + _LENGTH.size, packed)


def parse(read: Callable[[Any], _Record], contents: bytes) -> _Record:
    """A record that describes the file, read by the mcap library.

    Raises:
        BagError: it is damaged.
    """
    try:
        return read(ReadDataStream(BytesIO(contents)))
    except (McapError, struct.error, ValueError) as error:
        raise BagError(f"a record is damaged: {error}") from None


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Operation code and contents of each whole record but messages."""
    position, size = 0, len(data)
    while position + FRAME.size <= size:
        opcode, length = FRAME.unpack_from(data, position)
        begin = position + FRAME.size
        position = begin + length
        if position > size:
            return
        if opcode != Opcode.MESSAGE:
            yield opcode, data[begin:position]


class Registry:
    """The channels and types that a file has named so far."""

    def __init__(self) -> None:
        self.channels: dict[int, Channel] = {}
        self._schemas: dict[int, Schema] = {}

    def add(self, opcode: int, contents: bytes) -> None:
        """Keep a channel or a type; other records are none of its business.

        Raises:
            BagError: it is damaged.
        """
        if opcode == Opcode.SCHEMA:
            schema = parse(Schema.read, contents)
            self._schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = parse(Channel.read, contents)
            self.channels[channel.id] = channel

    def type_of(self, channel: Channel) -> str:
        """Of the messages of a channel; empty where the file does not say."""
        schema = self._schemas.get(channel.schema_id)
        return schema.name if schema is not None else ""


def count_messages(data: bytes) -> tuple[dict[int, int], int, int]:
    """How many messages of each channel there are, and the first and last log time [ns]."""
    counts: dict[int, int] = {}
    first, last = 2**64, 0
    position, size = 0, len(data)
    while position + FRAME.size <= size:
        opcode, length = FRAME.unpack_from(data, position)
        end = position + FRAME.size + length
        if end > size:
            break
        if opcode == Opcode.MESSAGE and length >= _MESSAGE_FIELDS:
            _, _, channel, _, log_ns, _ = MESSAGE.unpack_from(data, position)
            counts[channel] = counts.get(channel, 0) + 1
            first, last = min(first, log_ns), max(last, log_ns)
        position = end
    return counts, first, last


class MessageParser:
    """Takes messages out of unpacked chunks.

    Args:
        wanted: topic and type by channel; messages of other channels are left out.
        start_ns, end_ns: log times from which on, and before which [ns].
    """

    def __init__(self, wanted: Mapping[int, tuple[str, str]], start_ns: int, end_ns: int) -> None:
        self._wanted = wanted
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._sequences: dict[int, int] = {}
        self._missing: dict[int, int] = {}
        self.behind = 0
        """Messages that were written behind ones with a later log time."""
        self.farthest_ns = 0
        """By how much at most [ns]."""
        self._latest = 0

    def messages(self, data: bytes) -> list[BagMessage]:
        """Those of a chunk, in the order of log time."""
        found: list[BagMessage] = []
        wanted, start_ns, end_ns = self._wanted.get, self._start_ns, self._end_ns
        unpack, code, head = MESSAGE.unpack_from, int(Opcode.MESSAGE), MESSAGE.size
        position, size, latest, behind = 0, len(data), self._latest, self.behind
        while position + head <= size:
            opcode, length, channel, sequence, log_ns, _ = unpack(data, position)
            end = position + 9 + length
            if end > size:
                break
            if opcode == code and length >= _MESSAGE_FIELDS and start_ns <= log_ns < end_ns:
                target = wanted(channel)
                if target is not None:
                    found.append(BagMessage(target[0], target[1], log_ns, data[position + head : end]))
                    if log_ns < latest:
                        behind += 1
                        self.farthest_ns = max(self.farthest_ns, latest - log_ns)
                    else:
                        latest = log_ns
                    if sequence:
                        self._follow(channel, sequence)
            position = end
        if behind > self.behind:
            found.sort(key=_log_ns)
        self._latest, self.behind = latest, behind
        return found

    def _follow(self, channel: int, sequence: int) -> None:
        before = self._sequences.get(channel, sequence - 1)
        self._sequences[channel] = sequence
        # Numbers that go back are those of several publishers, from which nothing follows. The same number again is a
        # message that was repeated, as at the head of each file of a split bag.
        missing = self._missing.get(channel, 0)
        self._missing[channel] = -1 if sequence < before or missing < 0 else missing + max(0, sequence - before - 1)

    def lost(self) -> dict[str, int]:
        """Messages whose sequence numbers are missing, by topic; topics without sequence numbers are not there."""
        found: dict[str, int] = {}
        for channel, missing in self._missing.items():
            if missing >= 0:
                topic = self._wanted[channel][0]
                found[topic] = found.get(topic, 0) + missing
        return found


def _log_ns(message: BagMessage) -> int:
    return message.log_ns
