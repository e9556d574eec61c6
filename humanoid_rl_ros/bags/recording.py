"""Recording as it happens: a bounded queue, and a thread that writes what comes out of it into a bag."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from humanoid_rl_ros.bags.disk import free_bytes
from humanoid_rl_ros.bags.records import Record, RecordedTopic
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.core.errors import BagError

FLUSH_S = 0.25
"""What a kill may lose, besides what is still in the queue [s]."""
SYNCHRONISE_S = 2.0
"""What a power cut may lose, about [s]."""
METADATA_S = 5.0
SPACE_S = 0.5
MEGABYTE = 1_000_000


class Recorder(Protocol):
    """Takes messages and never blocks.

    Attributes:
        dropped: messages of each topic that it could not take.
    """

    dropped: Counter[str]

    def add_topic(self, topic: RecordedTopic) -> None:
        """Make a topic known, before its first message."""

    def put(self, messages: Sequence[Record]) -> None:
        """Take messages."""

    def failure(self) -> BagError | None:
        """Why it ended by itself, if it did."""

    def bags(self) -> list[Path]:
        """The bags it has begun."""

    def say(self, key: str, value: str) -> None:
        """Say something in ``custom_data`` of the bags."""

    def written(self) -> tuple[int, int]:
        """Messages and bytes written."""

    def close(self) -> None:
        """Write what waits, and end."""


class Recording:
    """Writes everything into one bag.

    Args:
        writer: of the bag; closed at the end.
        limit_bytes: of the messages that wait to be written; what comes on top is dropped and counted [bytes].
        min_free_bytes: free space below which it ends by itself [bytes].
    """

    def __init__(self, writer: BagWriter, *, limit_bytes: int = 64 * MEGABYTE, min_free_bytes: int = 0) -> None:
        self.dropped: Counter[str] = Counter()
        self._writer = writer
        self._limit_bytes = limit_bytes
        self._min_free_bytes = min_free_bytes
        self._waiting: deque[Sequence[Record] | RecordedTopic] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._failure: BagError | None = None
        self._threads = [
            threading.Thread(target=self._run, name="bag writer"),
            threading.Thread(target=self._synchronise, name="bag synchroniser", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def add_topic(self, topic: RecordedTopic) -> None:
        """Make a topic known, before its first message."""
        self._waiting.append(topic)

    def put(self, messages: Sequence[Record]) -> None:
        """Take messages; what does not fit into the queue is dropped and counted."""
        if self._failure is not None:
            self.dropped.update(message.topic for message in messages)
            return
        size = sum(message.memory for message in messages)
        if self._waiting_bytes + size > self._limit_bytes:
            messages = self._fitting(messages)
            size = sum(message.memory for message in messages)
        with self._lock:
            self._waiting_bytes += size
        self._waiting.append(messages)

    def failure(self) -> BagError | None:
        """Why it ended by itself, if it did."""
        return self._failure

    def bags(self) -> list[Path]:
        """The bag."""
        return [self._writer.folder]

    def say(self, key: str, value: str) -> None:
        """Say something in ``custom_data`` of the bag."""
        self._writer.set_custom(key, value)

    def written(self) -> tuple[int, int]:
        """Messages and bytes written."""
        return self._writer.messages, self._writer.bytes

    def close(self) -> None:
        """Write what waits, and end."""
        self._ending.set()
        self._threads[0].join()

    def _fitting(self, messages: Sequence[Record]) -> list[Record]:
        room = self._limit_bytes - self._waiting_bytes
        fitting = []
        for message in messages:
            if message.memory <= room:
                room -= message.memory
                fitting.append(message)
            else:
                self.dropped[message.topic] += 1
        return fitting

    def _run(self) -> None:
        try:
            self._write_until_end()
            self._writer.close()
        except BagError as error:
            self._failure = error
            self._writer.abandon()
        except Exception as error:  # a defect of ours or of a library: what is written stays readable
            self._failure = BagError(f"recording ended by {type(error).__name__}: {error}")
            self._writer.abandon()

    def _write_until_end(self) -> None:
        now = time.monotonic()
        flushed = saved = looked = now
        while True:
            ending = self._ending.is_set()
            idle = not self._write_waiting()
            now = time.monotonic()
            if now - flushed >= FLUSH_S:
                flushed = now
                self._writer.flush()
            if now - saved >= METADATA_S:
                saved = now
                self._writer.save_metadata()
            if now - looked >= SPACE_S:
                looked = now
                if self._disk_is_low():
                    return
            if ending and idle:
                return
            if idle:
                time.sleep(0.01)

    def _write_waiting(self) -> bool:
        """Write one batch.

        Returns:
            Whether there was one.
        """
        if not self._waiting:
            return False
        item = self._waiting.popleft()
        if isinstance(item, RecordedTopic):
            self._writer.add_topic(item)
            return True
        write = self._writer.write
        for message in item:
            write(message)
        with self._lock:
            self._waiting_bytes -= sum(message.memory for message in item)
        return True

    def _disk_is_low(self) -> bool:
        free = free_bytes(self._writer.folder)
        if free >= self._min_free_bytes:
            return False
        self._failure = low_disk(self._writer.folder, free, self._min_free_bytes)
        return True

    def _synchronise(self) -> None:
        while not self._ending.wait(SYNCHRONISE_S):
            self._writer.synchronise()


def low_disk(folder: Path, free: int, least: int) -> BagError:
    """The error of a disk that is nearly full."""
    return BagError(
        f"{free / MEGABYTE:.0f} MB are free for {folder}, and {least / MEGABYTE:.0f} MB are to stay free: "
        "recording ended (--min-free)"
    )
