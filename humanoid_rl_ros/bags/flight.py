"""The flight recorder: the last seconds are kept in memory, and written when something has happened."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from humanoid_rl_ros.bags.disk import free_bytes
from humanoid_rl_ros.bags.recording import low_disk
from humanoid_rl_ros.bags.records import NANOSECONDS, Record, RecordedTopic
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.core.errors import BagError

FAULT_STATES = frozenset({"FALLING", "ESTOP"})
WAITING_BAGS = 2
"""Windows that wait to be written; each holds on to its messages."""
BREATHER_MESSAGES, BREATHER_S = 200, 0.001
"""While a bag is written, messages go on coming in: how often and how long the writer steps aside."""


class FaultWatch:
    """Tells from the safety monitor's status that something has happened.

    What it says first is where it stands and no event: a latched status may be old.
    """

    def __init__(self) -> None:
        self._faults: int | None = None
        self._state = ""

    def see(self, values: Mapping[str, str]) -> str:
        """Take note of a status.

        Args:
            values: of the message, by key.

        Returns:
            The reason of a new fault, or an empty text.
        """
        try:
            faults = int(values.get("faults", "0"))
        except ValueError:
            faults = 0
        state = values.get("state", "")
        first, more = self._faults is None, faults > (self._faults or 0)
        entered = state != self._state and state in FAULT_STATES
        self._faults, self._state = faults, state
        if first or not (more or entered):
            return ""
        return values.get("reason") or state.lower() or "fault"


class FlightBuffer:
    """The messages of the last seconds, and the last word of every latched topic before them.

    Args:
        limit_bytes: of the messages kept; the oldest go first [bytes].
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._messages: deque[Record] = deque()
        self._bytes = 0
        self._latched: dict[str, dict[bytes, Record]] = {}

    def add_latched(self, topic: str) -> None:
        """From now on the last message of this topic is kept however old it is."""
        self._latched.setdefault(topic, {})

    def add(self, messages: Iterable[Record]) -> None:
        """Take messages."""
        for message in messages:
            self._messages.append(message)
            self._bytes += message.memory
        while self._bytes > self._limit_bytes:
            self._forget()

    def forget_before(self, time_ns: int) -> None:
        """Let go of what was received before a time [ns]."""
        while self._messages and self._messages[0].log_time_ns < time_ns:
            self._forget()

    def since(self, time_ns: int) -> list[Record]:
        """What was received since a time [ns], after what latched topics had said before it."""
        before = {topic: dict(last) for topic, last in self._latched.items()}
        window = []
        for message in self._messages:
            if message.log_time_ns >= time_ns:
                window.append(message)
            elif message.topic in before:
                before[message.topic][message.publisher] = message
        start = window[0].log_time_ns if window else time_ns
        head = [message._replace(log_time_ns=start) for last in before.values() for message in last.values()]
        return head + window

    def _forget(self) -> None:
        message = self._messages.popleft()
        self._bytes -= message.memory
        if message.topic in self._latched:
            self._latched[message.topic][message.publisher] = message


@dataclass
class _Window:
    reason: str
    start_ns: int
    end_ns: int
    latest_ns: int


