"""Results as files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
    """Write a result made of JSON types; numbers that are not finite, which JSON has none of, become null.

    Raises:
        HumanoidError: the file cannot be written.
    """
    write_text(path, json.dumps(_finite(result), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
