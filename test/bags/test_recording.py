"""The writing thread: what it cannot take is counted, and a disk that is full ends it with a readable bag."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_bags import MS, as_read, messages, read, topic

pytest.importorskip("rosbags")

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.bags.recording import FLUSH_S, Recording
from humanoid_rl_ros.bags.records import OVERHEAD_BYTES, Record
from humanoid_rl_ros.bags.recover import recover
from humanoid_rl_ros.bags.tears import TornFile, read_up_to_tear
from humanoid_rl_ros.bags.writer import BagWriter

STATES = topic("/joint_states")


def until(done: object, within: float = 5.0) -> None:
    end = time.monotonic() + within
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_all_that_was_put_is_in_the_bag(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / "bag"))
    recording.add_topic(STATES)
    given = messages("/joint_states", 2000)
    for start in range(0, 2000, 10):
        recording.put(given[start : start + 10])
    recording.close()
    assert read(tmp_path / "bag") == as_read(given)
    assert recording.dropped.total() == 0
    assert recording.written()[0] == 2000


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / "bag"), limit_bytes=25 * (400 + OVERHEAD_BYTES) + 399)
    recording.add_topic(STATES)
    recording.put(messages("/joint_states", 100, size=400))  # at once: 25 of them fit
    recording.close()
    assert recording.dropped == {"/joint_states": 75}
    assert read(tmp_path / "bag") == as_read(messages("/joint_states", 25, size=400))


def test_what_was_put_can_be_read_half_a_second_later(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / "bag"))
    recording.add_topic(STATES)
    recording.put(messages("/joint_states", 10))

    def readable() -> int:
        items = read_up_to_tear(TornFile(tmp_path / "bag/bag_0.mcap"))
        return sum(isinstance(item, Record) for item in items)

    try:
        until(lambda: readable() == 10, within=FLUSH_S + 0.25)
    finally:
        recording.close()


def test_a_disk_with_too_little_space_ends_the_recording_cleanly(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / "bag"), min_free_bytes=10**18)
    recording.add_topic(STATES)
    recording.put(messages("/joint_states", 10))
    until(lambda: recording.failure() is not None)
    recording.put(messages("/joint_states", 5, first=10))
    recording.close()
    assert "are to stay free" in str(recording.failure())
    assert read(tmp_path / "bag") == as_read(messages("/joint_states", 10))
    assert inspect(tmp_path / "bag").problems == []
    assert recording.dropped == {"/joint_states": 5}


WRITES = """
import resource, sys, time
from pathlib import Path
from made_bags import messages, topic
from humanoid_rl_ros.bags.recording import Recording
from humanoid_rl_ros.bags.writer import BagWriter
limit = int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
recording = Recording(BagWriter(Path(sys.argv[1])))
recording.add_topic(topic("/joint_states"))
for number in range(0, 20000, 50):
    recording.put(messages("/joint_states", 50, size=1000, first=number))
    time.sleep(0.002)
    if recording.failure() is not None:
        break
recording.close()
print(recording.failure())
"""


def write_until_full(bag: Path, limit: int = 0) -> str:
    """What the recording says at its end, in a process of its own."""
    folder = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])}
    command = [sys.executable, "-c", WRITES, str(bag), str(limit)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def check_recovered(bag: Path, out: Path, least: int) -> None:
    """What is left is what was sent, from the first message on, and ends with a whole record."""
    assert recover(bag, out).lost_bytes == 0
    found = read(out)
    for start in range(0, len(found), 50):  # they were made fifty at a time
        given = as_read(messages("/joint_states", 50, size=1000, first=start))
        assert found[start : start + 50] == given[: len(found) - start]
    assert len(found) >= least


def test_a_file_that_may_grow_no_more_keeps_what_it_has(tmp_path: Path) -> None:
    limit = 3_000_000
    assert write_until_full(tmp_path / "bag", limit).endswith("File too large")
    file = tmp_path / "bag/bag_0.mcap"
    assert file.stat().st_size <= limit
    # A chunk holds a megabyte: at most the one that did not fit, and what came meanwhile, is missing.
    check_recovered(tmp_path / "bag", tmp_path / "out", 1700)


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    """A file system of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_what_it_has(small_disk: Path, tmp_path: Path) -> None:
    bag = small_disk / "bag"
    assert write_until_full(bag).endswith("No space left on device")
    assert (bag / "metadata.yaml").stat().st_size > 0
    check_recovered(bag, tmp_path / "out", 6000)


def test_a_message_of_an_unknown_topic_ends_it_with_a_word(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / "bag"))
    recording.add_topic(STATES)
    recording.put(messages("/joint_states", 3, period_ns=MS))
    recording.put(messages("/unheard_of", 1))
    until(lambda: recording.failure() is not None)
    recording.close()
    assert "KeyError" in str(recording.failure())
