"""The recorder as a process, on a real graph: what it hears, what it says it lost, and how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rosbags")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from made_bags import read
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from ros_graph import Graph, NodeProcess
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.bags.recover import recover
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import diagnostic, values_of

pytestmark = pytest.mark.ros
START_S = 20.0
END_S = 10.0


def start(graph: Graph, bag: Path, *arguments: str, **parameters: Any) -> NodeProcess:
    """A recorder, with room enough on any disk."""
    return graph.process("recorder_node", *arguments, output=bag, **{"min_free": 0.0, **parameters})


def heard(graph: Graph, *publishers: Any) -> None:
    """Wait until the recorder listens, and to all of it."""
    graph.until(lambda: all(p.get_subscription_count() for p in publishers), "the recorder", START_S)
    graph.spin(0.2)


class Numbers:
    """Publishes joint states whose stamps count up."""

    def __init__(self, graph: Graph, name: str = "", profile: QoSProfile | None = None) -> None:
        profile = profile or QoSProfile(depth=1000)
        self.publisher = graph.tester.create_publisher(JointState, name or topics.JOINT_STATES.name, profile)
        self.sent = 0

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.sent += 1
            message = JointState(name=["hip"], position=[float(self.sent)])
            message.header.stamp.nanosec = self.sent
            self.publisher.publish(message)

    def slowly(self) -> None:
        """One message and a millisecond; for `Graph.until`."""
        self.send()
        time.sleep(0.001)


def numbers_in(bag: Path, name: str = "/joint_states") -> list[int]:
    found = [data for topic, _, data in read(bag) if topic == name]
    return [stamp_to_ns(deserialize_message(data, JointState).header.stamp) for data in found]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_whole_bag(graph: Graph, tmp_path: Path, number: int) -> None:
    bag = tmp_path / "bag"
    recorder = start(graph, bag)
    states = Numbers(graph)
    imu = graph.speak(topics.IMU)  # best effort, as the table says
    status = graph.speak(topics.SAFETY_STATUS)
    status.publish(diagnostic("monitor", "", DiagnosticStatus.OK, "", {"state": "ACTIVE"}))  # before anybody listens
    heard(graph, states.publisher, imu, status)

    def both() -> None:
        states.slowly()
        imu.publish(Imu())

    graph.spin(1.0, both)
    recorder.process.send_signal(number)
    assert recorder.ended(END_S) == 0
    facts = inspect(bag)
    assert facts.problems == []
    assert numbers_in(bag) == list(range(1, states.sent + 1))
    assert facts.counts["/imu/data"] == states.sent
    assert facts.counts["/safety/status"] == 1
    assert facts.counts["/recorder/status"] >= 1
    assert facts.lost() == {}
    assert facts.topics["/imu/data"].qos[0].reliability == "best_effort"
    assert (facts.topics["/safety/status"].qos[0].durability, facts.topics["/safety/status"].latched) == (
        "transient_local",
        False,  # a reader's word for it is the quality of service
    )
    assert "0 lost" in recorder.output
    assert "Traceback" not in recorder.output


def test_the_hash_of_a_type_is_what_the_middleware_says(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "bag")
    states = Numbers(graph)
    heard(graph, states.publisher)
    (info,) = graph.tester.get_publishers_info_by_topic("/joint_states")
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    assert inspect(tmp_path / "bag").topics["/joint_states"].type_hash == str(info.topic_type_hash)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_kill_at_any_moment_loses_half_a_second_at_most(graph: Graph, tmp_path: Path, seed: int) -> None:
    bag = tmp_path / "bag"
    recorder = start(graph, bag)
    states = Numbers(graph)
    heard(graph, states.publisher)
    graph.spin(random.Random(seed).uniform(1.0, 2.0), states.slowly)
    recorder.kill()
    killed_ns = time.time_ns()
    assert any("is torn" in problem for problem in inspect(bag).problems)
    recovery = recover(bag)
    found = numbers_in(bag)
    assert found == list(range(1, len(found) + 1))
    assert (killed_ns - recovery.end_ns) * 1e-9 < 0.6
    assert inspect(bag).problems == []


def test_a_disk_that_is_nearly_full_ends_it_with_a_line(graph: Graph, tmp_path: Path) -> None:
    states = Numbers(graph)
    recorder = start(graph, tmp_path / "bag", min_free=1e9)  # a petabyte
    graph.until(lambda: recorder.process.poll() is not None, "the end", START_S, states.slowly)
    assert recorder.ended(END_S) == 2
    assert "are to stay free" in recorder.output
    assert inspect(tmp_path / "bag").problems == []


def test_a_folder_that_exists_is_refused_with_a_line(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path)
    assert recorder.ended(START_S) == 1
    (line,) = [line for line in recorder.output.splitlines() if "exists already" in line]
    assert "cannot start: " in line


def test_what_the_middleware_lost_is_counted_to_the_message(graph: Graph, tmp_path: Path) -> None:
    """A recorder that is stopped for a while finds gaps in the numbers, and says how many are missing."""
    bag = tmp_path / "bag"
    recorder = start(graph, bag)
    profile = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    states = Numbers(graph, profile=profile)
    heard(graph, states.publisher)
    graph.spin(0.3, states.slowly)
    os.kill(recorder.process.pid, signal.SIGSTOP)
    states.send(8000)
    os.kill(recorder.process.pid, signal.SIGCONT)
    graph.spin(0.5)
    graph.spin(1.5, states.slowly)  # shows the end of the gap
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    missing = states.sent - inspect(bag).counts["/joint_states"]
    assert missing > 0, "nothing was lost, so nothing is proven"
    assert inspect(bag).lost() == {"/joint_states": missing}
    assert f"{missing} lost" in recorder.output


def test_what_does_not_fit_into_memory_is_counted(graph: Graph, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    recorder = start(graph, bag, memory=0.001)  # a kilobyte
    said = graph.listen(topics.DIAGNOSTICS)
    states = Numbers(graph)
    heard(graph, states.publisher)
    states.send(500)

    def dropped() -> int:
        found = [s for m in said for s in m.status if s.name == "/recorder"]
        return int(values_of(found[-1])["dropped"]) if found else 0

    graph.until(dropped, "a dropped message")
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    facts = inspect(bag)
    assert (facts.lost() or {})["/joint_states"] == states.sent - facts.counts["/joint_states"] > 0


def test_names_follow_the_namespace_and_further_ones_are_heard(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "bag", "-r", "__ns:=/g1", topics="[extra, /other/extra]")
    names = ["/g1/joint_states", "/g1/extra", "/other/extra"]
    wanted = [Numbers(graph, name) for name in names]
    strangers = [Numbers(graph, name) for name in ("/joint_states", "/g2/joint_states", "/extra")]
    heard(graph, *(one.publisher for one in wanted))
    for one in [*wanted, *strangers]:
        one.send(3)
    graph.spin(0.3)
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    counts = inspect(tmp_path / "bag").counts
    assert [counts[name] for name in names] == [3, 3, 3]
    assert not {"/joint_states", "/g2/joint_states", "/extra"} & set(counts)


def test_the_type_is_the_publishers_and_all_means_all(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "bag", all_topics=True)
    command = graph.tester.create_publisher(JointState, topics.JOINT_COMMAND.name, 10)
    twist = graph.tester.create_publisher(Twist, topics.VELOCITY_COMMAND.name, 10)
    stranger = Numbers(graph, "/somewhere/else")
    heard(graph, command, twist, stranger.publisher)
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    found = {name: topic.type_name for name, topic in inspect(tmp_path / "bag").topics.items()}
    assert found["/joint_effort_controller/commands"] == "sensor_msgs/msg/JointState"
    assert found["/cmd_vel"] == "geometry_msgs/msg/Twist"
    assert "/somewhere/else" in found


def test_a_publisher_that_comes_later_with_less_is_heard_too(graph: Graph, tmp_path: Path) -> None:
    """To a reliable subscription a best-effort publisher is mute: it must be made anew."""
    recorder = start(graph, tmp_path / "bag")
    first = Numbers(graph)
    heard(graph, first.publisher)
    second = Numbers(graph, profile=QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))
    heard(graph, second.publisher)
    graph.spin(0.3, second.slowly)
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    assert len(numbers_in(tmp_path / "bag")) == second.sent


def test_bundles_that_the_nodes_name_are_in_the_bag(graph: Graph, tmp_path: Path) -> None:
    bundle = tmp_path / "walk"
    bundle.mkdir()
    (bundle / "policy.yaml").write_text("name: walk\n")
    digest = hashlib.sha256(b"name: walk\n").hexdigest()
    said = {"policies": [{"name": "walk", "folder": str(bundle), "files": {"policy.yaml": digest}}]}
    setup = graph.speak(topics.POLICY_SETUP)
    setup.publish(String(data=json.dumps(said)))
    recorder = start(graph, tmp_path / "bag")
    heard(graph, setup)
    graph.until(lambda: list((tmp_path / "bag").glob("bundles/walk-*/policy.yaml")), "the bundle")
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    assert inspect(tmp_path / "bag").counts["/policy/setup"] == 1


def test_bytes_that_are_no_message_do_not_disturb_it(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "bag")
    status, setup = graph.speak(topics.SAFETY_STATUS), graph.speak(topics.POLICY_SETUP)
    heard(graph, status, setup)
    for publisher in (status, setup):
        publisher.publish(b"\x00\x01\x00\x00\xff\xff\xff\x7f")
    graph.spin(0.3)
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    assert inspect(tmp_path / "bag").counts["/safety/status"] == 1


def _bags(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("flight_*") if (path / "metadata.yaml").exists())


def test_a_fault_makes_the_flight_recorder_write(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "flight", flight=1.0, after=0.5)
    states, status = Numbers(graph), graph.speak(topics.SAFETY_STATUS)

    def say(**values: str) -> None:
        status.publish(diagnostic("monitor", "", DiagnosticStatus.OK, "", values))

    say(state="ACTIVE", faults="0")
    heard(graph, states.publisher, status)
    graph.spin(2.5, states.slowly)
    before = states.sent
    assert _bags(tmp_path) == []
    say(state="FALLING", faults="1", reason="tilt")

    def whole() -> bool:
        return bool(_bags(tmp_path)) and f"wrote {_bags(tmp_path)[0]}" in recorder.output

    graph.until(whole, "the bag", 10.0, states.slowly)
    (bag,) = _bags(tmp_path)
    assert bag.name.endswith("_tilt")
    facts = inspect(bag)
    assert facts.problems == []
    assert facts.seconds == pytest.approx(1.5, abs=0.2)
    found = numbers_in(bag)
    assert found == list(range(found[0], found[-1] + 1))
    assert 1 < found[0] < before < found[-1]
    last = [deserialize_message(d, DiagnosticStatus) for name, _, d in read(bag) if name == "/safety/status"]
    assert [values_of(word)["state"] for word in last] == ["ACTIVE", "FALLING"]
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    assert len(_bags(tmp_path)) == 1


def test_the_flight_recorder_writes_when_it_is_asked(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "flight", flight=5.0, after=0.1)
    states = Numbers(graph)
    heard(graph, states.publisher)
    graph.spin(0.5, states.slowly)
    assert graph.call(Trigger, topics.RECORDER_KEEP, Trigger.Request()).success
    graph.until(lambda: _bags(tmp_path), "the bag", 10.0, states.slowly)
    recorder.interrupt()
    assert recorder.ended(END_S) == 0
    (bag,) = _bags(tmp_path)
    assert bag.name.endswith("_request")
    assert numbers_in(bag)[0] == 1


def test_it_ends_by_itself_after_its_time(graph: Graph, tmp_path: Path) -> None:
    recorder = start(graph, tmp_path / "bag", seconds=0.5)
    assert recorder.ended(START_S) == 0
    assert inspect(tmp_path / "bag").problems == []
