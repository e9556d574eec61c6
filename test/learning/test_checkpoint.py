"""Checkpoints: what comes back, what is refused, and what a full disk leaves."""

from __future__ import annotations

import errno
import os
import pickle
import random
import resource
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.learning.checkpoint import (
    checkpoint_name,
    load_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)

Refuses = Callable[..., AbstractContextManager[None]]


def _there_and_back(folder: Path, value: Any) -> Any:
    save_checkpoint(folder / "x.pt", {"value": value})
    return load_checkpoint(folder / "x.pt")["value"]


@pytest.mark.parametrize(
    "array",
    [
        np.array([True, False]),
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array([0, 2**64 - 1], dtype=np.uint64),
        np.array([-(2**63)], dtype=np.int64),
        np.array([1, 2**32 - 1], dtype=np.uint32),
        np.zeros((0, 4), dtype=np.float32),
        np.array(2.5),
        np.array([[1.5, np.nan], [np.inf, -0.0]], dtype=np.float16),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(3, dtype=">i4"),
        np.array(["left", "right"]),
        np.array([1 + 2j]),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_an_array_comes_back_as_it_was(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    array.setflags(write=False)
    back = _there_and_back(tmp_path, array)
    assert isinstance(back, np.ndarray)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    back[...] = back  # it can be written


@pytest.mark.parametrize("scalar", [np.float32(0.1), np.float64(0.1), np.bool_(True), np.uint64(2**64 - 1)])
def test_a_numpy_scalar_keeps_its_type(tmp_path: Path, scalar: np.generic) -> None:
    back = _there_and_back(tmp_path, scalar)
    assert type(back) is type(scalar)
    assert back == scalar


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


@given(_plain)
def test_plain_values_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    back = _there_and_back(tmp_path_factory.getbasetemp(), value)
    assert back == value
    assert repr(back) == repr(value)  # True is not 1, a tuple is not a list


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 3**5000, -(2**64)])
def test_wide_integers_come_back(tmp_path: Path, value: int) -> None:
    assert _there_and_back(tmp_path, value) == value


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_a_generator_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    generator, other = (np.random.Generator(getattr(np.random, kind)(seed)) for seed in (1, 2))
    generator.random(7)
    generator.integers(0, 9, dtype=np.uint32)
    other.bit_generator.state = _there_and_back(tmp_path, generator.bit_generator.state)
    assert other.random(20).tolist() == generator.random(20).tolist()


def test_tensors_come_back_and_a_part_does_not_bring_the_whole(tmp_path: Path) -> None:
    whole = torch.zeros(1_000_000)
    whole[:3] = torch.tensor([1.0, 2.0, 3.0])
    back = _there_and_back(tmp_path, {"part": whole[:3], "bytes": torch.arange(4, dtype=torch.uint8)})
    assert back["part"].tolist() == [1.0, 2.0, 3.0]
    assert back["bytes"].dtype == torch.uint8
    assert (tmp_path / "x.pt").stat().st_size < 10_000


def test_what_learns_comes_back(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 1)
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(3, 2)).sum().backward()
    adam.step()
    back = _there_and_back(tmp_path, OrderedDict(net=net.state_dict(), adam=adam.state_dict()))
    other = torch.nn.Linear(2, 1)
    other.load_state_dict(back["net"])
    torch.optim.Adam(other.parameters()).load_state_dict(back["adam"])
    assert torch.equal(other.weight, net.weight)


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([object()]), {(1, 2): 3}, {"__numpy_array__": "x"}])
def test_what_would_not_come_back_is_refused_by_its_place(tmp_path: Path, refuses: Refuses, value: object) -> None:
    with refuses(TrainingError, "state['a'][1]", "cannot be saved"):
        save_checkpoint(tmp_path / "x.pt", {"a": [0, value]})
    assert list(tmp_path.iterdir()) == []


