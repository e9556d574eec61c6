"""Pickles read without running them: what they would import stays a name, what they would call stays a record."""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.errors import PolicyError

LARGEST = 64 * 2**20
"""Bytes of a pickle. Statistics and the skeleton of a checkpoint take a few thousand; weights are stored beside."""
STEPS = 1_000_000
"""Opcodes of a pickle."""
STORED_ELSEWHERE = "(stored elsewhere)"
"""Name of the record of what a pickle refers to by an identifier of its writer's, its only argument."""

_MARK = object()
# What a dict may be asked for. Anything else is left out: hashing tuples of tuples takes exponential time.
_KEYS = (str, int, float, bytes, type(None))
_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
_FRESH: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DTYPES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle refers to.

    Attributes:
        text: module and name, with a dot between.
    """

    text: str


@dataclass(eq=False, repr=False)
class Record:
    """What a pickle would have built.

    Attributes:
        name: of what would have been called; empty where that was itself built by the pickle.
        args: what it would have been called with.
        state: what the object would then have been given as its own.
        entries: what would then have been put into it by key.
    """

    name: str
    args: tuple[object, ...]
    state: object = None
    entries: dict[object, object] = field(default_factory=dict)


def read_pickle(content: bytes, where: str) -> object:
    """Read one.

    Args:
        content: the pickle.
        where: what it is, for messages.

    Returns:
        Numbers, texts, bytes, lists (sets too), tuples, dicts, and `Name` and `Record` for everything else.

    Raises:
        PolicyError: it is no pickle, is cut short, or is larger than anything that is needed.
    """
    if len(content) > LARGEST:
        raise PolicyError(f"{where}: a pickle of {len(content)} bytes, at most {LARGEST} are read")
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count >= STEPS:
                raise ValueError(f"more than {STEPS} steps")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (IndexError, KeyError):
        raise PolicyError(f"{where}: not a pickle that can be read: it takes what it never put there") from None
    except (ValueError, OverflowError) as error:
        raise PolicyError(f"{where}: not a pickle that can be read: {shown(error)}") from None


class _Machine:
    """The stack and the memo of the pickle's little language, with nothing that it could call."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, object] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one opcode."""
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _FRESH:
            stack.append(_FRESH[name]())
        elif name in _SHORT_TUPLES:
            stack.append(tuple(reversed([self.pop() for _ in range(_SHORT_TUPLES[name])])))
        else:
            match name:
                case "PROTO" | "FRAME" | "STOP":
                    pass
                case "MARK":
                    stack.append(_MARK)
                case "POP":
                    stack.pop()
                case "POP_MARK":
                    self._pop_to_mark()
                case "DUP":
                    stack.append(stack[-1])
                case "MEMOIZE":
                    self._memo[len(self._memo)] = self._top()
                case "PUT" | "BINPUT" | "LONG_BINPUT":
                    self._memo[argument] = self._top()
                case "GET" | "BINGET" | "LONG_BINGET":
                    stack.append(self._memo[argument])
                case "TUPLE":
                    stack.append(tuple(self._pop_to_mark()))
                case "LIST" | "FROZENSET":
                    stack.append(self._pop_to_mark())
                case "DICT":
                    items = self._pop_to_mark()
                    stack.append({})
                    self._set_items(items)
                case "APPEND":
                    self._extend([self.pop()])
                case "APPENDS" | "ADDITEMS":
                    self._extend(self._pop_to_mark())
                case "SETITEM":
                    value, key = self.pop(), self.pop()
                    self._set_items([key, value])
                case "SETITEMS":
                    self._set_items(self._pop_to_mark())
                case _:
                    self._object(name, argument)

    def _object(self, name: str, argument: Any) -> None:
        """Follow an opcode that would import or call something."""
        match name:
            case "GLOBAL":
                self._stack.append(Name(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                last, module = self.pop(), self.pop()
                if not isinstance(last, str) or not isinstance(module, str):
                    raise ValueError("a class without a name")
                self._stack.append(Name(f"{module}.{last}"))
            case "REDUCE" | "NEWOBJ":
                args, called = self.pop(), self.pop()
                self._call(called, args)
            case "NEWOBJ_EX":
                _, args, called = self.pop(), self.pop(), self.pop()
                self._call(called, args)
            case "BUILD":
                state, built = self.pop(), self._top()
                if not isinstance(built, Record):
                    raise ValueError(f"a state for a {kind(built)}")
                built.state = state
            case "BINPERSID":
                self._stack.append(Record(STORED_ELSEWHERE, (self.pop(),)))
            case _:
                raise ValueError(f"opcode {name}, which nothing that is read here needs")

    def _call(self, called: object, args: object) -> None:
        if not isinstance(args, tuple):
            raise ValueError(f"a call with a {kind(args)}")
        self._stack.append(Record(called.text if isinstance(called, Name) else "", args))

    def _extend(self, items: list[object]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Record):  # what a record is filled with is not needed
            raise ValueError(f"items for a {kind(target)}")

    def _set_items(self, items: list[object]) -> None:
        target = self._top()
        entries = target.entries if isinstance(target, Record) else target
        if not isinstance(entries, dict) or len(items) % 2:
            raise ValueError(f"{len(items)} keys and values for a {kind(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, _KEYS):
                entries[key] = value

    def _top(self) -> Any:
        if self._stack[-1] is _MARK:
            raise ValueError("a mark where a value is needed")
        return self._stack[-1]

    def pop(self) -> Any:
        """Take what was put last."""
        self._top()
        return self._stack.pop()

    def _pop_to_mark(self) -> list[object]:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items


def shown(value: object) -> str:
    """A text from outside as it may stand in a message: one short line."""
    text = " ".join(str(value).split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 100 else f"{text[:99]}…"


def kind(value: object) -> str:
    """What something is, for messages: the name of what a pickle would have built, or the type."""
    name = value.name if isinstance(value, Record) else value.text if isinstance(value, Name) else ""
    return shown(name) if name else type(value).__name__


def as_mapping(value: object) -> Mapping[object, object] | None:
    """The entries of a dict or an OrderedDict; None for anything else."""
    if isinstance(value, Record) and value.name == "collections.OrderedDict" and not value.args:
        return value.entries
    return value if isinstance(value, dict) else None


def as_state(value: object, *names: str) -> Mapping[object, object] | None:
    """What an object of one of these classes holds as its own; None for anything else."""
    if isinstance(value, Record) and value.name in names and isinstance(value.state, dict):
        return value.state
    return None


def as_array(value: object, where: str) -> NDArray[Any]:
    """A NumPy array or scalar of numbers.

    Args:
        value: of a pickle.
        where: what it is, for messages.

    Raises:
        PolicyError: it is something else, or its bytes do not fit its shape.
    """
    dtype, shape, payload, order = _array_parts(value)
    size = math.prod(shape) * dtype.itemsize if dtype and _is_shape(shape) else 0
    if dtype is None or not isinstance(payload, bytes | bytearray) or size == 0 or len(payload) != size:
        raise PolicyError(f"{where}: expected an array of numbers, found {kind(value)}")
    return np.frombuffer(bytes(payload), dtype).reshape(shape, order=order)


def _array_parts(value: object) -> tuple[np.dtype[Any] | None, Any, object, Any]:
    """Type, shape, bytes and order, as NumPy pickles them up to protocol 4, from protocol 5, and of a scalar."""
    if isinstance(value, Record):
        match value.name.replace("numpy._core.", "numpy.core."), value.args, value.state:
            case "numpy.core.multiarray._reconstruct", _, (_, shape, dtype, fortran, payload):
                return _dtype(dtype), shape, payload, "F" if fortran is True else "C"
            case "numpy.core.numeric._frombuffer", (payload, dtype, shape, "C" | "F" as order), _:
                return _dtype(dtype), shape, payload, order
            case "numpy.core.multiarray.scalar", (dtype, payload), _:
                return _dtype(dtype), (), payload, "C"
    return None, (), None, "C"


def _dtype(value: object) -> np.dtype[Any] | None:
    if isinstance(value, Record) and value.name == "numpy.dtype":
        match value.args, value.state:
            case (str() as code, *_), (_, "<" | ">" | "|" as order, None, None, None, *_) if code in _DTYPES:
                return np.dtype(code if order == "|" else order + code)
    return None


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple) and len(shape) <= 8 and all(type(axis) is int and axis > 0 for axis in shape)


def as_number(value: object, where: str) -> float:
    """A finite number, Python's or NumPy's.

    Raises:
        PolicyError: it is something else.
    """
    number: object = value
    if isinstance(value, Record):
        array = as_array(value, where)
        number = array.item() if array.size == 1 else value
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise PolicyError(f"{where}: expected a number, found {kind(value)}")
    try:
        converted = float(number)
    except OverflowError:  # a whole number beyond all floats
        converted = math.inf
    if not math.isfinite(converted):
        raise PolicyError(f"{where}: expected a finite number, found {converted}")
    return converted
