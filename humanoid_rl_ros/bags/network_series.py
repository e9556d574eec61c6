"""What the network saw and said, out of a bag, as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from humanoid_rl_ros.bags.columns import Rows, Times
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.series import TimesArray
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader
from humanoid_rl_ros.interfaces.cdr_messages import read_float32_array, read_uint8_array
from humanoid_rl_ros.interfaces.journal import SAID, JournalEntry, read_batch


@dataclass(frozen=True, eq=False)
class NetworkSeries:
    """Observations or actions of one width.

    Attributes:
        name: of the topic, with the width: policies that change differ in it.
        quantity: ``observation`` or ``action``.
        log_ns: [ns; Shape (n,)].
        stamp_ns: of the states that were seen, as the journal tells it [ns; Shape (n,)]; None where it does not.
        values: [Shape (n, width)].
    """

    name: str
    quantity: str
    log_ns: TimesArray
    stamp_ns: TimesArray | None
    values: Float32Array


def collect_network(bag: Bag, namespace: str) -> list[NetworkSeries]:
    """Observations and actions; the messages carry no stamp, but the journal tells to which effort they belong.

    Args:
        bag: open.
        namespace: of the robot.
    """
    names = {
        full_name(topic, namespace): topic.name.rsplit("/", 1)[-1]
        for topic in (topics.POLICY_OBSERVATION, topics.POLICY_ACTION)
        if bag.topics.get(full_name(topic, namespace))
    }
    if not names:
        return []
    stamps = _stamps(bag, namespace)
    found: dict[tuple[str, int], tuple[Times, Times, Rows]] = {}
    for message in bag.messages(list(names)):
        stamp_ns = stamps.get(crc32(message.data)) if stamps else 0
        try:
            values = read_float32_array(message.data)
        except StateError:
            continue
        if stamp_ns is None:
            continue  # of a policy that stands by, or not in the journal
        key = names[message.topic], len(values)
        if key not in found:
            found[key] = Times(), Times(), Rows(len(values))
        for column, value in zip(found[key][:2], (message.log_ns, stamp_ns), strict=True):
            column.add(value)
        found[key][2].add(values[None, :])
    return [
        NetworkSeries(
            f"policy/{quantity} ({width})",
            quantity,
            log_ns.array(),
            stamp_ns.array() if stamps else None,
            rows.array(),
        )
        for (quantity, width), (log_ns, stamp_ns, rows) in sorted(found.items(), reverse=True)
    ]


def _stamps(bag: Bag, namespace: str) -> dict[int, int]:
    """The stamp of the state behind each observation and action, by its CRC-32."""
    journal, effort = (full_name(topic, namespace) for topic in (topics.POLICY_JOURNAL, topics.POLICY_EFFORT))
    if journal not in bag.topics or effort not in bag.topics:
        return {}
    efforts: dict[int, int] = {}
    reader = JointStateReader()
    for message in bag.messages([effort]):
        try:
            read = reader.read(message.data)
        except StateError:
            continue
        if not read.frame_id.startswith(topics.STANDBY):  # what it would do if it took over is not what it does
            efforts[crc32(message.data)] = read.stamp_ns
    found: dict[int, int] = {}
    stamp_ns: int | None = None
    for entry in _entries(bag, journal):
        if entry.kind < SAID:
            stamp_ns = None
        elif entry.said_on is topics.POLICY_EFFORT:
            stamp_ns = efforts.get(entry.digest)
        elif stamp_ns is not None:
            found[entry.digest] = stamp_ns
    return found


def _entries(bag: Bag, journal: str) -> Iterator[JournalEntry]:
    for message in bag.messages([journal]):
        try:
            yield from read_batch(read_uint8_array(message.data)).entries
        except StateError:
            continue
