"""How a task names a Gymnasium environment; needs no Gymnasium."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PREFIX = "gymnasium:"
TASKS: Mapping[str, str] = MappingProxyType(
    {"navigate": "humanoid_rl_ros.envs.registration:humanoid_rl_ros/Navigate-v0"}
)
"""This package's own environments that are no robot's task, by a short name."""
_FLOOR = TASKS["navigate"]
ARGUMENT = "env"
"""What a setting of the environment begins with: ``env.is_slippery``."""


def gymnasium_id(task: str) -> str | None:
    """The id in ``gymnasium:Humanoid-v5``, or of one of `TASKS`; None for a robot's task."""
    return task.removeprefix(PREFIX) if task.startswith(PREFIX) else TASKS.get(task)


def crosses_floor(task: str) -> bool:
    """Whether a task is to cross a floor, by either of its names."""
    return gymnasium_id(task) in {_FLOOR, _FLOOR.rpartition(":")[2]}


def gymnasium_arguments(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What `gymnasium.make` is given, of settings such as ``env.is_slippery``."""
    return {key.removeprefix(f"{ARGUMENT}."): value for key, value in overrides.items()}
