"""The files that tell what led to a fault. They need no ROS."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from humanoid_rl_ros.nodes.safety_records import FORMAT, KEPT, SafetyRecords, records_folder
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import Counters, FallDirection, SafetyState, SafetyStatus

STATUS = SafetyStatus(
    SafetyState.FALLEN,
    since_ns=2_000_000_000_123,
    reason="fallen",
    text="the robot lies still (left)",
    last_fault="tilt: tilt 1.20 rad",
    direction=FallDirection.LEFT,
    tries=2,
    warmest=0.25,
    counters=Counters(100, 2, 3, 4, 5, 6, 7, 8, 9),
)
EVENTS = (
    Event(1_000, None, "operator", "READY", "", "arm: armed"),
    Event(2_000, 7, "violation", "ACTIVE", "tilt", "tilt 1.20 rad", 3),
)


@contextmanager
def recording(folder: Path) -> Iterator[tuple[SafetyRecords, list[str]]]:
    """Records, and what they complained of; closed at the end."""
    complaints: list[str] = []
    records = SafetyRecords(folder, complaints.append)
    try:
        yield records, complaints
    finally:
        records.close(timeout=30.0)


def written(folder: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def old(folder: Path, count: int) -> list[Path]:
    """Records of another day, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"20200101T000000.{n:06d}_tilt.json" for n in range(count)]
    for file in files:
        file.write_text("{}")
    return files


def test_a_record_holds_why_when_whose_and_what_led_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    before = datetime.now(timezone.utc)
    with recording(folder) as (records, complaints):
        records.write("tilt", "g1", STATUS, EVENTS)
    after = datetime.now(timezone.utc)
    assert complaints == []
    (record,) = written(folder)
    moment = datetime.fromisoformat(str(record.pop("written")))
    assert before <= moment <= after
    assert record == {
        "format": 1,
        "robot": "g1",
        "why": "tilt",
        "status": {
            "state": "FALLEN",
            "since_ns": 2_000_000_000_123,
            "reason": "fallen",
            "text": "the robot lies still (left)",
            "last_fault": "tilt: tilt 1.20 rad",
            "direction": "left",
            "tries": 2,
            "warmest": 0.25,
            "counters": {
                "commands": 100,
                "clamped": 2,
                "non_finite": 3,
                "rejected": 4,
                "damped": 5,
                "faults": 6,
                "armings": 7,
                "falls": 8,
                "recoveries": 9,
            },
        },
        "events": [
            {
                "time_ns": 1000,
                "stamp_ns": None,
                "kind": "operator",
                "state": "READY",
                "code": "",
                "text": "arm: armed",
                "count": 1,
            },
            {
                "time_ns": 2000,
                "stamp_ns": 7,
                "kind": "violation",
                "state": "ACTIVE",
                "code": "tilt",
                "text": "tilt 1.20 rad",
                "count": 3,
            },
        ],
    }
    assert FORMAT == 1


def test_its_name_says_when_and_why_and_sorts_by_time(tmp_path: Path) -> None:
    with recording(tmp_path) as (records, _):
        for why in ("tilt", "reset", "command_timeout"):
            records.write(why, "g1", STATUS, ())
    names = sorted(file.name for file in tmp_path.iterdir())
    assert [name.split("_", 1)[1] for name in names] == ["tilt.json", "reset.json", "command_timeout.json"]
    for name, record in zip(names, written(tmp_path), strict=True):
        moment = datetime.strptime(name.split("_")[0] + "+0000", "%Y%m%dT%H%M%S.%f%z")
        assert moment == datetime.fromisoformat(str(record["written"]))


def test_the_hundred_newest_are_kept(tmp_path: Path) -> None:
    assert KEPT == 100
    before = old(tmp_path, 99)
    with recording(tmp_path) as (records, complaints):
        records.write("first", "g1", STATUS, ())
        records.write("second", "g1", STATUS, ())
        records.write("third", "g1", STATUS, ())
    kept = sorted(tmp_path.iterdir())
    assert kept[:97] == before[2:]
    assert [file.name.split("_")[1] for file in kept[97:]] == ["first.json", "second.json", "third.json"]
    assert complaints == []


def test_up_to_a_hundred_none_is_deleted(tmp_path: Path) -> None:
    before = old(tmp_path, 99)
    with recording(tmp_path) as (records, _):
        records.write("tilt", "g1", STATUS, ())
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 100
    assert kept[:99] == before


