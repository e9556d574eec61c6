"""Names as ROS takes them, checked before ROS is asked."""

from __future__ import annotations

import re

from humanoid_rl_ros.core.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def namespace_of(text: object) -> str:
    """A namespace without slashes around it.

    Args:
        text: as somebody wrote it; empty, or slashes alone, for none.

    Returns:
        Such as ``a/b``; empty for none.

    Raises:
        ConfigError: it is no text, or ROS would refuse it.
    """
    name = text.strip("/") if isinstance(text, str) else None
    if name is None or (name and not _NAME.fullmatch(name)):
        raise ConfigError(f"{text!r} is no ROS namespace; letters, digits, _ and / between, such as a/b")
    return name


def is_topic(text: str) -> bool:
    """Whether it can be the name of a topic, absolute or relative."""
    return _NAME.fullmatch(text.removeprefix("/")) is not None
