"""What `torch.save` wrote, read with neither torch nor an unpickler: nothing of the file can run.

`torch.load` with `weights_only` has run code (CVE-2025-32434, up to torch 2.5.1) and corrupted memory (CVE-2026-24747,
up to 2.9.1), and distributions still carry such releases.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.learning.inert_pickle import (
    STORED_ELSEWHERE,
    Name,
    Record,
    as_mapping,
    kind,
    read_pickle,
    shown,
)

LARGEST_FILE = 512 * 2**20
"""Bytes of a checkpoint; those of humanoids take a few million, optimiser and critics included."""
_MEMBERS = 10_000
_STORAGES = {"torch.FloatStorage": "<f4", "torch.HalfStorage": "<f2", "torch.DoubleStorage": "<f8"}


def read_file(path: Path, largest: int) -> bytes:
    """The content of a file of at most so many bytes.

    Raises:
        PolicyError: it is larger, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror or error}") from None
    if len(content) > largest:
        raise PolicyError(f"{path}: larger than {largest} bytes; not opened")
    return content


class StoredArchive:
    """A zip whose members are stored as they are, so that nothing in it is larger than the file.

    Args:
        content: the file.
        where: what it is, for messages.

    Raises:
        PolicyError: it is no zip, or one that nothing which writes checkpoints would write.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.where = where
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
            members = self._zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise PolicyError(f"{where}: not a zip that can be read: {shown(error)}") from None
        self.names = frozenset(member.filename for member in members)
        wrong = None
        if len(members) > _MEMBERS:
            wrong = f"{len(members)} members"
        elif len(self.names) < len(members):
            wrong = "two members of the same name"
        elif any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
            wrong = "packed or encrypted members"
        elif any(member.file_size != member.compress_size for member in members):
            wrong = "members that are larger inside than outside"
        elif sum(member.file_size for member in members) > len(content):
            wrong = "members that overlap"
        if wrong:
            raise PolicyError(f"{where}: a zip with {wrong}, which no checkpoint has; not opened")

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            PolicyError: there is none of that name, or it is damaged.
        """
        if name not in self.names:
            raise PolicyError(f"{self.where}: '{shown(name)}' is missing")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
            raise PolicyError(f"{self.where}: '{shown(name)}' is damaged: {shown(error)}") from None


class TorchArchive:
    """A file of `torch.save`.

    Args:
        content: the file.
        where: what it is, for messages.

    Attributes:
        data: what was saved, as `read_pickle` gives it; tensors are records, to be read by a `StateDict`.

    Raises:
        PolicyError: it is something else, TorchScript for one, or damaged.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.where = where
        if content.startswith(b"\x80"):
            raise PolicyError(f"{where}: a bare pickle, or of torch before 1.6; save it again with a later torch")
        self._archive = StoredArchive(content, where)
        roots = {name.partition("/")[0] for name in self._archive.names}
        self._root = roots.pop() if len(roots) == 1 else ""
        if f"{self._root}/data.pkl" not in self._archive.names:
            raise PolicyError(f"{where}: a zip, but not one of torch.save: it has no single folder with a data.pkl")
        if f"{self._root}/constants.pkl" in self._archive.names:
            raise PolicyError(f"{where}: TorchScript, not a checkpoint")
        order = f"{self._root}/byteorder"
        if order in self._archive.names and self._archive.read(order).strip() != b"little":
            raise PolicyError(f"{where}: written on a big-endian machine; save it again on another")
        self.data = read_pickle(self._archive.read(f"{self._root}/data.pkl"), where)

    def tensor(self, value: object, where: str) -> Float32Array:
        """The numbers of a tensor: dense, contiguous, floating, finite.

        Raises:
            PolicyError: it is something else.
        """
        if isinstance(value, Record) and value.name == "torch._utils._rebuild_parameter" and value.args:
            value = value.args[0]
        dtype, key, offset, shape, strides = _tensor_parts(value, where)
        if math.prod(shape) == 0 or not _is_contiguous(shape, strides):
            # A stride of 0 would make a tensor of any size out of one number.
            raise PolicyError(f"{where}: a tensor of shape {shape} that is empty or not contiguous")
        content = self._archive.read(f"{self._root}/data/{key}")
        start, size = offset * dtype.itemsize, math.prod(shape) * dtype.itemsize
        if start + size > len(content):
            raise PolicyError(f"{where}: {size} bytes are missing: a tensor of shape {shape} in {len(content)} bytes")
        array = np.frombuffer(content[start : start + size], dtype).reshape(shape)
        if not np.isfinite(array).all():
            raise PolicyError(f"{where}: holds NaN or infinity: the training diverged")
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)
        if not np.isfinite(single).all():
            raise PolicyError(f"{where}: holds numbers beyond float32")
        return single


def _tensor_parts(value: object, where: str) -> tuple[np.dtype[Any], str, int, tuple[int, ...], tuple[int, ...]]:
    """Type, storage key, offset, shape and strides of a tensor's record."""
    if isinstance(value, Record) and value.name == "torch._utils._rebuild_tensor_v2":
        match value.args:
            case (Record(name=stored, args=(pid,)), int() as offset, tuple() as shape, tuple() as strides, *_):
                if stored == STORED_ELSEWHERE and offset >= 0 and _are_sizes(shape) and _are_sizes(strides):
                    match pid:
                        case ("storage", Name(text=kind_of_storage), str() as key, str() as device, *_):
                            if device == "meta" or not re.fullmatch(r"[0-9]{1,9}", key):
                                raise PolicyError(f"{where}: a tensor without numbers")
                            if kind_of_storage not in _STORAGES:
                                expected = ", ".join(_STORAGES)
                                raise PolicyError(f"{where}: of {shown(kind_of_storage)}, expected one of {expected}")
                            return np.dtype(_STORAGES[kind_of_storage]), key, offset, shape, strides
    raise PolicyError(f"{where}: expected a dense tensor, found {kind(value)}")


