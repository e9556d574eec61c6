"""The journals and setups of the nodes in a bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.writer import SCHEMA, SCHEMA_KEY, VERSION_KEY
from humanoid_rl_ros.control.setup import NodeSetup, read_setup
from humanoid_rl_ros.core.errors import BagError, StateError
from humanoid_rl_ros.interfaces.cdr_messages import read_string, read_uint8_array
from humanoid_rl_ros.interfaces.journal import JournalBatch, read_batch
from humanoid_rl_ros.interfaces.topics import Topic


class Stretch(NamedTuple):
    """A batch, and whether it goes on from the one before.

    Attributes:
        goes_on: whether not one entry is missing in between.
        log_ns: when it was recorded [ns].
        batch: the entries.
    """

    goes_on: bool
    log_ns: int
    batch: JournalBatch


@dataclass
class JournalReport:
    """What was found out while a journal was read.

    Attributes:
        batches, entries: how many there were.
        lost: entries that were written and not recorded.
        starts: starts of the node's process.
        unreadable: batches that could not be read, with the first reason.
    """

    batches: int = 0
    entries: int = 0
    lost: int = 0
    starts: int = 0
    unreadable: int = 0
    reason: str = field(default="", compare=False)


def require_schema(bag: Bag) -> None:
    """Refuse what a later version has recorded.

    Raises:
        BagError: it says so.
    """
    schema = bag.custom.get(SCHEMA_KEY, SCHEMA)
    if not schema.isdigit() or int(schema) > int(SCHEMA):
        by = bag.custom.get(VERSION_KEY, "a later version")
        raise BagError(f"{bag.path}: recorded by humanoid_rl_ros {by} with schema {schema}; this one reads {SCHEMA}")


def read_stretches(bag: Bag, topic: str, report: JournalReport, start_ns: int | None = None) -> Iterator[Stretch]:
    """The batches of a journal in their order.

    Args:
        bag: the bag.
        topic: full name of the journal's topic.
        report: is filled in on the way.
        start_ns: log time from which on; None: the first [ns].
    """
    incarnation, due = None, 0
    for message in bag.messages([topic], start_ns):
        try:
            batch = read_batch(read_uint8_array(message.data))
        except StateError as error:
            report.unreadable += 1
            report.reason = report.reason or str(error)
            incarnation = None
            continue
        same = batch.incarnation == incarnation
        if not same:
            report.starts += 1
        elif batch.first < due:
            continue  # the recorder heard it twice
        else:
            report.lost += batch.first - due
        report.batches += 1
        report.entries += len(batch.entries)
        yield Stretch(same and batch.first == due, message.log_ns, batch)
        incarnation, due = batch.incarnation, batch.first + len(batch.entries)


def read_setups(bag: Bag, topic: Topic, namespace: str = "") -> list[tuple[int, NodeSetup]]:
    """What a node was made of, each time that it said so.

    Args:
        bag: the bag.
        topic: `topics.POLICY_SETUP` or `topics.SAFETY_SETUP`.
        namespace: of the node.

    Returns:
        Log time [ns] and setup, oldest first.

    Raises:
        BagError: one cannot be read.
    """
    name = full_name(topic, namespace)
    found = []
    for message in bag.messages([name]):
        try:
            found.append((message.log_ns, read_setup(read_string(message.data))))
        except StateError as error:
            raise BagError(f"{bag.path}: {name}: {error}") from None
        except BagError as error:
            raise BagError(f"{bag.path}: {name}: {error}") from None
    return found
