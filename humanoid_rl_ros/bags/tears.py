"""MCAP files read up to where they are torn, whatever their end looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcap.records import Channel, Chunk, Footer, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk, get_chunk_data_stream

from humanoid_rl_ros.bags.metadata import qos_from_yaml
from humanoid_rl_ros.bags.records import Record, RecordedTopic


@dataclass
class TornFile:
    """Where reading a file has come to.

    Attributes:
        path: the file.
        size: [bytes].
        good: length of what could be read, from the beginning [bytes].
        whole: whether its index and end are there.
        reason: why reading ended before the end, or empty.
        bad_chunks: chunks inside of what could be read that are damaged.
        rosbag2: what rosbag2's own record in the file says, as YAML, or empty.
    """

    path: Path
    size: int = 0
    good: int = 0
    whole: bool = False
    reason: str = ""
    bad_chunks: int = 0
    rosbag2: str = ""

    @property
    def lost_bytes(self) -> int:
        """What lies behind the tear [bytes]."""
        return self.size - self.good


def read_up_to_tear(file: TornFile) -> Iterator[RecordedTopic | Record]:
    """Topics, each before its first message, and messages, in the order they were written.

    A damaged chunk is passed over, because its frame says where the next one begins.

    Args:
        file: says afterwards how far it could be read.

    Raises:
        OSError: the file cannot be opened.
    """
    file.size = file.path.stat().st_size
    with file.path.open("rb") as stream:
        topics = _Topics()
        for record in _records(file, stream):
            _take_note(file, record)
            if isinstance(record, Chunk):
                try:
                    inside = breakup_chunk(record, validate_crc=True)
                except Exception:  # of three compression libraries and of whatever the bytes say
                    file.bad_chunks += 1
                    continue
                for item in inside:
                    yield from topics.take(item)
            else:
                yield from topics.take(record)


def check(file: TornFile) -> None:
    """Look at every chunk without its messages, which is much faster.

    Args:
        file: says afterwards whether it is whole, and how many chunks are damaged.

    Raises:
        OSError: the file cannot be opened.
    """
    file.size = file.path.stat().st_size
    with file.path.open("rb") as stream:
        for record in _records(file, stream):
            _take_note(file, record)
            if isinstance(record, Chunk):
                try:
                    get_chunk_data_stream(record, validate_crc=True)
                except Exception:  # of three compression libraries and of whatever the bytes say
                    file.bad_chunks += 1


def _take_note(file: TornFile, record: McapRecord) -> None:
    """What a record says of the file itself."""
    if isinstance(record, Footer):
        file.whole = True
    elif isinstance(record, Metadata):
        file.rosbag2 = record.metadata.get("serialized_metadata", file.rosbag2)


def _records(file: TornFile, stream: IO[bytes]) -> Iterator[McapRecord]:
    """Records with a whole frame; notes in the file how far they reach."""
    records = StreamReader(stream, emit_chunks=True, record_size_limit=file.size).records
    while True:
        try:
            record = next(records)
        except StopIteration:
            file.good = file.size
            return
        except Exception as error:  # torn bytes make the reader fail in any way
            file.reason = "it is empty" if file.size == 0 else " ".join(str(error).split()) or "it ends in a record"
            return
        file.good = stream.tell()
        yield record


class _Topics:
    """The channels of one file, by their numbers."""

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}
        self._topics: dict[int, RecordedTopic] = {}

    def take(self, record: McapRecord) -> Iterator[RecordedTopic | Record]:
        """What a record brings."""
        if isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel) and record.id not in self._topics:
            self._topics[record.id] = topic = topic_of(record, self._schemas.get(record.schema_id))
            yield topic
        elif isinstance(record, Message) and record.channel_id in self._topics:
            topic = self._topics[record.channel_id]
            yield Record(topic.name, record.log_time, record.publish_time, record.sequence, record.data)


def topic_of(channel: Channel, schema: Schema | None) -> RecordedTopic:
    """A channel with its schema as a topic."""
    return RecordedTopic(
        name=channel.topic,
        type_name=schema.name if schema is not None else "",
        qos=qos_from_yaml(channel.metadata.get("offered_qos_profiles", "")),
        definition=schema.data.decode(errors="replace") if schema is not None else "",
        type_hash=channel.metadata.get("topic_type_hash", ""),
        encoding=schema.encoding if schema is not None else "",
    )
