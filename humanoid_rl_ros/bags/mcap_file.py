"""One MCAP file, written so that whatever was flushed can be read however the process ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, cast

from mcap.writer import CompressionType, Writer

from humanoid_rl_ros.bags.metadata import offered_qos_yaml
from humanoid_rl_ros.bags.records import FileFacts, Record, RecordedTopic

CHUNK_BYTES = 1 << 20
COMPRESSIONS = {"zstd": CompressionType.ZSTD, "lz4": CompressionType.LZ4, "none": CompressionType.NONE}
PROFILE = "ros2"
ROSBAG2 = "rosbag2"
"""Name of the MCAP metadata record in which rosbag2 keeps what metadata.yaml says."""
_SEQUENCE_BITS = 0xFFFFFFFF


class _Stream:
    """A file without a buffer of its own, that never keeps half of what it was given.

    The MCAP writer hands over whole records. One that does not fit is taken back, so that the file ends with a record.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._position = 0

    def write(self, data: bytes) -> int:
        """Write all of it or nothing."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self._position)
            os.lseek(self._descriptor, self._position, os.SEEK_SET)
            raise
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written."""
        return self._position

    def flush(self) -> None:
        """Nothing is kept back."""

    def duplicate(self) -> int:
        """A descriptor of the same file that outlives this object."""
        return os.dup(self._descriptor)

    def synchronise(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Release the file; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class McapFile:
    """One file being written.

    Args:
        path: must not exist yet.
        compression: of its chunks: ``zstd``, ``lz4`` or ``none``.
        metadata: what metadata.yaml says at the beginning, below its root, as text.

    Raises:
        OSError: it cannot be made; so do all methods when the disk is full.
    """

    def __init__(self, path: Path, compression: str, metadata: str) -> None:
        self.path = path
        self.facts = FileFacts(path.name)
        self._stream = _Stream(path)
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._writer = Writer(
            cast(IO[Any], self._stream), chunk_size=CHUNK_BYTES, compression=COMPRESSIONS[compression]
        )
        try:
            self._writer.start(profile=PROFILE)
            self._writer.add_metadata(ROSBAG2, {"serialized_metadata": metadata})
        except OSError:
            self._stream.close()
            raise

    @property
    def size(self) -> int:
        """Bytes on disk, without the open chunk."""
        return self._stream.tell()

    def add_topic(self, topic: RecordedTopic) -> None:
        """Make a topic known; a second time does nothing."""
        if topic.name in self._channels:
            return
        if topic.type_name not in self._schemas:
            encoding = topic.encoding if topic.definition else ""
            self._schemas[topic.type_name] = self._writer.register_schema(
                topic.type_name, encoding, topic.definition.encode()
            )
        self._channels[topic.name] = self._writer.register_channel(
            topic.name,
            "cdr",
            self._schemas[topic.type_name],
            {"offered_qos_profiles": offered_qos_yaml(topic), "topic_type_hash": topic.type_hash},
        )
        self.facts.counts[topic.name] = 0

    def write(self, message: Record) -> None:
        """Add a message of a known topic to the open chunk."""
        self._writer.add_message(
            self._channels[message.topic],
            message.log_time_ns,
            message.data,
            message.publish_time_ns,
            message.sequence & _SEQUENCE_BITS,
        )
        facts = self.facts
        facts.counts[message.topic] += 1
        facts.start_ns = min(facts.start_ns, message.log_time_ns)
        facts.end_ns = max(facts.end_ns, message.log_time_ns)

    def flush(self) -> None:
        """End the open chunk and hand it to the operating system: a kill loses nothing of it any more."""
        self._writer.flush()  # type: ignore[no-untyped-call]  # the library leaves it without types

    def duplicate(self) -> int:
        """A descriptor to have the disk synchronised by, by another thread."""
        return self._stream.duplicate()

    def close(self, metadata: str, *, durable: bool = True) -> None:
        """Write the index and release the file.

        Args:
            metadata: what metadata.yaml says of the bag so far, below its root, as text.
            durable: whether to wait until the disk has it, which may take long.
        """
        try:
            self._writer.add_metadata(ROSBAG2, {"serialized_metadata": metadata})
            self._writer.finish()  # type: ignore[no-untyped-call]  # the same
            if durable:
                self._stream.synchronise()
        finally:
            self._stream.close()

    def abandon(self) -> None:
        """Release the file as it is: complete records, and no index."""
        self._stream.close()
