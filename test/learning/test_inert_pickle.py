"""Pickles read without running them: plain data comes back, everything else is a record, and nothing happens."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_files import Command, dump, instance, stand_in
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.learning.inert_pickle import (
    Name,
    Record,
    as_array,
    as_mapping,
    as_number,
    as_state,
    kind,
    read_pickle,
)

Refuses = Callable[..., AbstractContextManager[None]]
ARRAY = np.array([[1.5, -2.0, 3.25], [0.0, np.inf, 1e-30]])


def _read(content: bytes) -> Any:
    return read_pickle(content, "file")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(SCALARS, inner) | st.tuples(inner, inner) | st.lists(inner).map(tuple)
    ),
    max_leaves=20,
)


@given(PLAIN, st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back(value: Any, protocol: int) -> None:
    assert _read(pickle.dumps(value, protocol)) == value


def test_what_is_shared_is_shared() -> None:
    inner: list[Any] = [1]
    back = _read(pickle.dumps([inner, inner, (inner,)]))
    assert back[0] is back[1] is back[2][0]


def test_an_object_is_a_record_of_its_class_and_state() -> None:
    content = dump([instance("some.where.Thing", width=3, inner=instance("some.Other")), stand_in("some.where.Thing")])
    thing, name = _read(content)
    assert name == Name("some.where.Thing")
    assert as_state(thing, "x.Y", "some.where.Thing")["width"] == 3
    assert as_state(thing, "x.Y") is None
    assert kind(thing.state["inner"]) == "some.Other"


def test_an_ordered_dict_keeps_its_order() -> None:
    back = as_mapping(_read(pickle.dumps(OrderedDict(b=1, a=2))))
    assert list(back.items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "array",
    [ARRAY, np.asfortranarray(ARRAY), ARRAY.astype(">f4"), np.array([True, False]), np.arange(3, dtype=np.int64)],
    ids=["C", "Fortran", "big-endian", "bool", "int64"],
)
def test_arrays_come_back(array: np.ndarray, protocol: int) -> None:
    for core in (b"numpy._core.", b"numpy.core."):  # of NumPy 2 and 1; protocol 3 stores names without their length
        content = pickle.dumps(array, protocol)
        content = content.replace(b"numpy._core.", core) if protocol == 3 else content
        back = as_array(_read(content), "array")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.5), np.int64(-3), 2.5, 7])
def test_numbers_come_back(value: Any) -> None:
    assert as_number(_read(pickle.dumps(value)), "number") == float(value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_command_is_not_run(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    content = pickle.dumps({"x": [Command(f"touch {victim}")]}, protocol)
    (record,) = _read(content)["x"]
    assert isinstance(record, Record)
    assert (record.name, record.args) == ("posix.system", (f"touch {victim}",))
    assert not victim.exists()
    pickle.loads(content)  # what it would have done
    assert victim.exists()


def test_no_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_by_pickle.py").write_text(f"open({str(tmp_path / 'victim')!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    content = b"\x80\x04cimported_by_pickle\nThing\n)\x81."
    assert _read(content).name == "imported_by_pickle.Thing"
    assert "imported_by_pickle" not in sys.modules
    assert not (tmp_path / "victim").exists()
    pickle.loads(content)
    assert (tmp_path / "victim").exists()
    del sys.modules["imported_by_pickle"]


def test_a_huge_memo_index_takes_no_memory() -> None:
    """The C unpickler would reserve 8 GB for these eleven bytes."""
    tracemalloc.start()
    assert _read(b"\x80\x04Nr\xff\xff\xff\x3f.") is None
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_keys_that_take_for_ever_to_hash_are_left_out() -> None:
    """A tuple of twice the same tuple, sixty deep: 2⁶⁰ steps to hash."""
    deep = b")" + b"2\x86" * 60
    assert _read(b"\x80\x04}" + deep + b"Ns\x8c\x01aK\x05s.") == {"a": 5}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "exhausted"),
        (b"\x80\x04.", "never put"),
        (b"\x80\x04h\x05.", "never put"),
        (b"\x80\x04(.", "mark"),
        (b"\x80\x04t.", "never put"),
        (b"\x80\x04Nt.", "mark"),
        (b"\x80\x04]N(u.", "NoneType"),
        (b"\x80\x04}(Nu.", "1 keys and values"),
        (b"\x80\x04NNb.", "NoneType"),
        (b"\x80\x04cos\nsystem\nNR.", "call"),
        (b"\x80\x04NN\x93.", "without a name"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pabc\n.", "PERSID"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "bytes8"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "bytearray8"),
        (b"I" + b"9" * 5000 + b"\n.", "digit"),
        (b"N0" * 600_000 + b"N.", "steps"),
    ],
)
def test_other_bytes_are_refused(content: bytes, word: str, refuses: Refuses) -> None:
    with refuses(PolicyError, "file: not a pickle that can be read", word):
        _read(content)


def test_every_part_of_a_pickle_is_refused(refuses: Refuses) -> None:
    content = dump({"a": instance("some.Thing", array=ARRAY)})
    for stop in range(len(content)):
        with refuses(PolicyError, "file"):
            _read(content[:stop])


def test_a_huge_pickle_is_refused(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humanoid_rl_ros.learning.inert_pickle.LARGEST", 100)
    with refuses(PolicyError, "file", "101 bytes", "100"):
        _read(bytes(101))


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_nothing_but_a_refusal_comes_out(noise: bytes, place: int, change: bytes) -> None:
    for whole in (noise, b"\x80\x04" + noise + b".", dump(ARRAY), dump([instance("some.Thing"), {"b": (1, None)}])):
        content = bytearray(whole)
        content[place % (len(whole) + 1) : place % (len(whole) + 1) + len(change)] = change
        with suppress(PolicyError):
            value = _read(bytes(content))
            kind(value)
            as_mapping(value)
            with suppress(PolicyError):
                as_number(value, "number")
            as_array(value, "array")


@pytest.mark.parametrize(
    "array",
    [np.array([None, "x"]), np.array(["text"]), np.zeros(2, "f4,f4"), np.zeros((0, 3)), np.array([1j])],
    ids=["object", "text", "structured", "empty", "complex"],
)
def test_other_arrays_are_refused(array: np.ndarray, refuses: Refuses) -> None:
    with refuses(PolicyError, "mean", "array of numbers"):
        as_array(_read(pickle.dumps(array, 4)), "mean")


def test_an_array_of_more_than_its_bytes_is_refused(refuses: Refuses) -> None:
    good = _read(pickle.dumps(np.zeros(4), 4))
    version, _, dtype, fortran, payload = good.state
    for shape in [(5,), (2**40, 2**40), (-4,), (True, 4), [4], (1,) * 9, ("4",), None]:
        good.state = (version, shape, dtype, fortran, payload)
        with refuses(PolicyError, "mean", "array of numbers", "_reconstruct"):
            as_array(good, "mean")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 10**400, True, None, "1", [1.0], np.float64("nan"), np.zeros(2)]
)
def test_other_numbers_are_refused(value: Any, refuses: Refuses) -> None:
    with refuses(PolicyError, "epsilon", "number"):
        as_number(_read(pickle.dumps(value)), "epsilon")


def test_names_of_the_file_stay_on_one_line(refuses: Refuses) -> None:
    content = b"\x80\x04\x8c\x0cos\nx\x1b[31mred\x8c\x06system\x93)R."
    with refuses(PolicyError, "os x?[31"):
        as_array(_read(content), "mean")
    with refuses(PolicyError, "…"):
        as_array(Record("x" * 10_000, ()), "mean")