def _are_sizes(values: tuple[object, ...]) -> bool:
    return len(values) <= 8 and all(type(value) is int and 0 <= value < 2**40 for value in values)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return len(shape) == len(strides) and all(
        size == 1 or stride == wanted for size, stride, wanted in zip(shape, strides, expected, strict=True)
    )


class StateDict:
    """Tensors by name, each read when it is asked for, so that what a policy does not need is never looked at.

    Args:
        archive: the file.
        entries: of the state dict.
        where: what it is, for messages.
        prefix: what the names began with in the file, for messages.
    """

    def __init__(self, archive: TorchArchive, entries: Mapping[str, object], where: str, prefix: str = "") -> None:
        self._archive = archive
        self._entries = entries
        self._prefix = prefix
        self.where = where

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, key: str) -> Float32Array:
        name = f"{self.where}: '{shown(self._prefix + key)}'"
        if key not in self._entries:
            raise PolicyError(f"{name} is missing")
        return self._archive.tensor(self._entries[key], name)

    def below(self, prefix: str) -> StateDict:
        """The tensors whose names begin so, named by the rest."""
        found = {key[len(prefix) :]: value for key, value in self._entries.items() if key.startswith(prefix)}
        return StateDict(self._archive, found, self.where, self._prefix + prefix)

    def require_known(self, names: tuple[str, ...], what: str) -> None:
        """Refuse tensors that a policy may need and that nobody here knows how to use.

        Args:
            names: that are known; with a dot at the end, what they may begin with.
            what: such a file, for the message.

        Raises:
            PolicyError: there is another.
        """
        prefixes = tuple(name for name in names if name.endswith("."))
        for key in self:
            if key not in names and not key.startswith(prefixes):
                raise PolicyError(f"{self.where}: holds '{shown(self._prefix + key)}', which is not of {what}")

    def linear_layers(self) -> list[tuple[Float32Array, Float32Array]]:
        """Weights and biases of linear layers named 0, 2, 4 …: what has no weights, the activation, is between them.

        Raises:
            PolicyError: they are named otherwise, or do not follow one another.
        """
        count = (len(self) + 1) // 2
        expected = {f"{2 * i}.{part}" for i in range(count) for part in ("weight", "bias")}
        for key in self:
            if key not in expected:
                raise PolicyError(
                    f"{self.where}: '{shown(self._prefix + key)}' is not of linear layers with an activation between, "
                    "which is all that can be read"
                )
        return [(self[f"{2 * i}.weight"], self[f"{2 * i}.bias"]) for i in range(count)]


def state_dict(archive: TorchArchive, value: object, what: str) -> StateDict:
    """A state dict of a file.

    Args:
        archive: the file.
        value: of it.
        what: which, for messages; empty for the file itself.

    Raises:
        PolicyError: it is something else, a whole pickled module for one.
    """
    where = f"{archive.where}: {what}" if what else archive.where
    entries = as_mapping(value)
    if entries is None:
        raise PolicyError(f"{where}: expected a state dict, found {kind(value)}")
    return StateDict(archive, {key: item for key, item in entries.items() if isinstance(key, str)}, where)
