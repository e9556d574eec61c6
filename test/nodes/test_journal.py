"""What nodes consume and say is in their journals, whenever somebody begins to listen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("rosbags")

from rclpy.parameter import Parameter
from ros_graph import FakeRobot, Graph
from std_srvs.srv import Trigger
from tiny_policy import write_policy, write_robot

from humanoid_rl_ros.bags.comparison import Comparison, TopicCount
from humanoid_rl_ros.bags.journals import Stretch
from humanoid_rl_ros.bags.node_replay import Listener, NodeReplay, NodeResult
from humanoid_rl_ros.bags.rebuild import RecordedPolicyControl, make_safety_control
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.setup import NodeSetup, read_setup
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY, SAID, JournalBatch, JournalEntry, read_batch
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode

pytestmark = pytest.mark.ros
MS = 1_000_000


class Rig:
    """Both nodes in lock-step, and a robot made of words."""

    def __init__(self, folder: Path, graph: Graph) -> None:
        self.graph = graph
        file = write_robot(folder)
        spec = load_robot(file)
        self.bundle = write_policy(folder / "tiny", spec)
        given = {"robot": str(file), "mode": "lockstep"}
        self.policy = graph.active(PolicyNode, policy=str(self.bundle), **given)
        self.monitor = graph.active(SafetyMonitorNode, command_type="joint_state", **given)
        self.robot = FakeRobot(graph, spec)
        self.setups = {topic.name: graph.listen(topic) for topic in (topics.POLICY_SETUP, topics.SAFETY_SETUP)}
        self.robot.heard_by(2)
        self.stamp_ns = 0

    def armed(self) -> Rig:
        self.robot.measure(0)
        self.graph.until(lambda: self.robot.state == "READY", "READY")
        assert self.robot.arm().success
        self.graph.until(lambda: self.robot.answers(0), "the first command")
        return self

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            self.stamp_ns += 2 * MS
            self.robot.ask(self.stamp_ns)

    def setup(self, topic: Any) -> NodeSetup:
        self.graph.until(lambda: self.setups[topic.name], "the setup")
        return read_setup(self.setups[topic.name][-1].data)


@pytest.fixture
def rig(tmp_path: Path, graph: Graph) -> Rig:
    return Rig(tmp_path, graph)


class Ear:
    """Hears a journal."""

    def __init__(self, graph: Graph, topic: Any) -> None:
        self._heard = graph.listen(topic)
        graph.until(lambda: self.entries, "the journal")

    @property
    def batches(self) -> list[JournalBatch]:
        return [read_batch(bytes(message.data)) for message in self._heard]

    @property
    def entries(self) -> list[JournalEntry]:
        return [entry for batch in self.batches for entry in batch.entries]

    def kinds(self) -> list[int]:
        return [entry.kind for entry in self.entries]


def replay(ear: Ear, make: Callable[[Listener], Any]) -> tuple[NodeResult, dict[str, TopicCount]]:
    listener, comparison = Listener(), Comparison()
    run = NodeReplay(make(listener), listener, comparison)
    due = None
    for batch in ear.batches:
        run.feed(Stretch(batch.first == due, batch.wall_ns, batch))
        due = batch.first + len(batch.entries)
    return run.finish(), comparison.counts


def test_whoever_comes_in_the_middle_can_do_again_what_comes_after(rig: Rig) -> None:
    rig.armed().walk(30)
    policy, safety = Ear(rig.graph, topics.POLICY_JOURNAL), Ear(rig.graph, topics.SAFETY_JOURNAL)
    rig.walk(60)
    rig.graph.spin(0.1)
    for ear in (policy, safety):
        assert ear.kinds()[0] == BEGIN
        assert ear.kinds().count(Entry.JOINT_STATES) >= 59
        assert len({batch.incarnation for batch in ear.batches}) == 1
        numbers = [batch.first for batch in ear.batches]
        assert numbers == [numbers[0] + sum(len(b.entries) for b in ear.batches[:k]) for k in range(len(numbers))]
    for ear, make in (
        (policy, lambda listener: RecordedPolicyControl(rig.setup(topics.POLICY_SETUP), [], listener)),
        (safety, lambda listener: make_safety_control(rig.setup(topics.SAFETY_SETUP), listener)),
    ):
        result, counts = replay(ear, make)
        assert (result.error, result.skipped) == ("", 0)
        assert result.consumed > 110
        assert counts
        assert not any(count.parted for count in counts.values())
    assert counts["joint_effort_controller/commands"].identical >= 59


def test_the_state_comes_again_every_second_and_is_met(rig: Rig) -> None:
    rig.armed()
    ear = Ear(rig.graph, topics.SAFETY_JOURNAL)
    rig.graph.until(lambda: ear.kinds().count(KEY) >= 2, "two more states", 4.0)
    result, _ = replay(ear, lambda listener: make_safety_control(rig.setup(topics.SAFETY_SETUP), listener))
    assert result.states == result.equal_states >= 2
    first, second = [entry.now_ns for entry in ear.entries if entry.kind == KEY][:2]
    assert second - first == pytest.approx(1e9, rel=0.3)


def test_while_nobody_listens_nothing_is_written(rig: Rig) -> None:
    rig.armed().walk(10)
    for node in (rig.policy, rig.monitor):
        assert node._journal._writer.size == 0
    ear = Ear(rig.graph, topics.POLICY_JOURNAL)
    assert ear.batches[0].first == 0


def test_what_is_said_follows_what_it_answers(rig: Rig) -> None:
    rig.armed()
    ear = Ear(rig.graph, topics.POLICY_JOURNAL)
    rig.walk(20)
    rig.graph.until(lambda: ear.kinds().count(Entry.JOINT_STATES) >= 20, "all of it")
    kinds = ear.kinds()
    steps = [k for k, kind in enumerate(kinds) if kind == SAID + 1]
    assert steps
    for k in steps:  # effort, then observation, then action
        assert kinds[k - 1 : k + 2] == [SAID, SAID + 1, SAID + 2]
    for k, kind in enumerate(kinds[1:], 1):
        if kind == SAID:
            assert kinds[k - 1] in (Entry.JOINT_STATES, Entry.IMU, Entry.SAFETY_STATUS, SAID)


def test_the_setup_says_what_ran_and_tells_of_policies_that_come_later(rig: Rig, tmp_path: Path) -> None:
    setup = rig.setup(topics.POLICY_SETUP)
    (source,) = setup.policies
    assert (source.name, source.short_name, source.folder) == ("tiny", "tiny", str(rig.bundle))
    assert set(source.files) == {"policy.yaml", "policy.onnx"}
    assert all(len(digest) == 64 for digest in source.files.values())
    assert source.yaml == (rig.bundle / "policy.yaml").read_text()
    assert setup.robot_name == "two"
    assert setup.parameters["mode"] == "lockstep"
    assert {"humanoid_rl_ros", "numpy", "onnxruntime", "python", "machine"} <= set(setup.software)
    limits = rig.setup(topics.SAFETY_SETUP)
    assert limits.safety_limits().tilt_limit == 1.0
    assert limits.safety_settings().effort_topic == "/policy/joint_effort"
    shutil.copytree(rig.bundle, tmp_path / "other")
    rig.policy.set_parameters([Parameter("policies", value=[str(rig.bundle), str(tmp_path / "other")])])
    rig.graph.until(lambda: "other" in json.dumps(rig.policy._shelf.names), "the shelf")

    def switched() -> bool:
        return bool(rig.graph.call(Trigger, "policy/switch_to/other", Trigger.Request()).success)

    rig.graph.until(switched, "the switch")
    rig.graph.until(lambda: len(rig.setup(topics.POLICY_SETUP).policies) == 2, "the new setup")
    found = [(s.short_name, s.added) for s in rig.setup(topics.POLICY_SETUP).policies]
    assert found == [("tiny", False), ("other", True)]


def test_a_switch_is_done_again(rig: Rig, tmp_path: Path) -> None:
    shutil.copytree(rig.bundle, tmp_path / "other")
    rig.policy.set_parameters([Parameter("policies", value=[str(rig.bundle), str(tmp_path / "other")])])
    rig.armed()
    ear = Ear(rig.graph, topics.POLICY_JOURNAL)
    rig.walk(10)
    rig.graph.until(lambda: rig.graph.call(Trigger, "policy/switch_to/other", Trigger.Request()).success, "the switch")
    rig.walk(40)
    rig.graph.spin(0.1)
    assert Entry.SWITCH in ear.kinds()
    setup = rig.setup(topics.POLICY_SETUP)
    result, counts = replay(ear, lambda listener: RecordedPolicyControl(setup, [tmp_path], listener))
    assert result.error == ""
    assert not any(count.parted for count in counts.values())
    assert counts["policy/joint_effort"].identical > 40


def test_a_journal_that_fails_ends_and_the_robot_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Snapshot) -> bytes:
        raise RuntimeError("made to raise")

    monkeypatch.setattr(Snapshot, "capture", broken)
    rig.armed()
    heard = rig.graph.listen(topics.SAFETY_JOURNAL)
    rig.graph.until(rig.monitor._journal._publisher.get_subscription_count, "a listener")
    rig.graph.spin(0.1)
    rig.walk(10)
    assert heard == []
    assert capfd.readouterr().err.count("the journal ends: RuntimeError: made to raise") == 1
