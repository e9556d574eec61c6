"""What tests of training ask of a run's folder, and of the states in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from humanoid_rl_ros.learning.checkpoint import checkpoint_name


def checkpoint(folder: Path, steps: int) -> Path:
    """The checkpoint of a run after so many steps."""
    return folder / "checkpoints" / checkpoint_name(steps)


def same(one: Any, other: Any, *, but: str | None = None) -> bool:
    """Whether two states are the same to the bit, apart from what one key stands for."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[key], other[key], but=but) for key in one if key != but)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b, but=but) for a, b in zip(one, other, strict=True))
    return bool(one == other)
