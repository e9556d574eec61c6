"""Reads ahead, so that the file is not waited for when a message is due."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
BATCH = 64
BATCHES = 64
"""Batches that wait at most: some seconds of a robot's messages."""


class ReadAhead(Generic[Item]):
    """The items of an iterator, read by a thread of its own. Iterate over it once, and `close` it.

    Args:
        source: is read until it ends or raises; what it raises is raised here in its place.
    """

    def __init__(self, source: Iterator[Item]) -> None:
        self._source = source
        self._queue: queue.Queue[list[Item] | BaseException | None] = queue.Queue(BATCHES)
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="read ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while (batch := self._queue.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield from batch

    def close(self) -> None:
        """Read no more; the source is not touched after this."""
        self._closed = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def _read(self) -> None:
        try:
            while batch := list(islice(self._source, BATCH)):
                self._queue.put(batch)
                if self._closed:
                    return
            self._queue.put(None)
        except BaseException as error:  # it belongs to whoever waits for the items
            self._queue.put(error)
