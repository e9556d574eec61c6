"""Makes the environments of the shipped tasks, and of those in YAML files, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.task_spec import TaskSpec, find_task, load_task
from humanoid_rl_ros.resources import find_robot, share_folder
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


def task_names() -> tuple[str, ...]:
    """Names of the shipped tasks."""
    return tuple(sorted(path.stem for path in (share_folder() / "config" / "tasks").glob("*.yaml")))


def task_for(name: str, robot: RobotSpec, overrides: Mapping[str, Any] | None = None) -> TaskSpec:
    """A task for a robot.

    Args:
        name: a shipped task or a task YAML.
        robot: the robot.
        overrides: keys of the YAML to set instead, nested ones with dots.

    Raises:
        ConfigError: there is no such task, or a key is unknown or malformed.
    """
    return load_task(find_task(name, share_folder() / "config" / "tasks"), robot.name, overrides)


def make_batch(
    task: str,
    robot: str,
    n_envs: int,
    *,
    overrides: Mapping[str, Any] | None = None,
    threads: int | None = None,
    auto_reset: bool = True,
    stream: int = 0,
    simulate: Callable[..., BatchSimulation] = BatchSimulation,
) -> HumanoidBatch:
    """n robots at a task.

    Args:
        task: a shipped task or a task YAML.
        robot: as `humanoid_rl_ros.resources.find_robot` takes it.
        n_envs: robots.
        overrides: keys of the task's YAML to set instead, nested ones with dots.
        threads: of the physics; by default as many as this process has cores.
        auto_reset, stream, simulate: see `HumanoidBatch`.

    Raises:
        ConfigError, ContractError, ModelError: there is no such task or robot, or they do not fit.
    """
    spec = find_robot(robot)
    return HumanoidBatch(
        spec,
        task_for(task, spec, overrides),
        n_envs,
        threads=threads,
        auto_reset=auto_reset,
        stream=stream,
        simulate=simulate,
    )
