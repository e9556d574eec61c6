"""The recorder's subscriptions: serialised messages, taken many at a time, with what the middleware knows of them.

No executor takes them. Waking up for every message and building a wait set for it costs three times as much as to look
every few milliseconds and take all that has come; the middleware keeps them meanwhile, and says when each arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from humanoid_rl_ros.bags.losses import SequenceGaps
from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.records import Record, RecordedTopic
from humanoid_rl_ros.nodes.recorder_topics import Offer, listening_profile, message_class

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

LARGEST_TAKE = 4000
"""Messages taken of one topic before it is another's turn."""


class _Unwatched(CallbackGroup):
    """A group that no executor serves."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return None


class _Ear:
    """One subscription and what came by it."""

    def __init__(self, offer: Offer, kind: Any) -> None:
        self.offer = offer
        self.kind = kind
        self.gaps = SequenceGaps()
        self.count = 0
        self.told_lost = 0
        self.subscription: Any = None
        self.events: list[Any] = []

    @property
    def lost(self) -> int:
        """By the publishers' numbers; where they give none, what the middleware says."""
        return self.gaps.lost if self.gaps.numbered else self.told_lost

    def on_lost(self, event: Any) -> None:
        """The middleware says that messages were lost."""
        self.told_lost += event.total_count_change


class Ears:
    """All subscriptions of a recorder.

    Args:
        node: that listens.
        types: finds definitions.
        warn: takes a line about a topic that cannot be recorded as it should.
    """

    def __init__(self, node: Node, types: MessageTypes, warn: Callable[[str], None]) -> None:
        self._node = node
        self._types = types
        self._warn = warn
        self._group = _Unwatched()
        self._ears: dict[str, _Ear] = {}
        self._warned: set[str] = set()

    def __len__(self) -> int:
        return len(self._ears)

    def hear(self, offer: Offer) -> RecordedTopic | None:
        """Listen to a topic; to one that is heard already, in the way its publishers need now.

        Returns:
            The topic, if it is new.
        """
        if offer.others:
            self._warn_once(f"{offer.name} is {offer.type_name} and also {', '.join(offer.others)}: only the first")
        ear = self._ears.get(offer.name)
        if ear is not None:
            if ear.offer.type_name != offer.type_name:
                self._warn_once(f"{offer.name} was {ear.offer.type_name} and is {offer.type_name} now: not recorded")
            elif listening_profile(offer) != listening_profile(ear.offer):
                ear.offer = offer
                self._subscribe(ear)
            return None
        kind = message_class(offer.type_name)
        if kind is None:
            self._warn_once(f"{offer.name} is not recorded: {offer.type_name} is not installed for Python")
            return None
        definition, type_hash = self._types.find(offer.type_name)
        if not definition:
            self._warn_once(f"{offer.name}: no definition of {offer.type_name} is found, its messages go without")
        ear = self._ears[offer.name] = _Ear(offer, kind)
        self._subscribe(ear)
        return RecordedTopic(
            offer.name, offer.type_name, offer.qos, definition, offer.type_hash or type_hash, offer.latched
        )

    def take(self) -> list[Record]:
        """Everything that has come since the last call, in the order of arrival."""
        messages: list[Record] = []
        for ear in self._ears.values():
            self._drain(ear, messages)
        messages.sort(key=_arrival)
        return messages

    @property
    def counts(self) -> dict[str, int]:
        """Messages heard, by topic."""
        return {name: ear.count for name, ear in self._ears.items()}

    @property
    def lost(self) -> dict[str, int]:
        """Messages that were published and never arrived, by topic; topics without any are left out."""
        return {name: ear.lost for name, ear in self._ears.items() if ear.lost}

    def _drain(self, ear: _Ear, messages: list[Record]) -> None:
        name, kind, see = ear.offer.name, ear.kind, ear.gaps.see
        before = len(messages)
        handle = ear.subscription.handle
        with handle:
            take = handle.take_message
            for _ in range(LARGEST_TAKE):
                taken = take(kind, True)
                if taken is None:
                    break
                data, info = taken
                sequence = info.get("publication_sequence_number") or 0
                gid = info.get("publisher_gid")
                publisher = gid["data"] if gid else b""
                see(publisher, sequence)
                arrived = info.get("received_timestamp") or time.time_ns()
                messages.append(
                    Record(name, arrived, info.get("source_timestamp") or arrived, sequence, data, publisher)
                )
        ear.count += len(messages) - before

    def _subscribe(self, ear: _Ear) -> None:
        node = self._node
        for handler in ear.events:
            node.remove_waitable(handler)
            handler.destroy()
        if ear.subscription is not None:
            node.destroy_subscription(ear.subscription)
        ear.subscription = node.create_subscription(
            ear.kind,
            ear.offer.name,
            _never,
            listening_profile(ear.offer),
            callback_group=self._group,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            raw=True,
        )
        ear.events = self._listen_for_losses(ear)

    def _listen_for_losses(self, ear: _Ear) -> list[Any]:
        """The middleware's own word on losses, for middleware that numbers nothing."""
        callbacks = SubscriptionEventCallbacks(message_lost=ear.on_lost, use_default_callbacks=False)
        try:
            handlers = callbacks.create_event_handlers(
                self._node.default_callback_group, ear.subscription.handle, ear.offer.name
            )
        except (UnsupportedEventTypeError, TypeError):  # or another signature, as in Humble
            return []
        for handler in handlers:
            self._node.add_waitable(handler)
        return list(handlers)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)


def _arrival(message: Record) -> int:
    return message.log_time_ns


def _never(_: bytes) -> None:
    """Of a subscription that no executor serves."""
