"""Policy and safety monitor fed together, each hearing at once what the other says: what would they have done?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.outlet import Outlet
from humanoid_rl_ros.control.policy_control import PolicyControl
from humanoid_rl_ros.control.safety_control import SafetyControl
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import SafetyStatus

LARGEST_KINDS = 100


@dataclass(frozen=True)
class Said:
    """Something that a control said.

    Attributes:
        topic: on which.
        wall_ns: when, on the clock of the recording [ns].
        data: serialised.
    """

    topic: Topic
    wall_ns: int
    data: bytes


class _Ear:
    """An outlet that passes what is said on, to the world and to the other control."""

    def __init__(self, heard: Callable[[Topic, bytes], None], refusals: dict[str, int]) -> None:
        self._heard = heard
        self._refusals = refusals

    def publish(self, topic: Topic, data: bytes) -> None:
        self._heard(topic, data)

    def info(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...

    def refused(self, text: str) -> None:
        if text in self._refusals or len(self._refusals) < LARGEST_KINDS:
            self._refusals[text] = self._refusals.get(text, 0) + 1

    def record(self, why: str, status: SafetyStatus, events: Sequence[Event]) -> None: ...


class CoupledControls:
    """A policy and a safety monitor as in the graph, without delay between them.

    Args:
        make_policy: makes the policy's control.
        make_safety: makes the safety monitor's.
        refusals: takes what the policy refuses, and how often.

    Attributes:
        wall_ns: clock of the recording now; set it before something is fed [ns].
        said: what either has said; whoever has read it clears it.
    """

    def __init__(
        self,
        make_policy: Callable[[Outlet], PolicyControl],
        make_safety: Callable[[Outlet], SafetyControl],
        refusals: dict[str, int],
    ) -> None:
        self.said: list[Said] = []
        self.wall_ns = self._now_ns = 0
        self._waiting: deque[tuple[Entry, bytes]] = deque()
        self.policy = make_policy(_Ear(self._hear, refusals))
        self.safety = make_safety(_Ear(self._hear, {}))

    def _hear(self, topic: Topic, data: bytes) -> None:
        self.said.append(Said(topic, self.wall_ns, data))
        if topic is topics.POLICY_EFFORT:
            self._waiting.append((Entry.EFFORT, data))
        elif topic is topics.SAFETY_STATUS:
            self._waiting.append((Entry.SAFETY_STATUS, data))

    def to_policy(self, entry: Entry, now_ns: int, data: bytes = b"") -> None:
        """The policy consumes something."""
        self._now_ns = now_ns
        self.policy.take(entry, now_ns, data)
        self._exchange()

    def to_safety(self, entry: Entry, now_ns: int, data: bytes = b"") -> None:
        """The safety monitor consumes something."""
        self._now_ns = now_ns
        self.safety.take(entry, now_ns, data)
        self._exchange()

    def to_both(self, entry: Entry, now_ns: int, data: bytes = b"") -> None:
        """Both consume something, the safety monitor first: an effort is then for a state that it knows."""
        self.to_safety(entry, now_ns, data)
        self.to_policy(entry, now_ns, data)

    def announce(self, now_ns: int) -> None:
        """The safety monitor says where it is, as to somebody who comes late."""
        self._now_ns = now_ns
        self.safety.show_status(again=True)
        self._exchange()

    def _exchange(self) -> None:
        while self._waiting:
            entry, data = self._waiting.popleft()
            control = self.safety if entry is Entry.EFFORT else self.policy
            control.take(entry, self._now_ns, data)
