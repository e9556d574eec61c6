"""Bags as they lie on disk, against the libraries that others read them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Refuses
from made_bags import MS, START, as_read, messages, read, topic, write

pytest.importorskip("rosbags")

from mcap.reader import make_reader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from humanoid_rl_ros import __version__
from humanoid_rl_ros.bags.records import INFINITE_NS, OfferedQos, Record, RecordedTopic
from humanoid_rl_ros.bags.tears import TornFile, read_up_to_tear
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.core.errors import BagError

STATES, STATUS = topic("/joint_states"), topic("/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
FOREVER = QosTime(9223372036, 854775807)


def information(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


def channels(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    return {channel.topic: (channel, summary.schemas[channel.schema_id]) for channel in summary.channels.values()}


def test_rosbags_reads_every_message_with_its_bytes_and_times(tmp_path: Path) -> None:
    given = sorted(messages("/joint_states", 3000) + messages("/status", 100, period_ns=7 * MS), key=lambda m: m[1])
    write(tmp_path / "bag", [STATES, STATUS], given)
    assert sorted(read(tmp_path / "bag")) == sorted(as_read(given))
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 3100
        assert reader.start_time == START
        # The reader's own convention: one nanosecond behind the last message.
        assert reader.end_time == START + 2999 * MS + 1


def test_sequence_and_publish_time_stand_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 5, first=6))
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream:
        found = [(m.sequence, m.log_time - m.publish_time) for _, _, m in make_reader(stream).iter_messages()]
    assert found == [(7, 50_000), (8, 50_000), (9, 50_000), (10, 50_000), (11, 50_000)]


def test_sequence_numbers_beyond_32_bits_begin_again(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], [Record("/joint_states", START, START, 2**32 + 5, b"\0\1\0\0")])
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream:
        assert [m.sequence for _, _, m in make_reader(stream).iter_messages()] == [5]


def test_metadata_is_what_rosbags_writes(tmp_path: Path) -> None:
    """The same content through the writer of rosbags, which is held to rosbag2 itself, gives the same metadata."""
    store = get_typestore(Stores.ROS2_KILTED)
    given = messages("/joint_states", 10)
    qos = OfferedQos("best_effort", "volatile", "keep_last", 1)
    joint_states = RecordedTopic("/joint_states", STATES.type_name, (qos,), STATES.definition, STATES.type_hash)
    write(tmp_path / "ours", [joint_states], given)
    with Writer(tmp_path / "theirs", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.set_custom_data("humanoid_rl_ros", __version__)
        writer.set_custom_data("humanoid_rl_schema", "1")
        connection = writer.add_connection(
            "/joint_states",
            STATES.type_name,
            typestore=store,
            offered_qos_profiles=[
                Qos(
                    QosHistory.KEEP_LAST,
                    1,
                    QosReliability.BEST_EFFORT,
                    QosDurability.VOLATILE,
                    FOREVER,
                    FOREVER,
                    QosLiveliness.AUTOMATIC,
                    FOREVER,
                    avoid_ros_namespace_conventions=False,
                )
            ],
        )
        for message in given:
            writer.write(connection, message.log_time_ns, message.data)
    ours, theirs = information(tmp_path / "ours"), information(tmp_path / "theirs")
    for found in (ours, theirs):
        del found["relative_file_paths"], found["files"][0]["path"], found["ros_distro"]
    assert ours == theirs
    (channel, schema), (their_channel, their_schema) = (
        channels(tmp_path / f"{name}.mcap")["/joint_states"] for name in ("ours/ours_0", "theirs/theirs")
    )
    assert (schema.name, schema.encoding, schema.data) == (their_schema.name, their_schema.encoding, their_schema.data)
    qos_yaml = "offered_qos_profiles"
    assert yaml.safe_load(channel.metadata[qos_yaml]) == yaml.safe_load(their_channel.metadata[qos_yaml])
    assert channel.message_encoding == their_channel.message_encoding == "cdr"


def test_every_file_says_what_rosbag2_looks_for_in_it(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 10))
    path = tmp_path / "bag/bag_0.mcap"
    with path.open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        records = [record for record in reader.iter_metadata() if record.name == "rosbag2"]
    inside = yaml.safe_load(records[-1].metadata["serialized_metadata"])
    assert inside == information(tmp_path / "bag")
    assert channels(path)["/joint_states"][0].metadata["topic_type_hash"] == STATES.type_hash


def test_custom_data_name_version_and_schema(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 1))
    assert information(tmp_path / "bag")["custom_data"] == {"humanoid_rl_ros": __version__, "humanoid_rl_schema": "1"}


@pytest.mark.parametrize("options", [{"split_bytes": 500_000}, {"split_ns": 900 * MS}], ids=["size", "time"])
def test_splits_hold_everything_once_and_latched_words_in_each(tmp_path: Path, options: dict[str, int]) -> None:
    first_word = messages("/status", 1)
    given = messages("/joint_states", 5000, size=800, first=1)
    write(tmp_path / "bag", [STATES, STATUS], [*first_word, *given], **options)
    found = information(tmp_path / "bag")
    names = found["relative_file_paths"]
    assert names == [f"bag_{i}.mcap" for i in range(len(names))]
    assert len(names) >= 4
    assert [f for f in read(tmp_path / "bag") if f[0] == "/joint_states"] == as_read(given)
    before = 0
    for name, facts in zip(names, found["files"], strict=True):
        alone = read(tmp_path / "bag" / name)
        words = [data for where, _, data in alone if where == "/status"]
        assert words == [first_word[0].data]
        assert len(alone) == facts["message_count"]
        # What is repeated must not make the file look as if it began long before.
        start = facts["starting_time"]["nanoseconds_since_epoch"]
        assert before < min(time for _, time, _ in alone) == start
        before = start + facts["duration"]["nanoseconds"]
        assert facts["path"] == name
    assert found["message_count"] == 5000 + len(names)


def test_a_split_covers_no_more_time_than_it_may(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 1000), split_ns=100 * MS)
    files = information(tmp_path / "bag")["files"]
    assert [f["duration"]["nanoseconds"] for f in files] == [99 * MS] * 10


def test_each_publisher_of_a_latched_topic_keeps_its_word(tmp_path: Path) -> None:
    words = [Record("/status", START, START, n, bytes([0, 1, 0, 0, n]), f"p{n % 2}".encode()) for n in (1, 2, 3)]
    write(tmp_path / "bag", [STATES, STATUS], [*words, *messages("/joint_states", 30)], split_ns=20 * MS)
    second = read(tmp_path / "bag/bag_1.mcap")
    assert [data for name, _, data in second if name == "/status"] == [words[2].data, words[1].data]


def test_what_is_flushed_can_be_read_while_the_bag_is_open(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(STATES)
    given = messages("/joint_states", 20)
    for message in given[:15]:
        writer.write(message)
    writer.flush()
    for message in given[15:]:
        writer.write(message)
    assert information(tmp_path / "bag")["relative_file_paths"] == ["bag_0.mcap"]
    found = [item for item in read_up_to_tear(TornFile(tmp_path / "bag/bag_0.mcap")) if isinstance(item, Record)]
    assert as_read(found) == as_read(given[:15])
    writer.close()
    assert read(tmp_path / "bag") == as_read(given)


def test_a_bag_without_messages_is_a_bag(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], [])
    assert read(tmp_path / "bag") == []
    assert information(tmp_path / "bag")["starting_time"]["nanoseconds_since_epoch"] == INFINITE_NS


def test_a_type_that_nobody_knows_is_recorded_without_definition(tmp_path: Path) -> None:
    strange = RecordedTopic("/strange", "my_msgs/msg/Strange", (OfferedQos(),))
    given = messages("/strange", 3)
    write(tmp_path / "bag", [strange], given)
    assert read(tmp_path / "bag") == as_read(given)


def test_an_existing_folder_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 3))
    with refuses(BagError, "exists already", "name another folder"):
        BagWriter(tmp_path / "bag")
    assert len(read(tmp_path / "bag")) == 3


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "file").write_text("")
    with refuses(BagError, "cannot make", "Not a directory"):
        BagWriter(tmp_path / "file/bag")
