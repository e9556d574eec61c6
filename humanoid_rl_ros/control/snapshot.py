"""The state of a control as text, and back into a control that was made of the same parts.

What a control is made of (robot, bundles, limits) is not written: only what has changed since it was made, or may have.
Nothing is unpickled, and nothing is made that is not listed here.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from humanoid_rl_ros.behaviours.conductor import Goal, Task
from humanoid_rl_ros.behaviours.hand_over import HandOver
from humanoid_rl_ros.behaviours.walk import ControlStep
from humanoid_rl_ros.control.migrations import STATE_FORMAT, STATE_MIGRATIONS, migrated
from humanoid_rl_ros.control.safety_control import Asked
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.core.pairing import ImuSample, JointSample, VelocitySample
from humanoid_rl_ros.core.state import JointEffort, JointTarget, RobotState, VelocityCommand
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.fall import Attitude
from humanoid_rl_ros.safety.status import Counters, FallDirection, SafetyState, SafetyStatus

_RECORDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Goal, ControlStep, Asked, ImuSample, JointSample, VelocitySample, JointEffort, JointTarget, RobotState),
        *(VelocityCommand, Violation, Event, Counters, SafetyStatus, Attitude),
    )
}
_WORDS: Mapping[str, type[Enum]] = {kind.__name__: kind for kind in (Task, Source, FallDirection, SafetyState)}
_MADE: Mapping[str, Any] = {kind.__name__: kind for kind in (HandOver,)}
"""Objects that come to be while a control runs."""
_PACKAGE = __name__.split(".")[0] + "."
_ATOMS = (bool, int, float, str)
_NUMBERS = frozenset({"<f8", "<f4", "<i8", "<i4", "|b1", "|u1", "<u4", "<u8"})
_KEEP = {"keep": True}


@dataclass
class _Made:
    """An object as it was made.

    Attributes:
        item: the object, kept alive so that nothing else gets its identity.
        values: its attributes then; what is the same object now and cannot change has not changed.
        encoded: those of them that can change, as they were.
    """

    item: Any
    values: dict[str, Any]
    encoded: dict[str, Any]


class Snapshot:
    """Reads and sets the state of a control.

    Written is what is another than when the control was made; what it computed from robot, bundles and limits is not
    among it, and stays as it is computed today when a state is set.

    Args:
        root: the control, as it was made and before it consumed anything.

    Attributes:
        lost: attributes whose change the last capture could not write; empty unless a class is not listed here.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._made: dict[int, _Made] = {}
        self._seen: dict[int, int] = {}
        self._unwritten = 0
        self.lost: list[str] = []
        self.adopt()

    def adopt(self) -> None:
        """Take the objects that are new in the control for what they are now: as they were made."""
        self._seen = {}
        for item in _objects(self._root, set()):
            if id(item) in self._made:
                continue
            values = dict(_attributes(item))
            encoded = {
                name: self._encode(value)
                for name, value in values.items()
                if not _cannot_change(value) and not _holds_objects(value)
            }
            self._made[id(item)] = _Made(item, values, encoded)

    def capture(self) -> bytes:
        """The state now."""
        self._seen, self.lost = {}, []
        text = json.dumps({"format": STATE_FORMAT, "state": self._object(self._root)}, separators=(",", ":"))
        return text.encode()

    @staticmethod
    def comparable(data: bytes) -> bool:
        """Whether a recorded state is of this version's format, so that an equal one is the same to the byte."""
        return data.startswith(b'{"format":%d,' % STATE_FORMAT)

    def _object(self, item: Any) -> dict[str, Any]:
        self._seen[id(item)] = len(self._seen)
        head = {"object": _name(item), "number": self._seen[id(item)]}
        if hasattr(item, "captured_state"):
            return {**head, "captured": {name: self._encode(value) for name, value in item.captured_state().items()}}
        made = self._made.get(id(item))
        state = {}
        for name, value in _attributes(item):
            if made is not None and made.values.get(name, self) is value and _cannot_change(value):
                continue
            self._unwritten, before = 0, self._unwritten
            encoded = self._encode(value)
            unwritten, self._unwritten = self._unwritten, before
            if made is not None and name in made.encoded and made.encoded[name] == encoded:
                continue
            if unwritten:
                self.lost.append(f"{type(item).__name__}.{name}")
            if encoded is not _KEEP:
                state[name] = encoded
        return {**head, "state": state}

    def _encode(self, value: Any) -> Any:
        if value is None or type(value) in _ATOMS:
            return value
        if isinstance(value, Enum) and type(value).__name__ in _WORDS:
            return {"word": [type(value).__name__, value.value]}
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            data = base64.b64encode(array.tobytes()).decode()
            scalar = isinstance(value, np.generic)
            return {"array": [array.dtype.str, list(array.shape), data, scalar or array.flags.writeable, scalar]}
        if isinstance(value, deque):
            return {"deque": [[self._encode(item) for item in value], value.maxlen]}
        if isinstance(value, tuple | list | set | frozenset):
            return {type(value).__name__: [self._encode(item) for item in value]}
        if isinstance(value, dict):
            pairs = [[self._encode(key), self._encode(item)] for key, item in value.items()]
            return {"counter" if isinstance(value, Counter) else "dict": pairs}
        if is_dataclass(value) and type(value).__name__ in _RECORDS:
            record = {item.name: self._encode(getattr(value, item.name)) for item in fields(value)}
            return {"record": [type(value).__name__, record]}
        if _has_state(value):
            return {"same": self._seen[id(value)]} if id(value) in self._seen else self._object(value)
        self._unwritten += 1
        return _KEEP

    def restore(self, data: bytes) -> None:
        """Set the state.

        Args:
            data: what `capture` gave, of a control made of the same parts.

        Raises:
            BagError: it is no such state, or one of other parts.
        """
        try:
            document = migrated(json.loads(data), STATE_FORMAT, STATE_MIGRATIONS, "recorded state")
            prepare = getattr(self._root, "before_restore", None)
            if prepare is not None:
                prepare(document["state"])
            self._set(document["state"], self._root, {})
        except BagError:
            raise
        except Exception as error:  # whatever somebody may have written into a bag
            text = " ".join(str(error).split())[:200]
            raise BagError(f"not the state of such a control: {type(error).__name__}: {text}") from None

    def _set(self, encoded: Mapping[str, Any], item: Any, known: dict[int, Any]) -> Any:
        name = encoded["object"]
        if not _has_state(item) or _name(item) != name:
            if name not in _MADE:
                raise BagError(f"the recorded state has a {name} where this control has a {type(item).__name__}")
            item = object.__new__(_MADE[name])
        known[encoded["number"]] = item
        if "captured" in encoded:
            item.restore_state({key: self._decode(part, None, known) for key, part in encoded["captured"].items()})
            return item
        made = self._made.get(id(item))
        allowed = {key for key, _ in _attributes(item)} if vars(item) else None
        if made is not None:
            self._set_back(item, made)
        for attribute, part in encoded["state"].items():
            if attribute in getattr(item, "NOT_STATE", ()):
                continue  # it was written once
            if allowed is not None and attribute not in allowed:
                raise BagError(f"the recorded state of a {name} has '{attribute}', which this version does not know")
            setattr(item, attribute, self._decode(part, getattr(item, attribute, None), known))
        return item

    def _set_back(self, item: Any, made: _Made) -> None:
        """To what it was when it was made: what a state does not say was not changed."""
        for name, value in made.values.items():
            if name in made.encoded:
                setattr(item, name, self._decode(made.encoded[name], value, {}))
            elif _cannot_change(value):
                setattr(item, name, value)

    def _decode(self, encoded: Any, current: Any, known: dict[int, Any]) -> Any:
        if not isinstance(encoded, dict):
            return encoded
        if "object" in encoded:
            return self._set(encoded, current, known)
        ((tag, content),) = encoded.items()
        if tag == "same":
            return known[content]
        if tag == "keep":
            return current
        if tag == "word":
            return _WORDS[content[0]](content[1])
        if tag == "bytes":
            return base64.b64decode(content)
        if tag == "array":
            return _array(*content)
        if tag == "record":
            return _RECORDS[content[0]](
                **{key: self._decode(part, getattr(current, key, None), known) for key, part in content[1].items()}
            )
        if tag == "deque":
            return deque((self._decode(part, None, known) for part in content[0]), content[1])
        if tag in ("dict", "counter"):
            values = current if isinstance(current, dict) else {}
            pairs = [(self._decode(key, None, known), part) for key, part in content]
            made = {key: self._decode(part, values.get(key), known) for key, part in pairs}
            return Counter(made) if tag == "counter" else made
        now = (
            list(current)
            if isinstance(current, tuple | list) and len(current) == len(content)
            else [None] * len(content)
        )
        parts = [self._decode(part, was, known) for part, was in zip(content, now, strict=True)]
        return {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}[tag](parts)


