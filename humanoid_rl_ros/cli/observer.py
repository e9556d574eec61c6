"""Watches a running graph from outside: what the table shows and what the summary is made of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from humanoid_rl_ros.cli.held_signals import HeldSignals
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.quality import qos

EFFORT_PERIOD_S = 0.01
LONGEST_SPIN_S = 0.1
"""Between two looks at whether a signal has come [s]."""


@dataclass
class Recording:
    """What was seen, in the order of arrival.

    Attributes:
        time: simulated time of each odometry message [s].
        wall: wall time of its arrival [s].
        height: of the base [m].
        tilt: of the base [rad].
        velocity: linear x, y and angular z in the base frame [m/s, m/s, rad/s; Shape (3,) each].
        effort_time: simulated time of each sampled joint state [s].
        effort: efforts on the motors [N·m; Shape (n,) each].
        position: of the joints, with each of them [rad; Shape (n,) each].
        hand_distance: of the hands from where they were asked to be, with each of them [m; Shape (k, 2)]; worked out
            afterwards, of a policy that has hand targets.
        joint_names: order of the efforts.
        safety: simulated time at which the safety monitor said that it was in a state [s], and the state.
    """

    time: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    height: list[float] = field(default_factory=list)
    tilt: list[float] = field(default_factory=list)
    velocity: list[FloatArray] = field(default_factory=list)
    effort_time: list[float] = field(default_factory=list)
    effort: list[FloatArray] = field(default_factory=list)
    joint_names: list[str] = field(default_factory=list)
    safety: list[tuple[float, str]] = field(default_factory=list)
    position: list[FloatArray] = field(default_factory=list)
    hand_distance: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))

    def between(self, start: float, end: float) -> Recording:
        """What was seen from one simulated time to another; what was sent again at one instant is kept once."""
        end += 1e-9
        kept = [i for i, t in enumerate(self.time) if start <= t <= end and (i == 0 or t > self.time[i - 1])]
        if kept and self.time.count(start) > 1:
            kept[0] = max(i for i, t in enumerate(self.time) if t == start)  # its wall time is that of the release
        efforts = [i for i, t in enumerate(self.effort_time) if start <= t <= end]
        return Recording(
            [self.time[i] for i in kept],
            [self.wall[i] for i in kept],
            [self.height[i] for i in kept],
            [self.tilt[i] for i in kept],
            [self.velocity[i] for i in kept],
            [self.effort_time[i] for i in efforts],
            [self.effort[i] for i in efforts],
            self.joint_names,
            [(min(max(at, start), end), state) for at, state in self.safety],
            [self.position[i] for i in efforts],
        )


class HeardRobot:
    """Subscribes to odometry, safety status and (sampled) joint states of one robot.

    Args:
        node: that subscribes.
        prefix: before the names of the robot's topics.

    Attributes:
        recording: what was seen.
        safety: what its monitor said last.
        position: of the base at the last odometry message [m; Shape (3,)].
        orientation: of the base then [wxyz; Shape (4,)].
        path: all positions so far.
        joints: names and positions of the last sampled joint state [rad].
    """

    def __init__(self, node: Node, prefix: str = "") -> None:
        self.recording = Recording()
        self.safety: dict[str, str] = {}
        self.position, self.orientation = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        self.path: list[FloatArray] = []
        self.joints: dict[str, float] = {}
        self._effort_seen = 0.0
        self._arm = node.create_client(SetBool, prefix + topics.SAFETY_ARM)
        self._arming: Any = None
        node.create_subscription(Odometry, prefix + topics.ODOMETRY.name, self._on_odometry, QoSProfile(depth=1000))
        status = topics.SAFETY_STATUS
        node.create_subscription(DiagnosticStatus, prefix + status.name, self._on_status, qos(status))
        # Raw: at the rate of the joint states, decoding every one of them would take a core of its own.
        node.create_subscription(
            JointState,
            prefix + topics.JOINT_STATES.name,
            self._on_joint_state,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            raw=True,
        )

    def arm(self) -> None:
        """Ask the safety monitor to arm, unless it was asked already and has not answered yet."""
        if self._arming is not None and not self._arming.done():
            return
        self._arming = self._arm.call_async(SetBool.Request(data=True)) if self._arm.service_is_ready() else None

    def _on_odometry(self, message: Odometry) -> None:
        pose, twist = message.pose.pose, message.twist.twist
        q = pose.orientation
        record = self.recording
        self.position = np.array([pose.position.x, pose.position.y, pose.position.z])
        self.orientation = np.array([q.w, q.x, q.y, q.z])
        self.path.append(self.position)
        record.time.append(stamp_to_ns(message.header.stamp) * 1e-9)
        record.wall.append(time.monotonic())
        record.height.append(pose.position.z)
        record.tilt.append(float(rotations.tilt(self.orientation)))
        record.velocity.append(np.array([twist.linear.x, twist.linear.y, twist.angular.z]))

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.safety = values_of(message)
        self.recording.safety.append((int(self.safety.get("since_ns", "0")) * 1e-9, self.safety.get("state", "")))

    def _on_joint_state(self, raw: bytes) -> None:
        now = time.monotonic()
        if now - self._effort_seen < EFFORT_PERIOD_S:
            return
        self._effort_seen = now
        message = deserialize_message(raw, JointState)
        record = self.recording
        record.joint_names = list(message.name)
        record.effort_time.append(stamp_to_ns(message.header.stamp) * 1e-9)
        record.effort.append(np.array(message.effort))
        record.position.append(np.array(message.position))
        self.joints = dict(zip(message.name, message.position, strict=False))


class GraphObserver:
    """Watches the robots of a graph, and what its nodes diagnose.

    Signals are held from its making to `close`; `spin` passes them on.

    Args:
        namespace: of the robot.
        robots: names of robots in it, each with its own topics; empty: one robot, whose topics are the namespace's.

    Attributes:
        robots: what is heard of each, by name; of one without a name by the empty one.
        diagnostics: the last line of each node, by its name, with the namespace before it where there are several
            robots.
        diagnostics_seen: when that was [s].
    """

    def __init__(self, namespace: str = "", robots: Sequence[str] = ()) -> None:
        self._signals = HeldSignals()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("observer", namespace=namespace)
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._several = bool(robots)
        self.robots = {name: HeardRobot(self.node, f"{name}/" if name else "") for name in robots or ("",)}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.diagnostics_seen: dict[str, float] = {}
        self.node.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS.name, self._on_diagnostics, qos(topics.DIAGNOSTICS)
        )

    @property
    def recording(self) -> Recording:
        """Of the robot, where there is one."""
        return self.robots[""].recording

    @property
    def safety(self) -> dict[str, str]:
        """What the monitor of the robot said last, where there is one."""
        return self.robots[""].safety

    def arm(self) -> None:
        """Ask all safety monitors to arm that were not asked or have answered."""
        for robot in self.robots.values():
            robot.arm()

    def spin(self, seconds: float) -> None:
        """Take in messages for so long.

        Raises:
            KeyboardInterrupt: a signal has come.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0.0:
            self._signals.check()
            self._executor.spin_once(timeout_sec=min(left, LONGEST_SPIN_S))

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()
        self._signals.release()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.strip("/") if self._several else status.name.rsplit("/", 1)[-1]
            self.diagnostics[name] = values_of(status)
            self.diagnostics_seen[name] = time.monotonic()
