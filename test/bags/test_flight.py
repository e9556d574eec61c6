"""The flight recorder: what it keeps, when it writes, and that it never stands in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from made_bags import MS, START, as_read, messages, read, topic

pytest.importorskip("rosbags")

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.bags.flight import WAITING_BAGS, FaultWatch, FlightBuffer, FlightRecording
from humanoid_rl_ros.bags.records import OVERHEAD_BYTES, Record
from humanoid_rl_ros.bags.writer import BagWriter

STATES, STATUS = topic("/joint_states"), topic("/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
SECOND = 1000


class Flight:
    """A flight recorder of ten seconds and two after, with a clock that is set by hand."""

    def __init__(self, base: Path, **options: object) -> None:
        self.now = START
        self.recording = FlightRecording(
            base, **{"seconds": 10.0, "after": 2.0, "limit_bytes": 10**8, "clock": lambda: self.now, **options}
        )
        self.recording.add_topic(STATES)
        self.recording.add_topic(STATUS)
        self._sent = 0

    def run(self, milliseconds: int) -> None:
        """A message each millisecond, handed over every ten."""
        for _ in range(milliseconds // 10):
            self.now += 10 * MS
            self.recording.put(messages("/joint_states", 10, size=40, first=self._sent))
            self._sent += 10


@pytest.fixture
def flight(tmp_path: Path) -> Iterator[Flight]:
    made = Flight(tmp_path / "flight")
    yield made
    made.recording.close()


def spans(flight: Flight) -> list[tuple[int, int]]:
    """First and last message of each bag [ms]."""
    flight.recording.close()
    found = [read(bag) for bag in flight.recording.bags()]
    return [((times[0] - START) // MS, (times[-1] - START) // MS) for times in ([t for _, t, _ in f] for f in found)]


def test_a_bag_holds_the_seconds_before_and_after(flight: Flight) -> None:
    flight.run(30 * SECOND)
    flight.recording.keep("fall")
    flight.run(10 * SECOND)
    (span,) = spans(flight)
    assert span == (20 * SECOND, 32 * SECOND - 1)
    (bag,) = flight.recording.bags()
    assert bag.name.startswith("flight_")
    assert bag.name.endswith("_fall")
    assert inspect(bag).custom["humanoid_rl_reason"] == "fall"
    assert inspect(bag).problems == []


def test_without_an_event_there_is_no_bag_and_no_growth(flight: Flight, tmp_path: Path) -> None:
    flight.run(25 * SECOND)
    assert len(flight.recording._buffer._messages) <= 10 * SECOND + 10
    assert spans(flight) == []
    assert list(tmp_path.iterdir()) == []


def test_a_fault_soon_after_another_makes_the_bag_longer(flight: Flight) -> None:
    flight.run(30 * SECOND)
    flight.recording.keep("tilt")
    flight.run(1 * SECOND)
    flight.recording.keep("fall")
    flight.run(10 * SECOND)
    assert spans(flight) == [(20 * SECOND, 33 * SECOND - 1)]


def test_faults_without_end_make_one_bag_after_the_other(flight: Flight) -> None:
    flight.run(30 * SECOND)
    for _ in range(24):
        flight.recording.keep("fall")
        flight.run(1 * SECOND)
    flight.run(10 * SECOND)
    found = spans(flight)
    assert found[0] == (20 * SECOND, 40 * SECOND - 1)  # ten before, and no more than ten after
    assert len(found) >= 2
    assert found[-1][1] >= 54 * SECOND  # what follows the last fault is in some bag
    for (_, end), (start, _) in pairwise(found):
        assert start <= end + 1  # without a hole between them


def test_a_latched_word_from_before_the_window_is_there(flight: Flight) -> None:
    word = Record("/status", START, START - 7, 1, b"\0\1\0\0word", b"monitor")
    flight.recording.put([word])
    flight.run(30 * SECOND)
    flight.recording.keep("fall")
    flight.run(5 * SECOND)
    flight.recording.close()
    found = read(flight.recording.bags()[0])
    assert [data for name, _, data in found if name == "/status"] == [word.data]
    assert min(time for _, time, _ in found) == START + 20 * SECOND * MS


def test_an_end_while_a_bag_waits_for_its_end_writes_it(flight: Flight) -> None:
    flight.run(12 * SECOND)
    flight.recording.keep("fall")
    flight.run(1 * SECOND)
    assert spans(flight) == [(2 * SECOND, 13 * SECOND - 1)]


def test_memory_is_bounded_whatever_comes() -> None:
    buffer = FlightBuffer(limit_bytes=250 * (400 + OVERHEAD_BYTES))
    buffer.add_latched("/status")
    buffer.add(messages("/status", 1, size=400))
    buffer.add(messages("/joint_states", 1000, size=400))
    window = buffer.since(0)
    assert as_read(window[1:]) == as_read(messages("/joint_states", 1000, size=400)[-250:])
    assert window[0].topic == "/status"


def test_the_last_latched_word_before_a_time_is_what_held_then() -> None:
    buffer = FlightBuffer(limit_bytes=10**6)
    buffer.add_latched("/status")
    words = messages("/status", 4, period_ns=10 * MS)
    buffer.add(words)
    window = buffer.since(START + 15 * MS)
    assert as_read(window) == [("/status", START + 20 * MS, words[1].data), *as_read(words[2:])]


def test_bags_that_wait_too_long_are_given_up_and_it_is_said(tmp_path: Path) -> None:
    gate = threading.Event()

    def slowly(folder: Path) -> BagWriter:
        gate.wait(10)
        return BagWriter(folder)

    flight = Flight(tmp_path / "flight", make_writer=slowly)
    for _ in range(WAITING_BAGS + 3):
        flight.run(1 * SECOND)
        flight.recording.keep("fall")
        flight.run(3 * SECOND)
    gate.set()
    flight.recording.close()
    news = flight.recording.news()
    assert sum("bags wait to be written already" in line for line in news) == 2
    assert len(flight.recording.bags()) == WAITING_BAGS + 1


def test_a_full_disk_costs_one_bag_and_not_the_recorder(tmp_path: Path) -> None:
    flight = Flight(tmp_path / "flight", min_free_bytes=10**18)
    flight.recording.keep("fall")
    flight.run(5 * SECOND)
    flight.recording.close()
    (line,) = flight.recording.news()
    assert "cannot keep 'fall'" in line
    assert "are to stay free" in line
    assert flight.recording.bags() == []


def test_two_bags_of_one_second_have_two_names(tmp_path: Path) -> None:
    flight = Flight(tmp_path / "flight")
    for _ in range(2):
        flight.recording.keep("fall over/back!")
        flight.run(3 * SECOND)
    flight.recording.close()
    names = [bag.name for bag in flight.recording.bags()]
    assert len(set(names)) == 2
    assert all("fall_over_back" in name for name in names)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([{"faults": "0", "state": "ACTIVE"}, {"faults": "1", "state": "DISARMED", "reason": "imu_lost"}], "imu_lost"),
        ([{"faults": "0", "state": "ACTIVE"}, {"faults": "0", "state": "FALLING", "reason": ""}], "falling"),
        ([{"faults": "2", "state": "READY"}, {"faults": "2", "state": "ESTOP", "reason": "pressed"}], "pressed"),
        ([{"faults": "2", "state": "ESTOP"}], ""),  # where it stands when the recorder comes
        ([{"faults": "2", "state": "FALLING"}, {"faults": "2", "state": "FALLING"}], ""),
        ([{"faults": "2", "state": "ACTIVE"}, {"faults": "0", "state": "DISARMED"}], ""),  # it was started again
        ([{"faults": "0", "state": "READY"}, {"faults": "0", "state": "ACTIVE"}], ""),
        ([{"faults": "what"}, {}], ""),
    ],
)
def test_what_counts_as_a_fault(words: list[dict[str, str]], expected: str) -> None:
    watch = FaultWatch()
    assert [watch.see(word) for word in words][-1] == expected
