"""The checkpoints of one run: each says which run it is of; the newest few stay, and the best."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.learning.checkpoint import (
    PATTERN,
    checkpoint_name,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    steps_of,
)
from humanoid_rl_ros.learning.run_folder import RunFolder, RunRecord, record_from

BEST = "best.pt"
RUN = "run"


class RunCheckpoints:
    """Writes and reads them for one process of a run.

    Args:
        folder: of the run.
        record: what the run is.
        rank: which of its processes this is.
        keep: how many stay beside the best.
    """

    def __init__(self, folder: RunFolder, record: RunRecord, rank: int = 0, keep: int = 3) -> None:
        self._folder = folder.checkpoints(rank)
        self._record = record
        self._keep = keep

    def save(self, steps: int, content: dict[str, Any], *, best: bool) -> Path:
        """Write one; delete what is too old.

        Args:
            steps: that it stands for.
            content: what goes in beside the record of the run.
            best: whether it is the best so far.

        Raises:
            TrainingError: it cannot be written; what was there before stays.
        """
        path = self._folder / checkpoint_name(steps)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_checkpoint(path, {RUN: self._record.as_dict(), **content})
            if best:
                _link(path, self._folder / BEST)
            prune_checkpoints(self._folder, self._keep)
        except OSError as error:
            raise TrainingError(f"{path}: the checkpoint cannot be written: {error.strerror or error}") from None
        return path

    def path(self, steps: int) -> Path:
        """Where the one of so many steps stands."""
        return self._folder / checkpoint_name(steps)

    def steps(self) -> list[int]:
        """Of those there are, most first."""
        return [steps_of(path) for path in checkpoints_in(self._folder)]

    def load(self, steps: int) -> dict[str, Any]:
        """Read one.

        Raises:
            TrainingError: it cannot be read.
            ConfigError: it is of another run.
        """
        content = load_checkpoint(self.path(steps))
        self._record.require_same(checkpoint_record(content, self.path(steps)), str(self.path(steps)))
        return content


def checkpoints_in(folder: Path) -> list[Path]:
    """The numbered checkpoints of a folder, most steps first."""
    return sorted((file for file in folder.glob("*.pt") if PATTERN.fullmatch(file.name)), reverse=True)


def checkpoint_record(content: dict[str, Any], path: Path) -> RunRecord:
    """What run a checkpoint is of.

    Raises:
        TrainingError: it does not say.
    """
    record = content.get(RUN)
    if not isinstance(record, dict):
        raise TrainingError(f"{path}: the checkpoint does not say what run it is of")
    try:
        return record_from(Section(record, str(path)))
    except ConfigError as error:
        raise TrainingError(str(error)) from None


def _link(path: Path, best: Path) -> None:
    """Make `best` another name of a checkpoint, or a copy where the file system has no such names."""
    part = best.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except OSError:
        shutil.copyfile(path, part)
    part.replace(best)
