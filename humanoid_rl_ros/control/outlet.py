"""Where what a control decides goes: to topics in a node, into lists in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import SafetyStatus


class Outlet(Protocol):
    """Takes what a control says, in the order in which it says it."""

    def publish(self, topic: Topic, data: bytes) -> None:
        """A serialised message."""
        ...

    def info(self, text: str) -> None:
        """A line for people."""
        ...

    def error(self, text: str) -> None:
        """A line for people about what went wrong."""
        ...

    def refused(self, text: str) -> None:
        """A line about a message that was refused; such lines may come at the rate of the messages."""
        ...

    def record(self, why: str, status: SafetyStatus, events: Sequence[Event]) -> None:
        """What led to a fault or a reset, to be kept for people to read."""
        ...
