"""Finds a recorded message by its digest, among those recorded at about the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from zlib import crc32

from humanoid_rl_ros.bags.reader import Bag, BagMessage

ABOUT_NS = 2_000_000_000
"""How far apart a message may have been said and recorded [ns]."""


class RecordedWords:
    """The messages of one topic, gone through in step with a journal.

    Args:
        bag: the bag.
        topic: full name.
        start_ns: wall time from which on they are asked for; None: from the bag's beginning [ns].
    """

    def __init__(self, bag: Bag, topic: str, start_ns: int | None = None) -> None:
        start_ns = None if start_ns is None else start_ns - ABOUT_NS
        self._messages: Iterator[BagMessage] = bag.messages([topic], start_ns)
        self._kept: deque[tuple[int, int]] = deque()
        self._by_digest: dict[int, bytes] = {}
        self._read_ns = 0

    def find(self, digest: int, wall_ns: int) -> bytes | None:
        """The message of that CRC-32.

        Args:
            digest: of the message.
            wall_ns: when it was said; not earlier than the one before it that was asked for [ns].

        Returns:
            Its bytes; None where it was not recorded.
        """
        while self._read_ns <= wall_ns + ABOUT_NS:
            message = next(self._messages, None)
            if message is None:
                break
            self._read_ns, key = message.log_ns, crc32(message.data)
            self._kept.append((message.log_ns, key))
            self._by_digest[key] = message.data
        while self._kept and self._kept[0][0] < wall_ns - ABOUT_NS:
            self._by_digest.pop(self._kept.popleft()[1], None)
        return self._by_digest.get(digest)
