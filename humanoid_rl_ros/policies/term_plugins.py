"""Observation terms that other installed packages bring."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from humanoid_rl_ros.core.errors import ConfigError

GROUP = "humanoid_rl_ros.observation_terms"


@cache
def load_term_plugins() -> tuple[str, ...]:
    """Import every module that an installed package names in the entry point group `GROUP`, once.

    Importing a module runs its `humanoid_rl_ros.core.observation_terms.register_term` decorators. A bundle cannot ask
    for code; only what is installed is imported.

    Returns:
        The names of the entry points.

    Raises:
        ConfigError: one cannot be imported; names it.
    """
    names = []
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # whatever somebody else's module raises while it is imported
            raise ConfigError(
                f"observation terms '{point.name}' ({point.value}) cannot be imported: {error}"
            ) from error
        names.append(point.name)
    return tuple(names)
