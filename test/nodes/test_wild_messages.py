"""Anything on every topic and every service: the nodes go on, and what reaches the motors is within the limits."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnxruntime")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from rclpy.serialization import serialize_message
from ros_graph import FakeRobot, Graph
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from tiny_policy import write_policy

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.safety.status import SafetyState

pytestmark = pytest.mark.ros
ROUNDS = 800
STATES = [state.value for state in SafetyState]


def spoilt(rng: random.Random, message: Any) -> bytes:
    """A message as it is sent, with bytes changed, lost or added."""
    data = bytearray(serialize_message(message))
    for _ in range(rng.choice([0, 1, 1, 3, 30])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]
    if rng.random() < 0.1:
        data += rng.randbytes(rng.randrange(64))
    return bytes(data)


def effort(rng: random.Random, robot: RobotSpec, stamp_ns: int) -> JointState:
    """Of any size, for any state, with or without targets."""
    size = rng.choice([0.1, 1.0, 1.0, 1e3, 1e300])
    message = JointState(name=list(robot.joint_names))
    message.effort = [rng.gauss(0.0, size) for _ in robot.joint_names]
    message.position = rng.choice([[], [rng.gauss(0.0, 3.0) for _ in robot.joint_names]])
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = rng.choice([*STATES, topics.STANDBY, topics.STANDBY_CAN_GET_UP, "", "nonsense"])
    return message


def status(rng: random.Random) -> DiagnosticStatus:
    """As a monitor might say, or nobody."""
    values = {
        "state": rng.choice([*STATES, "ACTIVE", "RECOVERING", "RECOVERING", "VERIFYING", "ASLEEP"]),
        "since_ns": rng.choice(["0", "0", "-5", "1e9", "99"]),
    }
    values |= {"armings": str(rng.randrange(3)), "falls": rng.choice(["", "0", "1"])}
    kept = [KeyValue(key=k, value=v) for k, v in values.items() if rng.random() < 0.8]
    return DiagnosticStatus(values=kept)


def twist(rng: random.Random) -> TwistStamped:
    """Of any speed."""
    message = TwistStamped()
    message.twist.linear.x = rng.choice([0.5, -1e300, float("nan"), float("inf")])
    message.twist.angular.z = rng.gauss(0.0, 10.0)
    return message


class World:
    """A robot that says anything.

    Args:
        graph: where.
        rng: the source of chance.
        robot: whose names it uses.
    """

    def __init__(self, graph: Graph, rng: random.Random, robot: RobotSpec) -> None:
        self.graph, self.rng, self.robot = graph, rng, robot
        self.body = FakeRobot(graph, robot)
        self.body.heard_by(1)
        self._joints, self._imu = (graph.speak(t, reliable=True) for t in (topics.JOINT_STATES, topics.IMU))
        self._noise = np.random.default_rng(rng.randrange(2**32))

    def calm(self) -> None:
        """A measurement as it should be."""
        position = self.robot.default_position + self._noise.uniform(-1e-3, 1e-3, self.robot.n_joints)
        self.body.measure(time.monotonic_ns(), position=position.tolist())

    def turn(self) -> None:
        """Anything."""
        now_ns, what = time.monotonic_ns(), self.rng.random()
        if what < 0.8:
            self.calm()
        elif what < 0.84:
            self.body.measure(now_ns, tilt=self.rng.choice([0.8, 3.0]))
        elif what < 0.92:
            self._joints.publish(spoilt(self.rng, self.body.joint_state(now_ns)))
        else:
            self._imu.publish(spoilt(self.rng, self.body.imu(now_ns)))


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_can_be_said_brings_the_monitor_down_or_gets_past_it(
    tmp_path: Path, graph: Graph, seed: int
) -> None:
    rng, robot = random.Random(seed), find_robot("reference")
    limits = tmp_path / "safety.yaml"
    limits.write_text("format: 1\nready_time: 0.001\n")  # among such messages nothing is well for half a second
    monitor = graph.active(
        SafetyMonitorNode, robot="reference", command_type="joint_state", records=str(tmp_path), limits=str(limits)
    )
    world = World(graph, rng, robot)
    efforts = graph.speak(topics.POLICY_EFFORT)
    graph.until(lambda: efforts.get_subscription_count() == 2, "the monitor and the robot")
    seen = set()

    def arm() -> None:
        graph.call(Trigger, topics.SAFETY_RESET, Trigger.Request())
        for _ in range(40):
            world.calm()
            standby = effort(rng, robot, time.monotonic_ns())
            standby.header.frame_id = topics.STANDBY
            efforts.publish(standby)
            graph.spin(0.003)
        graph.call(SetBool, topics.SAFETY_ARM, SetBool.Request(data=True))

    for number in range(ROUNDS):
        if number % 100 == 0:
            arm()
        world.turn()
        what = rng.random()
        if what < 0.6:
            efforts.publish(effort(rng, robot, time.monotonic_ns() + rng.choice([0, 0, 0, 0, 10**9, -(10**9)])))
        elif what < 0.65:
            efforts.publish(spoilt(rng, effort(rng, robot, time.monotonic_ns())))
        elif what < 0.66:
            service = rng.choice([topics.SAFETY_RESET, topics.SAFETY_EMERGENCY_STOP])
            graph.call(Trigger, service, Trigger.Request())
        graph.spin(0.001)
        seen.add(monitor._control.monitor.state)
    assert {SafetyState.ACTIVE, SafetyState.DISARMED, SafetyState.ESTOP} <= seen
    assert int(values_of(monitor.diagnose())["rejected"]) > 10
    assert any(command.header.frame_id == "ACTIVE" for command in world.body.commands)
    for command in world.body.commands:
        sent = np.array(command.effort)
        assert np.isfinite(sent).all()
        assert (np.abs(sent) <= robot.effort_limit).all()
        assert command.header.frame_id in STATES


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_can_be_said_brings_the_policy_node_down(tmp_path: Path, graph: Graph, seed: int) -> None:
    rng, robot = random.Random(seed), find_robot("reference")
    bundle = str(write_policy(tmp_path / "tiny", robot))
    policy = graph.active(PolicyNode, robot="reference", policy=bundle, get_up=bundle)
    world = World(graph, rng, robot)
    commands, statuses = graph.speak(topics.VELOCITY_COMMAND), graph.speak(topics.SAFETY_STATUS)
    for _ in range(ROUNDS):
        world.turn()
        what = rng.random()
        if what < 0.05:
            commands.publish(twist(rng))
        elif what < 0.15:
            statuses.publish(status(rng))
        graph.spin(0.001)
    said = {message.header.frame_id for message in world.body.efforts}
    assert {topics.STANDBY_CAN_GET_UP, "ACTIVE", "RECOVERING", "VERIFYING"} <= said
    assert said <= {topics.STANDBY_CAN_GET_UP, *STATES}
    assert int(values_of(policy.diagnose())["refused"]) > 10
    for message in world.body.efforts:
        assert np.isfinite(message.effort).all()
