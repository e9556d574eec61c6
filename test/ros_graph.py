"""A ROS graph for one test: a domain of its own, nodes in this process and in others, and waits that end."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import SetBool

from humanoid_rl_ros.cli.processes import domains_to_take
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.base import ManagedNode
from humanoid_rl_ros.nodes.quality import qos

OK = TransitionCallbackReturn.SUCCESS


class NodeProcess:
    """A node started as users start it.

    Args:
        module: of `humanoid_rl_ros.nodes`, or with its package, such as ``cli.raising_monitor``.
        arguments: after ``--ros-args``.
        domain: ROS domain.
        output: file that takes what it prints.
    """

    def __init__(self, module: str, arguments: list[str], domain: int, output: Path) -> None:
        self._output = output
        where = module if "." in module else f"nodes.{module}"
        command = [sys.executable, "-m", f"humanoid_rl_ros.{where}", "--ros-args", *arguments]
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
        # Somebody who runs the tests by nohup passes on that SIGHUP is to be ignored.
        ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            with output.open("wb") as file:
                self.process = subprocess.Popen(
                    command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment
                )
        finally:
            signal.signal(signal.SIGHUP, ignored)

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._output.read_text(errors="replace")

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Without a last word."""
        self.process.kill()
        self.process.wait(5)

    def ended(self, within: float) -> int:
        """Its exit status."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within} s:\n{self.output[-3000:]}")


class Graph:
    """One domain.

    Args:
        folder: for the output of processes.
    """

    def __init__(self, folder: Path) -> None:
        self.domain = domains_to_take()[0]
        self._folder = folder
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self.domain, args=[])
        self._executor = SingleThreadedExecutor(context=self._context)
        self._nodes: list[Any] = []
        self._processes: list[NodeProcess] = []
        self._strangers: list[Any] = []
        self.tester = rclpy.create_node("tester", context=self._context, use_global_arguments=False)
        self._add(self.tester)

    def _add(self, node: Any) -> None:
        self._nodes.append(node)
        self._executor.add_node(node)

    # Nodes.

    def node(self, make: Callable[..., ManagedNode], *, arguments: list[str] | None = None, **parameters: Any) -> Any:
        """A managed node in this process, not configured yet."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = make(
            context=self._context, parameter_overrides=overrides, use_global_arguments=False, cli_args=arguments
        )
        self._add(node)
        return node

    def active(self, make: Callable[..., ManagedNode], *, arguments: list[str] | None = None, **parameters: Any) -> Any:
        """A managed node in this process, configured and activated."""
        node = self.node(make, arguments=arguments, **parameters)
        assert node.trigger_configure() == OK
        assert node.trigger_activate() == OK
        return node

    def process(self, module: str, *arguments: str, **parameters: Any) -> NodeProcess:
        """A node in a process of its own; parameters as ``name:=value``."""
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={_text(value)}")]
        output = self._folder / f"{len(self._processes)}-{module}.log"
        process = NodeProcess(module, [*arguments, *given], self.domain, output)
        self._processes.append(process)
        return process

    def stranger(self, name: str = "stranger") -> Any:
        """A node of a participant of its own, as in another process; it hears nothing."""
        context = Context()
        rclpy.init(context=context, domain_id=self.domain, args=[])
        self._strangers.append(rclpy.create_node(name, context=context, use_global_arguments=False))
        return self._strangers[-1]

    # Messages.

    def listen(self, topic: Topic, *, name: str = "", kind: Any = None, depth: int = 5000) -> list[Any]:
        """A list that grows by the messages of a topic."""
        heard: list[Any] = []
        profile = qos(topic)
        profile.depth = depth
        self.tester.create_subscription(kind or topic.type, name or topic.name, heard.append, profile)
        return heard

    def speak(self, topic: Topic, *, name: str = "", kind: Any = None, reliable: bool = False) -> Any:
        """A publisher. Reliable also where the table says best effort, so that nothing crafted gets lost."""
        profile = qos(topic)
        if reliable:
            profile = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        return self.tester.create_publisher(kind or topic.type, name or topic.name, profile)

    def call(
        self, kind: Any, name: str, request: Any, within: float = 20.0, pump: Callable[[], None] | None = None
    ) -> Any:
        """The response of a service."""
        client = self.tester.create_client(kind, name)
        try:
            self.until(client.service_is_ready, f"service {name}", within, pump)
            future = client.call_async(request)
            self.until(future.done, f"answer of {name}", within, pump)
            return future.result()
        finally:
            self.tester.destroy_client(client)

    # Time.

    def until(
        self, done: Callable[[], object], what: str, within: float = 20.0, pump: Callable[[], None] | None = None
    ) -> None:
        """Spin until something holds; fail when it never does.

        Args:
            done: whether it holds.
            what: for the failure.
            within: [s].
            pump: called before each spin, to publish.
        """
        end = time.monotonic() + within
        while not done():
            if time.monotonic() > end:
                logs = "\n".join(f"--- {p.process.args}\n{p.output[-2000:]}" for p in self._processes)
                pytest.fail(f"waited {within} s in vain for: {what}\n{logs}", pytrace=True)
            if pump is not None:
                pump()
            self._executor.spin_once(timeout_sec=0.002 if pump else 0.02)

    def spin(self, seconds: float, pump: Callable[[], None] | None = None) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, "time", seconds + 20.0, pump)

    def close(self) -> None:
        """Take everything down, whatever state it is in."""
        for process in self._processes:
            if process.process.poll() is None:
                process.kill()
        for node in self._nodes:
            self._executor.remove_node(node)
            node.destroy_node()
        for node in self._strangers:
            node.destroy_node()
            node.context.try_shutdown()
        self._executor.shutdown()
        self._context.try_shutdown()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def open_graph(folder: Path) -> Iterator[Graph]:
    """A graph that is taken down at the end."""
    graph = Graph(folder)
    try:
        yield graph
    finally:
        graph.close()


