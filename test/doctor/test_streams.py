"""Rates, jitter and stamps of what was heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from humanoid_rl_ros.doctor.graph_facts import Endpoint, Heard, TopicFacts
from humanoid_rl_ros.doctor.streams import Expected, judge_stream
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import ImuWriter

MS, SECOND = 1_000_000, 1_000_000_000
NOW = 1_800_000_000 * SECOND
WRITE = ImuWriter("imu")
STATES = Expected(timeout=0.1, flood_rate=1200.0, least_rate=50.0, wanted_rate=200.0)


def heard(
    count: int = 400,
    period_ms: float = 5.0,
    *,
    stamp: Callable[[int], int] = lambda arrived_ns: NOW + arrived_ns - MS,
    late: tuple[int, int] = (0, 0),
    simulated: Callable[[int], int | None] = lambda arrived_ns: None,
) -> tuple[Heard, ...]:
    """Messages of one period, of which one, and all after it, may be late by so many milliseconds."""
    index, delay_ms = late
    arrivals = [round(i * period_ms * MS) + (delay_ms * MS if i >= index else 0) for i in range(count)]
    return tuple(
        Heard(at, NOW + at, simulated(at), WRITE.write(stamp(at), np.array([0.0, 0, 0, 1]), np.zeros(3), np.zeros(3)))
        for at in arrivals
    )


def judged(
    messages: tuple[Heard, ...], expected: Expected = STATES, stalled: float = 0.0, listened: float = 2.0
) -> dict[str, tuple[str, str]]:
    """Level and text by name."""
    facts = TopicFacts(
        topics.IMU, "/imu/data", (Endpoint("/driver", topics.IMU.type_name),), heard=messages, listened=listened
    )
    findings = judge_stream(facts, expected, stalled=stalled)
    return {f.name.removeprefix("graph.imu.data."): (f.level, f.found) for f in findings}


def test_a_sound_stream() -> None:
    assert judged(heard()) == {
        "rate": ("ok", "200.0 Hz"),
        "jitter": ("ok", "periods p50 5.00, p99 5.00, max 5.00 ms"),
        "stamps": ("ok", "1.0 ms from the time of their arrival"),
    }


@pytest.mark.parametrize(
    ("period_ms", "expected", "level"),
    [
        (5.0, STATES, "ok"),
        (10.0, STATES, "warning"),
        (30.0, STATES, "error"),
        (0.5, STATES, "warning"),
        (20.0, Expected(timeout=0.1), "warning"),
        (5.0, Expected(timeout=0.1), "ok"),
        (100.0, Expected(), "ok"),
    ],
)
def test_a_rate_is_held_against_what_the_policy_was_trained_at(
    period_ms: float, expected: Expected, level: str
) -> None:
    assert judged(heard(period_ms=period_ms), expected)["rate"][0] == level


@pytest.mark.parametrize(("delay_ms", "level"), [(20, "ok"), (60, "warning"), (120, "error")])
def test_a_gap_is_held_against_the_monitors_time_out(delay_ms: int, level: str) -> None:
    assert judged(heard(late=(100, delay_ms)))["jitter"] == (
        level,
        f"periods p50 5.00, p99 5.00, max {delay_ms + 5:.2f} ms",
    )


@pytest.mark.parametrize(("stalled", "level"), [(0.03, "error"), (0.11, "note")])
def test_a_gap_in_which_the_doctor_itself_did_not_run_is_nobodys(stalled: float, level: str) -> None:
    assert judged(heard(late=(100, 120)), stalled=stalled)["jitter"][0] == level


def test_what_was_lost_on_the_way_to_us_does_not_make_the_sensor_slow() -> None:
    sent = heard(400)
    # 300 of them in 1.99 s.
    assert judged(sent[:200] + sent[200::2])["rate"] == ("ok", "200.0 Hz by its stamps, 150.3 Hz arrived")


@pytest.mark.parametrize(
    ("stamp", "level", "words"),
    [
        (lambda at: 0, "error", "all stamps are 0"),
        (lambda at: NOW, "error", "repeat the one before"),
        (lambda at: NOW + at + SECOND, "warning", "1.000 s in the future"),
        (lambda at: NOW + at - 3 * SECOND, "warning", "3.000 s old"),
        (lambda at: 50 * SECOND + at, "note", "count from a start"),
        (lambda at: NOW + at - (SECOND if at == 500 * MS else 0), "error", "go back 1 times"),
    ],
)
def test_each_disorder_of_stamps_is_said(stamp: Callable[[int], int], level: str, words: str) -> None:
    found = judged(heard(stamp=stamp))["stamps"]
    assert found[0] == level
    assert words in found[1]


def test_simulated_stamps_are_held_against_simulated_time() -> None:
    def clock(arrived_ns: int) -> int:
        return 7 * SECOND + arrived_ns

    assert judged(heard(stamp=clock, simulated=clock))["stamps"] == ("ok", "0.0 ms from the time of their arrival")


def test_a_publisher_that_says_nothing_is_an_error_where_the_monitor_waits_for_it() -> None:
    assert judged(heard(3))["rate"] == ("error", "3 messages in 2.0 s")
    assert judged(heard(3), Expected())["rate"][0] == "note"
    assert judged(heard(3), listened=0.1)["rate"] == ("note", "3 messages in 0.1 s: its publisher was found late")
