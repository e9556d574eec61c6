"""Bags of any origin, whole and broken, through the one reader."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest
import yaml
import zstandard
from bag_files import JOINT_STATE, SECOND, START, STRING, notes, text, write_bag
from conftest import Refuses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.interfaces.cdr_messages import read_string


def words(bag: Bag) -> list[str]:
    return [read_string(message.data) for message in bag.messages()]


def expected(count: int) -> list[str]:
    return [f"note {i}" for i in range(count)]


def write_mcap(path: Path, count: int, *, chunk_size: int = 1024, compression: str = "ZSTD", sequence: int = 0) -> Path:
    """Texts one every 10 ms, by the mcap library; with `sequence`, every so many'th number is skipped."""
    with path.open("wb") as file:
        writer = McapWriter(
            file, chunk_size=chunk_size, compression=CompressionType[compression], use_chunking=chunk_size > 0
        )
        writer.start(profile="ros2", library="test")
        schema = writer.register_schema(STRING, "ros2msg", b"string data")
        channel = writer.register_channel("/note", "cdr", schema, {"offered_qos_profiles": "- depth: 1"})
        for i in range(count):
            log_ns = START + i * SECOND // 100
            number = i + 1 + (i // sequence if sequence else 0)
            writer.add_message(channel, log_ns, text(f"note {i}"), log_ns, number if sequence else 0)
        writer.finish()
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compression", ["none", "message", "file"])
def test_a_bag_of_either_storage_is_read(tmp_path: Path, storage: str, compression: str) -> None:
    folder = write_bag(
        tmp_path / "bag",
        notes(300),
        storage=storage,
        compression=compression,
        custom={"run": "7"},
        empty_topics={"/silent": JOINT_STATE},
    )
    with Bag(folder) as bag:
        assert words(bag) == expected(300)
        assert (bag.start_ns, bag.end_ns, bag.count) == (START, START + 299 * SECOND // 100, 300)
        assert bag.topics["/note"].type == STRING
        assert bag.topics["/silent"].count == 0
        assert dict(bag.custom) == {"run": "7"}
        assert bag.problems == ()
        assert bag.folder == folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_topics_and_times_are_chosen(tmp_path: Path, storage: str) -> None:
    both = sorted(notes(50) + notes(50, topic="/other"), key=lambda m: m[2])
    with Bag(write_bag(tmp_path / "bag", both, storage=storage)) as bag:
        begin, end = START + 10 * SECOND // 100, START + 20 * SECOND // 100
        chosen = list(bag.messages(["/other"], begin, end))
        assert [read_string(m.data) for m in chosen] == [f"note {i}" for i in range(10, 20)]
        assert {m.topic for m in chosen} == {"/other"}
        assert list(bag.messages(["/unknown"])) == []
        assert len(list(bag.messages())) == 100


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_the_files_are_counted(tmp_path: Path, storage: str) -> None:
    folder = write_bag(tmp_path / "bag", notes(20), storage=storage, custom={"run": "7"})
    (folder / "metadata.yaml").unlink()
    with Bag(folder) as bag:
        assert words(bag) == expected(20)
        assert "metadata.yaml is missing" in bag.problems[0]
    (file,) = folder.iterdir()
    with Bag(file) as bag:
        assert words(bag) == expected(20)
        assert bag.problems == ()
        if storage == "mcap":
            assert dict(bag.custom) == {"run": "7"}  # rosbag2 repeats the metadata inside


@pytest.mark.parametrize("content", ["{", "a: 1", "rosbag2_bagfile_information: 7", "[]", "\0", "&a [*a]"])
def test_metadata_that_says_nothing_is_read_past(tmp_path: Path, content: str) -> None:
    folder = write_bag(tmp_path / "bag", notes(5))
    (folder / "metadata.yaml").write_text(content)
    with Bag(folder) as bag:
        assert words(bag) == expected(5)
        assert "metadata.yaml" in bag.problems[0]


@pytest.mark.parametrize("version", range(1, 10))
def test_metadata_and_sqlite_of_every_age(tmp_path: Path, version: int) -> None:
    """Foxy had no quality of service, Humble no definitions; the quality is text up to version 8 and a list since."""
    folder = tmp_path / "bag"
    folder.mkdir()
    quality = "- history: 3\n  depth: 1\n"
    connection = sqlite3.connect(folder / "bag_0.db3")
    qos = ", offered_qos_profiles TEXT NOT NULL" if version >= 4 else ""
    connection.execute(
        f"CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT{qos})"
    )
    connection.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
    connection.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
    row = [1, "/note", STRING, "cdr", *([quality] if version >= 4 else [])]
    connection.execute(f"INSERT INTO topics VALUES ({','.join('?' * len(row))})", row)
    for i, (_, _, log_ns, data) in enumerate(notes(10)):
        connection.execute("INSERT INTO messages VALUES (?, 1, ?, ?)", (i + 1, log_ns, data))
    connection.commit()
    connection.close()
    topic = {"name": "/note", "type": STRING, "serialization_format": "cdr"}
    if version >= 4:
        topic["offered_qos_profiles"] = yaml.safe_load(quality) if version >= 9 else quality
    body = {
        "version": version,
        "storage_identifier": "sqlite3",
        "relative_file_paths": ["bag/bag_0.db3" if version < 4 else "bag_0.db3"],
        "duration": {"nanoseconds": 90_000_000},
        "starting_time": {"nanoseconds_since_epoch": START},
        "message_count": 10,
        "topics_with_message_count": [{"topic_metadata": topic, "message_count": 10}],
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": body}))
    with Bag(folder) as bag:
        assert bag.problems == ()
        assert words(bag) == expected(10)
        assert ("depth: 1" in bag.topics["/note"].qos) == (version >= 4)


@pytest.mark.parametrize("compression", ["ZSTD", "LZ4", "NONE"])
def test_every_compression_of_chunks(tmp_path: Path, compression: str) -> None:
    with Bag(write_mcap(tmp_path / "a.mcap", 200, compression=compression)) as bag:
        assert words(bag) == expected(200)
        assert bag.problems == ()
        assert bag.topics["/note"].qos == "- depth: 1"


@pytest.mark.parametrize("chunk_size", [0, 1024])
@pytest.mark.parametrize("compression", ["ZSTD", "LZ4", "NONE"])
def test_a_torn_mcap_is_read_up_to_the_tear(tmp_path: Path, chunk_size: int, compression: str) -> None:
    whole = write_mcap(tmp_path / "a.mcap", 200, chunk_size=chunk_size, compression=compression).read_bytes()
    torn = tmp_path / "torn.mcap"
    counts = []
    for share in (0.15, 0.3, 0.6, 0.9):
        torn.write_bytes(whole[: int(len(whole) * share)])
        with Bag(torn) as bag:
            found = words(bag)
            assert found == expected(len(found))
            assert bag.count == len(found)
            assert any("cut off" in problem or "no summary" in problem for problem in bag.problems)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] > 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(offset=st.integers(0, 6000), patch=st.binary(min_size=1, max_size=12), cut=st.integers(0, 8000))
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_damaged_file_is_refused_in_one_line_or_read(
    tmp_path: Path, storage: str, offset: int, patch: bytes, cut: int
) -> None:
    folder = tmp_path / "bag"
    if not folder.exists():
        write_bag(folder, notes(60), storage=storage)
    (source,) = (file for file in folder.iterdir() if file.suffix != ".yaml")
    data = bytearray(source.read_bytes())
    data[offset : offset + len(patch)] = patch
    broken = tmp_path / f"broken{source.suffix}"
    broken.write_bytes(data[: max(20, len(data) - cut)])
    lines: tuple[str, ...]
    times: list[int] = []
    try:
        with Bag(broken) as bag:
            times = [message.log_ns for message in bag.messages()]
            lines = bag.problems
    except BagError as error:
        lines = (str(error),)
    assert times == sorted(times)
    assert all(len(line.splitlines()) == 1 for line in lines)


def test_a_chunk_that_is_damaged_costs_its_own_messages_alone(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", 200, compression="NONE")
    data = bytearray(path.read_bytes())
    data[data.index(b"note 100")] = ord("x")  # its checksum is then wrong
    path.write_bytes(data)
    with Bag(path) as bag:
        found = words(bag)
        assert 100 < len(found) < 200
        assert "note 0" in found
        assert "note 199" in found
        assert "checksum" in bag.problems[0]


def test_lost_messages_are_counted_by_their_sequence(tmp_path: Path) -> None:
    with Bag(write_mcap(tmp_path / "a.mcap", 100, sequence=10)) as bag:
        words(bag)
        assert dict(bag.lost) == {"/note": 9}
    with Bag(write_mcap(tmp_path / "b.mcap", 100)) as bag:
        words(bag)
        assert dict(bag.lost) == {}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_out_of_order_are_given_in_order(tmp_path: Path, storage: str) -> None:
    messages = notes(100)
    messages[40], messages[45] = messages[45], messages[40]
    with Bag(write_bag(tmp_path / "bag", messages, storage=storage)) as bag:
        assert words(bag) == expected(100)
        assert any("behind later ones" in problem for problem in bag.problems)


def test_a_split_bag_is_one_recording(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    parts = [notes(100)[:50], notes(100)[50:], notes(100, topic="/other")]
    files = []
    for i, part in enumerate(parts):
        (file,) = (f for f in write_bag(tmp_path / f"part{i}", part).iterdir() if f.suffix == ".mcap")
        files.append(folder / f"bag_{i}.mcap")
        shutil.copy(file, files[-1])
    with Bag(folder) as bag:
        assert bag.count == 200
        times = [message.log_ns for message in bag.messages()]
        assert times == sorted(times)
        assert len(times) == 200
    counts = {"/note": 100, "/other": 100}
    body = {
        "version": 9,
        "relative_file_paths": ["bag_0.mcap", "bag_1.mcap"],
        "topics_with_message_count": [
            {"topic_metadata": {"name": name}, "message_count": count} for name, count in counts.items()
        ],
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": body}))
    files[0].unlink()
    with Bag(folder) as bag:
        assert len(list(bag.messages())) == 150
        told = " | ".join(bag.problems)
        assert "bag_0.mcap is missing" in told
        assert "bag_2.mcap is not in metadata.yaml" in told
        assert "/note 50 of 100" in told


def test_a_bag_without_messages(tmp_path: Path) -> None:
    for storage in ("mcap", "sqlite3"):
        with Bag(write_bag(tmp_path / storage, [], storage=storage, empty_topics={"/note": STRING})) as bag:
            assert (bag.start_ns, bag.end_ns, bag.count, words(bag)) == (0, 0, 0, [])


def test_a_locked_and_a_killed_sqlite_file_are_read(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / "bag", notes(10), storage="sqlite3")
    file = folder / "bag.db3"
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with Bag(folder) as bag:
        assert words(bag) == expected(10)
    writer.execute("ROLLBACK")
    writer.execute("PRAGMA journal_mode = WAL")
    for i in range(10, 20):
        writer.execute(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)",
            (START + i * SECOND // 100, text(f"note {i}")),
        )
    before = sorted(os.listdir(folder))
    with Bag(folder) as bag:  # as a killed recorder leaves it: half of it in the write-ahead log
        assert words(bag) == expected(20)
        assert any("journal" in problem for problem in bag.problems)
    assert sorted(os.listdir(folder)) == before
    writer.close()


def test_what_is_no_bag_is_refused_by_name(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(BagError, "nowhere", "no such file"):
        Bag(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with refuses(BagError, "empty", "holds no .mcap"):
        Bag(tmp_path / "empty")
    contents = {
        "zero.mcap": (b"", "0 bytes"),
        "text.mcap": (b"hello, world, this is no bag", "neither MCAP nor sqlite3"),
        "old.bag": (b"#ROSBAG V2.0\n" + bytes(100), "rosbags-convert"),
        "packed.db3.zstd": (zstandard.compress(b"hello, world, this is no bag"), "neither MCAP nor sqlite3"),
        "cut.mcap.zstd": (zstandard.compress(bytes(100))[:6], "cut.mcap.zstd"),
        "tables.db3": (b"SQLite format 3\0" + bytes(200), "cannot be read as a bag"),
    }
    for name, (content, hint) in contents.items():
        (tmp_path / name).write_bytes(content)
        with refuses(BagError, name, hint):
            Bag(tmp_path / name)
    (tmp_path / "ros1").mkdir()
    (tmp_path / "ros1" / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with refuses(BagError, "ROS 1"):
        Bag(tmp_path / "ros1")


def test_one_file_of_several_may_be_unreadable(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / "bag", notes(5))
    (folder / "metadata.yaml").unlink()
    (folder / "later.mcap").touch()
    with Bag(folder) as bag:
        assert words(bag) == expected(5)
        assert any("later.mcap: is empty" in problem for problem in bag.problems)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path, refuses: Refuses) -> None:
    path = write_mcap(tmp_path / "a.mcap", 5)
    path.chmod(0)
    with refuses(BagError, "a.mcap", "Permission denied"):
        Bag(path)


def test_another_serialisation_is_refused_or_left_out(tmp_path: Path, refuses: Refuses) -> None:
    def write(path: Path, encodings: dict[str, str]) -> Path:
        with path.open("wb") as file:
            writer = McapWriter(file)
            writer.start(profile="", library="test")
            for topic, encoding in encodings.items():
                channel = writer.register_channel(topic, encoding, 0)
                writer.add_message(channel, START, text("hello"), START)
            writer.finish()
        return path

    with refuses(BagError, "a.mcap", "json", "cdr"):
        Bag(write(tmp_path / "a.mcap", {"/a": "json"}))
    with Bag(write(tmp_path / "b.mcap", {"/a": "json", "/b": "cdr"})) as bag:
        assert [message.topic for message in bag.messages()] == ["/b"]
        assert bag.topics["/b"].type == ""
        assert any("/a" in problem and "json" in problem for problem in bag.problems)


def test_a_hostile_length_takes_no_memory(tmp_path: Path) -> None:
    head = b"\x89MCAP0\r\n" + struct.pack("<BQ", 1, 8) + struct.pack("<II", 0, 0)
    huge = struct.pack("<QQQII", 0, 1, 2**60, 0, 4) + b"zstd" + struct.pack("<Q", 10) + bytes(10)
    path = tmp_path / "huge.mcap"
    for record in (struct.pack("<BQ", 5, 2**62) + bytes(40), struct.pack("<BQ", 6, len(huge)) + huge):
        path.write_bytes(head + record)
        with Bag(path) as bag:
            assert words(bag) == []
            assert bag.problems
