"""policy_node and the topic that says where the hands are to be, with real messages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseArray
from ros_graph import FakeRobot, Graph
from tiny_policy import write_network, write_policy, write_robot

from humanoid_rl_ros.behaviours.conductor import Task
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.policy_node import PolicyNode

pytestmark = pytest.mark.ros
MS = 1_000_000
NEUTRAL = [0.0, 0.3, -0.2, 0.0, -0.3, -0.2]
LEFT: dict[str, Any] = {"x": [0.1, 0.4], "y": [0.0, 0.4], "z": [-0.1, 0.5], "neutral": NEUTRAL[:3]}
RANGES = {"frame": "pelvis", "left": LEFT, "right": {**LEFT, "y": [-0.4, 0.0], "neutral": NEUTRAL[3:]}, "speed": 50.0}
"""Targets move by up to a metre in a control step: they are there at once."""


class Reaching:
    """A node whose tiny policy sees hand targets and nothing else, a monitor made of words, and an operator."""

    def __init__(self, folder: Path, graph: Graph) -> None:
        self.graph = graph
        robot_file = write_robot(folder)
        spec = load_robot(robot_file)
        hands = write_policy(
            folder / "hands", spec, observation={"terms": [{"term": "hand_targets"}]}, hand_targets=RANGES
        )
        write_network(hands / "policy.onnx", 6, 2, 0.05)
        plain = write_policy(folder / "plain", spec)
        self.node = graph.active(
            PolicyNode,
            robot=str(robot_file),
            policy=str(hands),
            policies=[str(plain)],
            mode="lockstep",
            switch_blend=0.0,
        )
        self.robot = FakeRobot(graph, spec)
        self.seen = graph.listen(topics.POLICY_OBSERVATION)
        self.operator, self.monitor = graph.speak(topics.HAND_TARGETS), graph.speak(topics.SAFETY_STATUS)
        self.robot.heard_by(1)
        for publisher, count in ((self.operator, 1), (self.monitor, 2)):
            graph.until(lambda p=publisher, n=count: p.get_subscription_count() == n, "subscribers")
        self._armings = self._stamp = 0

    def is_in(self, state: str, task: Task) -> None:
        self._armings, count = self._armings + 1, len(self.seen)
        values = {"state": state, "armings": str(self._armings)}
        self.monitor.publish(DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in values.items()]))
        self.graph.until(lambda: self.node._control.conductor.goal.entry[:1] == (values["armings"],), state)
        if self._stamp:  # the last state is answered anew
            self.graph.until(lambda: len(self.seen) > count, "an observation")
        assert self.node._control.conductor.goal.task is task

    def ask(self, numbers: Sequence[float], frame: str = "pelvis") -> None:
        poses = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in np.reshape(numbers, (-1, 3)).tolist()]
        message = PoseArray(poses=poses)
        message.header.frame_id = frame
        before = self.node._control._hands
        refused = self.refused
        self.operator.publish(message)
        self.graph.until(lambda: self.node._control._hands is not before or self.refused > refused, "hand targets")

    @property
    def refused(self) -> int:
        return int(values_of(self.node.diagnose())["refused"])

    def sees(self) -> list[float]:
        """The targets that the network is shown next."""
        count, self._stamp = len(self.seen), self._stamp + 20 * MS
        self.robot.measure(self._stamp)
        self.graph.until(lambda: len(self.seen) > count, "an observation")
        return [round(float(v), 6) for v in self.seen[-1].data]


@pytest.fixture
def reaching(tmp_path: Path, graph: Graph) -> Reaching:
    return Reaching(tmp_path, graph)


def test_hand_targets_are_followed_clamped_and_held_and_bad_ones_are_refused(
    reaching: Reaching, capfd: pytest.CaptureFixture[str]
) -> None:
    it = reaching
    inside, other = [0.3, 0.2, 0.1, 0.25, -0.1, 0.4], [0.2, 0.1, 0.1, 0.2, -0.1, 0.1]
    assert it.sees() == NEUTRAL
    it.is_in("ACTIVE", Task.POLICY)
    assert it.sees() == NEUTRAL
    it.ask(inside)
    assert it.sees() == inside
    it.ask([9.0, 9.0, 9.0, -9.0, -9.0, -9.0], frame="first_robot/pelvis")
    assert it.sees() == [0.4, 0.4, 0.5, 0.1, -0.4, -0.1]
    it.ask(inside)
    it.graph.spin(0.6)  # longer than a velocity command would be followed
    assert it.sees() == inside
    for numbers, frame, words in (
        (other, "odom", "hand targets in frame 'odom', expected 'pelvis'"),
        (other, "", "hand targets in frame '', expected 'pelvis'"),
        (other[:3], "pelvis", "1 poses, expected 2"),
        ([math.nan, *other[1:]], "pelvis", "hand targets are not finite"),
    ):
        before = it.refused
        it.ask(numbers, frame)
        assert it.refused == before + 1
        assert it.sees() == inside
        assert words in capfd.readouterr().err


def test_what_was_asked_before_a_policy_runs_anew_is_forgotten(
    reaching: Reaching, capfd: pytest.CaptureFixture[str]
) -> None:
    it = reaching
    asked = [0.3, 0.2, 0.1, 0.25, -0.1, 0.4]
    it.is_in("ACTIVE", Task.POLICY)
    it.ask(asked)
    assert it.sees() == asked
    it.is_in("DISARMED", Task.STAND_BY)
    assert it.sees() == NEUTRAL
    it.is_in("ACTIVE", Task.POLICY)
    assert it.sees() == NEUTRAL
    it.is_in("DISARMED", Task.STAND_BY)
    assert it.node._switch("plain", _Trigger(), _Trigger()).success
    it.ask(asked)
    assert "hand targets refused: policy 'tiny' takes none" in capfd.readouterr().err


class _Trigger:
    """Of a service, the request and the response."""

    success, message = False, ""
