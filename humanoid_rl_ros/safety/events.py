"""The last minute of what happened: what there is to read after a fault."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

HORIZON_NS = 60_000_000_000
# What comes again within this time of the first, and with few others between, is one event, counted.
_TOGETHER_NS = 1_000_000_000
_TOGETHER = 8
# A stream of ever new events must not grow without end.
LARGEST = 2000


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        time_ns: on the monitor's clock [ns].
        stamp_ns: stamp of the last state then, or None [ns].
        kind: ``transition``, ``violation``, ``refused``, ``operator``.
        state: where the monitor was (after it, for a transition).
        code: reason code; empty where there is none.
        text: for people.
        count: how often, at once or soon after.
    """

    time_ns: int
    stamp_ns: int | None
    kind: str
    state: str
    code: str
    text: str
    count: int = 1


class EventRing:
    """Keeps the events of the last 60 s."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=LARGEST)

    def add(self, event: Event) -> None:
        """Keep it; what is refused or violated again and again is counted."""
        events = self._events
        for back in range(1, min(len(events), _TOGETHER) + 1):
            if self._again(events[-back], event):
                events[-back] = replace(events[-back], count=events[-back].count + 1)
                return
        events.append(event)
        while abs(event.time_ns - events[0].time_ns) > HORIZON_NS:
            events.popleft()

    @staticmethod
    def _again(earlier: Event, event: Event) -> bool:
        return (
            event.kind in ("violation", "refused")
            and (earlier.kind, earlier.state, earlier.code) == (event.kind, event.state, event.code)
            and abs(event.time_ns - earlier.time_ns) < _TOGETHER_NS
        )

    def until(self, now_ns: int) -> tuple[Event, ...]:
        """Those of the 60 s before, oldest first."""
        return tuple(event for event in self._events if abs(now_ns - event.time_ns) <= HORIZON_NS)
