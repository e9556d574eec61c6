"""What a replay said against what was recorded: counted, and where it differs, by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from humanoid_rl_ros.bags.recorded_words import RecordedWords
from humanoid_rl_ros.bags.words import FieldDifference, Words
from humanoid_rl_ros.core.errors import StateError

KEPT = 100
"""Differences of each topic that are kept; all are counted."""
FIELDS = 20
"""Fields kept of a message that differs."""


@dataclass(frozen=True)
class Divergence:
    """A message that is not what was recorded.

    Attributes:
        topic: name relative to the namespace.
        number: of the message on that topic, from the first that was compared.
        now_ns: monotonic time of the node that said it [ns].
        wall_ns: the same on the wall clock [ns].
        kind: ``differs``, ``missing`` in the replay, ``additional`` in the replay, or ``unknown`` where what was said
            was not recorded itself, only that it is another.
        fields: the first fields that differ.
        size: the largest difference of a number in it; infinite where something else differs.
    """

    topic: str
    number: int
    now_ns: int
    wall_ns: int
    kind: str
    fields: tuple[FieldDifference, ...] = ()
    size: float = math.inf


@dataclass
class TopicCount:
    """How the messages of a topic compare.

    Attributes:
        recorded: said in the recording.
        identical: said in the replay too, to the bit.
        close: other than that, but by no more than the tolerance.
        unknown: other, but nobody knows by how much: with a tolerance, and only its digest was recorded.
        differing: other than that.
        missing: not said in the replay.
        additional: said in the replay alone.
        largest: the number that differs most.
        divergences: the first of them.
    """

    recorded: int = 0
    identical: int = 0
    close: int = 0
    unknown: int = 0
    differing: int = 0
    missing: int = 0
    additional: int = 0
    largest: FieldDifference | None = None
    divergences: list[Divergence] = field(default_factory=list)

    @property
    def parted(self) -> int:
        """How many are not as recorded."""
        return self.differing + self.missing + self.additional

    def add(self, later: TopicCount) -> None:
        """Those of a later part of the recording."""
        for name in ("identical", "close", "unknown", "differing", "missing", "additional"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        shift = self.recorded
        self.recorded += later.recorded
        if later.largest is not None and (self.largest is None or later.largest.size > self.largest.size):
            self.largest = later.largest
        for found in later.divergences[: KEPT - len(self.divergences)]:
            self.divergences.append(replace(found, number=found.number + shift))


class Comparison:
    """Counts, and looks at what differs.

    Args:
        tolerance: largest difference of a number that is none.

    Attributes:
        recorded: finds what was recorded, by topic.
        words: names the fields.
        stamped: whether joint commands are `JointState`.
        counts: what was found, by topic.
    """

    def __init__(self, *, tolerance: float = 0.0) -> None:
        self.recorded: Mapping[str, RecordedWords] = {}
        self.words = Words()
        self.stamped = True
        self._tolerance = tolerance
        self.counts: dict[str, TopicCount] = {}

    @property
    def parted(self) -> bool:
        """Whether anything is not as recorded."""
        return any(count.parted for count in self.counts.values())

    def of(self, topic: str) -> TopicCount:
        """The count of a topic."""
        return self.counts.setdefault(topic, TopicCount())

    def same(self, topic: str) -> None:
        """A message is the same to the bit."""
        count = self.of(topic)
        count.recorded += 1
        count.identical += 1

    def missing(self, topic: str, now_ns: int, wall_ns: int) -> None:
        """A message was recorded, and is not said in the replay."""
        count = self.of(topic)
        count.recorded += 1
        count.missing += 1
        self._keep(count, Divergence(topic, count.recorded, now_ns, wall_ns, "missing"))

    def additional(self, topic: str, now_ns: int, wall_ns: int) -> None:
        """A message is said in the replay, and was not in the recording."""
        count = self.of(topic)
        count.additional += 1
        self._keep(count, Divergence(topic, count.recorded + 1, now_ns, wall_ns, "additional"))

    def differs(self, topic: str, now_ns: int, wall_ns: int, digest: int, replayed: bytes) -> None:
        """A message is not the same to the bit.

        Args:
            topic: on which.
            now_ns, wall_ns: when it was said [ns].
            digest: CRC-32 of what was recorded.
            replayed: what is said in the replay.
        """
        count = self.of(topic)
        count.recorded += 1
        found = self.recorded[topic].find(digest, wall_ns) if topic in self.recorded else None
        if found is None and self._tolerance > 0.0:
            count.unknown += 1
            return
        try:
            fields = None if found is None else self.words.differences(topic, found, replayed, stamped=self.stamped)
        except StateError:
            fields = None
        if fields is None:
            count.differing += 1
            self._keep(count, Divergence(topic, count.recorded, now_ns, wall_ns, "unknown"))
            return
        largest = max(fields, key=lambda item: item.size, default=None)
        size = 0.0 if largest is None else largest.size
        if largest is not None and (count.largest is None or size > count.largest.size):
            count.largest = largest
        if size <= self._tolerance and largest is not None:
            count.close += 1
            return
        count.differing += 1
        self._keep(count, Divergence(topic, count.recorded, now_ns, wall_ns, "differs", tuple(fields[:FIELDS]), size))

    @staticmethod
    def _keep(count: TopicCount, divergence: Divergence) -> None:
        if len(count.divergences) < KEPT:
            count.divergences.append(divergence)
