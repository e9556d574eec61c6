"""Reads a bag of any origin: our recorder's or rosbag2's, MCAP or sqlite3, whole or torn."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from humanoid_rl_ros.bags.bag_files import find_files, open_storage
from humanoid_rl_ros.bags.bag_message import CDR, BagMessage, BagTopic, Storage, count_of
from humanoid_rl_ros.bags.bag_metadata import BagMetadata, parse_metadata
from humanoid_rl_ros.core.errors import BagError

__all__ = ["Bag", "BagMessage", "BagTopic"]
_DIFFERENCES_NAMED = 3


class Bag:
    """An open bag.

    What is wrong with it is read past and kept in `problems`, as long as anything can be read.

    Args:
        path: its folder, or one file of it (.mcap or .db3).

    Attributes:
        path: as given.
        folder: where its files are.
        topics: what was recorded, by name, those without messages too.
        start_ns, end_ns: first and last log time [ns]; both 0 where there is no message.
        custom: what the recorder added to the metadata.
        distribution: of ROS that recorded it; empty where it does not say.

    Raises:
        BagError: there is no bag, or nothing of it can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._own_problems: list[str] = []
        self._storages: list[tuple[str, Storage]] = []
        with ExitStack() as stack:
            files, metadata = find_files(self.path, self._own_problems)
            self.folder = self.path if self.path.is_dir() else self.path.parent
            self._open(files, stack)
            self._stack = stack.pop_all()
        if metadata is None:
            metadata = self._repeated_metadata()
        self.custom: Mapping[str, str] = metadata.custom
        self.distribution = metadata.distribution
        self.topics: Mapping[str, BagTopic] = self._merge_topics(metadata)
        filled = [storage for _, storage in self._storages if count_of(storage.topics)]
        self.start_ns = min((storage.start_ns for storage in filled), default=0)
        self.end_ns = max((storage.end_ns for storage in filled), default=0)
        self._refuse_other_serialization()
        if self.path.is_dir():
            self._compare_counts(metadata)

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._stack.close()

    @property
    def count(self) -> int:
        """Messages of all topics."""
        return count_of(self.topics.values())

    @property
    def duration(self) -> float:
        """From the first message to the last [s]."""
        return (self.end_ns - self.start_ns) * 1e-9

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong and was read past, one line each; more may be found while messages are read."""
        several = len(self._storages) > 1 or self.path.is_dir()
        found = list(self._own_problems)
        for name, storage in self._storages:
            found += [f"{name} {text}" if several else text for text in storage.problems]
        return tuple(found)

    @property
    def lost(self) -> Mapping[str, int]:
        """Messages that the recorder never got, by topic; only of topics with sequence numbers, when all were read."""
        found: dict[str, int] = {}
        for _, storage in self._storages:
            for topic, count in storage.lost.items():
                found[topic] = found.get(topic, 0) + count
        return found

    def messages(
        self, topics: Collection[str] = (), start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """The messages, in the order of log time, whichever file they are in.

        Args:
            topics: those wanted; none given: all.
            start_ns: log time from which on; None: the first [ns].
            end_ns: log time before which; None: to the end [ns].
        """
        read = {name for name, topic in self.topics.items() if topic.serialization == CDR}
        wanted = set(topics) & read if topics else (None if len(read) == len(self.topics) else read)
        for group in self._groups():
            sources = [storage.messages(wanted, start_ns, end_ns) for storage in group]
            if len(sources) == 1:
                yield from sources[0]
            else:
                yield from heapq.merge(*sources, key=_log_ns)

    def _groups(self) -> Iterator[list[Storage]]:
        """Files whose times overlap, together; so that of a much split bag few files are read at once."""
        filled = [storage for _, storage in self._storages if count_of(storage.topics)]
        group: list[Storage] = []
        end_ns = 0
        for storage in sorted(filled, key=lambda storage: storage.start_ns):
            if group and storage.start_ns > end_ns:
                yield group
                group = []
            group.append(storage)
            end_ns = max(end_ns, storage.end_ns)
        if group:
            yield group

    def _open(self, files: Collection[Path], stack: ExitStack) -> None:
        """Every file that can be read; if none can, the first says why."""
        refused: list[BagError] = []
        for file in files:
            try:
                self._storages.append((file.name, open_storage(file, stack, self._own_problems)))
            except BagError as error:
                refused.append(error)
        if not self._storages:
            raise refused[0]
        self._own_problems += [str(error).removeprefix(f"{self.path}/") for error in refused]

    def _repeated_metadata(self) -> BagMetadata:
        for _, storage in self._storages:
            if storage.metadata:
                try:
                    return parse_metadata(storage.metadata)
                except BagError:
                    continue
        return BagMetadata()

    def _merge_topics(self, metadata: BagMetadata) -> dict[str, BagTopic]:
        merged: dict[str, BagTopic] = {}
        kinds: dict[str, dict[str, int]] = {}
        for _, storage in self._storages:
            for topic in storage.topics:
                before = merged.get(topic.name)
                by_kind = kinds.setdefault(topic.name, {})
                by_kind[topic.type] = by_kind.get(topic.type, 0) + topic.count
                merged[topic.name] = BagTopic(
                    topic.name,
                    max(by_kind, key=lambda kind: by_kind[kind]),
                    topic.count + (before.count if before else 0),
                    (before.qos if before else "") or topic.qos or metadata.qos.get(topic.name, ""),
                    before.serialization if before else topic.serialization,
                )
        for name, by_kind in kinds.items():
            if len(by_kind) > 1:
                self._own_problems.append(f"{name} has messages of several types: {', '.join(sorted(by_kind))}")
        return dict(sorted(merged.items()))

    def _refuse_other_serialization(self) -> None:
        others = {topic.name: topic.serialization for topic in self.topics.values() if topic.serialization != CDR}
        if others and len(others) == len(self.topics):
            self.close()
            kinds = ", ".join(sorted({kind or "none" for kind in others.values()}))
            raise BagError(f"{self.path}: its messages are serialised as {kinds}, and {CDR} alone is read")
        for name, kind in sorted(others.items()):
            self._own_problems.append(f"{name} is serialised as {kind or 'nothing named'} and not as {CDR}; left out")

    def _compare_counts(self, metadata: BagMetadata) -> None:
        """A file that was cut off, or one that is missing, shows here."""
        different = [
            f"{name} {self.topics[name].count if name in self.topics else 0} of {count}"
            for name, count in sorted(metadata.counts.items())
            if count != (self.topics[name].count if name in self.topics else 0)
        ]
        if different:
            more = len(different) - _DIFFERENCES_NAMED
            text = ", ".join(different[:_DIFFERENCES_NAMED]) + (f" and {more} more topics" if more > 0 else "")
            self._own_problems.append(f"there are not as many messages as the metadata says: {text}")


def _log_ns(message: BagMessage) -> int:
    return message.log_ns
