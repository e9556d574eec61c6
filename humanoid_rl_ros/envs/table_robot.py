"""One simulated robot behind nothing but the topic table: no exact root, no putting into a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from std_srvs.srv import Trigger

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.pairing import ImuSample
from humanoid_rl_ros.core.rotations import rotate
from humanoid_rl_ros.envs.ros_robot import WXYZ, RosRobot, near
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import read_imu
from humanoid_rl_ros.interfaces.cdr_messages import read_odometry
from humanoid_rl_ros.interfaces.measurements import imu_sample
from humanoid_rl_ros.interfaces.topics import Topic


class TableRobot(RosRobot):
    """A `RosRobot` that says what a robot says, joint states and IMU, and its odometry as the truth about its root.

    All three must come with every state and carry its stamp. It begins where `simulation/reset` puts it.

    Args:
        node, namespace, robot, period_ns: see `RosRobot`.

    Attributes:
        imu: the IMU's last sample; None before the first.
    """

    can_place = False
    _command = topics.JOINT_COMMAND
    _command_type = topics.JOINT_STATES  # the stamp of a joint state says which state it answers

    def forget(self) -> None:
        """Begin to listen anew."""
        super().forget()
        self.imu: ImuSample | None = None

    def is_at(self, stamp_ns: int) -> bool:
        """See `RosRobot.is_at`."""
        return super().is_at(stamp_ns) and self.imu is not None and near(self.imu.stamp_ns, stamp_ns)

    def _listened(self) -> dict[Topic, Callable[[bytes], None]]:
        return {
            topics.JOINT_STATES: self._on_joint_states,
            topics.IMU: self._on_imu,
            topics.ODOMETRY: self._on_odometry,
        }

    def _ask_for(self, prefix: str) -> list[Any]:
        self._reset = self._node.create_client(Trigger, prefix + topics.SIMULATION_RESET)
        return [self._reset]

    def _on_imu(self, raw: bytes) -> None:
        try:
            self.imu = imu_sample(read_imu(raw))
        except StateError as error:
            self._problem = f"{topics.IMU.name} cannot be used: {error}"

    def _on_odometry(self, raw: bytes) -> None:
        try:
            message = read_odometry(raw)
        except StateError as error:
            self._problem = f"{topics.ODOMETRY.name} cannot be used: {error}"
            return
        pose, twist = message.pose[WXYZ], message.twist
        if not (np.isfinite(pose).all() and np.isfinite(twist).all()):
            self._problem = f"{topics.ODOMETRY.name} cannot be used: it is not finite"
            return
        self.root_pose = pose
        self.root_velocity = np.concatenate([rotate(pose[3:], twist[:3]), twist[3:]])
        self.root_stamp_ns = message.stamp_ns