def _array(dtype: str, shape: list[int], data: str, writeable: bool, scalar: bool) -> Any:
    if dtype not in _NUMBERS:
        raise BagError(f"the recorded state has an array of {dtype!r}")
    kind = np.dtype(dtype)
    array = np.frombuffer(base64.b64decode(data), kind).reshape(shape).copy()
    array.setflags(write=writeable)
    return array[()] if scalar else array


def _name(item: Any) -> str:
    """Of its class, or of the one whose state it has."""
    return str(getattr(item, "STATE_NAME", type(item).__name__))


def _has_state(value: Any) -> bool:
    """Whether it is an object of this package that changes."""
    kind = type(value)
    if not kind.__module__.startswith(_PACKAGE) or isinstance(value, Enum) or not hasattr(value, "__dict__"):
        return False
    return not (is_dataclass(kind) and kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # of dataclasses


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    left_out: frozenset[str] = getattr(item, "NOT_STATE", frozenset())
    return ((name, value) for name, value in vars(item).items() if name not in left_out)


def _cannot_change(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return not value.flags.writeable
    if isinstance(value, tuple):
        return all(map(_cannot_change, value))
    return not (isinstance(value, list | dict | set | deque) or _has_state(value))


def _holds_objects(value: Any) -> bool:
    """Whether objects with a state of their own are in it."""
    if isinstance(value, dict):
        return any(map(_holds_objects, value.values()))
    return any(map(_holds_objects, value)) if isinstance(value, tuple | list | set | deque) else _has_state(value)


def _objects(item: Any, seen: set[int]) -> Iterator[Any]:
    """The objects with a state that can be reached from one, it included."""
    if id(item) in seen:
        return
    if _has_state(item):
        seen.add(id(item))
        yield item
        for _, value in _attributes(item):
            yield from _objects(value, seen)
    elif isinstance(item, dict):
        for value in item.values():
            yield from _objects(value, seen)
    elif isinstance(item, tuple | list | deque):
        for value in item:
            yield from _objects(value, seen)
