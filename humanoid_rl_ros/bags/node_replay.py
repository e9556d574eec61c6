"""One node's journal fed to its control again, and what that says held against what the node said."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from humanoid_rl_ros.bags.comparison import Comparison
from humanoid_rl_ros.bags.journals import Stretch
from humanoid_rl_ros.bags.rebuild import RecordedPolicyControl
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY, SAID, JournalEntry
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import SafetyStatus


class Control(Protocol):
    """What consumes entries."""

    def take(self, entry: Entry, now_ns: int, data: bytes = b"") -> tuple[bool, str] | None:
        """Consume something."""
        ...


class Listener:
    """Takes what a control says in a replay."""

    def __init__(self) -> None:
        self.said: deque[tuple[Topic, bytes]] = deque()

    def publish(self, topic: Topic, data: bytes) -> None:
        """Keep it until it is compared."""
        self.said.append((topic, data))

    def info(self, text: str) -> None:
        """Nothing is logged."""

    def error(self, text: str) -> None:
        """Nothing is logged."""

    def refused(self, text: str) -> None:
        """Nothing is logged."""

    def record(self, why: str, status: SafetyStatus, events: Sequence[Event]) -> None:
        """Nothing is written."""


@dataclass
class NodeResult:
    """What came of the replay of one node, beside what it said.

    Attributes:
        consumed: entries fed.
        seconds: time of the node that they span [s].
        skipped: entries that no state came before, or that followed something lost.
        states: recorded states of this version's format met on the way.
        equal_states: those of them in which the control was, to the bit.
        error: what ended the replay early, or empty.
    """

    consumed: int = 0
    seconds: float = 0.0
    skipped: int = 0
    states: int = 0
    equal_states: int = 0
    error: str = ""

    def add(self, later: NodeResult) -> None:
        """That of a later part of the recording."""
        for name in ("consumed", "seconds", "skipped", "states", "equal_states"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.error = self.error or later.error


class NodeReplay:
    """Feeds stretches of a journal to a control.

    Args:
        control: as it was made.
        listener: takes what it says.
        comparison: is told how that compares.
        end_ns: log time; it ends at the first recorded state after that; None: never [ns].
    """

    def __init__(
        self, control: Control, listener: Listener, comparison: Comparison, *, end_ns: int | None = None
    ) -> None:
        self._listener = listener
        self._control = control
        self._comparison = comparison
        self._end_ns = end_ns
        self._snapshot = Snapshot(self._control)
        if isinstance(control, RecordedPolicyControl):
            control.on_added = self._snapshot.adopt
        self._lives = False
        self._now_ns = self._offset_ns = 0
        self._before_ns: int | None = None
        self.result = NodeResult()

    def feed(self, stretch: Stretch) -> bool:
        """Feed one.

        Args:
            stretch: the next.

        Returns:
            Whether to go on.
        """
        batch = stretch.batch
        self._offset_ns = batch.wall_ns - batch.monotonic_ns
        if not stretch.goes_on:
            self._settle()
            self._lives = False
        for entry in batch.entries:
            if entry.kind >= SAID:
                self._compare(entry)
                continue
            self._settle()
            self._now_ns = entry.now_ns
            if entry.kind not in (KEY, BEGIN):
                self._consume(entry)
            elif self._meet(entry, stretch.log_ns):
                return False
            if self.result.error:
                return False
        return True

    def finish(self) -> NodeResult:
        """There is no more."""
        self._settle()
        return self.result

    def _meet(self, entry: JournalEntry, log_ns: int) -> bool:
        """A recorded state; whether it is the end."""
        if self._lives and entry.kind == KEY:
            if self._snapshot.comparable(entry.data):
                self.result.states += 1
                self.result.equal_states += self._snapshot.capture() == entry.data
            return self._end_ns is not None and log_ns >= self._end_ns
        if self._end_ns is not None and log_ns >= self._end_ns:
            return True
        try:
            self._snapshot.restore(entry.data)
        except BagError as error:
            self.result.error = str(error)
            return True
        self._lives, self._before_ns = True, entry.now_ns
        return False

    def _consume(self, entry: JournalEntry) -> None:
        if not self._lives:
            self.result.skipped += 1
            return
        if self._before_ns is not None:
            self.result.seconds += (entry.now_ns - self._before_ns) * 1e-9
        self._before_ns = entry.now_ns
        self.result.consumed += 1
        try:
            kind = Entry(entry.kind)
        except ValueError:
            self.result.error = f"journal entry of kind {entry.kind} is not known to this version"
            return
        try:
            self._control.take(kind, entry.now_ns, entry.data)
        except Exception as error:  # of the control as it is today, or of a state that nobody recorded
            text = " ".join(str(error).split())[:200]
            self.result.error = f"the control raised {type(error).__name__} at {kind.name}: {text}"

    def _compare(self, entry: JournalEntry) -> None:
        """What the node said next, against what the control has said and nobody has looked at yet."""
        if not self._lives:
            return
        topic = entry.said_on
        assert topic is not None
        said, wall_ns = self._listener.said, entry.now_ns + self._offset_ns
        if not said or said[0][0] is not topic:
            self._comparison.missing(topic.name, entry.now_ns, wall_ns)
            return
        _, data = said.popleft()
        if crc32(data) == entry.digest:
            self._comparison.same(topic.name)
        else:
            self._comparison.differs(topic.name, entry.now_ns, wall_ns, entry.digest, data)

    def _settle(self) -> None:
        """What was said now and not then."""
        while self._listener.said:
            topic, _ = self._listener.said.popleft()
            if self._lives:
                self._comparison.additional(topic.name, self._now_ns, self._now_ns + self._offset_ns)
