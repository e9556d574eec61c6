"""What a demo asks of the hands of a policy that has hand targets, and how near they came."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray
from rclpy.node import Node

from humanoid_rl_ros.cli.observer import Recording
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.hand_targets import HandTargetSpec
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.hand_score import REACH_S
from humanoid_rl_ros.envs.hand_targets import HandTargets, HandTargetSampling
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.simulation.hands import hand_positions

PERIOD_S = 3.0
"""Of simulated time for which a pair of targets stays."""


class HandOperator:
    """Asks for other places, drawn from what the arms reach, again and again; the same in each run.

    Args:
        node: speaks.
        spec: the policy's ranges.
    """

    def __init__(self, node: Node, spec: HandTargetSpec) -> None:
        self._publisher = node.create_publisher(PoseArray, topics.HAND_TARGETS.name, qos(topics.HAND_TARGETS))
        self._frame = spec.frame
        self._targets = HandTargets(HandTargetSampling(spec), 1, PERIOD_S)
        self._rng = np.random.default_rng(0)
        self._count = 0
        self.asked: list[tuple[float, FloatArray]] = []
        """Since when [s], and what [m; Shape (2, 3)]."""

    def follow(self, simulated: float, time: float) -> None:
        """Ask for what is due, and for what is asked already once more.

        Args:
            simulated: time since the robot was released [s]; below 0 before.
            time: simulated time [s].
        """
        if simulated < 0.0:
            return
        if simulated >= self._count * PERIOD_S:
            self._count = int(simulated / PERIOD_S) + 1
            self.asked.append((time, self._targets.drawn(1, self._rng)[0]))
        message = PoseArray(poses=[_pose(point) for point in self.asked[-1][1]])
        message.header.frame_id = self._frame
        self._publisher.publish(message)

    def distances(self, record: Recording, robot: RobotSpec) -> tuple[FloatArray, FloatArray]:
        """How far the hands were from what was asked, over the recorded joint states.

        Returns:
            All distances, and those that are scored, NaN elsewhere [m; Shape (k, 2)].
        """
        times = np.asarray(record.effort_time)
        if not self.asked or not times.size:
            return np.zeros((0, 2)), np.zeros((0, 2))
        order = [record.joint_names.index(name) for name in robot.joint_names]
        hands = hand_positions(robot, np.asarray(record.position)[:, order])
        since = [at for at, _ in self.asked]
        which = [bisect_right(since, t) - 1 for t in times]
        targets = np.array([self.asked[max(i, 0)][1] for i in which])
        age = np.array([t - since[i] if i >= 0 else -1.0 for i, t in zip(which, times, strict=True)])
        found = np.sqrt(((hands - targets) ** 2).sum(axis=2))
        return np.where(age[:, None] >= 0.0, found, np.nan), np.where(age[:, None] >= REACH_S, found, np.nan)


def _pose(point: FloatArray) -> Any:
    x, y, z = point.tolist()
    return Pose(position=Point(x=x, y=y, z=z))
