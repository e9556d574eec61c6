"""One simulated robot behind its topics and services, as an environment meets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import SimulatorError, StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, JointStateWriter
from humanoid_rl_ros.interfaces.cdr_joint_targets import JointTargetsWriter, Point
from humanoid_rl_ros.interfaces.cdr_root_state import read_root_state
from humanoid_rl_ros.interfaces.topics import Topic

MUST_WAIT = (
    "does not wait for commands: start it with mode:=lockstep, hold_until_armed:=false, lockstep_timeout:=1e9 and a "
    "state_rate of the task's PD rate"
)
STAMP_TOLERANCE_NS = 2
"""Of a period that is no whole number of nanoseconds."""
COMMANDS = (topics.JOINT_TARGET, topics.JOINT_COMMAND)
"""Topics by which a simulator can be moved."""
LEAST_DEPTH = 10
"""Messages of a topic that may wait: of one step come two, one right after the other."""


@dataclass
class Before:
    """What was heard before the last state; see `RosRobot`."""

    stamp_ns: int = -1
    root_stamp_ns: int = -1
    joint_position: FloatArray = field(default_factory=lambda: np.zeros(0))
    joint_velocity: FloatArray = field(default_factory=lambda: np.zeros(0))
    root_pose: FloatArray = field(default_factory=lambda: np.zeros(0))
    root_velocity: FloatArray = field(default_factory=lambda: np.zeros(0))


class RosRobot:
    """What a simulator last said of one robot, and what can be said to it: one like `simulation_bridge_node`.

    Args:
        node: whose executor runs the callbacks.
        namespace: of the robot's topics and services; empty for none.
        robot: the joints.
        period_ns: time from one state to the next [ns].

    Attributes:
        stamp_ns: of the joint states; -1 before the first [ns].
        joint_position, joint_velocity: in the robot's order [rad; rad/s; Shape (n,)].
        root_stamp_ns: of the root's state; -1 before the first [ns].
        root_pose: position, then orientation wxyz [m; world; Shape (7,)].
        root_velocity: linear in the world, angular in the body [m/s, rad/s; Shape (6,)].
        before: the state before that one.
        diverged: whether the simulator has said, by velocities that are NaN, that its physics has left the finite.
    """

    can_place = True
    """Whether it can be put into a state, tells its root exactly, and follows joint targets by itself."""
    _command = topics.JOINT_TARGET
    """What it is commanded by."""

    def __init__(self, node: Node, namespace: str, robot: RobotSpec, period_ns: int) -> None:
        self._node, self._period_ns = node, period_ns
        self.name = namespace.strip("/")
        prefix = f"/{self.name}/" if self.name else ""
        self._matcher = JointMatcher(robot.joint_names)
        self._reader = JointStateReader()
        self._writer = JointStateWriter(robot.joint_names, ("effort",))
        self._targets_writer = JointTargetsWriter(robot.joint_names)
        self.forget()
        listened = self._listened()
        self._names = {topic: f"{prefix}{topic.name}" for topic in (*listened, *COMMANDS)}
        self._subscriptions = [
            node.create_subscription(topic.type, self._names[topic], callback, _qos(topic), raw=True)
            for topic, callback in listened.items()
        ]
        self._commands = node.create_publisher(self._command_type.type, self._names[self._command], _qos(self._command))
        self._services = self._ask_for(prefix)

    _command_type = topics.JOINT_TARGET
    """A topic of the type that commands have."""

    def _listened(self) -> dict[Topic, Callable[[bytes], None]]:
        """What is heard, and by whom."""
        return {topics.JOINT_STATES: self._on_joint_states, topics.ROOT_STATE: self._on_root_state}

    def _ask_for(self, prefix: str) -> list[Any]:
        """Clients of the services that are needed."""
        self._reset = self._node.create_client(Trigger, prefix + topics.SIMULATION_RESET)
        self._place = self._node.create_client(SetParametersAtomically, prefix + topics.SIMULATION_PLACE)
        return [self._reset, self._place]

    def forget(self) -> None:
        """Begin to listen anew."""
        self.stamp_ns = self.root_stamp_ns = -1
        self.joint_position = self.joint_velocity = self.root_pose = self.root_velocity = np.zeros(0)
        self.before = Before()
        self.diverged = False
        self._problem = ""

    def close(self) -> None:
        """Leave its topics and services."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_publisher(self._commands)
        for client in self._services:
            self._node.destroy_client(client)

    # What the simulator says.

    def _on_joint_states(self, raw: bytes) -> None:
        try:
            message = self._reader.read(raw)
            order = self._matcher.permutation(message.name)
            position, velocity = message.position[order], message.velocity[order]
            if message.stamp_ns != self.stamp_ns:
                self.before.stamp_ns = self.stamp_ns
                self.before.joint_position, self.before.joint_velocity = self.joint_position, self.joint_velocity
            self.joint_position, self.joint_velocity, self.stamp_ns = position, velocity, message.stamp_ns
        except (StateError, IndexError) as error:
            self._problem = f"{topics.JOINT_STATES.name} cannot be used: {error}"

    def _on_root_state(self, raw: bytes) -> None:
        try:
            message = read_root_state(raw)
        except StateError as error:
            self._problem = f"{topics.ROOT_STATE.name} cannot be used: {error}"
            return
        if message.stamp_ns != self.root_stamp_ns:
            self.before.root_stamp_ns = self.root_stamp_ns
            self.before.root_pose, self.before.root_velocity = self.root_pose, self.root_velocity
        self.root_pose, self.root_velocity = message.pose[WXYZ], message.velocity
        self.root_stamp_ns = message.stamp_ns
        self.diverged = bool(np.isnan(message.velocity[0]))

    def is_at(self, stamp_ns: int) -> bool:
        """Whether the state of an instant is here.

        Raises:
            SimulatorError: what the simulator says cannot be used.
        """
        if self._problem:
            raise SimulatorError(f"{self.title}: {self._problem}")
        return near(self.root_stamp_ns, stamp_ns) and (self.diverged or near(self.stamp_ns, stamp_ns))

    def has_reached(self, stamp_ns: int, since_ns: int) -> bool:
        """Whether the state of the instant that comes next is here, and the one a period before it.

        Args:
            stamp_ns: of that instant [ns].
            since_ns: of the state that was answered [ns].

        Raises:
            SimulatorError: what the simulator says cannot be used, or is of another time.
        """
        if self.diverged and since_ns < self.root_stamp_ns <= stamp_ns + STAMP_TOLERANCE_NS:
            return True
        last_ns = stamp_ns - self._period_ns
        if self.is_at(stamp_ns):
            before = self.before
            return not self.can_place or (near(before.stamp_ns, last_ns) and near(before.root_stamp_ns, last_ns))
        if 0 <= self.stamp_ns < since_ns - STAMP_TOLERANCE_NS:
            raise SimulatorError(
                f"{self.title} was started anew or reset by somebody else: its time went back from "
                f"{since_ns * 1e-9:.3f} s to {self.stamp_ns * 1e-9:.3f} s; reset the environment"
            )
        for found in (self.stamp_ns, self.root_stamp_ns):
            if found > since_ns + STAMP_TOLERANCE_NS and not (near(found, stamp_ns) or near(found, last_ns)):
                raise SimulatorError(
                    f"{self.title} went on to {found * 1e-9:.6f} s, expected {stamp_ns * 1e-9:.6f} s: somebody else "
                    f"commands it, or it {MUST_WAIT}"
                )
        return False

    # What is said to the simulator.

    def follow(self, points: Sequence[Point]) -> None:
        """Answer the last state: what to reach for, and until when from it [rad; Shape (n,); ns]."""
        self._commands.publish(self._targets_writer.write(self.stamp_ns, points))

    def command(self, effort: FloatArray) -> None:
        """Answer the last state [N·m; Shape (n,)]."""
        self._commands.publish(self._writer.write(self.stamp_ns, "", effort))

    def ask_reset(self) -> Any:
        """Ask for the initial pose at time 0; a future."""
        return self._reset.call_async(Trigger.Request())

    def ask_place(self, request: SetParametersAtomically.Request) -> Any:
        """Ask for a state; a future."""
        return self._place.call_async(request)

    def withdraw(self, future: Any) -> None:
        """Wait no longer for an answer."""
        for client in self._services:
            client.remove_pending_request(future)

    # Who is there.

    def speaker(self) -> tuple[bytes, ...]:
        """Who publishes the joint states: the same as long as no process is started anew."""
        found = self._node.get_publishers_info_by_topic(self._names[topics.JOINT_STATES])
        return tuple(sorted(bytes(info.endpoint_gid) for info in found))

    @property
    def title(self) -> str:
        """For messages."""
        return f"the simulator of /{self.name}" if self.name else "the simulator"

    def lacks(self) -> str:
        """What is missing to use it; empty when nothing is."""
        for topic in self._listened():
            count = self._node.count_publishers(self._names[topic])
            if count == 0:
                hint = " (simulation_bridge_node needs publish_root_state:=true)" if topic is topics.ROOT_STATE else ""
                return f"nobody publishes {self._names[topic]}{hint}"
            if count > 1:
                return f"{count} nodes publish {self._names[topic]}, expected one"
        if self._commands.get_subscription_count() == 0:
            return f"nobody listens to {self._names[self._command]} as {self._command_type.type_name}"
        for topic in COMMANDS:
            others = self._node.count_publishers(self._names[topic]) - (topic is self._command)
            if others > 0:
                return f"{others} other nodes publish {self._names[topic]}"
        for client in self._services:
            if not client.service_is_ready():
                return f"no service {client.srv_name}"
        return ""


WXYZ = np.array([0, 1, 2, 6, 3, 4, 5])
"""Where position and wxyz stand in position and xyzw."""


def near(found_ns: int, expected_ns: int) -> bool:
    """Whether two stamps are of one instant."""
    return abs(found_ns - expected_ns) <= STAMP_TOLERANCE_NS


def _qos(topic: Topic) -> QoSProfile:
    reliability = ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=max(topic.depth, LEAST_DEPTH), reliability=reliability)
