from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")

from played_bags import CLOCK_MS, LOG_START, MS, STAMP_START, Swaying, message, topic, write

from humanoid_rl_ros.bags.play_clock import Due, timeline
from humanoid_rl_ros.bags.playing import select
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.records import OfferedQos
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.cdr import read_stamp
from humanoid_rl_ros.interfaces.cdr_messages import read_clock


def line(path: Path, start_ms: int = 0) -> list[Due]:
    with Bag(path) as bag:
        return list(timeline(bag, select(bag), LOG_START + start_ms * MS, bag.end_ns + 1))


def clock_of(due: list[Due]) -> list[int]:
    return [read_clock(one.data) for one in due if one.topic == "/clock"]


def leads(due: list[Due]) -> list[int]:
    """How far the stamp of each message is ahead of the clock [ns]."""
    found, now = [], -1
    for one in due:
        if one.topic == "/clock":
            now = read_clock(one.data)
        else:
            found.append(read_stamp(one.data) - now)
    return found


@pytest.mark.parametrize("clock", [True, False], ids=["recorded", "made of stamps"])
def test_no_message_is_ahead_of_the_clock_and_the_clock_does_not_go_back(
    tmp_path: Path, robot: RobotSpec, clock: bool
) -> None:
    due = line(Swaying(robot).bag(tmp_path / "bag", 2.0, clock=clock))
    assert [one.log_ns for one in due] == sorted(one.log_ns for one in due)
    times = clock_of(due)
    assert times == sorted(times)
    assert max(leads(due)) == 0
    # Messages come in the order imu, joint states, clock, half a millisecond apart.
    assert min(leads(due)) >= -CLOCK_MS * MS
    assert set(range(STAMP_START, STAMP_START + 1990 * MS, CLOCK_MS * MS)) <= set(times)


def test_messages_are_played_as_they_were_recorded(tmp_path: Path, robot: RobotSpec) -> None:
    path = Swaying(robot).bag(tmp_path / "bag")
    with Bag(path) as bag:
        recorded = [(m.log_ns, m.topic, m.data) for m in bag.messages(["/joint_states", "/imu/data"])]
    assert [tuple(one) for one in line(path) if one.topic != "/clock"] == recorded


def test_without_stamps_the_clock_is_the_recorders(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    still = [m for m in swaying.messages(0, 5, stamp_ms=0, clock=False) if m.topic == "/joint_states"]
    messages = [m._replace(log_time_ns=LOG_START + k * 25 * MS) for k, m in enumerate(still * 20)]
    times = clock_of(line(write(tmp_path / "bag", swaying.topics(), messages)))
    assert times[0] == LOG_START
    assert {b - a for a, b in pairwise(times)} == {CLOCK_MS * MS}


def test_a_pause_of_the_robot_is_filled(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    messages = swaying.messages(0, 100, stamp_ms=1000, clock=False)
    messages += swaying.messages(600, 700, stamp_ms=1600, clock=False)
    times = clock_of(line(write(tmp_path / "bag", swaying.topics(), messages)))
    assert max(b - a for a, b in pairwise(times)) <= CLOCK_MS * MS


def test_a_simulation_that_was_reset_sets_the_clock_back_once(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    messages = [*swaying.messages(0, 1000, stamp_ms=0), *swaying.messages(1000, 2000, stamp_ms=0)]
    due = line(write(tmp_path / "bag", swaying.topics(), messages))
    times = clock_of(due)
    assert [b for a, b in pairwise(times) if b < a] == [0]
    # The states of the new run are recorded before its first clock, with stamps that are past.
    assert max(leads(due)) == 0


def test_a_stamp_of_another_clock_does_not_move_time(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    messages = swaying.messages(0, 500, stamp_ms=0)
    strange = [m for m in swaying.messages(250, 255, stamp_ms=90_000_000, clock=False) if m.topic == "/imu/data"]
    assert max(clock_of(line(write(tmp_path / "bag", swaying.topics(), messages + strange)))) < 500 * MS


def test_from_the_middle_latched_messages_come_first_and_time_begins_there(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    latched = topic("/tf_static", "tf2_msgs/msg/TFMessage", qos=OfferedQos(durability="transient_local"))
    transforms = message("/tf_static", 0.0, b"\0\1\0\0" + bytes(4))
    messages = [*swaying.messages(0, 1000, stamp_ms=0), transforms]
    due = line(write(tmp_path / "bag", [*swaying.topics(), latched], messages), start_ms=500)
    assert [one.topic for one in due[:2]] == ["/clock", "/tf_static"]
    assert 490 * MS <= clock_of(due)[0] <= 500 * MS
    assert all(one.log_ns >= LOG_START + 500 * MS for one in due)
