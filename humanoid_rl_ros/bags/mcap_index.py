"""Where in an MCAP file which messages are: from its summary, or, where it has none, from a walk through the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, NamedTuple
from zlib import crc32

from mcap.opcode import Opcode
from mcap.records import ChunkIndex, Metadata, Statistics

from humanoid_rl_ros.bags.compression import unpack, unpack_part
from humanoid_rl_ros.bags.mcap_records import (
    FRAME,
    MAGIC,
    MESSAGE,
    Registry,
    count_messages,
    parse,
    read_chunk_head,
    records,
)
from humanoid_rl_ros.core.errors import BagError

_FOOTER = struct.Struct("<BQQQI8s")
_BARE = 1 << 20
"""Messages outside chunks are taken together in pieces of this size [bytes]."""
LARGEST_RECORD = 2**31
"""[bytes]."""


class Extent(NamedTuple):
    """A piece of the file with messages.

    Attributes:
        start_ns, end_ns: first and last log time [ns].
        offset, length: of a chunk's contents, or of records that stand outside chunks [bytes].
        chunk: whether it is one.
        channels: of its messages; None where that is not known.
        whole: whether all of it is there.
    """

    start_ns: int
    end_ns: int
    offset: int
    length: int
    chunk: bool
    channels: frozenset[int] | None
    whole: bool = True


@dataclass
class McapIndex:
    """What an MCAP file holds, and where.

    Attributes:
        registry: its channels and types.
        extents: pieces with messages, in the order of the file.
        counts: messages by channel.
        metadata: the `metadata.yaml` that rosbag2 repeats in it; empty where it does not.
        problems: what was wrong.
    """

    registry: Registry = field(default_factory=Registry)
    extents: list[Extent] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    metadata: str = ""
    problems: list[str] = field(default_factory=list)

    def add_counts(self, counts: Iterable[tuple[int, int]]) -> None:
        """Add to the messages by channel."""
        for channel, count in counts:
            self.counts[channel] = self.counts.get(channel, 0) + count


def index_file(file: IO[bytes], size: int) -> McapIndex:
    """The index of an MCAP file, of which any part may be missing or damaged.

    Args:
        file: at any position.
        size: of the file [bytes].
    """
    try:
        index = _from_summary(file, size)
    except BagError:
        index = None
    return index if index is not None else _Walk(file, size).index


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _from_summary(file: IO[bytes], size: int) -> McapIndex | None:
    """None where the file has no summary, or none that tells where its messages are."""
    if size < _FOOTER.size + len(MAGIC):
        return None
    opcode, _, begin, _, _, magic = _FOOTER.unpack(_read(file, size - _FOOTER.size, _FOOTER.size))
    if opcode != Opcode.FOOTER or magic != MAGIC or not 0 < begin < size or size - begin > LARGEST_RECORD:
        return None
    index, statistics = McapIndex(), None
    for opcode, contents in records(_read(file, begin, size - _FOOTER.size - begin)):
        index.registry.add(opcode, contents)
        if opcode == Opcode.STATISTICS:
            statistics = parse(Statistics.read, contents)
        elif opcode == Opcode.CHUNK_INDEX:
            index.extents.append(_indexed(parse(ChunkIndex.read, contents), size))
    if statistics is None or (statistics.message_count and not (index.extents and index.registry.channels)):
        return None
    if sum(statistics.channel_message_counts.values()) != statistics.message_count:
        return None
    index.add_counts(statistics.channel_message_counts.items())
    index.metadata = _metadata(file, size, begin)
    return index


def _indexed(chunk: ChunkIndex, size: int) -> Extent:
    if chunk.chunk_start_offset + chunk.chunk_length > size or chunk.chunk_length < FRAME.size:
        raise BagError("the summary names a chunk that is not in the file")
    return Extent(
        chunk.message_start_time,
        chunk.message_end_time,
        chunk.chunk_start_offset + FRAME.size,
        chunk.chunk_length - FRAME.size,
        True,
        frozenset(chunk.message_index_offsets) or None,
    )


def _metadata(file: IO[bytes], size: int, summary: int) -> str:
    """What rosbag2 wrote before the summary; found by the offset that the summary has of it."""
    for opcode, contents in records(_read(file, summary, size - _FOOTER.size - summary)):
        if opcode == Opcode.METADATA_INDEX and len(contents) >= 16:
            offset, length = struct.unpack_from("<QQ", contents)
            if offset + length <= summary and length <= LARGEST_RECORD:
                for code, record in records(_read(file, offset, length)):
                    if code == Opcode.METADATA:
                        return _of_rosbag2(record)
    return ""


def _of_rosbag2(contents: bytes) -> str:
    try:
        record = parse(Metadata.read, contents)
    except BagError:
        return ""
    return record.metadata.get("serialized_metadata", "") if record.name == "rosbag2" else ""


class _Walk:
    """Goes through a file record by record, as far as it goes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self.index = McapIndex()
        self._bare: list[int] = []  # begin, end, first and last log time of the messages outside chunks
        self._bare_channels: set[int] = set()
        try:
            position = self._walk()
        except BagError as error:
            self.index.problems.append(str(error))
            position = size
        self._end_bare()
        if position < size:
            self.index.problems.append(f"is cut off: {size - position} bytes at its end are no whole record")
        else:
            self.index.problems.append("was not closed: it has no summary")

    def _walk(self) -> int:
        """To the end, or to the first record that is not whole; where that was."""
        position = len(MAGIC)
        while position + FRAME.size <= self._size:
            head = _read(self._file, position, MESSAGE.size)
            opcode, length = FRAME.unpack_from(head)
            begin = position + FRAME.size
            end = begin + length
            if end > self._size:
                if opcode == Opcode.CHUNK:
                    self._add_chunk(begin, self._size - begin, whole=False)
                return position
            if opcode == Opcode.MESSAGE and len(head) == MESSAGE.size:
                self._add_bare(position, end, head)
            elif opcode == Opcode.FOOTER:
                return self._size
            elif opcode == Opcode.CHUNK:
                self._add_chunk(begin, length, whole=True)
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA) and length <= LARGEST_RECORD:
                self._add_record(opcode, _read(self._file, begin, length))
            position = end
        return position

    def _add_record(self, opcode: int, contents: bytes) -> None:
        if opcode == Opcode.METADATA:
            self.index.metadata = _of_rosbag2(contents) or self.index.metadata
        else:
            self.index.registry.add(opcode, contents)

    def _add_chunk(self, offset: int, length: int, *, whole: bool) -> None:
        """Its head has the times; the channels may be named nowhere but inside."""
        self._end_bare()
        extent = Extent(0, 0, offset, length, True, None, whole)
        try:
            data = chunk_data(self._file, extent)
        except BagError:
            if whole:
                self._add_damaged(extent)
            return
        for opcode, contents in records(data):
            self.index.registry.add(opcode, contents)
        counts, first, last = count_messages(data)
        if counts:
            self.index.add_counts(counts.items())
            self.index.extents.append(extent._replace(start_ns=first, end_ns=last, channels=frozenset(counts)))

    def _add_damaged(self, extent: Extent) -> None:
        """Kept, so that who asks for its time is told."""
        with suppress(BagError):
            head = read_chunk_head(_read(self._file, extent.offset, min(extent.length, 4096)))
            self.index.extents.append(extent._replace(start_ns=head.start_ns, end_ns=head.end_ns))

    def _add_bare(self, position: int, end: int, head: bytes) -> None:
        _, _, channel, _, log_ns, _ = MESSAGE.unpack(head)
        if self._bare and end - self._bare[0] > _BARE:
            self._end_bare()
        if not self._bare:
            self._bare = [position, end, log_ns, log_ns]
        first, last = self._bare[2:]
        self._bare[1:] = [end, min(first, log_ns), max(last, log_ns)]
        self._bare_channels.add(channel)
        self.index.counts[channel] = self.index.counts.get(channel, 0) + 1

    def _end_bare(self) -> None:
        if self._bare:
            begin, end, first, last = self._bare
            channels = frozenset(self._bare_channels)
            self.index.extents.append(Extent(first, last, begin, end - begin, False, channels))
            self._bare, self._bare_channels = [], set()


def chunk_data(file: IO[bytes], extent: Extent) -> bytes:
    """The unpacked records of a piece of the file.

    Args:
        file: at any position.
        extent: the piece.

    Raises:
        BagError: it is damaged.
    """
    contents = _read(file, extent.offset, extent.length)
    if not extent.chunk:
        return contents
    head = read_chunk_head(contents)
    packed = contents[head.begin : head.begin + head.packed]
    if not extent.whole:
        return unpack_part(packed, head.compression)
    data = unpack(packed, head.compression, head.size)
    if head.checksum and crc32(data) != head.checksum:
        raise BagError("has another checksum than it says")
    return data