class _Trap:
    """Would touch a file if it were unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path, refuses: Refuses) -> None:
    file, touched = tmp_path / "x.pt", tmp_path / "touched"
    torch.save({"format": "humanoid_rl_ros checkpoint", "version": 1, "state": _Trap(str(touched))}, file)
    with refuses(TrainingError, str(file), "more than data"):
        load_checkpoint(file)
    assert not touched.exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    file = tmp_path / "x.pt"
    with refuses(TrainingError, str(file), "No such file"):
        load_checkpoint(file)
    with refuses(TrainingError, str(tmp_path), "directory"):
        load_checkpoint(tmp_path)
    for content in (b"", b"policy: walk\n" * 100, pickle.dumps({"state": {}})):
        file.write_bytes(content)
        with refuses(TrainingError, str(file), "no checkpoint"):
            load_checkpoint(file)
    for foreign in ({"model": torch.zeros(2)}, [1, 2], {"format": "humanoid_rl_ros checkpoint"}):
        torch.save(foreign, file)
        with refuses(TrainingError, str(file), "another program"):
            load_checkpoint(file)
    torch.save({"format": "humanoid_rl_ros checkpoint", "version": 99, "state": {}}, file)
    with refuses(TrainingError, str(file), "version 99", "expected 1"):
        load_checkpoint(file)


def test_a_damaged_file_is_refused_or_comes_back_as_it_was(tmp_path: Path, refuses: Refuses) -> None:
    file = tmp_path / "x.pt"
    value = {"weights": torch.arange(300.0), "rng": np.random.default_rng(1).bit_generator.state, "steps": 7}
    save_checkpoint(file, value)
    whole = file.read_bytes()
    for length in range(0, len(whole), 61):
        file.write_bytes(whole[:length])
        with refuses(TrainingError, str(file), "damaged"):
            load_checkpoint(file)
    rng, refused = random.Random(1), 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            back = load_checkpoint(file)
        except TrainingError:
            refused += 1
        else:  # a bit that nobody reads: padding, dates
            assert back["rng"] == value["rng"]
            assert back["steps"] == 7
            assert torch.equal(back["weights"], value["weights"])
    assert refused > 100


@contextmanager
def _files_no_longer_than(size: int) -> Iterator[None]:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("size", [1, 5_000, 100_000, 350_000])
def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path: Path, refuses: Refuses, size: int) -> None:
    file = tmp_path / "x.pt"
    save_checkpoint(file, {"steps": 1})
    state = {"steps": 2, "weights": torch.zeros(50_000), "more": torch.ones(50_000)}
    with refuses(TrainingError, str(file), "File too large"), _files_no_longer_than(size):
        save_checkpoint(file, state)
    assert load_checkpoint(file) == {"steps": 1}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_leaves_the_old_checkpoint(
    tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = tmp_path / "x.pt"
    save_checkpoint(file, {"steps": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with refuses(TrainingError, str(file), "No space left"):
            save_checkpoint(file, {"steps": 2})
    assert load_checkpoint(file) == {"steps": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    save_checkpoint(tmp_path / "x.pt", {})
    assert done == ["fsync", "replace", "fsync"]  # the file, the name, the folder that holds the name


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(TrainingError, str(tmp_path / "none"), "No such file"):
        save_checkpoint(tmp_path / "none" / "x.pt", {})


def test_the_newest_is_the_one_of_most_steps(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for name in ("checkpoint_5.pt", "checkpoint_000000000900.txt", "best.pt", ".checkpoint_000000000999.pt.1.tmp"):
        (tmp_path / name).touch()
    assert newest_checkpoint(tmp_path) is None
    for steps in (70, 9, 10**13, 800):
        (tmp_path / checkpoint_name(steps)).touch()
    assert checkpoint_name(70) == "checkpoint_000000000070.pt"
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint_10000000000000.pt"


def test_pruning_keeps_the_newest_and_what_is_no_checkpoint(tmp_path: Path) -> None:
    for steps in (1, 2, 30, 4):
        (tmp_path / checkpoint_name(steps)).touch()
    for name in ("best.pt", "notes.txt", ".checkpoint_000000000005.pt.123.tmp"):
        (tmp_path / name).touch()
    prune_checkpoints(tmp_path, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "best.pt",
        "checkpoint_000000000004.pt",
        "checkpoint_000000000030.pt",
        "notes.txt",
    ]
    prune_checkpoints(tmp_path, 5)
    assert newest_checkpoint(tmp_path) == tmp_path / checkpoint_name(30)
    prune_checkpoints(tmp_path, 0)
    assert newest_checkpoint(tmp_path) is None
