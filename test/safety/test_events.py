"""The last minute of events: what is kept, what is counted, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from humanoid_rl_ros.safety.events import HORIZON_NS, LARGEST, Event, EventRing

S = 1_000_000_000
TILT = Event(10 * S, 3, "violation", "ACTIVE", "tilt", "tilt 1.2 rad")


def ring_of(*events: Event) -> EventRing:
    ring = EventRing()
    for event in events:
        ring.add(event)
    return ring


def kept(*events: Event) -> list[tuple[int, int]]:
    """Time and count of what a ring keeps of these events."""
    return [(e.time_ns, e.count) for e in ring_of(*events).until(events[-1].time_ns)]


def other(n: int, time_ns: int = 10 * S) -> Event:
    return Event(time_ns, None, "violation", "ACTIVE", f"code{n}", "")


def test_events_are_kept_as_they_came_oldest_first() -> None:
    events = (
        Event(1 * S, None, "operator", "DISARMED", "", "arm: refused"),
        Event(2 * S, 7, "transition", "READY", "", ""),
        Event(3 * S, 9, "refused", "READY", "bad_quaternion", "IMU message refused: norm 2"),
    )
    assert ring_of(*events).until(3 * S) == events
    assert [e.count for e in events] == [1, 1, 1]


def test_the_horizon_is_a_minute_and_there_is_room_for_two_thousand() -> None:
    assert (HORIZON_NS, LARGEST) == (60 * S, 2000)


@pytest.mark.parametrize("kind", ["violation", "refused"])
def test_what_comes_again_soon_is_counted_and_keeps_its_first_time_and_text(kind: str) -> None:
    first = replace(TILT, kind=kind)
    again = [replace(first, time_ns=10 * S + later, text="tilt 1.3 rad") for later in (1, S - 1)]
    assert ring_of(first, *again).until(11 * S) == (replace(first, count=3),)


@pytest.mark.parametrize("kind", ["transition", "operator"])
def test_what_an_operator_asks_and_where_the_monitor_goes_is_kept_each_time(kind: str) -> None:
    event = replace(TILT, kind=kind)
    assert kept(event, event) == [(10 * S, 1), (10 * S, 1)]


@pytest.mark.parametrize("apart_ns", [S, S + 1, -S, -S - 1])
def test_a_second_later_it_is_another_event(apart_ns: int) -> None:
    assert kept(TILT, replace(TILT, time_ns=10 * S + apart_ns)) == [(10 * S, 1), (10 * S + apart_ns, 1)]


def test_a_clock_a_little_back_counts_too() -> None:
    assert kept(TILT, replace(TILT, time_ns=9 * S + 1)) == [(10 * S, 2)]


@pytest.mark.parametrize("differs", [{"kind": "refused"}, {"state": "DEGRADED"}, {"code": "falling"}])
def test_what_differs_is_another_event(differs: dict[str, str]) -> None:
    assert [count for _, count in kept(TILT, replace(TILT, **differs))] == [1, 1]


def test_it_is_looked_for_among_the_last_eight() -> None:
    seven, eight = [other(n) for n in range(7)], [other(n) for n in range(8)]
    assert [e.count for e in ring_of(TILT, *seven, TILT).until(10 * S)] == [2] + 7 * [1]
    assert [e.count for e in ring_of(TILT, *eight, TILT).until(10 * S)] == 10 * [1]


def test_of_two_the_later_is_counted() -> None:
    later = replace(TILT, time_ns=11 * S)
    assert kept(TILT, later, replace(TILT, time_ns=11 * S + 5)) == [(10 * S, 1), (11 * S, 2)]


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    ring = ring_of(other(1, 0), other(2, 1), other(3, 60 * S))
    assert [e.time_ns for e in ring.until(60 * S)] == [0, 1, 60 * S]
    ring.add(other(4, 60 * S + 1))
    # Whatever the time that is asked for: it is gone.
    assert [e.time_ns for e in ring.until(30 * S)] == [1, 60 * S, 60 * S + 1]


def test_only_the_minute_before_is_told() -> None:
    ring = ring_of(other(1, 0), other(2, 5 * S))
    assert [e.time_ns for e in ring.until(60 * S)] == [0, 5 * S]
    assert [e.time_ns for e in ring.until(60 * S + 1)] == [5 * S]
    assert ring.until(65 * S + 1) == ()


def test_a_clock_that_began_anew_does_not_keep_the_old_for_ever() -> None:
    ring = ring_of(other(1, 1000 * S), other(2, 940 * S - 1))
    assert [e.time_ns for e in ring.until(940 * S - 1)] == [940 * S - 1]
    # It is gone, and not only out of sight.
    assert ring_of(other(1, 1000 * S), other(2, 940 * S - 1)).until(1000 * S) == ()
    assert ring_of(other(1, 1000 * S)).until(940 * S - 1) == ()
    near = ring_of(other(1, 1000 * S), other(2, 940 * S))
    assert [e.time_ns for e in near.until(940 * S)] == [1000 * S, 940 * S]


def test_a_stream_of_new_events_does_not_grow_without_end() -> None:
    ring = ring_of(*[other(n) for n in range(LARGEST + 5)])
    events = ring.until(10 * S)
    assert len(events) == LARGEST
    assert (events[0].code, events[-1].code) == ("code5", f"code{LARGEST + 4}")
