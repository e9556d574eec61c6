"""Checkpoints: written whole or not at all, read without running anything that a file may hold."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import TrainingError

FORMAT = "humanoid_rl_ros checkpoint"
VERSION = 1
PATTERN = re.compile(r"checkpoint_(\d{12,})\.pt")
TEMPORARY = ".tmp"
# Keys of the mappings that stand for what torch.load with weights_only does not read back.
ARRAY, SCALAR, WIDE_INTEGER = "__numpy_array__", "__numpy_scalar__", "__wide_integer__"
PLAIN = (bool, float, str, type(None))
KINDS = "biufcSUmM"


def checkpoint_name(steps: int) -> str:
    """File name of a checkpoint; names sort as their steps do."""
    return f"checkpoint_{steps:012d}.pt"


def steps_of(path: Path) -> int:
    """The steps that a checkpoint stands for, by its name."""
    return int(path.stem.split("_")[1])


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the most steps in a folder, or None where there is none."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Delete all but the newest checkpoints of a folder, and what a killed process left half written.

    Args:
        folder: of one training, which must not be writing at this moment.
        keep: how many stay.
    """
    found = _checkpoints(folder)
    for file in [*found[: max(0, len(found) - keep)], *folder.glob(f".checkpoint_*{TEMPORARY}")]:
        file.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; a reader, and a crash at any moment, find the old file or the new one and never a part.

    Args:
        path: the file.
        state: tensors, NumPy arrays and scalars, numbers, text and None, in dicts, lists and tuples.

    Raises:
        TrainingError: the disk is full, the folder cannot be written, or the state holds something else; the file
            that was there before is untouched.
    """
    content = {"format": FORMAT, "version": VERSION, "state": _encode(state, "state")}
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        try:
            with temporary.open("wb") as file:
                _write(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise TrainingError(f"{path}: the checkpoint cannot be written: {error.strerror or error}") from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of `save_checkpoint`; tensors come back on the CPU.

    Raises:
        TrainingError: the file is missing, damaged, or not a checkpoint of this format and version.
    """
    try:
        with path.open("rb") as file:
            content = _read(file)
    except OSError as error:
        raise TrainingError(f"{path}: the checkpoint cannot be read: {error.strerror or error}") from None
    except _NotOursError as error:
        raise TrainingError(f"{path}: {error}; expected a checkpoint that a training saved") from None
    if content["version"] != VERSION:
        raise TrainingError(f"{path}: the checkpoint is of version {content['version']!r}, expected {VERSION}")
    state: dict[str, Any] = content["state"]
    return state


def _checkpoints(folder: Path) -> list[Path]:
    matches = ((PATTERN.fullmatch(file.name), file) for file in folder.glob("checkpoint_*.pt"))
    return [file for _, file in sorted((int(match[1]), file) for match, file in matches if match)]


class _NotOursError(Exception):
    """The file is damaged or of somebody else."""


def _read(file: BinaryIO) -> dict[str, Any]:
    # Whatever is not a checkpoint surfaces as whatever the readers run into first.
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums
    except Exception:
        raise _NotOursError("the file is damaged or no checkpoint") from None
    if damaged is not None:
        raise _NotOursError("the file is damaged")
    file.seek(0)
    try:
        content = _decode(torch.load(file, map_location="cpu", weights_only=True))
        ours = content["format"] == FORMAT and "version" in content and isinstance(content["state"], dict)
    except pickle.UnpicklingError:
        raise _NotOursError("the file holds more than data") from None
    except Exception:
        ours = False
    if not ours:
        raise _NotOursError("the file is of another program")
    return dict(content)


class _FirstError:
    """A file that remembers why it could not be written: torch's writer fails a second time while it cleans up."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, as the file does."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        """Flush, as the file does."""
        self._file.flush()


def _write(content: dict[str, Any], file: BinaryIO) -> None:
    guarded = _FirstError(file)
    try:
        torch.save(content, cast(BinaryIO, guarded))  # write and flush are all that torch asks of it
    except RuntimeError:
        if guarded.error is not None:
            raise guarded.error from None
        raise


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        return {SCALAR: _encode(np.asarray(value), where)}
    if isinstance(value, Tensor):
        return value.detach().clone()  # a part of a larger tensor would bring all of it along
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in KINDS:
            raise TrainingError(f"{where}: an array of {value.dtype} cannot be saved")
        raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return {
            ARRAY: value.dtype.str,
            "shape": tuple(value.shape),
            "bytes": torch.from_numpy(raw if raw.flags.writeable else raw.copy()),
        }
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else {WIDE_INTEGER: hex(value)}
    if isinstance(value, Mapping):
        return {_key(key, where): _encode(item, f"{where}[{key!r}]") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_encode(item, f"{where}[{i}]") for i, item in enumerate(value))
    raise TrainingError(f"{where}: a {type(value).__name__} cannot be saved")


def _key(key: Any, where: str) -> Any:
    if not isinstance(key, str | int) or key in (ARRAY, SCALAR, WIDE_INTEGER):
        raise TrainingError(f"{where}: a key {key!r} cannot be saved; expected text or a whole number")
    return key


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if ARRAY in value:
            return value["bytes"].numpy().view(np.dtype(value[ARRAY])).reshape(value["shape"])
        if SCALAR in value:
            return _decode(value[SCALAR])[()]
        if WIDE_INTEGER in value:
            return int(value[WIDE_INTEGER], 16)
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_decode(item) for item in value)
    return value
