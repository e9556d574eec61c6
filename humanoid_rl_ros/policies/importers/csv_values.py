"""ONNX metadata written as lists with commas, by exporters that agree on little more than that."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.joints import repeated_name


class CsvMetadata:
    """Metadata read key by key.

    Values are separated by commas; some exporters write JSON under the same keys, or Python's tuples. What has brackets
    but is no JSON, such as ``[-inf, inf],[-inf, inf]``, is separated outside the brackets.

    Args:
        data: the metadata.
        where: the file, at the head of every error.
    """

    def __init__(self, data: Mapping[str, str], where: str) -> None:
        self._data = data
        self._read: set[str] = set()
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def unread(self) -> list[str]:
        """Keys that nobody asked for."""
        return [key for key in self._data if key not in self._read]

    def skip(self, *keys: str) -> None:
        """Keys that are known and have no effect."""
        self._read.update(keys)

    def texts(self, key: str) -> tuple[str, ...]:
        """Names, each of them once.

        Raises:
            ConfigError: the key is missing, or a name is empty or stands twice.
        """
        values = self._values(key)
        if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
            raise self._refuse(key, "names with commas between them")
        twice = repeated_name(values)
        if twice is not None:
            raise ConfigError(f"{self.where}: '{key}' names '{twice}' twice")
        return tuple(values)

    def numbers(self, key: str) -> list[float]:
        """Finite numbers.

        Raises:
            ConfigError: the key is missing, or an element is no finite number.
        """
        values = self._values(key)
        found = [number(value) for value in values] if isinstance(values, list) else [math.nan]
        if not found or not all(math.isfinite(value) for value in found):
            raise self._refuse(key, "finite numbers with commas between them")
        return found

    def number(self, key: str, *, above: float) -> float:
        """One number.

        Raises:
            ConfigError: it is none, or not above `above`.
        """
        values = self.numbers(key)
        if len(values) != 1 or not values[0] > above:
            raise self._refuse(key, f"one number above {above:g}")
        return values[0]

    def each(self, key: str, names: Sequence[str], default: Any) -> list[Any]:
        """One value for each of these names, as text, number or list.

        Raises:
            ConfigError: their number is another, or a name is unknown.
        """
        if key not in self._data:
            return [default] * len(names)
        values = self._values(key)
        if isinstance(values, dict):
            for name in values:
                if name not in names:
                    raise ConfigError(f"{self.where}: '{key}' names '{name}'; {did_you_mean(name, names)}")
            return [values.get(name, default) for name in names]
        if len(names) == 1 and len(values) > 1:
            values = [values]
        if len(values) != len(names):
            raise ConfigError(f"{self.where}: '{key}' has {len(values)} values for {len(names)} terms")
        return list(values)

    def _values(self, key: str) -> list[Any] | dict[str, Any]:
        if key not in self._data:
            raise ConfigError(f"{self.where}: '{key}' is missing")
        self._read.add(key)
        text = self._data[key].strip()
        if text[:1] in ("[", "{", '"'):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, list | dict):
                return value
            if isinstance(value, str):
                text = value
        if text.startswith("(") and text.endswith(")"):
            text = text[1:-1].rstrip(",")
        return [part.strip().strip("'\"") for part in _split(text)]

    def _refuse(self, key: str, expected: str) -> ConfigError:
        text = self._data[key]
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        return ConfigError(f"{self.where}: '{key}' must be {expected}, found {shown!r}")


def number(value: Any) -> float:
    """A number of text or JSON; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def vector(value: Any) -> list[float]:
    """Numbers of one element: ``0.5``, ``0.5;0.5``, ``[0.5, 0.5]`` or a list of JSON; NaN for what is none."""
    if isinstance(value, str):
        return [number(part) for part in re.split("[;,]", value.strip("[]() "))]
    return [number(part) for part in value] if isinstance(value, list) else [number(value)]


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        if character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]
