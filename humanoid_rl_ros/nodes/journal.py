"""What a node consumes and says, published as its journal while somebody listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.interfaces.cdr_writers import write_byte_array
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY, LABEL, JournalWriter
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.base import ManagedNode
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import SafetyStatus

FLUSH_PERIOD_S = 0.02
KEY_PERIOD_NS = 1_000_000_000
LARGEST_BATCH = 1 << 18
"""What is not sent by then, because the timer starves, is sent at once [bytes]."""

Record = Callable[[str, SafetyStatus, Sequence[Event]], None]


class NodeJournal:
    """Writes entries while somebody listens, and nothing otherwise.

    Args:
        node: whose journal it is.
        topic: where it goes.
    """

    def __init__(self, node: ManagedNode, topic: Topic) -> None:
        self._node = node
        self._publisher = node.publish_on(topic)
        self._writer = JournalWriter(time.time_ns())
        self._snapshot: Snapshot | None = None
        self._listened = False
        self._complained = False
        self._key_ns = 0
        node.every(FLUSH_PERIOD_S, self.flush)

    def follow(self, control: Any) -> None:
        """Keep the state of this control, as it was made just now, from time to time."""
        self._snapshot = Snapshot(control)

    def adopt(self) -> None:
        """The control was given something new, which is as it was made."""
        if self._snapshot is not None:
            self._guarded(self._snapshot.adopt)

    def consumed(self, entry: Entry, now_ns: int, data: bytes) -> None:
        """Something is about to be consumed."""
        if self._listened:
            self._guarded(partial(self._consumed, entry, now_ns, data))

    def _consumed(self, entry: Entry, now_ns: int, data: bytes) -> None:
        self._writer.add(entry, now_ns, data)
        if self._writer.size > LARGEST_BATCH:
            self._send()

    def said(self, topic: Topic, data: bytes) -> None:
        """Something was said to what was consumed last."""
        if self._listened:
            self._guarded(partial(self._writer.said, topic, time.monotonic_ns(), data))

    def flush(self) -> None:
        """Send what waits. Called between two entries."""
        self._guarded(self._flush)

    def _guarded(self, action: Callable[[], None]) -> None:
        """A journal that fails ends; the control goes on."""
        try:
            action()
        except Exception as error:  # whatever it is, a robot must not fall for want of a journal
            self._snapshot, self._listened = None, False
            self._writer.clear()
            self._node.get_logger().error(f"the journal ends: {type(error).__name__}: {error}")

    def _flush(self) -> None:
        listened = self._snapshot is not None and self._publisher.get_subscription_count() > 0
        now_ns = time.monotonic_ns()
        if listened and (not self._listened or now_ns - self._key_ns > KEY_PERIOD_NS):
            assert self._snapshot is not None
            self._key_ns = now_ns
            self._writer.add(KEY if self._listened else BEGIN, now_ns, self._snapshot.capture())
            if self._snapshot.lost and not self._complained:
                self._complained = True
                names = ", ".join(self._snapshot.lost[:5])
                self._node.get_logger().warning(
                    f"the journal cannot hold all of the state ({names}): no replay to the bit"
                )
        self._listened = listened
        self._send()

    def _send(self) -> None:
        batch = self._writer.take(time.time_ns(), time.monotonic_ns())
        if batch:
            self._publisher.publish(write_byte_array(LABEL, batch))


class NodeOutlet:
    """What a control says, onto the publishers of a node and into its journal and log.

    Args:
        node: the node.
        publishers: by the topic's name; what is said on others goes into the journal alone.
        journal: of the node.
        record: keeps what led to a fault.
    """

    def __init__(
        self, node: ManagedNode, publishers: Mapping[str, Any], journal: NodeJournal, record: Record | None = None
    ) -> None:
        self._node = node
        self._publishers = publishers
        self._journal = journal
        self._record = record
        self.first_said_ns: int | None = None
        """`time.perf_counter_ns` after the first message since this was last None."""

    def publish(self, topic: Topic, data: bytes) -> None:
        """Publish it."""
        publisher = self._publishers.get(topic.name)
        if publisher is not None:
            publisher.publish(data)
        if self.first_said_ns is None:
            self.first_said_ns = time.perf_counter_ns()
        self._journal.said(topic, data)

    def info(self, text: str) -> None:
        """Log it."""
        self._node.get_logger().info(text)

    def error(self, text: str) -> None:
        """Log it as an error."""
        self._node.get_logger().error(text)

    def refused(self, text: str) -> None:
        """Log it, each kind at most once a second."""
        self._node.warn_about(text)

    def record(self, why: str, status: SafetyStatus, events: Sequence[Event]) -> None:
        """Have it kept."""
        if self._record is not None:
            self._record(why, status, events)
