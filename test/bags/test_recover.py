"""Torn bags: whatever was whole before the tear is there again, and the original still is."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from conftest import Refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bags import MS, as_read, messages, read, topic, write

pytest.importorskip("rosbags")

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.bags.records import Record
from humanoid_rl_ros.bags.recover import recover
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.core.errors import BagError

STATES = topic("/joint_states")
GIVEN = messages("/joint_states", 400)
PER_CHUNK = 40


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed bag of ten chunks, forty messages each."""
    folder = tmp_path_factory.mktemp("original") / "bag"
    writer = BagWriter(folder)
    writer.add_topic(STATES)
    for i, message in enumerate(GIVEN):
        writer.write(message)
        if (i + 1) % PER_CHUNK == 0:
            writer.flush()
    writer.close()
    return folder


@pytest.fixture(scope="module")
def chunk_ends(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Sizes of the file after each flush of the same messages."""
    writer = BagWriter(tmp_path_factory.mktemp("sizes") / "bag")
    writer.add_topic(STATES)
    ends = []
    for i, message in enumerate(GIVEN):
        writer.write(message)
        if (i + 1) % PER_CHUNK == 0:
            writer.flush()
            ends.append(writer.bytes)
    writer.abandon()
    return ends


@settings(max_examples=40)
@given(share=st.floats(0.05, 0.999))
def test_cut_anywhere_every_whole_chunk_is_recovered(
    share: float, original: Path, chunk_ends: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    bag = tmp_path_factory.mktemp("cut") / "bag"
    shutil.copytree(original, bag)
    file = bag / "bag_0.mcap"
    whole = file.read_bytes()
    cut = int(len(whole) * share)
    file.write_bytes(whole[:cut])
    chunks = sum(end <= cut for end in chunk_ends)
    if chunks == 0:
        return
    recovery = recover(bag)
    found = read(bag)
    assert len(found) % PER_CHUNK == 0
    # The index behind a chunk may be what was cut: the chunk itself is read all the same.
    assert chunks * PER_CHUNK <= len(found) <= (chunks + 1) * PER_CHUNK
    assert found == as_read(GIVEN[: len(found)])
    assert recovery.counts == {"/joint_states": len(found)}
    assert recovery.end_ns == GIVEN[len(found) - 1].log_time_ns
    assert (bag / "bag_0.mcap.torn").read_bytes() == whole[:cut]
    assert inspect(bag).problems == []


def test_a_new_folder_leaves_the_torn_one_as_it_is(original: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(original, bag)
    file = bag / "bag_0.mcap"
    file.write_bytes(file.read_bytes()[:-3000])
    (bag / "bundles/walk-1234").mkdir(parents=True)
    (bag / "bundles/walk-1234/policy.yaml").write_text("name: walk\n")
    before = {path: path.read_bytes() for path in bag.rglob("*") if path.is_file()}
    recovery = recover(bag, tmp_path / "out")
    assert {path: path.read_bytes() for path in bag.rglob("*") if path.is_file()} == before
    assert recovery.folder == tmp_path / "out"
    assert read(tmp_path / "out") == as_read(GIVEN[: len(read(tmp_path / "out"))])
    assert inspect(tmp_path / "out").bundles == ["walk-1234"]
    assert (tmp_path / "out/bundles/walk-1234/policy.yaml").exists()


def test_an_existing_output_is_refused_and_kept(original: Path, tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with refuses(BagError, "exists already"):
        recover(original, tmp_path / "out")
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_a_whole_bag_stays_as_it_is(original: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(original, bag)
    recovery = recover(bag)
    assert (bag / "bag_0.mcap").read_bytes() == (original / "bag_0.mcap").read_bytes()
    assert [file.state for file in recovery.files] == ["whole"]
    assert sorted(path.name for path in bag.iterdir()) == ["bag_0.mcap", "metadata.yaml"]
    assert (bag / "metadata.yaml").read_bytes() == (original / "metadata.yaml").read_bytes()
    assert read(bag) == as_read(GIVEN)


def test_a_damaged_chunk_is_passed_over(original: Path, chunk_ends: list[int], tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(original, bag)
    file = bag / "bag_0.mcap"
    data = bytearray(file.read_bytes())
    data[chunk_ends[2] + 2000] ^= 0xFF  # in the middle of the fourth chunk's compressed bytes
    file.write_bytes(data)
    assert recover(bag, tmp_path / "out").files[0].state == "damaged"
    left = GIVEN[: 3 * PER_CHUNK] + GIVEN[4 * PER_CHUNK :]
    assert read(tmp_path / "out") == as_read(left)
    assert recover(bag).files[0].state == "damaged"  # and in its own folder
    assert read(bag) == as_read(left)
    assert (bag / "bag_0.mcap.torn").read_bytes() == data


def test_metadata_that_is_missing_is_written_anew(original: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(original, bag)
    (bag / "metadata.yaml").unlink()
    assert [p.split(":")[0] for p in inspect(bag).problems] == ["metadata.yaml is missing"]
    recover(bag)
    found = inspect(bag)
    assert found.problems == []
    assert found.custom["humanoid_rl_schema"] == "1"  # the file said it too
    assert read(bag) == as_read(GIVEN)


def test_metadata_that_is_torn_is_kept_beside_the_new(original: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(original, bag)
    (bag / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: [")
    recover(bag)
    assert read(bag) == as_read(GIVEN)
    assert (bag / "metadata.yaml.before_recovery").read_text().endswith("[")


def test_splits_whose_last_is_torn_and_whose_middle_is_empty(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    write(bag, [STATES], messages("/joint_states", 1200), split_ns=100 * MS)  # twelve files: by name, 10 comes before 2
    last = bag / "bag_11.mcap"
    last.write_bytes(last.read_bytes()[:-50])
    (bag / "bag_5.mcap").write_bytes(b"")
    recovery = recover(bag)
    states = {file.name: file.state for file in recovery.files if file.state != "whole"}
    assert states == {"bag_5.mcap": "empty", "bag_11.mcap": "torn"}
    expected = messages("/joint_states", 1200)
    assert read(bag) == as_read(expected[:500] + expected[600:])
    assert (bag / "bag_5.mcap.torn").read_bytes() == b""


def test_one_file_alone_becomes_a_bag(original: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    file.write_bytes((original / "bag_0.mcap").read_bytes()[:-2000])
    recovery = recover(file)
    assert recovery.folder == tmp_path / "run_recovered"
    assert len(read(tmp_path / "run_recovered")) >= 9 * PER_CHUNK


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"not a bag at all" * 100])
def test_nothing_to_recover_is_said_and_changes_nothing(content: bytes, tmp_path: Path, refuses: Refuses) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "bag_0.mcap").write_bytes(content)
    with refuses(BagError, "nothing in", "can be recovered", "bag_0.mcap"):
        recover(bag)
    assert [path.name for path in bag.iterdir()] == ["bag_0.mcap"]
    assert (bag / "bag_0.mcap").read_bytes() == content


def test_what_is_no_bag_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(BagError, "does not exist"):
        recover(tmp_path / "nowhere")
    with refuses(BagError, "holds no file"):
        recover(tmp_path)
    (tmp_path / "text.txt").write_text("")
    with refuses(BagError, "is no bag"):
        recover(tmp_path / "text.txt")


def database(folder: Path, count: int) -> list[Record]:
    """An sqlite3 bag of rosbags."""
    given = messages("/joint_states", count)
    with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection(
            "/joint_states", STATES.type_name, typestore=get_typestore(Stores.ROS2_KILTED)
        )
        for message in given:
            writer.write(connection, message.log_time_ns, message.data)
    return given


def test_a_database_without_metadata_becomes_a_bag(tmp_path: Path) -> None:
    given = database(tmp_path / "old", 50)
    (tmp_path / "old/metadata.yaml").unlink()
    before = (tmp_path / "old/old.db3").read_bytes()
    recovery = recover(tmp_path / "old")
    assert recovery.folder == tmp_path / "old_recovered"
    assert read(recovery.folder) == as_read(given)
    assert (tmp_path / "old/old.db3").read_bytes() == before


def test_a_database_with_a_hot_journal_is_rolled_back_in_a_copy(tmp_path: Path) -> None:
    given = database(tmp_path / "old", 50)
    file, hot = tmp_path / "old/old.db3", tmp_path / "hot"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA cache_size=1")  # so that changed pages reach the file before the commit
    connection.execute("BEGIN")
    connection.execute("UPDATE messages SET data = zeroblob(4000)")
    shutil.copytree(tmp_path / "old", hot)  # as a crash in the middle of the transaction leaves it
    connection.close()
    assert (hot / "old.db3-journal").stat().st_size > 0
    before = {path.name: path.read_bytes() for path in hot.iterdir()}
    assert any("journal" in problem for problem in inspect(hot).problems)
    recovery = recover(hot)
    assert {path.name: path.read_bytes() for path in hot.iterdir()} == before
    assert read(recovery.folder) == as_read(given)


def test_lost_messages_of_the_recorder_survive_recovery(original: Path, tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag", custom={"humanoid_rl_lost": '{"/joint_states": 7}'})
    writer.add_topic(STATES)
    for message in GIVEN:
        writer.write(message)
    writer.flush()
    writer.abandon()
    recover(tmp_path / "bag")
    assert inspect(tmp_path / "bag").lost() == {"/joint_states": 7}
