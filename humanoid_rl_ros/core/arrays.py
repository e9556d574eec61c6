"""Array types and the copy that a frozen dataclass makes of what it is given."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Float32Array: TypeAlias = NDArray[np.float32]
IndexArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]

EVERYONE = slice(None)
"""The rows of all robots of a batch."""


def frozen(values: ArrayLike) -> FloatArray:
    """A read-only float64 array that nobody else can write: a copy, unless it is one already."""
    if (
        isinstance(values, np.ndarray)
        and not values.flags.writeable
        and values.base is None
        and values.dtype == np.float64
    ):
        return values
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
