"""Results as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.errors import HumanoidError


def write_text(path: Path, text: str) -> None:
    """Write a text.

    Raises:
        HumanoidError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HumanoidError(f"cannot write {path}: {error.strerror}") from None


def write_json(path: Path, result: Any) -> None:
    """Write a result made of JSON types.

    Raises:
        HumanoidError: the file cannot be written.
    """
    write_text(path, json.dumps(result, indent=2) + "\n")
