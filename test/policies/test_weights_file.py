"""What is seen of a weights file before a library opens it, and what is never opened."""

from __future__ import annotations

import resource
import struct
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.policies.weights_file import (
    archive_members,
    external_files,
    limited_memory,
    require_torchscript,
)

Refuses = Callable[..., AbstractContextManager[None]]


@pytest.mark.parametrize("name", ["policy.onnx.data", "a" * 127, "b" * 128, "c" * 300, "sub/ä.bin"])
def test_external_files_are_found_without_onnx(name: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx writes the file of this test")
    tensor = onnx.numpy_helper.from_array(np.zeros(3, dtype=np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location=name, offset=0, length=12)
    inside = onnx.numpy_helper.from_array(np.frombuffer(b"location" * 8, dtype=np.float32), "v")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor, tensor, inside])
    assert external_files(onnx.helper.make_model(graph).SerializeToString()) == (name,)


def test_a_network_without_external_files_names_none() -> None:
    assert external_files(b"location\x12\x03abc") == ()


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_what_looks_like_torchscript_may_be_opened(tmp_path: Path) -> None:
    require_torchscript(_zip(tmp_path / "a.pt", {"a/code/__torch__.py": b"class A(Module): ...", "a/data.pkl": b""}))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"archive/data.pkl": b"", "archive/data/0": b"123"}, ["a pickle of weights", "policy import"]),
        ({"readme.txt": b"hello"}, ["a zip of other things"]),
        ({"a/code/m.py": b"x = torch.from_file('/etc/passwd')"}, ["from_file", "not loaded"]),
        ({"a/code/m.py": b"torch.save(x, 'f')"}, ["torch.save", "not loaded"]),
    ],
)
def test_what_is_no_torchscript_policy_is_not_opened(
    members: dict[str, bytes], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    path = _zip(tmp_path / "a.pt", members)
    with refuses(PolicyError, str(path), *words):
        require_torchscript(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no zip at all"])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with refuses(PolicyError, str(path), "not a checkpoint"):
        archive_members(path, "not a checkpoint")


def test_a_zip_bomb_is_not_opened(tmp_path: Path, refuses: Refuses) -> None:
    path = _zip(tmp_path / "bomb.pt", {"a/code/m.py": b"#" * 10_000_000}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    with refuses(PolicyError, str(path), "10000000", "not opened"):
        require_torchscript(path)


def test_a_zip_that_lies_about_its_sizes_is_not_opened(tmp_path: Path, refuses: Refuses) -> None:
    path = _zip(tmp_path / "bomb.pt", {"a/code/m.py": b"x = 1"})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")  # the entry of the central directory: its uncompressed size stands at 24
    content[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with refuses(PolicyError, str(path), "not opened"):
        require_torchscript(path)


def test_memory_is_limited_while_a_network_is_tried_and_free_again() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with limited_memory(64 * 2**20), pytest.raises(MemoryError):
        bytearray(2**30)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(2**28)) == 2**28
