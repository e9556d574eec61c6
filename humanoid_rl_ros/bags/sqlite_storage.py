"""One sqlite3 file of rosbag2, whole, locked or torn."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from humanoid_rl_ros.bags.bag_message import CDR, BagMessage, BagTopic, disorder
from humanoid_rl_ros.bags.compression import ZSTD_MAGIC, unpack
from humanoid_rl_ros.core.errors import BagError

MAGIC = b"SQLite format 3\0"
_JOURNALS = ("-wal", "-journal")
"""What SQLite leaves beside a file that was not closed."""
_LARGEST_NS = 2**63 - 1
_BATCH = 256
_DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file ends in; SQLite quotes it in the errors, which may then be no text."""


class SqliteStorage:
    """Reads a sqlite3 file; see `bag_message.Storage`.

    The file is opened as one that nobody changes: no lock is waited for, and nothing is written beside it. One that was
    not closed is completed from its journal in a copy.

    Args:
        path: the file.

    Raises:
        BagError: nothing of it can be read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        path.open("rb").close()
        self.problems: list[str] = []
        self.lost: dict[str, int] = {}
        self.metadata = ""
        self._folder: TemporaryDirectory[str] | None = None
        self._read_once = False
        self._connection = self._connect(path)
        try:
            self._topics = self._read_torn_topics()
        except _DAMAGE as error:
            self.close()
            raise BagError(f"cannot be read as a bag: {error}") from None
        self._by_time = self._has_time_index()
        counts, self.start_ns, self.end_ns = self._count()
        self._topics = {
            number: BagTopic(topic.name, topic.type, counts.pop(number, 0), topic.qos, topic.serialization)
            for number, topic in self._topics.items()
        }
        self.topics = list(self._topics.values())
        if counts:
            self.problems.append(
                f"{sum(counts.values())} messages are of a topic that the file does not name; left out"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _connect(self, path: Path) -> sqlite3.Connection:
        options = "immutable=1"
        journals = [Path(f"{path}{end}") for end in _JOURNALS]
        if any(journal.is_file() and journal.stat().st_size for journal in journals):
            self._folder = TemporaryDirectory()
            copy = Path(self._folder.name) / "bag.db3"
            shutil.copyfile(path, copy)
            for end, journal in zip(_JOURNALS, journals, strict=True):
                if journal.is_file():
                    shutil.copyfile(journal, f"{copy}{end}")
            path, options = copy, "mode=rw"
            self.problems.append("was not closed, or is being written: completed from its journal")
        connection = sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, check_same_thread=False)
        connection.text_factory = lambda data: data.decode("utf-8", errors="replace")
        return connection

    def _read_torn_topics(self) -> dict[int, BagTopic]:
        try:
            return self._read_topics()
        except _DAMAGE:
            # SQLite reads no file that is shorter than it says, unless its schema may be repaired.
            self._connection.execute("PRAGMA writable_schema = ON")
            return self._read_topics()

    def _read_topics(self) -> dict[int, BagTopic]:
        columns = [str(row[1]) for row in self._connection.execute("PRAGMA table_info(topics)")]
        if not columns or not self._connection.execute("PRAGMA table_info(messages)").fetchall():
            raise sqlite3.DatabaseError("it has no tables of topics and messages")
        qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        rows = self._connection.execute(f"SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id")
        return {
            int(number): BagTopic(str(name), str(kind), 0, str(quality or ""), str(form or CDR))
            for number, name, kind, form, quality in rows
            if isinstance(number, int)
        }

    def _has_time_index(self) -> bool:
        try:
            (plan,) = self._connection.execute(
                "EXPLAIN QUERY PLAN SELECT timestamp FROM messages ORDER BY timestamp LIMIT 1"
            ).fetchall()[:1]
        except (*_DAMAGE, ValueError):
            return False
        return "INDEX" in str(plan[-1])

    def _count(self) -> tuple[dict[int, int], int, int]:
        """Messages by topic, and the first and last log time [ns]."""
        counts: dict[int, int] = {}
        times: list[int] = []
        try:
            for number, count, first, last in self._connection.execute(
                "SELECT topic_id, COUNT(*), MIN(timestamp), MAX(timestamp) FROM messages GROUP BY topic_id"
            ):
                counts[number] = count
                times += [t for t in (first, last) if isinstance(t, int)]
        except _DAMAGE as error:
            self._by_time = False
            counts, times = {}, []
            # No aggregate of a damaged file can be had, but its rows can, up to the damage.
            for number, stamp, _ in self._rows("", [], []):
                counts[number] = counts.get(number, 0) + 1
                times = [min(times[0], stamp), max(times[1], stamp)] if times else [stamp, stamp]
            self.problems.append(f"is damaged ({error}): its messages are read up to the damage")
        return counts, min(times, default=0), max(times, default=0)

    def _rows(self, condition: str, arguments: list[Any], ended: list[str]) -> Iterator[tuple[int, int, bytes]]:
        """Topic, log time and data of every sound row; what ended it early is added to `ended`."""
        order = "timestamp, id" if self._by_time else "id"
        query = f"SELECT id, topic_id, timestamp, data FROM messages {condition} ORDER BY {order}"
        latest = latest_ns = behind = farthest_ns = unsound = 0
        try:
            for row, number, stamp, data in self._connection.execute(query, arguments):
                if not (isinstance(stamp, int) and isinstance(data, bytes) and isinstance(number, int)):
                    unsound += 1
                    continue
                if row < latest:
                    behind += 1
                    farthest_ns = max(farthest_ns, stamp - latest_ns)
                else:
                    latest, latest_ns = row, stamp
                yield number, stamp, data
        except _DAMAGE as error:
            ended.append(f"is damaged ({error}): nothing after that is read")
        if unsound:
            ended.append(f"{unsound} messages are no messages; left out")
        ended += disorder(behind, farthest_ns)

    def messages(
        self, wanted: Collection[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[BagMessage]:
        """See `bag_message.Storage`."""
        targets = {
            number: (topic.name, topic.type)
            for number, topic in self._topics.items()
            if wanted is None or topic.name in wanted
        }
        conditions, arguments = [], []
        if wanted is not None:
            conditions.append(f"topic_id IN ({','.join('?' * len(targets))})")
            arguments += list(targets)
        if start_ns is not None:
            conditions.append("timestamp >= ?")
            arguments.append(max(-_LARGEST_NS, min(start_ns, _LARGEST_NS)))
        if end_ns is not None:
            conditions.append("timestamp < ?")
            arguments.append(max(-_LARGEST_NS, min(end_ns, _LARGEST_NS)))
        condition = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        ended: list[str] = []
        found = self._plain(targets, self._rows(condition, arguments, ended))
        yield from found if self._by_time else _in_order(found)
        whole = not conditions and not self._read_once
        self._read_once = self._read_once or whole
        self.problems += [text for text in ended if text not in self.problems and (whole or "damaged" in text)]

    def _plain(
        self, targets: dict[int, tuple[str, str]], rows: Iterator[tuple[int, int, bytes]]
    ) -> Iterator[BagMessage]:
        damaged = 0
        for number, stamp, data in rows:
            target = targets.get(number)
            if target is None:
                continue
            if data[:4] != ZSTD_MAGIC:
                yield BagMessage(target[0], target[1], stamp, data)
                continue
            try:
                yield BagMessage(target[0], target[1], stamp, unpack(data, "zstd"))
            except BagError:
                damaged += 1
        if damaged:
            text = f"{damaged} compressed messages are damaged; left out"
            self.problems += [text] if text not in self.problems else []


def _in_order(messages: Iterator[BagMessage]) -> Iterator[BagMessage]:
    """In the order of log time, where rows come nearly in it: each is compared with the few around it."""
    window: list[BagMessage] = []
    for message in messages:
        window.append(message)
        if len(window) >= 2 * _BATCH:
            window.sort(key=lambda m: m.log_ns)
            yield from window[:_BATCH]
            del window[:_BATCH]
    window.sort(key=lambda m: m.log_ns)
    yield from window
