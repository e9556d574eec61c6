"""The topics of one simulated robot: what its sensors say, and what its motors are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.interfaces import conversions, measurements, topics
from humanoid_rl_ros.interfaces.cdr import Float32ArrayWriter, ImuWriter, JointStateReader, JointStateWriter
from humanoid_rl_ros.interfaces.cdr_root_state import RootStateWriter
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.base import ManagedNode
from humanoid_rl_ros.nodes.parameters import PhysicsParameters
from humanoid_rl_ros.safety.status import PASSING_NAMES
from humanoid_rl_ros.simulation.backend import GroundTruth

OnCommand = Callable[[FloatArray, bool, "int | None"], None]
"""Takes an effort in the robot's order, whether it comes from an armed monitor, and the stamp of the state that it
answers, None where the message has none."""
Transform = Callable[[Odometry], None]


class SimulatedRobot(Protocol):
    """What a port asks of a robot, alone in its simulation or one of several."""

    @property
    def robot(self) -> RobotSpec:
        """What it is."""

    @property
    def foot_names(self) -> tuple[str, ...]:
        """The bodies whose load `ground_truth` gives, in its order."""

    @property
    def has_feet(self) -> bool:
        """Whether it stands on the ends of limbs."""

    @property
    def root_state(self) -> tuple[FloatArray, FloatArray]:
        """Pose and velocity of the root body."""

    def ground_truth(self) -> GroundTruth:
        """Pose, velocity and foot loads at the instant of the last state."""


class RobotPort:
    """Publishes what one robot measures, and reads what is commanded to it.

    Args:
        node: whose topics they are.
        simulated: the robot.
        parameters: of the node.
        on_command: takes what is commanded.
        transform: publishes an odometry message as a transform; None: nothing does.
        root_state: whether the exact state of the root body is published.
        name: of the robot, where there are several: all its topics and frames begin with it.

    Attributes:
        armed: whether its safety monitor lets efforts pass, by what it said last.
        refused: messages that were of no use.
    """

    def __init__(
        self,
        node: ManagedNode,
        simulated: SimulatedRobot,
        parameters: PhysicsParameters,
        on_command: OnCommand,
        *,
        transform: Transform | None,
        root_state: bool = False,
        name: str = "",
    ) -> None:
        self._node, self._simulated, self._on_command = node, simulated, on_command
        self._prefix = f"{name}/" if name else ""
        self._whose = f"robot '{name}': " if name else ""
        robot = simulated.robot
        self._joint_names = list(robot.joint_names)
        self._imu_frame = self._prefix + robot.imu.frame
        self._frames = parameters.odometry_frame, self._prefix + parameters.base_frame
        self.matcher = JointMatcher(robot.joint_names)
        self._reader = JointStateReader()
        self._writer = JointStateWriter(robot.joint_names, ("position", "velocity", "effort"))
        self._imu_writer = ImuWriter(self._imu_frame)
        self._root_writer = RootStateWriter(*self._frames)
        self._joint_states = self._publish_on(topics.JOINT_STATES)
        self._imu = self._publish_on(topics.IMU)
        self._odometry = self._publish_on(topics.ODOMETRY)
        self._base_velocity = self._publish_on(topics.SIMULATED_VELOCITY) if parameters.publish_base_velocity else None
        self._root_state = self._publish_on(topics.ROOT_STATE) if root_state else None
        self._foot_contacts = self._foot_contact_publisher() if parameters.publish_foot_contacts else None
        self._transform = transform
        if parameters.command_type == "joint_state":
            self._subscribe_to(topics.JOINT_COMMAND, self._on_joint_command, kind=JointState, raw=True)
        else:
            self._subscribe_to(topics.JOINT_COMMAND, self._on_command_array)
        self._subscribe_to(topics.SAFETY_STATUS, self._on_safety_status)
        self.armed = False
        self.refused = 0

    def _publish_on(self, topic: Topic) -> Any:
        return self._node.publish_on(topic, self._prefix + topic.name)

    def _subscribe_to(self, topic: Topic, callback: Callable[[Any], object], **how: Any) -> None:
        self._node.subscribe_to(topic, callback, name=self._prefix + topic.name, **how)

    def _foot_contact_publisher(self) -> Any:
        simulated = self._simulated
        if not simulated.has_feet:
            self._node.get_logger().info(
                f"{self._whose}robot '{simulated.robot.name}' does not stand on the ends of limbs; "
                f"no {topics.FOOT_CONTACTS.name}"
            )
            return None
        names = simulated.foot_names
        self._foot_writer = Float32ArrayWriter(topics.NAME_SEPARATOR.join(names), len(names))
        return self._publish_on(topics.FOOT_CONTACTS)

    # Commands in.

    def _on_joint_command(self, message: bytes) -> None:
        try:
            received = self._reader.read(message)
            command = measurements.effort_of(received, self.matcher)
            if not np.isfinite(command.effort).all():
                raise StateError(f"effort of joint '{self._bad_joint(command.effort)}' is not finite")
        except StateError as error:
            self.refuse(f"joint command refused: {error}")
            return
        self._on_command(command.effort, received.frame_id in PASSING_NAMES, command.stamp_ns)

    def _on_command_array(self, message: Float64MultiArray) -> None:
        effort = np.asarray(message.data, dtype=np.float64)
        if effort.shape != (len(self._joint_names),):
            self.refuse(f"joint command refused: {effort.size} values for {len(self._joint_names)} joints")
        elif not np.isfinite(effort).all():
            self.refuse(f"joint command refused: effort of joint '{self._bad_joint(effort)}' is not finite")
        else:
            self._on_command(effort, self.armed, None)

    def _bad_joint(self, effort: FloatArray) -> str:
        return self._joint_names[int(np.flatnonzero(~np.isfinite(effort))[0])]

    def _on_safety_status(self, message: DiagnosticStatus) -> None:
        self.armed = values_of(message).get("state") in PASSING_NAMES

    def refuse(self, text: str) -> None:
        """Count a message that is of no use, and say why."""
        self.refused += 1
        self._node.warn_about(self._whose + text)

    # Messages out.

    def publish(self, state: RobotState, effort: FloatArray) -> None:
        """Say what was measured, and which effort is on the motors [N·m; Shape (n,)]."""
        if self._base_velocity is not None:
            self._base_velocity.publish(self._true_velocity(state))
        if self._root_state is not None:
            self._root_state.publish(self._root_message(state.stamp_ns))
        self._imu.publish(
            self._imu_writer.write(
                state.stamp_ns,
                measurements.xyzw(state.orientation),
                state.angular_velocity,
                state.linear_acceleration,
            )
        )
        self._joint_states.publish(self._joint_message(state, effort))

    def publish_motion(self, state: RobotState, effort: FloatArray) -> list[tuple[Any, bytes]]:
        """Say pose and motion of root and joints alone; what was said, to say it again."""
        said = [
            (self._root_state, self._root_message(state.stamp_ns)),
            (self._joint_states, self._joint_message(state, effort)),
        ]
        for publisher, message in said:
            publisher.publish(message)
        return said

    def publish_divergence(self, stamp_ns: int) -> None:
        """Say that the physics has left the finite, to who hears the root's state."""
        if self._root_state is not None:
            self._root_state.publish(self._root_message(stamp_ns, diverged=True))

    def publish_odometry(self) -> None:
        """Say where the robot is, and what its feet bear."""
        truth = self._simulated.ground_truth()
        message = conversions.odometry_message(
            truth.stamp_ns,
            self._frames,
            truth.base_position,
            truth.base_orientation,
            truth.base_linear_velocity,
            truth.base_angular_velocity,
        )
        self._odometry.publish(message)
        if self._foot_contacts is not None:
            forces = np.array([foot.force for foot in truth.feet], dtype=np.float32)
            self._foot_contacts.publish(self._foot_writer.write(forces))
        if self._transform is not None:
            self._transform(message)

    def _true_velocity(self, state: RobotState) -> Odometry:
        assert state.base_linear_velocity is not None  # a simulated robot knows it
        return conversions.odometry_message(
            state.stamp_ns,
            (self._frames[0], self._imu_frame),
            np.zeros(3),  # of interest is the velocity; where the robot is says the odometry
            state.orientation,
            state.base_linear_velocity,
            state.angular_velocity,
        )

    def _joint_message(self, state: RobotState, effort: FloatArray) -> bytes:
        return self._writer.write(state.stamp_ns, "", state.joint_position, state.joint_velocity, effort)

    def _root_message(self, stamp_ns: int, *, diverged: bool = False) -> bytes:
        pose, velocity = self._simulated.root_state
        pose = np.concatenate([pose[:3], measurements.xyzw(pose[3:])])
        velocity = np.full(6, np.nan) if diverged else velocity
        return self._root_writer.write(stamp_ns, pose, velocity)