class FakeRobot:
    """Says what a robot says, word by word, and hears what it is told.

    Args:
        graph: where.
        robot: its joints.
        stamped: whether commands are JointState, which carries stamp and safety state.
    """

    def __init__(self, graph: Graph, robot: RobotSpec, *, stamped: bool = True) -> None:
        self._graph = graph
        self.robot = robot
        self._joints = graph.speak(topics.JOINT_STATES, reliable=True)
        self._imu = graph.speak(topics.IMU, reliable=True)
        self.commands = graph.listen(topics.JOINT_COMMAND, kind=JointState if stamped else None)
        self.efforts = graph.listen(topics.POLICY_EFFORT)
        self.status = graph.listen(topics.SAFETY_STATUS)
        self.velocity = np.arange(1.0, robot.n_joints + 1.0)

    @property
    def damping(self) -> list[float]:
        """−kd·q̇ of the velocity it reports."""
        limit = self.robot.effort_limit
        return np.clip(-self.robot.kd * self.velocity, -limit, limit).tolist()

    @property
    def state(self) -> str:
        """The safety state it was told last."""
        return values_of(self.status[-1])["state"] if self.status else ""

    @property
    def reason(self) -> str:
        """The reason it was told last."""
        return values_of(self.status[-1])["reason"] if self.status else ""

    def heard_by(self, count: int) -> None:
        """Wait until that many nodes listen."""
        speakers = (self._joints, self._imu)
        self._graph.until(lambda: all(s.get_subscription_count() >= count for s in speakers), "subscribers")

    def joint_state(self, stamp_ns: int, **changes: Any) -> JointState:
        """In its default pose, moving; effort left empty as on many robots."""
        message = JointState(name=list(self.robot.joint_names))
        message.header.stamp = ns_to_stamp(stamp_ns)
        message.position = self.robot.default_position.tolist()
        message.velocity = self.velocity.tolist()
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def imu(self, stamp_ns: int, tilt: float = 0.0) -> Imu:
        """Leaning forward by an angle [rad]."""
        message = Imu()
        message.header.stamp = ns_to_stamp(stamp_ns)
        message.orientation.y, message.orientation.w = math.sin(tilt / 2.0), math.cos(tilt / 2.0)
        return message

    def send(self, *messages: JointState | Imu) -> None:
        """Publish, IMU messages and joint states alike."""
        for message in messages:
            (self._imu if isinstance(message, Imu) else self._joints).publish(message)

    def measure(self, stamp_ns: int, tilt: float = 0.0, **changes: Any) -> None:
        """Publish one complete measurement."""
        self.send(self.imu(stamp_ns, tilt), self.joint_state(stamp_ns, **changes))

    def stream(self) -> None:
        """Publish a measurement of now; for `Graph.until`."""
        self.measure(time.monotonic_ns())

    def answers(self, stamp_ns: int) -> list[JointState]:
        """The commands that carry a stamp."""
        return [m for m in self.commands if stamp_to_ns(m.header.stamp) == stamp_ns]

    def ask(self, stamp_ns: int, frame: str = "ACTIVE", **changes: Any) -> list[float]:
        """Measure, and wait for the command that answers in a safety state."""
        before = len(self.commands)
        self.measure(stamp_ns, **changes)

        def answer() -> list[JointState]:
            new = self.commands[before:]
            return [m for m in new if stamp_to_ns(m.header.stamp) == stamp_ns and m.header.frame_id == frame]

        self._graph.until(answer, f"a command in {frame} for {stamp_ns} ns")
        return list(answer()[0].effort)

    def arm(self, wanted: bool = True, pump: Callable[[], None] | None = None) -> SetBool.Response:
        """Ask the safety monitor."""
        return self._graph.call(SetBool, topics.SAFETY_ARM, SetBool.Request(data=wanted), pump=pump)
