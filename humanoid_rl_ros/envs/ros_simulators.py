"""Simulators for environments over ROS: those that run, or ones that are started for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

from humanoid_rl_ros.core.errors import ConfigError, SimulatorError, did_you_mean
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.ros_names import namespace_of
from humanoid_rl_ros.description.options import ExportOptions, world_control
from humanoid_rl_ros.envs.gazebo_robot import GazeboWorld, in_gazebo
from humanoid_rl_ros.envs.ros_fleet import MakeRobot, RosFleet
from humanoid_rl_ros.envs.ros_world import gazebo_service
from humanoid_rl_ros.envs.table_robot import TableRobot
from humanoid_rl_ros.node_processes import ProcessError, ProcessGroup, parameter_arguments

BRIDGE = "humanoid_rl_ros.nodes.simulation_bridge_node"
START = "start"
KINDS = ("bridge", "table", "gazebo")
_SERIAL = count()


class RosSimulators:
    """What an environment over ROS is connected to.

    Args:
        robot: as `humanoid_rl_ros.resources.find_robot` takes it; what started simulators simulate.
        n: robots.
        namespaces: of simulators that run, one for each robot; or ``start`` for ones that are started, in namespaces of
            their own, and end with the environment.
        kind: ``bridge``: like `simulation_bridge_node`; ``table``: with the topics of a robot, its odometry and
            `simulation/reset` alone, waiting for each command; ``gazebo``: stepped by the world-control service.
        timeout: wall time within which a simulator must answer [s].
        start_timeout: wall time within which it must be there [s].

    Raises:
        ConfigError: there is not one namespace for each robot, no such kind, or a time is not above 0.
    """

    def __init__(
        self,
        robot: str,
        n: int,
        namespaces: str | Sequence[str] = START,
        *,
        kind: str = KINDS[0],
        timeout: float = 5.0,
        start_timeout: float = 30.0,
    ) -> None:
        if kind not in KINDS:
            raise ConfigError(f"no kind of simulator '{kind}'; {did_you_mean(kind, KINDS)}")
        for name, value in (("timeout", timeout), ("start_timeout", start_timeout)):
            if not 0.0 < value < float("inf"):
                raise ConfigError(f"{name} must be a time above 0 s, found {value}")
        self._start, self._kind = namespaces == START, kind
        if self._start and kind != KINDS[0]:
            raise ConfigError(f"a simulator of kind '{kind}' is not started here; name the namespace it runs in")
        if kind == "gazebo" and n > 1:
            raise ConfigError(f"in Gazebo one robot is stepped by a process, found {n}")
        self._prefix = f"ros_env_{os.getpid()}_{next(_SERIAL)}"
        if self._start:
            self.namespaces = [f"{self._prefix}/robot_{i}" for i in range(n)]
        else:
            self.namespaces = [namespaces] if isinstance(namespaces, str) else list(namespaces)
        if len(self.namespaces) != n or len(set(self.namespaces)) != n:
            raise ConfigError(
                f"{n} robots need {n} different namespaces of simulators; found {', '.join(map(str, self.namespaces))}"
            )
        for name in self.namespaces:
            namespace_of(name)
        self._robot, self._timeout, self._start_timeout = robot, timeout, start_timeout
        self._processes = [ProcessGroup() for _ in self.namespaces]
        self._period_ns = 0

    def connect(self, robot: RobotSpec, period_ns: int) -> RosFleet:
        """The fleet, with its simulators started where that was asked for.

        Args:
            robot: its joints.
            period_ns: time from one state to the next [ns].
        """
        self._period_ns = period_ns
        try:
            if self._start:
                for row in range(len(self.namespaces)):
                    self._start_one(row)
            return RosFleet(
                robot,
                self.namespaces,
                period_ns=period_ns,
                timeout=self._timeout,
                start_timeout=self._start_timeout,
                owner=self if self._start else None,
                make=self._robots(period_ns),
            )
        except BaseException:
            self.close()
            raise

    def _robots(self, period_ns: int) -> MakeRobot | None:
        """What stands for a robot of this kind of simulator."""
        if self._kind == "table":
            return lambda node, name, robot, period, spin: TableRobot(node, name, robot, period)
        if self._kind == "gazebo":
            rate = round(1e9 / period_ns)
            step_ns = round(1e9 * ExportOptions(Path(), state_rate=rate).timestep)
            world = GazeboWorld(gazebo_service(), world_control(), step_ns)
            return partial(in_gazebo, world, self._timeout)
        return None

    def check(self) -> None:
        """Look whether all that were started still run.

        Raises:
            SimulatorError: one has ended; says why.
        """
        for namespace, group in zip(self.namespaces, self._processes, strict=True):
            try:
                group.check()
            except ProcessError as error:
                raise SimulatorError(f"the simulator of /{namespace} ended: {error}; reset the environment") from None

    def has_ended(self, row: int) -> bool:
        """Whether a simulator that was started runs no more."""
        return any(node.process.poll() is not None for node in self._processes[row].nodes)

    def renew(self, row: int) -> str:
        """End what is left of a simulator and start another, in a namespace where nobody remembers the old one."""
        self._processes[row].end()
        self._processes[row] = ProcessGroup()
        self.namespaces[row] = f"{self._prefix}/robot_{row}_{next(_SERIAL)}"
        self._start_one(row)
        return self.namespaces[row]

    def close(self) -> None:
        """End what was started."""
        for group in self._processes:
            group.end()
            group.nodes.clear()

    def _start_one(self, row: int) -> None:
        arguments = bridge_arguments(self._robot, self.namespaces[row], self._period_ns)
        self._processes[row].start(BRIDGE, [*arguments, *parameter_arguments({"parent": os.getpid()})])


def bridge_arguments(robot: str, namespace: str, period_ns: int) -> list[str]:
    """The command line of a `simulation_bridge_node` that an environment can step.

    Args:
        robot: as `humanoid_rl_ros.resources.find_robot` takes it.
        namespace: of its topics and services; empty for none.
        period_ns: time from one state to the next, and of the physics [ns].
    """
    parameters = {
        "robot": robot,
        "mode": "lockstep",
        "command_type": "joint_state",
        "state_rate": 1e9 / period_ns,
        "physics_timestep": period_ns * 1e-9,
        "hold_until_armed": False,
        "lockstep_timeout": 1e9,
        "publish_root_state": True,
        "publish_clock": False,
        "publish_tf": False,
        "publish_foot_contacts": False,
        "odometry_rate": 10.0,
        "autostart": True,
    }
    remapping = ["-r", f"__ns:=/{namespace.strip('/')}"] if namespace.strip("/") else []
    return ["--ros-args", *remapping, *parameter_arguments(parameters)]
