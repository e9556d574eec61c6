"""What the commands share: consoles, options of one kind, and words for a missing library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from humanoid_rl_ros.core.errors import MissingDependencyError

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")]
Robot = Annotated[str, typer.Option(help="Shipped robot, robot YAML, or model file (MJCF, URDF).")]


@contextmanager
def training_libraries() -> Iterator[None]:
    """Says what to install where an import finds a library missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__.partition(".")[0]):
            raise
        raise MissingDependencyError(
            f"training needs {error.name}, which is not installed: pip install 'humanoid_rl_ros[train]'"
        ) from None
