"""YAML to typed values: one reader that names the file and the key in every refusal."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean

LATER = {"later": True}
"""Metadata of a dataclass's field that was added to a format already in use."""
REQUIRED: Any = object()
LONGEST_SHOWN = 80
LARGEST_FILE = 16 * 2**20
"""Of a YAML file [bytes]."""
LARGEST_EXPANDED = 1_000_000
"""Of a YAML file with every alias written out [values]."""


class UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice; plain YAML keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As PyYAML's, of keys that are all different."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float):
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise ConfigError(f"key '{key}' appears twice (line {line})")
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(path: str | Path, loader: type[yaml.SafeLoader] = UniqueKeyLoader) -> Any:
    """What a YAML file holds.

    Args:
        path: the file.
        loader: constructs its values.

    Raises:
        ConfigError: the file is missing, too large, no YAML, or aliases of aliases make it larger than any file is.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: larger than {LARGEST_FILE} bytes; not read")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: it is no text, so no YAML") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse_yaml_text(text, str(path), loader)


def parse_yaml_text(text: str, where: str, loader: type[yaml.SafeLoader] = UniqueKeyLoader) -> Any:
    """What a YAML text holds.

    Args:
        text: the text.
        where: what it is, at the head of every error.
        loader: constructs its values.

    Raises:
        ConfigError: it is no YAML, or aliases of aliases make it larger than any file is.
    """
    try:
        reader = loader(text)
        node = reader.get_single_node()
        if node is None:
            return None
        if _expanded(node, {}) > LARGEST_EXPANDED:
            raise ConfigError("aliases make it larger than any file is")
        return reader.construct_document(node)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    # What a tag promises and the value does not keep surfaces as whatever PyYAML's constructors run into.
    except (yaml.YAMLError, ValueError, RecursionError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values with every alias written out."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = LARGEST_EXPANDED + 1  # of a node that holds itself
        below = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_expanded(part, known) for part in below)
    return known[id(node)]


def read_yaml(path: str | Path) -> Section:
    """Read a YAML mapping.

    Args:
        path: the file.

    Returns:
        The mapping as a `Section` that reports errors with the file's name.

    Raises:
        ConfigError: the file is missing, is not YAML, repeats a key, or is not a mapping.
    """
    return section_of(parse_yaml(path), str(path))


def section_of(data: Any, where: str) -> Section:
    """What YAML gave as a mapping.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(data, Mapping):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{where}: expected a mapping at the top, found {found}")
    return Section(data, where)


