"""One playing of a bag: at the pace of its log times, on a schedule that does not drift."""

from __future__ import annotations

import gc
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.bags.arming import armings
from humanoid_rl_ros.bags.play_clock import timeline
from humanoid_rl_ros.bags.playing import Selection, measured_names, select
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.nodes.player_feed import ReadAhead
from humanoid_rl_ros.nodes.player_guard import Guard, PlayRefusedError
from humanoid_rl_ros.nodes.player_publishers import PlayerNode
from humanoid_rl_ros.nodes.recorder_topics import message_class

DISCOVERY_S = 1.5
"""How long the graph is looked at before anything is said in it; discovery takes 0.3 to 0.7 s where there is time."""
SETTLED_S = 0.5
"""No subscriber has come for so long: all that are there are known."""
GRAPH_S, LONGEST_SLEEP_S, PROGRESS_S = 0.5, 0.05, 0.5
NANOSECONDS = 1_000_000_000
ARM_AGAIN_NS = 100_000_000
ARM_UNTIL_NS = 1_000_000_000
"""For so long after the recorded arming it is asked for: the driven monitor may become READY a little later [ns]."""
Say = Callable[[str], object]
Progress = Callable[[float, float], object]


@dataclass
class PlaySummary:
    """What was played.

    Attributes:
        bag: its path.
        rate: as asked for.
        seconds: it took, without waiting for subscribers [s].
        bag_seconds: of the bag that was played [s].
        rounds: times that the end was reached.
        counts: messages published, by topic, those of the clock too.
        late_ms: p50, p99 and max of how late messages were published, after when they were due [ms].
        left_out: topics that were not played.
        problems: of the bag.
        ended: ``end`` of the bag, ``interrupted``, or ``refused``.
        failure: why it was ended before the end by what appeared on the graph, or None.
    """

    bag: str
    rate: float
    seconds: float = 0.0
    bag_seconds: float = 0.0
    rounds: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    late_ms: dict[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    ended: str = "end"
    failure: HumanoidError | None = None

    def line(self) -> str:
        """For people."""
        late = ", ".join(f"{name} {value:.2f}" for name, value in self.late_ms.items()) or "nothing"
        return (
            f"{self.bag}: {sum(self.counts.values())} messages, {self.bag_seconds:.1f} s in {self.seconds:.1f} s; "
            f"late by {late} ms" + (f"; {self.ended}" if self.ended != "end" else "")
        )


class Performance:
    """One playing of a bag.

    Args:
        node: publishes.
        bag: the recording.
        say: takes a line for people.
        progress: takes seconds of the bag played, and how many there are.
        ended: not empty when a signal has come.
    """

    def __init__(self, node: PlayerNode, bag: Bag, say: Say, progress: Progress, ended: list[int]) -> None:
        self._node, self._bag, self._say, self._progress, self._ended = node, bag, say, progress, ended
        given = node.parameters
        self._selection = self._select()
        self._start_ns = self._first_ns(bag.start_ns + round(given.start * NANOSECONDS))
        end_ns = bag.end_ns + 1
        self._end_ns = min(end_ns, self._start_ns + round(given.seconds * NANOSECONDS)) if given.seconds else end_ns
        commands = self._selection.commands
        sources = (*measured_names(self._selection.namespace), self._selection.clock)
        self._arm_ns = [
            armed_ns + again_ns
            for armed_ns in (armings(bag, self._selection.namespace) if given.arm else ())
            for again_ns in range(0, ARM_UNTIL_NS, ARM_AGAIN_NS)
        ]
        self._guard = Guard(sources, commands, given.with_actuators, given.answers_may_move)
        self._counts = dict.fromkeys([*(topic.name for topic in self._selection.topics), self._selection.clock], 0)
        self._late_ns = array("q")
        self._played_ns = self._began_ns = self._took_ns = 0
        self._due_ns = {"graph": 0, "progress": 0}
        self._rounds = 0
        self._failure: PlayRefusedError | None = None

    def _select(self) -> Selection:
        given = self._node.parameters
        selection = select(
            self._bag,
            given.robot_namespace or None,
            further=given.topics,
            everything=given.all_topics,
            with_actuators=given.with_actuators,
        )
        unknown = [topic for topic in selection.topics if message_class(topic.type) is None]
        for topic in unknown:
            self._say(f"{topic.name} is not played: {topic.type} is not installed for Python")
        selection = selection.without([topic.name for topic in unknown])
        if not selection.topics:
            raise BagError(f"{self._bag.path}: nothing is left to play")
        return selection

    def _first_ns(self, start_ns: int) -> int:
        """When the first message is due that is played: nobody waits for what comes before."""
        first = next(self._bag.messages([topic.name for topic in self._selection.topics], start_ns), None)
        if first is None:
            start = self._node.parameters.start
            raise BagError(f"{self._bag.path}: nothing to play from {start:g} s on; it has {self._bag.duration:.1f} s")
        return first.log_ns

    def perform(self) -> None:
        """Look at the graph, wait for subscribers, play; end where somebody appears who must not be there.

        Raises:
            PlayRefusedError: somebody is there before the start.
            BagError: the bag cannot be read on.
        """
        for problem in self._bag.problems:
            self._say(f"note: {problem}")
        if self._selection.left_out:
            self._say(f"not played: {', '.join(self._selection.left_out)}")
        if self._node.parameters.with_actuators:
            played = [topic.name for topic in self._selection.topics if topic.name in self._selection.commands]
            self._say(f"WARNING: PLAYING THE ACTUATOR TOPIC, whoever listens moves: {', '.join(played) or 'none'}")
        self._wait(DISCOVERY_S)
        self._look()
        if self._ended:
            return
        self._node.offer(self._selection)
        self._wait_for_listeners()
        self._look()
        gc.collect()
        gc.freeze()
        self._began_ns = time.monotonic_ns()
        try:
            self._play_rounds()
        except PlayRefusedError as error:
            self._failure = error
        finally:
            gc.unfreeze()  # or the participant outlives the interpreter, and its files in /dev/shm everybody
        self._took_ns = time.monotonic_ns() - self._began_ns
        self._node.wait_until_heard()

    def _play_rounds(self) -> None:
        while not self._ended:
            self._play_once()
            self._rounds += not self._ended
            if not self._node.parameters.loop:
                break

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ended and time.monotonic() < until:
            time.sleep(LONGEST_SLEEP_S)

    def _look(self) -> None:
        first = not self._due_ns["graph"]
        self._due_ns["graph"] = time.monotonic_ns() + round(GRAPH_S * NANOSECONDS)
        objection = self._guard.objection(self._node, self._node.offered)
        if objection and not self._node.parameters.force:
            raise PlayRefusedError(objection)
        if objection and first:
            self._say(f"WARNING: played by force although {objection}")

    def _wait_for_listeners(self) -> None:
        given, node = self._node.parameters, self._node
        names = [*measured_names(self._selection.namespace)]
        matched, since = node.matched(), time.monotonic()
        until = since + given.wait
        while not self._ended:
            time.sleep(LONGEST_SLEEP_S)
            now = time.monotonic()
            if matched != (matched := node.matched()):
                since = now
            if node.listeners(names) >= given.listeners and now - since >= SETTLED_S:
                return
            if now >= until:
                self._say(f"played to {node.listeners(names)} subscribers of {names[0]}: no more have come")
                return

    def _play_once(self) -> None:
        feed = ReadAhead(timeline(self._bag, self._selection, self._start_ns, self._end_ns))
        rate, start_ns, began_ns = self._node.parameters.rate, self._start_ns, time.monotonic_ns()
        arm_ns = deque(sorted(due_ns for due_ns in self._arm_ns if due_ns >= start_ns))
        late_ns, counts, say, clock = self._late_ns, self._counts, self._node.say, self._selection.clock
        try:
            for due in feed:
                due_ns = began_ns + round((due.log_ns - start_ns) / rate)
                now_ns = time.monotonic_ns()
                if due_ns > now_ns:
                    now_ns = self._sleep_until(due_ns, due.log_ns - start_ns)
                elif now_ns >= self._due_ns["graph"]:  # nobody slept
                    self._look()
                if self._ended:
                    break
                while arm_ns and due.log_ns >= arm_ns[0]:
                    arm_ns.popleft()
                    self._node.arm()
                say(due)
                counts[due.topic] += 1
                if due.topic != clock:
                    late_ns.append(now_ns - due_ns)
            else:
                self._sleep_until(began_ns + round((self._end_ns - start_ns) / rate), self._end_ns - start_ns)
        finally:
            feed.close()
            passed_ns = round((time.monotonic_ns() - began_ns) * rate)
            self._played_ns += min(passed_ns, self._end_ns - start_ns)

    def _sleep_until(self, due_ns: int, position_ns: int) -> int:
        """The time then [ns]; what can wait is done meanwhile."""
        while not self._ended:
            now_ns = time.monotonic_ns()
            if now_ns >= due_ns:
                return now_ns
            if now_ns >= self._due_ns["graph"]:
                self._look()
            elif now_ns >= self._due_ns["progress"]:
                self._progress(position_ns / NANOSECONDS, (self._end_ns - self._start_ns) / NANOSECONDS)
                self._due_ns["progress"] = now_ns + round(PROGRESS_S * NANOSECONDS)
            else:
                time.sleep(min((due_ns - now_ns) / NANOSECONDS, LONGEST_SLEEP_S))
        return time.monotonic_ns()

    def summary(self) -> PlaySummary:
        """What it has come to."""
        late = np.frombuffer(self._late_ns, dtype=np.int64) * 1e-6
        quantiles = {"p50": 50.0, "p99": 99.0, "max": 100.0}
        return PlaySummary(
            bag=str(self._bag.path),
            rate=self._node.parameters.rate,
            seconds=self._took_ns / NANOSECONDS,
            bag_seconds=self._played_ns / NANOSECONDS,
            rounds=self._rounds,
            counts=self._counts,
            late_ms={name: float(np.percentile(late, q)) for name, q in quantiles.items()} if len(late) else {},
            left_out=self._selection.left_out,
            problems=self._bag.problems,
            ended="refused" if self._failure else "interrupted" if self._ended else "end",
            failure=self._failure,
        )
