"""Bags to be played: a robot of two joints that sways, and what its nodes are said to have answered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.records import OfferedQos, Record, RecordedTopic
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.control.setup import NodeSetup, PolicySource
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter
from humanoid_rl_ros.interfaces.cdr_writers import (
    write_clock,
    write_diagnostic_status,
    write_float64_array,
    write_string,
)
from humanoid_rl_ros.safety.limits import SafetyLimits

MS = 1_000_000
STATE_MS = 5
CLOCK_MS = 10
LOG_START = 1_700_000_000_000 * MS
STAMP_START = 20_000 * MS
COMMAND = "/joint_effort_controller/commands"
TYPES = {
    "joint_states": "sensor_msgs/msg/JointState",
    "imu/data": "sensor_msgs/msg/Imu",
    "policy/joint_effort": "sensor_msgs/msg/JointState",
    "joint_effort_controller/commands": "std_msgs/msg/Float64MultiArray",
    "policy/setup": "std_msgs/msg/String",
    "safety/setup": "std_msgs/msg/String",
    "safety/status": "diagnostic_msgs/msg/DiagnosticStatus",
    "clock": "rosgraph_msgs/msg/Clock",
}
NUMBERS = "std_msgs/msg/Float64MultiArray"
_types = MessageTypes()


def topic(name: str, kind: str, *, qos: OfferedQos | None = None, latched: bool = False) -> RecordedTopic:
    """A topic with the definition of its type."""
    definition, type_hash = _types.find(kind)
    return RecordedTopic(name, kind, (qos,) if qos else (), definition, type_hash, latched)


def message(name: str, ms: float, data: bytes) -> Record:
    """Recorded so long after the beginning [ms]."""
    log_ns = LOG_START + round(ms * MS)
    return Record(name, log_ns, log_ns, 0, data)


def write(folder: Path, topics: Sequence[RecordedTopic], messages: Sequence[Record]) -> Path:
    """A bag of them, in the order of log time."""
    writer = BagWriter(folder)
    for one in topics:
        writer.add_topic(one)
    for item in sorted(messages, key=lambda item: item.log_time_ns):
        writer.write(item)
    writer.close()
    return folder


class Swaying:
    """A robot upright in place, its joints swaying about their defaults.

    Args:
        robot: its joints.
        namespace: such as ``/a``.
    """

    def __init__(self, robot: RobotSpec, namespace: str = "") -> None:
        self.robot = robot
        self.namespace = namespace
        self._states = JointStateWriter(robot.joint_names, ("position", "velocity", "effort"))
        self._efforts = JointStateWriter(robot.joint_names, ("effort",))
        self._imu = ImuWriter("imu")

    def measured(self, ms: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions [rad] and velocities [rad/s]."""
        phase = 2.0 * np.pi * (0.7 * ms * 1e-3 + 0.1 * np.arange(self.robot.n_joints))
        return self.robot.default_position + 0.05 * np.sin(phase), 0.05 * 2.0 * np.pi * 0.7 * np.cos(phase)

    def effort(self, ms: float) -> np.ndarray:
        """The PD law towards the default pose: what a policy without a will asks for [N·m]."""
        position, velocity = self.measured(ms)
        wanted = self.robot.kp * (self.robot.default_position - position) - self.robot.kd * velocity
        return np.clip(wanted, -self.robot.effort_limit, self.robot.effort_limit)

    def messages(self, begin_ms: int, end_ms: int, *, stamp_ms: int, clock: bool = True) -> list[Record]:
        """What is recorded from one time until another.

        Args:
            begin_ms, end_ms: on the recorder's clock.
            stamp_ms: stamp of the first state.
            clock: whether simulated time is published, half a period behind the states of the same stamp.
        """
        found = []
        for ms in range(begin_ms, end_ms, STATE_MS):
            stamp = stamp_ms + ms - begin_ms
            position, velocity = self.measured(ms)
            rates = 0.01 * np.sin(2.0 * np.pi * (ms * 1e-3 + np.arange(3.0) / 3.0))
            upright, gravity = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, 9.81])
            effort = self.effort(ms)
            said = {
                "imu/data": self._imu.write(stamp * MS, upright, rates, gravity),
                "joint_states": self._states.write(stamp * MS, "", position, velocity, effort),
                "policy/joint_effort": self._efforts.write(stamp * MS, "ACTIVE", effort),
                "joint_effort_controller/commands": write_float64_array(effort),
            }
            if clock and stamp % CLOCK_MS == 0:
                said["clock"] = write_clock(stamp * MS)
            found += [
                message(f"{self.namespace}/{name}", ms + 0.5 * k, data) for k, (name, data) in enumerate(said.items())
            ]
        return found

    def topics(self) -> list[RecordedTopic]:
        """Of all of those."""
        return [topic(f"{self.namespace}/{name}", kind) for name, kind in TYPES.items()]

    def bag(
        self,
        folder: Path,
        seconds: float = 1.0,
        *,
        clock: bool = True,
        policy: Path | None = None,
        armed_ms: int | None = None,
    ) -> Path:
        """A recording; with a policy it says what ran, and with a time when it was armed."""
        messages = self.messages(0, round(seconds * 1e3), stamp_ms=STAMP_START // MS, clock=clock)
        if policy is not None:
            messages += [
                message(f"{self.namespace}/{node}/setup", 0.0, write_string(self.setup(node, policy).as_text()))
                for node in ("policy", "safety")
            ]
        if armed_ms is not None:
            status = write_diagnostic_status(0, "", "", "", {"state": "ACTIVE"})
            messages.append(message(f"{self.namespace}/safety/status", armed_ms, status))
        return write(folder, self.topics(), messages)

    def setup(self, node: str, policy: Path, **parameters: object) -> NodeSetup:
        """What a node says it is made of."""
        given: Mapping[str, object] = {"use_cmd_vel": False, "velocity_command": [0.1, 0.0, 0.0], **parameters}
        digests = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(policy.iterdir()) if f.is_file()}
        source = PolicySource("tiny", "tiny", str(policy), None, (policy / "policy.yaml").read_text(), digests)
        is_policy = node == "policy"
        return NodeSetup(
            node=f"{self.namespace}/{node}",
            software={},
            parameters=given if is_policy else {"state_rate": 200.0},
            robot_name=self.robot.name,
            robot_yaml=dump_robot(self.robot),
            settings={},
            policies=(source,) if is_policy else (),
            limits={} if is_policy else asdict(SafetyLimits(tilt_limit=0.9)),
        )
