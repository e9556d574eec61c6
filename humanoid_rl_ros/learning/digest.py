"""A digest of a configuration, to know it again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from humanoid_rl_ros.core.config import LATER


def digest_of(*parts: Any) -> str:
    """SHA-256, in hexadecimal, over values made of dataclasses, mappings, sequences, arrays, bytes and plain values.

    The fields of a dataclass that take no part in its comparison, and those named ``source``, are left out: they say
    where it was read from, not what it says. So are fields that came later (`humanoid_rl_ros.core.config.LATER`) while
    they stand at their defaults: what says nothing of them has the digest that it had before there were any.

    Raises:
        TypeError: a part is made of something else.
    """
    return hashlib.sha256(json.dumps([_plain(part) for part in parts], sort_keys=True).encode()).hexdigest()


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        counted = [f for f in dataclasses.fields(value) if f.compare and f.name != "source"]
        said = {f.name: getattr(value, f.name) for f in counted}
        later = {f.name for f in counted if LATER.items() <= f.metadata.items() and said[f.name] == _default(f)}
        return {name: _plain(part) for name, part in said.items() if name not in later}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Path):
        return value.name
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} has no digest")