class Section:
    """A mapping read key by key; `finish` refuses what was never read.

    Args:
        data: the mapping.
        where: file and key path, used at the head of every error.
    """

    def __init__(self, data: Mapping[Any, Any], where: str) -> None:
        self._data = {self._name(key, where): value for key, value in data.items()}
        self.where = where
        self._read: set[str] = set()

    @staticmethod
    def _name(key: Any, where: str) -> str:
        if isinstance(key, bool) or not isinstance(key, str | int | float):
            raise ConfigError(
                f"{where}: key {key!r} is not text; YAML reads on, off, yes and no as true and false: quote it"
            )
        return str(key)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def keys(self) -> list[str]:
        """The keys present, in file order."""
        return list(self._data)

    def plain(self) -> dict[str, Any]:
        """All of it as YAML gave it, without counting as read."""
        return dict(self._data)

    def raw(self, key: str, default: Any = REQUIRED) -> Any:
        """The value as YAML gave it."""
        self._read.add(key)
        if key not in self._data:
            if default is REQUIRED:
                near = difflib.get_close_matches(key, [k for k in self._data if k not in self._read], n=1, cutoff=0.8)
                hint = f"; is '{near[0]}' meant to be it?" if near else ""
                raise ConfigError(f"{self.where}: '{key}' is missing{hint}")
            return default
        return self._data[key]

    def _refuse(self, key: str, expected: str, found: object) -> ConfigError:
        text = repr(found)
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        return ConfigError(f"{self.where}: '{key}' must be {expected}, found {shown}")

    def text(self, key: str, default: Any = REQUIRED) -> str:
        """A string."""
        value = self.raw(key, default)
        if value is default and default is not REQUIRED:
            return default  # type: ignore[no-any-return]  # the caller's own default
        if not isinstance(value, str):
            raise self._refuse(key, "text", value)
        return value

    def choice(self, key: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        """One of a few words."""
        value = self.text(key, default)
        if value not in choices:
            raise self._refuse(key, f"one of {', '.join(choices)}", value)
        return value

    def boolean(self, key: str, default: Any = REQUIRED) -> bool:
        """true or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self._refuse(key, "true or false", value)
        return value

    def integer(self, key: str, default: Any = REQUIRED, *, least: int | None = None) -> int:
        """A whole number, optionally at least `least`."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refuse(key, "a whole number", value)
        if least is not None and value < least:
            raise self._refuse(key, f"at least {least}", value)
        return value

    def number(
        self,
        key: str,
        default: Any = REQUIRED,
        *,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
        infinite: bool = False,
    ) -> float:
        """A number; finite unless `infinite`; at least `least`; strictly above `above`; at most `most`."""
        value = self.raw(key, default)
        if value is None and default is None:
            return None  # type: ignore[return-value]  # an optional number is asked for with default None
        number = self._number(key, value, least=least, above=above, infinite=infinite)
        if most is not None and number > most:
            raise self._refuse(key, f"at most {most:g}", value)
        return number

    def _number(
        self,
        key: str,
        value: object,
        *,
        least: float | None = None,
        above: float | None = None,
        infinite: bool = False,
    ) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            # YAML 1.1 reads 1e-3 (no dot) as text; say so instead of a bare refusal.
            hint = " (write it with a dot: 1.0e-3)" if isinstance(value, str) and _floaty(value) else ""
            raise self._refuse(key, f"a number{hint}", value)
        try:
            number = float(value)
        except OverflowError:
            raise self._refuse(key, "finite", value) from None
        if math.isnan(number) or (math.isinf(number) and not infinite):
            raise self._refuse(key, "finite", value)
        if least is not None and number < least:
            raise self._refuse(key, f"at least {least:g}", value)
        if above is not None and number <= above:
            raise self._refuse(key, f"above {above:g}", value)
        return number

    def numbers(
        self, key: str, default: Any = REQUIRED, *, length: int | None = None, infinite: bool = False
    ) -> FloatArray:
        """A list of numbers as a float64 array, optionally of a given length."""
        value = self.raw(key, default)
        if value is None and default is None:
            return None  # type: ignore[return-value]  # an optional list is asked for with default None
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            raise self._refuse(key, "a list of numbers", value)
        if length is not None and len(value) != length:
            raise self._refuse(key, f"{length} numbers", value)
        return np.array(
            [self._number(f"{key}[{i}]", v, infinite=infinite) for i, v in enumerate(value)], dtype=np.float64
        )

    def names(self, key: str, default: Any = REQUIRED) -> tuple[str, ...]:
        """A list of distinct names."""
        value = self.raw(key, default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._refuse(key, "a list of names", value)
        for name in value:
            if not isinstance(name, str):
                raise self._refuse(key, "a list of names", name)
        repeated = sorted({n for n in value if list(value).count(n) > 1})
        if repeated:
            raise ConfigError(f"{self.where}: '{key}' names '{repeated[0]}' twice")
        return tuple(value)

    def section(self, key: str, default: Any = REQUIRED) -> Section:
        """A nested mapping."""
        value = self.raw(key, default)
        if not isinstance(value, Mapping):
            raise self._refuse(key, "a mapping", value)
        return Section(value, f"{self.where}: {key}")

    def sections(self, key: str, default: Any = REQUIRED) -> list[Section]:
        """A list of mappings."""
        value = self.raw(key, default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._refuse(key, "a list of mappings", value)
        items = []
        for i, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise self._refuse(f"{key}[{i}]", "a mapping", item)
            items.append(Section(item, f"{self.where}: {key}[{i}]"))
        return items

    def per_name(
        self, key: str, names: Sequence[str], default: Any = REQUIRED, *, infinite: bool = False
    ) -> FloatArray:
        """A number for all, or a mapping from each name to its number, as an array in the order of `names`."""
        value = self.raw(key, default)
        if isinstance(value, Mapping):
            nested = Section(value, f"{self.where}: {key}")
            array = np.array([nested.number(name, infinite=infinite) for name in names], dtype=np.float64)
            nested.finish()
            return array
        return np.full(len(names), self._number(key, value, infinite=infinite), dtype=np.float64)

    def finish(self) -> None:
        """Refuse the first key that nobody asked for.

        Raises:
            ConfigError: with the unknown key and the nearest known one.
        """
        for key in self._data:
            if key not in self._read:
                raise ConfigError(f"{self.where}: unknown key '{key}'; {did_you_mean(str(key), self._read)}")


def _floaty(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
