"""Bags in rosbag2's layout: a folder with MCAP files and metadata.yaml, readable at any moment of its making."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from humanoid_rl_ros import __version__
from humanoid_rl_ros.bags.mcap_file import McapFile
from humanoid_rl_ros.bags.metadata import information, to_yaml, write_metadata
from humanoid_rl_ros.bags.records import BagMetadata, Record, RecordedTopic
from humanoid_rl_ros.core.errors import BagError

SCHEMA = "1"
"""Version of what this package adds to a bag."""
VERSION_KEY, SCHEMA_KEY = "humanoid_rl_ros", "humanoid_rl_schema"
LARGEST_LATCHED = 64
"""Publishers of one latched topic whose last messages are repeated."""


class BagWriter:
    """A bag being written. One thread writes; `synchronise` may be called from another.

    metadata.yaml is there from the beginning and names every file from its opening on, so that a bag whose writer was
    killed still says what belongs to it.

    Args:
        folder: must not exist yet.
        compression: ``zstd``, ``lz4`` or ``none``.
        split_bytes: size from which on a new file is begun; 0: never.
        split_ns: log time that one file may cover [ns]; 0: any.
        custom: further texts for rosbag2's ``custom_data``.
        distribution: of ROS.

    Raises:
        BagError: the folder exists or cannot be made; every method, when the disk does not take what is written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        compression: str = "zstd",
        split_bytes: int = 0,
        split_ns: int = 0,
        custom: dict[str, str] | None = None,
        distribution: str = "kilted",
    ) -> None:
        self.folder = folder
        self._compression = compression
        self._split_bytes, self._split_ns = split_bytes, split_ns
        self._topics: dict[str, RecordedTopic] = {}
        own = {VERSION_KEY: __version__, SCHEMA_KEY: SCHEMA}
        self._custom: dict[str, str] = {**own, **(custom or {})}
        self._metadata = BagMetadata(topics=self._topics, custom=self._custom, distribution=distribution)
        self._latched: dict[str, dict[bytes, Record]] = {}
        self._lock = threading.Lock()
        self.messages = 0
        self._closed_bytes = 0
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise BagError(f"{folder} exists already, and bags are not overwritten: name another folder") from None
        except OSError as error:
            raise BagError(f"cannot make {folder}: {error.strerror}") from None
        try:
            self._file = self._open()
        except OSError as error:
            raise self._cannot(error) from None

    @property
    def bytes(self) -> int:
        """Bytes of all files, without the open chunk."""
        return self._closed_bytes + self._file.size

    @property
    def files(self) -> int:
        """Files begun so far."""
        return len(self._metadata.files)

    @property
    def counts(self) -> dict[str, int]:
        """Messages of each topic, repeated ones included."""
        return {name: sum(file.counts.get(name, 0) for file in self._metadata.files) for name in self._topics}

    @property
    def duration_ns(self) -> int:
        """From the first message to the last [ns]."""
        files = self._metadata.files
        return max(0, max(f.end_ns for f in files) - min(f.start_ns for f in files))

    def set_custom(self, key: str, value: str) -> None:
        """Say something in ``custom_data``; it is written with the next metadata."""
        self._custom[key] = value

    def add_topic(self, topic: RecordedTopic) -> None:
        """Make a topic known; a second time does nothing."""
        if topic.name not in self._topics:
            self._topics[topic.name] = topic
            self._try(lambda: self._file.add_topic(topic))

    def write(self, message: Record) -> None:
        """Write a message of a known topic.

        Raises:
            BagError: the disk does not take it.
        """
        try:
            if self._is_full(message.log_time_ns):
                self._split(message.log_time_ns)
            self._file.write(message)
        except OSError as error:
            raise self._cannot(error) from None
        self.messages += 1
        if self._topics[message.topic].latched:
            self._remember(message)

    def flush(self) -> None:
        """Hand everything to the operating system: a kill loses nothing of it any more."""
        self._try(self._file.flush)

    def save_metadata(self) -> None:
        """Replace metadata.yaml by what is true now, without waiting for the disk."""
        self._try(lambda: write_metadata(self.folder, self._metadata, durable=False))

    def synchronise(self) -> None:
        """Have the disk take what was flushed, so that a power cut loses nothing of it. May be called by any thread."""
        try:
            with self._lock:
                descriptor = self._file.duplicate()
            _synchronise(descriptor)
        except OSError:
            return  # closed meanwhile, or the writer meets the same error

    def close(self) -> None:
        """Write the index of the last file and metadata.yaml, and wait until the disk has them."""
        self._try(lambda: self._close_file(durable=True))
        self._try(lambda: write_metadata(self.folder, self._metadata))

    def abandon(self) -> None:
        """After a failure: keep what is on disk, whose last file has no index."""
        with self._lock:
            self._file.abandon()
        try:
            write_metadata(self.folder, self._metadata)
        except OSError:
            return  # the one before stands, and names the same files

    def _open(self) -> McapFile:
        path = self.folder / f"{self.folder.name}_{len(self._metadata.files)}.mcap"
        file = McapFile(path, self._compression, self._information())
        self._metadata.files.append(file.facts)
        for topic in self._topics.values():
            file.add_topic(topic)
        write_metadata(self.folder, self._metadata, durable=False)
        return file

    def _close_file(self, *, durable: bool) -> None:
        with self._lock:
            self._file.flush()
            self._file.close(self._information(), durable=durable)

    def _is_full(self, now_ns: int) -> bool:
        facts = self._file.facts
        if not facts.end_ns:
            return False
        return bool(
            (self._split_bytes and self._file.size >= self._split_bytes)
            or (self._split_ns and now_ns - facts.start_ns >= self._split_ns)
        )

    def _split(self, now_ns: int) -> None:
        """Begin a new file; it starts with what latched topics said last, so that it can be read alone."""
        self._close_file(durable=False)
        size = self._file.size
        file = self._open()
        with self._lock:
            self._file = file
        self._closed_bytes += size
        for messages in self._latched.values():
            for message in messages.values():
                file.write(message._replace(log_time_ns=now_ns))

    def _remember(self, message: Record) -> None:
        last = self._latched.setdefault(message.topic, {})
        if message.publisher not in last and len(last) >= LARGEST_LATCHED:
            last.pop(next(iter(last)))
        last[message.publisher] = message

    def _information(self) -> str:
        return to_yaml(information(self._metadata))

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> BagError:
        return BagError(f"cannot write to {self.folder}: {error.strerror}")


def _synchronise(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
