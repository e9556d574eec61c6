"""The player as a process, and the nodes that it drives as processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mcap")
pytest.importorskip("rosbags")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import rclpy
from played_bags import CLOCK_MS, COMMAND, MS, STAMP_START, STATE_MS, Swaying
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_graph import Graph, NodeProcess
from tiny_policy import write_policy, write_robot

from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.player_guard import Guard
from humanoid_rl_ros.nodes.replay_graph import replay_parameters

pytestmark = pytest.mark.ros
START = 20.0  # an interpreter on a busy machine [s]
NOTHING_NEW = 0.5


@pytest.fixture
def two(tmp_path: Path) -> RobotSpec:
    return load_robot(write_robot(tmp_path))


def player(graph: Graph, bag: Path, **parameters: Any) -> NodeProcess:
    return graph.process("player_node", bag=bag, **{"wait": 0.5, **parameters})


def published(graph: Graph, topic: Topic) -> list[tuple[int, int]]:
    """Grows by when a message was published, and its stamp or time [ns].

    Those of several topics are heard in any order, and were said in one.
    """
    heard: list[tuple[int, int]] = []
    is_clock = topic is topics.CLOCK

    def take(message: Any, info: Any) -> None:
        stamp = message.clock if is_clock else message.header.stamp
        heard.append((info["source_timestamp"], stamp_to_ns(stamp)))

    profile = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)
    graph.tester.create_subscription(topic.type, topic.name, take, profile)
    return heard


def test_a_bag_drives_policy_and_monitor_and_no_motor(graph: Graph, tmp_path: Path, two: RobotSpec) -> None:
    swaying = Swaying(two)
    # With the gain 0 the answer to a state depends on nothing but the state, whenever the policy took over.
    policy = write_policy(tmp_path / "policy", two, gain=0.0)
    bag = swaying.bag(tmp_path / "bag", 3.0, policy=policy, armed_ms=800)
    parameters = replay_parameters(str(bag), tmp_path)
    clock, states = published(graph, topics.CLOCK), published(graph, topics.JOINT_STATES)
    efforts, status = graph.listen(topics.POLICY_EFFORT), graph.listen(topics.SAFETY_STATUS)
    commands = graph.listen(topics.JOINT_COMMAND)
    diverted = graph.listen(topics.JOINT_COMMAND, name=topics.REPLAYED_COMMAND)
    remapped = [word for source, target in parameters.remappings for word in ("-r", f"{source}:={target}")]
    for name in ("policy_node", "safety_monitor"):
        given = {key: value for key, value in getattr(parameters, name).items() if value != ""}
        module = name if name.endswith("_node") else f"{name}_node"
        graph.process(module, "-r", f"__node:={name}", *remapped, **given)
    graph.until(lambda: status, "the monitor", START)  # found too late, it would be heard only from ACTIVE on
    playing = graph.process("player_node", **parameters.player)
    graph.until(lambda: playing.process.poll() is not None, "the end of the bag", START + 10.0)
    assert playing.ended(1.0) == 0, playing.output
    graph.spin(NOTHING_NEW)

    assert [one for one in (values_of(one)["state"] for one in status) if one in ("READY", "ACTIVE")][:2] == [
        "READY",
        "ACTIVE",
    ]
    # Simulated time: never behind a stamp by more than a period, never back.
    times = [time for _, time in sorted(clock)]
    assert times == sorted(times)
    assert len(states) > 200
    now = 0  # until the first one is heard
    for _, is_clock, stamp in sorted([(t, True, s) for t, s in clock] + [(t, False, s) for t, s in states]):
        now = stamp if is_clock else now
        assert is_clock or not now or stamp - now <= CLOCK_MS * MS
    # The policy answers, as it did when it was recorded.
    active = [one for one in efforts if one.header.frame_id == "ACTIVE"]
    assert len(active) > 200
    assert min(stamp_to_ns(answer.header.stamp) for answer in active) >= STAMP_START + 800 * MS  # armed then
    for answer in active:
        k, rest = divmod(stamp_to_ns(answer.header.stamp) - STAMP_START, STATE_MS * MS)
        assert rest == 0
        order = [answer.name.index(name) for name in two.joint_names]
        np.testing.assert_allclose(np.array(answer.effort)[order], swaying.effort(k * STATE_MS), atol=1e-4)
    # What the monitor says to the motors no driver hears.
    assert len(diverted) > 200
    assert commands == []
    assert graph.tester.count_publishers(COMMAND) == 0


@pytest.mark.slow
def test_commands_are_played_on_demand_and_not_to_a_driver_by_accident(
    graph: Graph, tmp_path: Path, two: RobotSpec
) -> None:
    bag = Swaying(two).bag(tmp_path / "bag", 1.0)
    heard = graph.listen(topics.JOINT_COMMAND)
    refused = player(graph, bag, with_actuators=True, wait=2.0)  # nobody listens to joint states
    graph.until(lambda: refused.process.poll() is not None, "a refusal", START)
    assert refused.ended(1.0) == 1
    assert "/tester listens to /joint_effort_controller/commands" in refused.output
    assert "--force" in refused.output
    assert heard == []
    forced = player(graph, bag, with_actuators=True, force=True)
    graph.until(lambda: forced.process.poll() is not None, "the end of the bag", START)
    assert forced.ended(1.0) == 0
    assert "PLAYING THE ACTUATOR TOPIC" in forced.output
    assert "by force although /tester listens" in forced.output, forced.output
    assert len(heard) > 50


def test_a_bag_is_not_mixed_with_a_robot(graph: Graph, tmp_path: Path, two: RobotSpec) -> None:
    bag = Swaying(two).bag(tmp_path / "bag", 5.0)
    heard = graph.listen(topics.JOINT_STATES)
    playing = player(graph, bag)
    graph.until(lambda: heard, "a joint state", START)
    graph.speak(topics.IMU)  # a robot comes
    graph.until(lambda: playing.process.poll() is not None, "its end", START)
    assert playing.ended(1.0) == 2
    assert "/imu/data is published by /tester already" in playing.output
    assert len(heard) < 900


@pytest.mark.parametrize(
    ("plays_commands", "answers_may_move", "expected"),
    [
        (False, False, "/driver listens to /joint_effort_controller/commands, where /monitor would say"),
        (False, True, ""),
        (True, True, "/driver listens to /joint_effort_controller/commands: recorded commands would move it"),
    ],
)
def test_what_driven_nodes_answer_does_not_reach_a_driver_either(
    graph: Graph, plays_commands: bool, answers_may_move: bool, expected: str
) -> None:
    guard = Guard(["/joint_states"], [COMMAND], plays_commands, answers_may_move)
    nodes = [
        rclpy.create_node(name, context=graph.tester.context, use_global_arguments=False)
        for name in ("monitor", "driver", "recorder")
    ]
    try:
        assert guard.objection(graph.tester, ()) == ""
        nodes[0].create_publisher(topics.JOINT_COMMAND.type, COMMAND, 1)
        for node in nodes[1:]:
            node.create_subscription(topics.JOINT_COMMAND.type, COMMAND, print, 1)
        graph.until(lambda: graph.tester.count_subscribers(COMMAND) == 2, "endpoints")
        assert guard.objection(graph.tester, ()).startswith(expected)
        assert bool(guard.objection(graph.tester, ())) == bool(expected)
        nodes[1].destroy_node()
        graph.until(lambda: graph.tester.count_subscribers(COMMAND) == 1, "one endpoint fewer")
        # A recorder moves nothing; a second commander is one too many where commands are played.
        assert bool(guard.objection(graph.tester, ())) == plays_commands
    finally:
        for node in nodes:
            node.destroy_node()


def test_its_own_publisher_is_none_of_a_robot_and_another_of_its_name_is(graph: Graph) -> None:
    guard = Guard(["/joint_states"], [COMMAND], plays_commands=False, answers_may_move=False)
    graph.speak(topics.JOINT_STATES)
    assert guard.objection(graph.tester, ["/joint_states"]) == ""
    assert "published by /tester already" in guard.objection(graph.tester, ())
    graph.speak(topics.JOINT_STATES)
    assert "published by /tester already" in guard.objection(graph.tester, ["/joint_states"])
