"""A robot in Gazebo: the topics of the table, time through the world-control service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import SimulatorError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.ros_world import RosWorld, WorldService
from humanoid_rl_ros.envs.table_robot import TableRobot
from humanoid_rl_ros.envs.world_control import WorldControl, WorldControlError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_writers import write_float64_array


@dataclass(frozen=True)
class GazeboWorld:
    """The world that a robot is in.

    Attributes:
        service: the type of its control service.
        name: of that service, such as ``/world/humanoid/control``.
        step_ns: its physics step [ns].
    """

    service: WorldService
    name: str
    step_ns: int


class GazeboRobot(TableRobot):
    """A `TableRobot` whose time passes when it is asked to.

    An effort is published, and acknowledged by the middleware of whoever listens; then the world makes the physics
    steps of one state period. A reset makes one period more: a world that stands still publishes no state.

    Args:
        node, namespace, robot, period_ns: see `RosRobot`.
        world: that it is in.
        spin: lets the executor work for at most so long [s].
        timeout: wall time that a period may take [s].
    """

    _command_type = topics.JOINT_COMMAND

    def __init__(
        self,
        node: Node,
        namespace: str,
        robot: RobotSpec,
        period_ns: int,
        *,
        world: GazeboWorld,
        spin: Callable[[float], None],
        timeout: float,
    ) -> None:
        super().__init__(node, namespace, robot, period_ns)
        self._steps, rest = divmod(period_ns, world.step_ns)
        if rest or not self._steps:
            raise SimulatorError(
                f"{self.title}: its physics step of {world.step_ns} ns does not divide the task's PD period of "
                f"{period_ns} ns; export the robot with the task's PD rate as its state rate"
            )
        self._timeout, self._n_joints = timeout, robot.n_joints
        self._port = RosWorld(node, world.service, world.name, spin)
        self._control = WorldControl(self._port, world.step_ns, time.monotonic, world.name)

    def _ask_for(self, prefix: str) -> list[Any]:
        return []

    def close(self) -> None:
        """See `RosRobot.close`."""
        super().close()
        self._port.close()

    def command(self, effort: FloatArray) -> None:
        """Publish the effort, and let one period pass.

        Raises:
            SimulatorError: the world does not do as it is asked.
        """
        self._publish(effort)
        self._advance()

    def ask_reset(self) -> Any:
        """Back to where the robot was put, and one period on; a future that is done."""
        try:
            self._control.reset(self._timeout)
        except WorldControlError as error:
            return _Done(False, str(error))
        self.forget()
        try:
            self._publish(np.zeros(self._n_joints))
            self._advance()
        except SimulatorError as error:
            return _Done(False, str(error))
        return _Done(True, "")

    def is_at(self, stamp_ns: int) -> bool:
        """See `RosRobot.is_at`; after a reset the first state is one period old."""
        return super().is_at(stamp_ns if stamp_ns else self._period_ns)

    def _publish(self, effort: FloatArray) -> None:
        self._commands.publish(write_float64_array(effort))
        # What the controller has not got before the world moves, it would act on a period late.
        if not self._commands.wait_for_all_acked(Duration(nanoseconds=round(1e9 * self._timeout))):
            raise SimulatorError(
                f"{self.title}: the effort controller has not taken the last command within {self._timeout:g} s; "
                "reset the environment"
            )

    def _advance(self) -> None:
        try:
            self._control.advance(self._steps, self._timeout)
        except WorldControlError as error:
            raise SimulatorError(f"{error}; reset the environment") from None


def in_gazebo(
    world: GazeboWorld,
    timeout: float,
    node: Node,
    namespace: str,
    robot: RobotSpec,
    period_ns: int,
    spin: Callable[[float], None],
) -> GazeboRobot:
    """A robot as a fleet makes them."""
    return GazeboRobot(node, namespace, robot, period_ns, world=world, spin=spin, timeout=timeout)


@dataclass(frozen=True)
class _Done:
    """What a service answered, as a future and its result in one."""

    success: bool
    message: str

    def done(self) -> bool:
        return True

    def result(self) -> _Done:
        return self
