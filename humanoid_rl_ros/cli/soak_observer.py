"""Watches a graph for hours in bounded memory, and tells the robot where to walk."""

from __future__ import annotations

import math
import time
from collections import Counter, deque

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.cli.held_signals import HeldSignals
from humanoid_rl_ros.cli.intervals import Intervals
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import read_stamp
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.quality import qos

COMMAND_PERIOD_S = 0.05
KEPT_CHANGES = 100
RESET_NS = 1_000_000_000
ANSWER_TIMEOUT_S = 2.0
SETTLE_S = 1.0
LONGEST_STEP_M = 1.0
"""Between two odometry messages; more is a reset."""
HEARD_DEPTH = 1000
"""Commands that wait for this process: what it is late for is still counted."""


class CommandWatch:
    """Which states were answered, and when, from the stamps of the joint commands.

    Args:
        period: of the joint states [s].

    Attributes:
        answered: states for which a command came.
        missed: states before a command that no command was for.
        intervals: between the arrivals of commands [ms].
        longest_lately: the longest of them since it was taken [ms].
    """

    def __init__(self, period: float) -> None:
        self._period_ns = period * 1e9
        self._passed = np.zeros(2, dtype=np.int64)
        self._stamp_ns: int | None = None
        self._arrived_ns = 0
        self.answered = self.missed = 0
        self.intervals = Intervals()
        self.longest_lately = 0.0

    def add(self, stamp_ns: int, arrived_ns: int) -> None:
        """A command for the state of a stamp arrived."""
        before, arrived_before = self._stamp_ns, self._arrived_ns
        if before is not None and before - RESET_NS < stamp_ns <= before:
            return  # the same again: damping while nothing new comes
        if before is not None and stamp_ns <= before:
            before = None  # the simulation was reset
        self._stamp_ns, self._arrived_ns = stamp_ns, arrived_ns
        if before is None:
            return
        self._passed += stamp_ns - before, arrived_ns - arrived_before
        self.answered += 1
        self.missed += max(0, round((stamp_ns - before) / self._period_ns) - 1)
        interval = (arrived_ns - arrived_before) * 1e-6
        self.intervals.add(interval)
        self.longest_lately = max(self.longest_lately, interval)

    @property
    def real_time_factor(self) -> float:
        """Time by the stamps over time on the wall."""
        stamped, real = self._passed
        return float(stamped / real) if real else 0.0


class SoakObserver:
    """Subscribes to joint commands, odometry, safety status and diagnostics; publishes cmd_vel twenty times a second.

    Args:
        period: of the joint states [s].
        command: linear x, y [m/s], angular z [rad/s].

    Attributes:
        watch: the joint commands since `count_from_here`.
        diagnostics: the last of each node.
        changes: the newest hundred changes of the safety monitor: time since `count_from_here` [s], state, reason.
        visits: how often the monitor came to each state since then.
        walked: way of the base over the ground since then [m].
        highest_tilt, lowest_height: of the base since then [rad, m].
    """

    def __init__(self, period: float, command: tuple[float, float, float]) -> None:
        self._signals = HeldSignals()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("soak")
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._period = period
        self.safety: dict[str, str] = {}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._position: tuple[float, float] | None = None
        self._twist = TwistStamped()
        self._twist.header.frame_id = "base_link"
        linear, angular = self._twist.twist.linear, self._twist.twist.angular
        linear.x, linear.y, angular.z = command
        self.count_from_here()
        node = self.node
        self._cmd_vel = node.create_publisher(TwistStamped, topics.VELOCITY_COMMAND.name, qos(topics.VELOCITY_COMMAND))
        node.create_subscription(
            JointState, topics.JOINT_COMMAND.name, self._on_command, QoSProfile(depth=HEARD_DEPTH), raw=True
        )
        for topic, callback in (
            (topics.ODOMETRY, self._on_odometry),
            (topics.SAFETY_STATUS, self._on_status),
            (topics.DIAGNOSTICS, self._on_diagnostics),
        ):
            node.create_subscription(topic.type, topic.name, callback, qos(topic))
        self._services = {
            name: node.create_client(kind, name)
            for name, kind in (
                (topics.SIMULATION_RESET, Trigger),
                (topics.SAFETY_RESET, Trigger),
                (topics.SAFETY_ARM, SetBool),
            )
        }
        node.create_timer(COMMAND_PERIOD_S, self._steer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def count_from_here(self) -> None:
        """Forget what was counted."""
        self._began = time.monotonic()
        self.watch = CommandWatch(self._period)
        self.changes: deque[tuple[float, str, str]] = deque(maxlen=KEPT_CHANGES)
        self.visits: Counter[str] = Counter()
        self.walked = 0.0
        self.highest_tilt, self.lowest_height = 0.0, math.inf

    def spin(self, seconds: float) -> None:
        """Take in messages for so long.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0.0:
            self._signals.check()
            self._executor.spin_once(timeout_sec=min(left, 0.1))

    def set_up(self) -> None:
        """Stand the robot where it began, and have the monitor reset and armed; give up after a while each."""
        for name, request in (
            (topics.SIMULATION_RESET, Trigger.Request()),
            (topics.SAFETY_RESET, Trigger.Request()),
            (topics.SAFETY_ARM, SetBool.Request(data=True)),
        ):
            answer = self._services[name].call_async(request)
            until = time.monotonic() + ANSWER_TIMEOUT_S
            while not answer.done() and time.monotonic() < until:
                self.spin(0.05)
            self.spin(SETTLE_S)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()
        self._signals.release()

    def _steer(self) -> None:
        self._twist.header.stamp = self.node.get_clock().now().to_msg()
        self._cmd_vel.publish(self._twist)

    def _on_command(self, raw: bytes) -> None:
        self.watch.add(read_stamp(raw), time.monotonic_ns())

    def _on_odometry(self, message: Odometry) -> None:
        pose = message.pose.pose
        here = (pose.position.x, pose.position.y)
        if self._position is not None and (step := math.dist(here, self._position)) < LONGEST_STEP_M:
            self.walked += step
        self._position = here
        self.lowest_height = min(self.lowest_height, pose.position.z)
        q = pose.orientation
        self.highest_tilt = max(self.highest_tilt, float(rotations.tilt(np.array([q.w, q.x, q.y, q.z]))))

    def _on_status(self, message: DiagnosticStatus) -> None:
        before = self.safety.get("state")
        self.safety = values_of(message)
        if self.safety["state"] != before:
            self.visits[self.safety["state"]] += 1
            self.changes.append((time.monotonic() - self._began, self.safety["state"], message.message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name.rsplit("/", 1)[-1]] = values_of(status)
