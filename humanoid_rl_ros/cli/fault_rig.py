"""A robot and a policy made of messages around a real safety monitor: what `humanoid_rl bench faults` breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.cli.held_signals import HeldSignals
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateReader, JointStateWriter
from humanoid_rl_ros.interfaces.measurements import xyzw
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.safety.status import PASSING_NAMES, SafetyState

NOISE = 1e-4
"""Of positions and rates [rad], [rad/s]: sensors that repeat themselves to the last bit count as frozen."""
STEP_TIMEOUT_S = 2.0
HOUR_NS = 3_600_000_000_000


@dataclass
class Script:
    """What the robot and the policy do now.

    Attributes:
        joints, imu, policy: whether they speak.
        tilt: of the base, forward [rad].
        spin: rate of the base about its y axis [rad/s].
        position_offset, velocity: of every joint [rad], [rad/s].
        frozen_joints, frozen_imu: ``stamp``: the last message comes again; ``values``: its values come with new stamps.
        joint_names, effort_names: where not the robot's.
        not_a_number: of ``joints``, ``imu`` or ``policy``: what is NaN.
        state_shift_ns, effort_shift_ns: added to the stamps [ns].
        times_states, times_efforts: how many times the rate they come at.
        target_offset: of the policy's targets from where the joints are [rad].
        can_get_up: whether the policy says that it can.
    """

    joints: bool = True
    imu: bool = True
    policy: bool = True
    tilt: float = 0.0
    spin: float = 0.0
    position_offset: float = 0.0
    velocity: float = 0.0
    frozen_joints: str = ""
    frozen_imu: str = ""
    joint_names: tuple[str, ...] = ()
    effort_names: tuple[str, ...] = ()
    not_a_number: str = ""
    state_shift_ns: int = 0
    effort_shift_ns: int = 0
    times_states: int = 1
    times_efforts: int = 1
    target_offset: float = 0.0
    can_get_up: bool = True


@dataclass(frozen=True)
class Command:
    """A command that arrived.

    Attributes:
        arrived_ns: on the monotonic clock [ns].
        frame: the safety state that it is for.
        effort: [N·m; Shape (n,)].
    """

    arrived_ns: int
    frame: str
    effort: FloatArray

    @property
    def passes(self) -> bool:
        """Whether it carries an effort of the policy."""
        return self.frame in PASSING_NAMES


_Sample: TypeAlias = tuple[int, FloatArray, FloatArray]
"""Stamp [ns] and two vectors: positions and velocities, or orientation and rates."""


@dataclass
class _Sent:
    """The last good message of each stream, and when it was sent."""

    at_ns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("joints", "imu", "policy"), 0))
    stamp_ns: int = 0
    samples: dict[str, _Sample] = field(default_factory=dict)

    def instead(self, stream: str, sample: _Sample, frozen: str) -> _Sample:
        """What is sent: this, or of a frozen sensor what was sent before."""
        if not frozen or stream not in self.samples:
            self.samples[stream], self.at_ns[stream] = sample, time.monotonic_ns()
            return sample
        before = self.samples[stream]
        return before if frozen == "stamp" else (sample[0], *before[1:])


@dataclass
class _Heard:
    commands: list[Command] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)


class FaultRig:
    """Speaks for driver and policy, and hears what the monitor says.

    Args:
        robot: whose joints the messages name.
        rate: states a second [Hz].
    """

    def __init__(self, robot: RobotSpec, rate: float = 200.0) -> None:
        self._signals = HeldSignals()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.robot, self.rate = robot, rate
        self.script = Script()
        self.node = Node("fault_rig")
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._rng = np.random.default_rng(0)
        self._reader = JointStateReader()
        self._imu_writer = ImuWriter(robot.imu.frame)
        self._sent, self._heard = _Sent(), _Heard()
        self._joints = self.node.create_publisher(JointState, topics.JOINT_STATES.name, qos(topics.JOINT_STATES))
        self._imu = self.node.create_publisher(topics.IMU.type, topics.IMU.name, qos(topics.IMU))
        self._policy: Any = None
        self.node.create_subscription(
            JointState, topics.JOINT_COMMAND.name, self._on_command, qos(topics.JOINT_COMMAND), raw=True
        )
        self.node.create_subscription(
            DiagnosticStatus, topics.SAFETY_STATUS.name, self._on_status, qos(topics.SAFETY_STATUS)
        )
        self._arm = self.node.create_client(SetBool, topics.SAFETY_ARM)
        self._reset = self.node.create_client(Trigger, topics.SAFETY_RESET)
        self._stop = self.node.create_client(Trigger, topics.SAFETY_EMERGENCY_STOP)
        self._asked: Any = None

    # What is heard.

    def _on_command(self, raw: bytes) -> None:
        message = self._reader.read(raw)
        self._heard.commands.append(Command(time.monotonic_ns(), message.frame_id, message.effort))

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._heard.status = values_of(message)
        self._heard.history.append((self.state, self.reason))

    @property
    def state(self) -> str:
        """Where the monitor is."""
        return self._heard.status.get("state", "")

    @property
    def reason(self) -> str:
        """Its reason code."""
        return self._heard.status.get("reason", "")

    @property
    def commands(self) -> list[Command]:
        """What arrived since `forget`."""
        return self._heard.commands

    @property
    def history(self) -> list[tuple[str, str]]:
        """States and reasons since `forget`."""
        return self._heard.history

    def forget(self) -> None:
        """Begin to listen anew."""
        self._heard.commands, self._heard.history = [], []

    def forget_status(self) -> None:
        """The monitor that said it is no more."""
        self._heard.status = {}

    def listen(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Hear, and say nothing, for so long, or until something holds; whether it does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            if until is not None and until():
                return True
            self._signals.check()
            self._executor.spin_once(timeout_sec=min(left, 0.01))
        return until is not None and until()

    # What is said.

    def last_good_ns(self, stream: str) -> int:
        """When the last message of ``joints``, ``imu`` or ``policy`` was sent [ns; monotonic]."""
        return self._sent.at_ns[stream]

    def speak_for_the_policy(self, speaks: bool) -> None:
        """Be the policy, or leave that to a node."""
        if speaks and self._policy is None:
            self._policy = self.node.create_publisher(JointState, topics.POLICY_EFFORT.name, qos(topics.POLICY_EFFORT))
        elif not speaks and self._policy is not None:
            self.node.destroy_publisher(self._policy)
            self._policy = None

    def stream(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Speak at the rate for so long, or until something holds; whether it does."""
        script = self.script
        times = max(script.times_states, script.times_efforts)
        period_ns = round(1e9 / self.rate / times)
        end_ns = time.monotonic_ns() + round(seconds * 1e9)
        due_ns = time.monotonic_ns()
        turn = 0
        while (now_ns := time.monotonic_ns()) < end_ns:
            if until is not None and until():
                return True
            self._signals.check()
            if now_ns < due_ns:
                self._executor.spin_once(timeout_sec=(due_ns - now_ns) * 1e-9)
                continue
            due_ns = max(due_ns + period_ns, now_ns - period_ns)
            self._say(turn % (times // script.times_states) == 0, turn % (times // script.times_efforts) == 0)
            turn += 1
        return until is not None and until()

    def _say(self, states: bool, efforts: bool) -> None:
        script = self.script
        if states:
            self._sent.stamp_ns = time.time_ns() + script.state_shift_ns
            if script.imu:
                self._say_imu(self._sent.stamp_ns)
            if script.joints:
                self._say_joints(self._sent.stamp_ns)
        if efforts and script.policy and self._policy is not None:
            self._say_effort()

    def _say_imu(self, stamp_ns: int) -> None:
        script = self.script
        orientation = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), script.tilt)
        rates = self._rng.uniform(-NOISE, NOISE, 3) + np.array([0.0, script.spin, 0.0])
        if script.not_a_number == "imu":
            rates[0] = np.nan
        sample = self._sent.instead("imu", (stamp_ns, orientation, rates), script.frozen_imu)
        force = np.array([0.0, 0.0, 9.81])
        self._imu.publish(self._imu_writer.write(sample[0], xyzw(sample[1]), sample[2], force))

    def _say_joints(self, stamp_ns: int) -> None:
        script, robot = self.script, self.robot
        n = robot.n_joints
        position = robot.default_position + script.position_offset + self._rng.uniform(-NOISE, NOISE, n)
        velocity = script.velocity + self._rng.uniform(-NOISE, NOISE, n)
        if script.not_a_number == "joints":
            velocity[0] = np.nan
        sample = self._sent.instead("joints", (stamp_ns, position, velocity), script.frozen_joints)
        writer = JointStateWriter(script.joint_names or robot.joint_names, ("position", "velocity"))
        self._joints.publish(writer.write(sample[0], "", sample[1], sample[2]))

    def _say_effort(self) -> None:
        script, robot = self.script, self.robot
        frame = self.state if self.state in PASSING_NAMES else topics.STANDBY
        if frame == topics.STANDBY and script.can_get_up:
            frame = topics.STANDBY_CAN_GET_UP
        effort = 0.1 * robot.effort_limit
        if script.not_a_number == "policy":
            effort = np.full(robot.n_joints, np.nan)
        target = robot.default_position + script.position_offset + script.target_offset
        writer = JointStateWriter(script.effort_names or robot.joint_names, ("position", "effort"))
        self._policy.publish(writer.write(self._sent.stamp_ns + script.effort_shift_ns, frame, target, effort))
        self._sent.at_ns["policy"] = time.monotonic_ns()

    # What an operator asks.

    def arm(self) -> None:
        """Ask to be armed, unless that was asked and is not answered yet."""
        self._ask(self._arm, SetBool.Request(data=True))

    def disarm(self) -> None:
        """Ask to be disarmed."""
        self._ask(self._arm, SetBool.Request(data=False))

    def reset(self) -> None:
        """Ask for a reset."""
        self._ask(self._reset, Trigger.Request())

    def emergency_stop(self) -> None:
        """Press the button."""
        self._ask(self._stop, Trigger.Request())

    def _ask(self, client: Any, request: Any) -> None:
        if (self._asked is None or self._asked.done()) and client.service_is_ready():
            self._asked = client.call_async(request)

    # Where the monitor is to be.

    def bring_to(self, wanted: SafetyState, timeout: float = 30.0) -> bool:
        """Do what brings the monitor there from wherever it is; whether it came to be.

        On a busy machine it may take more than one attempt.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.script = Script()
            self.stream(0.1)  # what the last fault has left behind comes to light
            if self._back_to_ready(end) and self._go_to(wanted):
                return True
        return False

    def _go_to(self, wanted: SafetyState) -> bool:
        if wanted is SafetyState.READY:
            return True
        if wanted is SafetyState.ESTOP:
            return self._until(wanted, self.emergency_stop)
        if not self._until(SafetyState.ACTIVE, self.arm):
            return False
        if wanted is SafetyState.ACTIVE:
            return True
        if wanted is SafetyState.DEGRADED:
            self.script.target_offset = 2.0
            return self._until(wanted)
        # Down it goes; a base that still turns keeps it from lying still.
        self.script.tilt, self.script.spin = 1.4, 2.0
        self.script.can_get_up = wanted in (SafetyState.RECOVERING, SafetyState.VERIFYING)
        if not self._until(SafetyState.FALLING):
            return False
        self.stream(0.1)  # so that the policy has said whether it can get the robot up
        if wanted is SafetyState.FALLING:
            return self._until(wanted)
        self.script.spin = 0.0
        if wanted is SafetyState.VERIFYING:
            if not self._until(SafetyState.RECOVERING):
                return False
            self.script.tilt = 0.0
        return self._until(wanted)

    def _back_to_ready(self, end: float) -> bool:
        while time.monotonic() < end:
            if self.state == SafetyState.READY.value:
                return True
            if self.state in PASSING_NAMES:
                self.disarm()
            elif self.state != SafetyState.DISARMED.value:
                self.reset()
            self.stream(0.02)
        return False

    def _until(self, wanted: SafetyState, ask: Callable[[], None] | None = None) -> bool:
        end = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < end and self.state != wanted.value:
            if ask is not None:
                ask()
            self.stream(0.1, lambda: self.state == wanted.value)
        return bool(self.state == wanted.value)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()
        self._signals.release()
