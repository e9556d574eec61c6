"""Humanoids at a task, their physics in simulators behind ROS topics, as Gymnasium knows environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from humanoid_rl_ros.envs.humanoid_env import HumanoidEnv
from humanoid_rl_ros.envs.ros_simulation import RosSimulation, require_over_ros
from humanoid_rl_ros.envs.ros_simulators import KINDS, START, RosSimulators
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.envs.vector_env import HumanoidVectorEnv
from humanoid_rl_ros.resources import find_robot


class RosHumanoidEnv(HumanoidEnv):
    """``gymnasium.make("humanoid_rl_ros/RosWalk-v0", namespace="robot_1")``.

    Spaces, rewards and `info` are those of `HumanoidEnv`, and against `simulation_bridge_node` the whole trajectory is,
    to the bit. `step` publishes efforts, the simulator advances exactly one control period, `step` returns; nothing
    moves between two steps. A simulator that dies, hangs or is started anew makes `step` raise within `timeout`; after
    `reset` it goes on with the simulator that is there then.

    Args:
        task, robot, overrides, render_mode, width, height: see `HumanoidEnv`.
        namespace: of the simulator that runs, empty for none; ``start`` to start one that ends with the environment.
        simulator: its kind, ``bridge``, ``table`` or ``gazebo``; see `RosSimulators`.
        timeout: wall time within which the simulator must answer [s].
        start_timeout: wall time within which it must be there [s].

    Raises:
        ConfigError, ContractError, ModelError: there is no such task or robot, or they do not fit.
        SimulatorError: the simulator is not there, does not answer, or cannot be stepped; `step` and `reset` too.
    """

    def __init__(
        self,
        task: str = "walk",
        robot: str = "reference",
        *,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        namespace: str = START,
        simulator: str = KINDS[0],
        timeout: float = 5.0,
        start_timeout: float = 30.0,
    ) -> None:
        require_over_ros(task_for(task, find_robot(robot), overrides))
        self._simulators = RosSimulators(
            robot, 1, namespace, kind=simulator, timeout=timeout, start_timeout=start_timeout
        )
        try:
            super().__init__(
                task,
                robot,
                overrides=overrides,
                render_mode=render_mode,
                width=width,
                height=height,
                simulate=partial(RosSimulation, connect=self._simulators.connect),
            )
        except BaseException:
            self._simulators.close()
            raise


class RosHumanoidVectorEnv(HumanoidVectorEnv):
    """``gymnasium.make_vec("humanoid_rl_ros/RosWalk-v0", 2, vectorization_mode="vector_entry_point")``.

    Robots in namespaces of their own, stepped together; else as `HumanoidVectorEnv` and `RosHumanoidEnv`.

    Args:
        num_envs: robots.
        task, robot, overrides, render_mode, width, height: see `HumanoidEnv`.
        namespaces: of simulators that run, one for each robot; ``start`` to start them.
        simulator, timeout, start_timeout: see `RosHumanoidEnv`.

    Raises:
        ConfigError, ContractError, ModelError, SimulatorError: as `RosHumanoidEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        task: str = "walk",
        robot: str = "reference",
        *,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        namespaces: str | Sequence[str] = START,
        simulator: str = KINDS[0],
        timeout: float = 5.0,
        start_timeout: float = 30.0,
    ) -> None:
        require_over_ros(task_for(task, find_robot(robot), overrides))
        self._simulators = RosSimulators(
            robot, num_envs, namespaces, kind=simulator, timeout=timeout, start_timeout=start_timeout
        )
        try:
            super().__init__(
                num_envs,
                task,
                robot,
                overrides=overrides,
                render_mode=render_mode,
                width=width,
                height=height,
                simulate=partial(RosSimulation, connect=self._simulators.connect),
            )
        except BaseException:
            self._simulators.close()
            raise
