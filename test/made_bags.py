"""Bags made for tests: topics of real types, messages whose bytes say which they are."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from rosbags.rosbag2 import Reader

from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.records import OfferedQos, Record, RecordedTopic
from humanoid_rl_ros.bags.writer import BagWriter

START = 1_700_000_000_000_000_000
MS = 1_000_000
TYPES = MessageTypes()


def topic(name: str, type_name: str = "sensor_msgs/msg/JointState", *, latched: bool = False) -> RecordedTopic:
    """A topic with the definition and hash of its type."""
    definition, type_hash = TYPES.find(type_name)
    qos = OfferedQos(durability="transient_local") if latched else OfferedQos(reliability="best_effort")
    return RecordedTopic(name, type_name, (qos,), definition, type_hash, latched)


def messages(name: str, count: int, *, size: int = 400, period_ns: int = MS, first: int = 0) -> list[Record]:
    """Messages one period apart; each was published 50 µs before it arrived. No two have the same bytes."""
    noise = random.Random(f"{name} {first}")
    made = []
    for i in range(first, first + count):
        time = START + i * period_ns
        data = b"\x00\x01\x00\x00" + i.to_bytes(8, "little") + noise.randbytes(size - 12)
        made.append(Record(name, time, time - 50_000, i + 1, data, b"publisher"))
    return made


def write(folder: Path, topics: Iterable[RecordedTopic], given: Iterable[Record], **options: int) -> BagWriter:
    """A closed bag."""
    writer = BagWriter(folder, **options)  # type: ignore[arg-type]
    for one in topics:
        writer.add_topic(one)
    for message in given:
        writer.write(message)
    writer.close()
    return writer


def read(path: Path) -> list[tuple[str, int, bytes]]:
    """Topic, log time and bytes of every message, by the reader of rosbags."""
    with Reader(path) as reader:
        return [(connection.topic, time, bytes(data)) for connection, time, data in reader.messages()]


def as_read(given: Iterable[Record]) -> list[tuple[str, int, bytes]]:
    """What `read` must give for these messages."""
    return [(m.topic, m.log_time_ns, m.data) for m in given]
