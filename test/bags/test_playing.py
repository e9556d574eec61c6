from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")

from conftest import Refuses
from played_bags import COMMAND, NUMBERS, Swaying, message, topic, write

from humanoid_rl_ros.bags.playing import select
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.records import OfferedQos
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.cdr_writers import write_float64_array

DRIVER = "/leg_controller/commands"
CONTACTS = "/foot_contacts"


@pytest.fixture
def recording(tmp_path: Path, robot: RobotSpec) -> Path:
    """A robot, a topic of somebody's driver, and a contact sensor."""
    swaying = Swaying(robot)
    topics = [*swaying.topics(), topic(DRIVER, NUMBERS), topic(CONTACTS, "geometry_msgs/msg/WrenchStamped")]
    extra = [message(DRIVER, 3.0, write_float64_array(robot.kp)), message(CONTACTS, 4.0, b"\0\1\0\0" + bytes(64))]
    return write(tmp_path / "bag", topics, [*swaying.messages(0, 50, stamp_ms=0), *extra])


def played(bag: Path, **options: object) -> set[str]:
    with Bag(bag) as opened:
        return {one.name for one in select(opened, **options).topics}  # type: ignore[arg-type]


def test_what_was_measured_is_played_and_nothing_that_could_move_a_motor(recording: Path) -> None:
    assert played(recording) == {"/joint_states", "/imu/data", CONTACTS}
    with Bag(recording) as bag:
        selection = select(bag)
    assert selection.left_out == (COMMAND, DRIVER, "/policy/joint_effort")
    assert selection.commands == (COMMAND,)
    assert (selection.clock, selection.clock_recorded) == ("/clock", True)


def test_more_is_played_on_demand_but_commands_only_by_their_own_option(recording: Path, refuses: Refuses) -> None:
    measured = {"/joint_states", "/imu/data", CONTACTS}
    assert played(recording, further=["policy/joint_effort"]) == measured | {"/policy/joint_effort"}
    assert played(recording, everything=True) == measured | {"/policy/joint_effort", DRIVER}
    assert played(recording, with_actuators=True) == measured | {COMMAND}
    for name in (COMMAND, COMMAND[1:]):
        with refuses(BagError, COMMAND, "--with-actuators"):
            played(recording, further=[name])
    with refuses(BagError, "no topic '/imu/dat'", "/imu/data"):
        played(recording, further=["imu/dat"])


def test_a_command_topic_that_was_renamed_is_known_by_what_its_monitor_said(tmp_path: Path, robot: RobotSpec) -> None:
    pytest.importorskip("onnx")
    from dataclasses import asdict, replace

    from tiny_policy import write_policy

    from humanoid_rl_ros.control.safety_control import SafetySettings
    from humanoid_rl_ros.interfaces.cdr_writers import write_string

    swaying = Swaying(robot)
    setup = swaying.setup("safety", write_policy(tmp_path / "policy", robot))
    text = replace(setup, settings=asdict(SafetySettings(command_topic=DRIVER))).as_text()
    messages = [*swaying.messages(0, 50, stamp_ms=0), message("/safety/setup", 0.0, write_string(text))]
    messages.append(message(DRIVER, 3.0, write_float64_array(robot.kp)))
    bag = write(tmp_path / "bag", [*swaying.topics(), topic(DRIVER, NUMBERS)], messages)
    assert DRIVER not in played(bag, everything=True)
    assert DRIVER in played(bag, with_actuators=True)


def test_of_several_robots_one_is_played(tmp_path: Path, robot: RobotSpec, refuses: Refuses) -> None:
    one, other = Swaying(robot, "/a"), Swaying(robot, "/b")
    messages = [*one.messages(0, 50, stamp_ms=0), *other.messages(0, 50, stamp_ms=0)]
    bag = write(tmp_path / "bag", [*one.topics(), *other.topics()], messages)
    with refuses(BagError, "2 robots: /a, /b", "--namespace"):
        played(bag)
    assert played(bag, namespace="a", everything=True) == {"/a/joint_states", "/a/imu/data", "/a/policy/joint_effort"}
    with Bag(bag) as opened:
        assert select(opened, "/b").clock == "/b/clock"


def test_quality_of_service_is_as_recorded_or_as_of_the_table(tmp_path: Path, robot: RobotSpec) -> None:
    swaying = Swaying(robot)
    reliable = OfferedQos(reliability="reliable", durability="transient_local", depth=50)
    topics = [topic("/joint_states", "sensor_msgs/msg/JointState", qos=reliable)]
    topics += [one for one in swaying.topics() if one.name != "/joint_states"]
    with Bag(write(tmp_path / "bag", topics, swaying.messages(0, 50, stamp_ms=0))) as bag:
        offered = {one.name: one for one in select(bag).topics}
    states, imu = offered["/joint_states"], offered["/imu/data"]
    assert (states.reliable, states.latched, states.depth) == (True, True, 50)
    assert (imu.reliable, imu.latched) == (False, False)


def test_a_bag_with_nothing_to_play_says_what_it_has(tmp_path: Path, refuses: Refuses) -> None:
    bag = write(tmp_path / "bag", [topic(DRIVER, NUMBERS)], [message(DRIVER, 0.0, write_float64_array(np.zeros(2)))])
    with refuses(BagError, "nothing to play", DRIVER):
        played(bag)
