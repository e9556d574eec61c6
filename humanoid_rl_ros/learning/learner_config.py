"""A learner's configuration from YAML and the command line, for any learner whose configuration is a dataclass.

What is not said stands at the dataclass's default. Later words go before earlier ones: the shipped file, its section
for the task, the user's file, its section for the task, and what was set on the command line.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, Generic, TypeVar

import yaml

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.gymnasium_task import PREFIX, gymnasium_id

ENVIRONMENTS = "environments"
GYMNASIUM = "gymnasium"
"""The section of every Gymnasium environment, under that of its own."""
Config = TypeVar("Config")


class LearnerSettings(Generic[Config]):
    """Collects the layers, and builds the configuration of them.

    Args:
        kind: the dataclass; fields of whole numbers, numbers, text, booleans, tuples of one of them, or None.
        task: whose sections count.
        known_tasks: for the hint where a section is of no task.
    """

    def __init__(self, kind: type[Config], task: str, known_tasks: Sequence[str]) -> None:
        self._kind = kind
        self._task = task
        self._known_tasks = known_tasks
        self._types = {field.name: hint for field, hint in _types(kind)}
        self._values: dict[str, Any] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """What can be set."""
        return (*self._types, ENVIRONMENTS)

    @property
    def environments(self) -> int:
        """Robots.

        Raises:
            ConfigError: no layer says how many.
        """
        if ENVIRONMENTS not in self._values:
            raise ConfigError(f"'{ENVIRONMENTS}' is set nowhere; expected a whole number of robots")
        return int(self._values[ENVIRONMENTS])

    def add(self, section: Section) -> None:
        """Lay a file over what there is.

        Raises:
            ConfigError: a key is unknown or malformed, or a section is of no known task.
        """
        self._read(section, ("tasks",))
        tasks = section.section("tasks", {})
        for name in tasks.keys():
            # What environments Gymnasium has is not known here.
            if name not in (*self._known_tasks, self._task, GYMNASIUM) and gymnasium_id(name) is None:
                raise ConfigError(f"{tasks.where}: no task named '{name}'; {did_you_mean(name, self._known_tasks)}")
        if self._task.startswith(PREFIX) and GYMNASIUM in tasks:
            self.set(tasks.section(GYMNASIUM))
        if self._task in tasks:
            self.set(tasks.section(self._task))

    def set(self, section: Section) -> None:
        """Lay single keys over what there is.

        Raises:
            ConfigError: a key is unknown or malformed.
        """
        self._read(section, ())

    def build(self) -> Config:
        """The configuration.

        Raises:
            ConfigError: it contradicts itself.
        """
        return self._kind(**{name: value for name, value in self._values.items() if name != ENVIRONMENTS})

    def _read(self, section: Section, besides: Sequence[str]) -> None:
        for name in section.keys():
            if name == ENVIRONMENTS:
                self._values[name] = section.integer(name, least=1)
            elif name in self._types:
                self._values[name] = _value(section, name, self._types[name])
            elif name not in besides:
                known = (*self.keys, *besides)
                raise ConfigError(f"{section.where}: unknown key '{name}'; {did_you_mean(name, known)}")


def _types(kind: type[Any]) -> list[tuple[Any, Any]]:
    hints = typing.get_type_hints(kind)
    return [(field, hints[field.name]) for field in fields(kind)]


def _value(section: Section, name: str, hint: Any) -> Any:
    """A value as the field's type says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if section.raw(name) is None and type(None) in arguments:
            return None
        (hint,) = (a for a in arguments if a is not type(None))
        return _value(section, name, hint)
    if origin is tuple:
        return _items(section, name, arguments[0])
    if origin is typing.Literal:
        return section.choice(name, arguments)
    readers: dict[Any, Callable[[str], Any]] = {
        bool: section.boolean,
        int: section.integer,
        float: section.number,
        str: section.text,
    }
    if hint not in readers:
        raise TypeError(f"field '{name}' is of {hint}, which no YAML value becomes")
    return readers[hint](name)


def _items(section: Section, name: str, hint: Any) -> tuple[Any, ...]:
    found = section.raw(name)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ConfigError(f"{section.where}: '{name}' must be a list, found {found!r}")
    items = Section({f"{name}[{i}]": item for i, item in enumerate(found)}, section.where)
    return tuple(_value(items, key, hint) for key in items.keys())


def parse_setting(text: str) -> tuple[str, Any]:
    """``key=value`` as the key and what YAML makes of the value; 1e-3 is a number here.

    Raises:
        ConfigError: it is not of that form.
    """
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise ConfigError(f"--set takes key=value, found '{text}'")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key}: '{value}' is not a YAML value") from None
    if isinstance(parsed, str):
        with suppress(ValueError):
            parsed = float(parsed)
    return key.strip(), parsed
