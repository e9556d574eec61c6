"""Numbers out of bags: by name, on one clock, and what is left out is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bag_files import (
    ARRAY,
    IMU,
    JOINT_STATE,
    NAMES,
    SECOND,
    START,
    STRING,
    command,
    fall,
    imu,
    joint_states,
    text,
    write_bag,
)
from conftest import Refuses

from humanoid_rl_ros.bags.collect import collect
from humanoid_rl_ros.bags.namespaces import choose_namespace, namespaces_of
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.series import RobotTime
from humanoid_rl_ros.control.setup import NodeSetup, PolicySource
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot


def test_the_numbers_of_a_fall(tmp_path: Path, robot: RobotSpec) -> None:
    with Bag(write_bag(tmp_path / "bag", fall())) as bag:
        series = collect(bag, None, robot)
        time = RobotTime(series, bag.start_ns, bag.end_ns)
    assert series.problems == ()
    states, efforts, sent = series.joint_states, series.policy_effort, series.command
    assert states is not None
    assert efforts is not None
    assert sent is not None
    assert states.names == efforts.names == sent.names == NAMES
    assert states.effort is not None
    assert sent.effort is not None
    assert states.effort.shape == (299, 4)
    assert states.effort[175].tolist() == [25.0, 40.0, 0.0, 0.0]
    assert sent.effort[0].tolist() == [30.0, 10.0, 0.0, 0.0]
    assert efforts.frames == ((0, "ACTIVE"),)
    assert [status.values["state"] for _, status in series.statuses] == ["READY", "ACTIVE", "FALLING"]
    assert time.by_stamps
    assert time.factor == pytest.approx(1.0)
    # The clock began at 50 s: the axis begins with the bag.
    assert time.of(states.log_ns, states.stamp_ns)[[0, 100]] == pytest.approx([0.0, 1.0])
    assert time.end == pytest.approx(2.993)


def test_joints_are_found_by_name(tmp_path: Path, robot: RobotSpec) -> None:
    mixed = ("arm", "tail", "hip", "knee")
    data = joint_states(SECOND, [1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], mixed)
    with Bag(write_bag(tmp_path / "bag", [("/joint_states", JOINT_STATE, START, data)])) as bag:
        series = collect(bag, None, robot)
    assert series.joint_states is not None
    assert series.joint_states.position is not None
    np.testing.assert_array_equal(series.joint_states.position[0], [3.0, 4.0, np.nan, 1.0])
    assert any("tail" in problem for problem in series.problems)


def test_malformed_messages_are_counted_and_left_out(tmp_path: Path) -> None:
    good = joint_states(SECOND, [1.0] * 4, [2.0] * 4)
    messages = [("/joint_states", JOINT_STATE, START + i, good if i % 3 else good[:50]) for i in range(9)]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        series = collect(bag)
    assert series.joint_states is not None
    assert len(series.joint_states.log_ns) == 6
    assert series.problems == ("/joint_states: 3 messages are malformed; left out",)
    assert len(series.arrivals["/joint_states"]) == 9


def test_a_topic_of_another_type_is_left_out_by_name(tmp_path: Path) -> None:
    messages = [("/joint_states", STRING, START, text("hello")), ("/cmd_vel", STRING, START, text("hello"))]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        series = collect(bag)
    assert series.joint_states is None
    assert len(series.problems) == 2
    assert all(STRING in problem and "expected" in problem for problem in series.problems)


def test_the_recorded_robot_is_taken(tmp_path: Path, robot: RobotSpec) -> None:
    setup = NodeSetup(
        node="policy_node",
        software={"humanoid_rl_ros": "1.2.3"},
        parameters={"use_cmd_vel": False, "velocity_command": [0.5, 0.0, 0.1]},
        robot_name="biped",
        robot_yaml=dump_robot(robot),
        settings={},
        policies=(PolicySource("walk", "walk", "f", None, "", {"policy.onnx": "ab" * 32}),),
    )
    messages = [
        ("/policy/setup", STRING, START, text(setup.as_text())),
        ("/safety/setup", STRING, START, text("{]")),
        ("/joint_effort_controller/commands", ARRAY, START + 1, command([1.0, 2.0, 3.0, 4.0])),
    ]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        series = collect(bag)
    assert series.robot == robot
    assert series.setups[0].policies[0].files == {"policy.onnx": "ab" * 32}
    assert series.command is not None
    assert series.command.names == NAMES
    assert any("not the setup of a node" in problem for problem in series.problems)


def test_a_slow_simulation_is_put_on_its_own_clock(tmp_path: Path) -> None:
    """Ten steps of 10 ms, recorded one every 40 ms."""
    messages = [
        ("/joint_states", JOINT_STATE, START + i * 40_000_000, joint_states(i * 10_000_000, [0.0] * 4, [0.0] * 4))
        for i in range(11)
    ]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        time = RobotTime(collect(bag), bag.start_ns, bag.end_ns)
    assert time.factor == pytest.approx(0.25)
    assert time.end == pytest.approx(0.1)
    assert time.of_log(np.array([START + 60_000_000])) == pytest.approx([0.015])


@pytest.mark.parametrize("stamps", [[0] * 5, [5, 4, 3, 2, 1], [100, 101, 0, 1, 2]])
def test_stamps_that_are_no_clock_are_not_taken_for_one(tmp_path: Path, stamps: list[int]) -> None:
    messages = [
        ("/joint_states", JOINT_STATE, START + i * SECOND, joint_states(stamp * SECOND, [0.0] * 4, [0.0] * 4))
        for i, stamp in enumerate(stamps)
    ]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        time = RobotTime(collect(bag), bag.start_ns, bag.end_ns)
    assert not time.by_stamps
    assert time.why_not
    assert time.end == pytest.approx(4.0)


def test_of_several_robots_one_must_be_named(tmp_path: Path, refuses: Refuses) -> None:
    both = sorted(fall("/one") + fall("/two"), key=lambda message: message[2])
    with Bag(write_bag(tmp_path / "bag", both)) as bag:
        with refuses(BagError, "/one", "/two", "--namespace"):
            collect(bag)
        with refuses(BagError, "/tow", "did you mean '/two'?"):
            collect(bag, "/tow")
        for name in ("two", "/two", "/two/"):
            series = collect(bag, name)
            assert series.namespace == "/two"
            assert series.joint_states is not None
            assert series.joint_states.topic == "/two/joint_states"


def test_a_gripper_is_no_robot() -> None:
    names = ["/joint_states", "/safety/status", "/gripper/joint_states", "/camera/imu/data"]
    assert namespaces_of(names) == ("",)
    assert choose_namespace(names, None) == ""
    assert namespaces_of(["/hand/joint_states"]) == ("/hand",)
    assert choose_namespace(["/chatter"], None) == ""


def test_orientation_is_turned_from_ros_order(tmp_path: Path) -> None:
    with Bag(write_bag(tmp_path / "bag", [("/imu/data", IMU, START, imu(SECOND, np.pi / 2))])) as bag:
        series = collect(bag)
    assert series.imu is not None
    assert series.imu.orientation[0] == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])


def test_of_a_very_long_recording_every_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humanoid_rl_ros.bags.collect.LARGEST_ROWS", 100)
    with Bag(write_bag(tmp_path / "bag", fall())) as bag:
        series = collect(bag)
    assert series.joint_states is not None
    assert len(series.joint_states.log_ns) == 99
    assert len(series.arrivals["/joint_states"]) == 299
    assert any("of 299 messages every 3th is drawn" in problem for problem in series.problems)
