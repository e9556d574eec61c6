"""How many messages never arrived, from the numbers that publishers give them."""

from __future__ import annotations

PUBLISHERS = 64
"""Publishers of one topic that are told apart."""


class SequenceGaps:
    """The gaps in the sequence numbers of one topic's publishers.

    What a publisher sent before its first message that arrived, and after its last, leaves no gap and is not counted.

    Attributes:
        lost: messages missing so far.
        numbered: whether the middleware numbers messages at all.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.numbered = False
        self._last: dict[bytes, int] = {}

    def see(self, publisher: bytes, sequence: int | None) -> None:
        """Take note of one message.

        Args:
            publisher: tells the publishers apart.
            sequence: its number, from 1; None or 0 where the middleware gives none.
        """
        if not sequence:
            return
        self.numbered = True
        last = self._last.get(publisher)
        if last is None:
            if len(self._last) >= PUBLISHERS:
                self._last.pop(next(iter(self._last)))
        elif sequence > last + 1:
            self.lost += sequence - last - 1
        elif sequence <= last:
            return  # again, or late
        self._last[publisher] = sequence
