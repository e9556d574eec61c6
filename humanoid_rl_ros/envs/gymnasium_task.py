"""How a task names a Gymnasium environment; needs no Gymnasium."""

from __future__ import annotations

PREFIX = "gymnasium:"


def gymnasium_id(task: str) -> str | None:
    """The id in ``gymnasium:Humanoid-v5``; None for a robot's task."""
    return task.removeprefix(PREFIX) if task.startswith(PREFIX) else None
