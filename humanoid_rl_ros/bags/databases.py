"""Bags of rosbag2's older kind: one sqlite3 database, which a crash leaves with an open journal."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from humanoid_rl_ros.bags.records import OfferedQos, Record, RecordedTopic
from humanoid_rl_ros.bags.tears import TornFile

DATABASES = (".db3",)


def read_database(torn: TornFile) -> Iterator[RecordedTopic | Record]:
    """Topics and messages of an sqlite3 bag, from a copy: opening it would roll back what its journal still holds.

    Args:
        torn: the file; says afterwards whether it could be read.

    Raises:
        OSError: it cannot be copied.
    """
    path = torn.path
    torn.size = path.stat().st_size
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        for suffix in ("", "-journal", "-wal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                shutil.copyfile(beside, copy.with_name(copy.name + suffix))
        try:
            with sqlite3.connect(copy) as database:
                database.execute("PRAGMA journal_mode=DELETE")
                database.execute("SELECT count(*) FROM sqlite_master").fetchall()
            database.close()
            with Reader(copy) as reader:
                for connection in reader.connections:
                    yield _topic(connection)
                for connection, time_ns, data in reader.messages():
                    yield Record(connection.topic, time_ns, time_ns, 0, bytes(data))
            torn.whole, torn.good = True, torn.size
        except Exception as error:  # of three libraries, about whatever is left of a database
            torn.reason = " ".join(str(error).split())


def _topic(connection: Any) -> RecordedTopic:
    """A connection of rosbags; typed as its union of two ROS versions, of which only one comes here."""
    assert isinstance(connection.ext, ConnectionExtRosbag2)
    qos = tuple(
        OfferedQos(
            reliability=item.reliability.name.lower(),
            durability=item.durability.name.lower(),
            history=item.history.name.lower(),
            depth=item.depth,
            liveliness=item.liveliness.name.lower(),
        )
        for item in connection.ext.offered_qos_profiles
    )
    return RecordedTopic(connection.topic, connection.msgtype, qos, connection.msgdef.data, connection.digest)