def test_what_is_no_finished_record_is_not_counted_and_not_deleted(tmp_path: Path) -> None:
    others = [tmp_path / "19990101T000000.000000_tilt.partial", tmp_path / "19990101_notes.txt"]
    for file in others:
        file.write_text("half")
    before = old(tmp_path, 99)
    with recording(tmp_path) as (records, _):
        records.write("tilt", "g1", STATUS, ())
    assert all(file.exists() for file in (*others, *before))
    assert len(list(tmp_path.glob("*.json"))) == 100


def test_no_unfinished_file_is_left(tmp_path: Path) -> None:
    with recording(tmp_path) as (records, _):
        records.write("tilt", "g1", STATUS, EVENTS)
    assert [file.suffix for file in tmp_path.iterdir()] == [".json"]


def test_a_record_that_was_cut_off_in_writing_is_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_text

    def full(file: Path, text: str) -> None:
        whole(file, text[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with recording(tmp_path) as (records, complaints):
        records.write("tilt", "g1", STATUS, EVENTS)
    assert complaints == ["cannot write the safety record: [Errno 28] No space left on device"]
    assert list(tmp_path.glob("*.json")) == []


def test_a_folder_that_cannot_be_made_gives_one_complaint_a_record_and_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file" / "folder"
    (tmp_path / "file").write_text("in the way")
    with recording(blocked) as (records, complaints):
        records.write("tilt", "g1", STATUS, EVENTS)
        records.close(timeout=30.0)
        (complaint,) = complaints
        assert complaint.startswith("cannot write the safety record: ")
        assert str(tmp_path / "file") in complaint


def test_after_a_complaint_the_next_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.write_text("in the way")
    complaints: list[str] = []

    def make_room(text: str) -> None:
        complaints.append(text)
        folder.unlink()

    records = SafetyRecords(folder, make_room)
    records.write("first", "g1", STATUS, ())
    records.write("second", "g1", STATUS, ())
    records.close(timeout=30.0)
    assert len(complaints) == 1
    assert [record["why"] for record in written(folder)] == ["second"]


def test_close_writes_what_waits(tmp_path: Path) -> None:
    records = SafetyRecords(tmp_path, print)
    for n in range(20):
        records.write(f"why{n}", "g1", STATUS, EVENTS)
    records.close(timeout=30.0)
    assert [record["why"] for record in written(tmp_path)] == [f"why{n}" for n in range(20)]


def test_writing_returns_before_the_disk_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    made = Path.mkdir

    def slow(folder: Path, *args: object, **options: object) -> None:
        assert go_on.wait(30.0)
        made(folder, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", slow)
    records = SafetyRecords(tmp_path / "records", print)
    records.write("tilt", "g1", STATUS, EVENTS)  # would wait for ever here
    writers = [thread for thread in threading.enumerate() if thread.name == "safety records"]
    assert writers
    assert all(thread.daemon for thread in writers)  # nor does the end of the process wait for it
    assert not (tmp_path / "records").exists()
    go_on.set()
    records.close(timeout=30.0)
    assert len(written(tmp_path / "records")) == 1


def test_close_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: go_on.wait(30.0))
    records = SafetyRecords(tmp_path, lambda _: None)
    records.write("tilt", "g1", STATUS, EVENTS)
    records.close(timeout=0.01)
    assert written(tmp_path) == []
    go_on.set()
    records.close(timeout=30.0)
    assert len(written(tmp_path)) == 1


@pytest.mark.parametrize(
    ("given", "ros_home", "folder"),
    [
        ("/data/records", "/ros", lambda home: Path("/data/records")),
        ("~/records", "/ros", lambda home: home / "records"),
        ("", "/ros", lambda home: Path("/ros/humanoid_rl_safety")),
        ("", "~/logs", lambda home: home / "logs" / "humanoid_rl_safety"),
        ("", "", lambda home: home / ".ros" / "humanoid_rl_safety"),
        ("", None, lambda home: home / ".ros" / "humanoid_rl_safety"),
    ],
)
def test_the_folder_is_the_one_given_or_beside_ros_own_logs(
    given: str,
    ros_home: str | None,
    folder: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if ros_home is None:
        monkeypatch.delenv("ROS_HOME", raising=False)
    else:
        monkeypatch.setenv("ROS_HOME", ros_home)
    assert records_folder(given) == folder(tmp_path)