class FlightRecording:
    """Keeps the last seconds, and writes a bag of them for every event.

    Args:
        base: beginning of the bags' folders; time and reason are added.
        seconds: kept before an event [s].
        after: recorded after it [s].
        limit_bytes: of the messages kept in memory [bytes].
        min_free_bytes: free space below which no bag is written [bytes].
        make_writer: opens a bag.
        finish: called with the folder of each bag that was written, beside the recording.
        clock: time of day [ns].
    """

    def __init__(
        self,
        base: Path,
        *,
        seconds: float,
        after: float,
        limit_bytes: int,
        min_free_bytes: int = 0,
        make_writer: Callable[[Path], BagWriter] = BagWriter,
        finish: Callable[[Path], None] = lambda _: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._base = base
        self._window_ns, self._after_ns = round(seconds * NANOSECONDS), round(after * NANOSECONDS)
        self._min_free_bytes = min_free_bytes
        self._make_writer, self._finish, self._clock = make_writer, finish, clock
        self._buffer = FlightBuffer(limit_bytes)
        self._topics: dict[str, RecordedTopic] = {}
        self._custom: dict[str, str] = {}
        self._open: _Window | None = None
        self._next = ""
        self._bags: list[Path] = []
        self._written = [0, 0]
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._jobs: queue.Queue[tuple[str, list[Record], list[RecordedTopic]] | None] = queue.Queue(WAITING_BAGS)
        self._thread = threading.Thread(target=self._run, name="flight writer")
        self._thread.start()

    def add_topic(self, topic: RecordedTopic) -> None:
        """Make a topic known, before its first message."""
        self._topics[topic.name] = topic
        if topic.latched:
            self._buffer.add_latched(topic.name)

    def put(self, messages: Sequence[Record]) -> None:
        """Take messages, and have a bag written when its time has come; call it also with none."""
        self._buffer.add(messages)
        now = self._clock()
        if self._open is not None and now >= self._open.end_ns:
            self._cut()
            if self._next:
                self.keep(self._next)
        start = now - self._window_ns if self._open is None else self._open.start_ns
        self._buffer.forget_before(min(start, now - self._window_ns))

    def keep(self, reason: str) -> None:
        """Something has happened: the seconds before now and a little after are worth a bag.

        What happens before that bag is complete makes it longer, up to twice the window; then the next one begins.
        """
        now = self._clock()
        self._next = ""
        if self._open is None:
            self._open = _Window(reason, now - self._window_ns, now + self._after_ns, now + self._window_ns)
        elif now + self._after_ns <= max(self._open.latest_ns, self._open.end_ns):
            self._open.end_ns = max(self._open.end_ns, now + self._after_ns)
        else:
            self._next = reason

    def failure(self) -> BagError | None:
        """A flight recorder goes on."""
        return None

    def news(self) -> list[str]:
        """Lines for people since the last call."""
        lines = []
        while not self._news.empty():
            lines.append(self._news.get())
        return lines

    def bags(self) -> list[Path]:
        """The bags it has written."""
        return list(self._bags)

    def say(self, key: str, value: str) -> None:
        """Say something in ``custom_data`` of the bags to come."""
        self._custom[key] = value

    def written(self) -> tuple[int, int]:
        """Messages and bytes written."""
        return self._written[0], self._written[1]

    def close(self) -> None:
        """Write the bag that waits for its end, as it is, and end."""
        if self._open is not None:
            self._cut()
        self._jobs.put(None)
        self._thread.join()

    def _cut(self) -> None:
        window, self._open = self._open, None
        assert window is not None
        try:
            self._jobs.put_nowait((window.reason, self._buffer.since(window.start_ns), list(self._topics.values())))
        except queue.Full:
            self._news.put(f"cannot keep '{window.reason}': {WAITING_BAGS} bags wait to be written already")

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._write(*job)
            except BagError as error:
                self._news.put(f"cannot keep '{job[0]}': {error}")
            except Exception as error:  # a defect of ours or of a library: the next fault is to be kept all the same
                self._news.put(f"cannot keep '{job[0]}': {type(error).__name__}: {error}")

    def _write(self, reason: str, messages: list[Record], topics: list[RecordedTopic]) -> None:
        if (free := free_bytes(self._base.parent)) < self._min_free_bytes:
            raise low_disk(self._base.parent, free, self._min_free_bytes)
        writer = self._make_writer(self._free_name(reason))
        try:
            for key, value in {**self._custom, "humanoid_rl_reason": reason}.items():
                writer.set_custom(key, value)
            for topic in topics:
                writer.add_topic(topic)
            for number, message in enumerate(messages):
                writer.write(message)
                if number % BREATHER_MESSAGES == 0:
                    time.sleep(BREATHER_S)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        writer.synchronise()
        self._bags.append(writer.folder)
        self._written[0] += writer.messages
        self._written[1] += writer.bytes
        seconds = writer.duration_ns / NANOSECONDS
        self._news.put(f"wrote {writer.folder}: {writer.messages} messages of {seconds:.1f} s")
        self._finish(writer.folder)

    def _free_name(self, reason: str) -> Path:
        moment = datetime.now().astimezone().strftime("%Y%m%d_%H%M%S")
        plain = re.sub(r"\W+", "_", reason).strip("_")[:40]
        name = "_".join(part for part in (self._base.name, moment, plain) if part)
        folder, number = self._base.with_name(name), 1
        while folder.exists():
            number += 1
            folder = self._base.with_name(f"{name}_{number}")
        return folder
