"""What a learner sees of a Gymnasium observation: a vector as it is, one of finitely many states one-hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.gymnasium_registry import Discrete, MultiDiscrete, Tuple, require_vector

MOST_STATES = 1_000_000
"""More than this, and a table of them is no longer a sensible thing."""


@dataclass(frozen=True)
class Seeing:
    """How an observation becomes a vector.

    Attributes:
        size: numbers in it.
        n_states: of how many states it is one, seen one-hot; None where it is a vector.
        see: makes it of an observation [Shape (size,); float32].
    """

    size: int
    n_states: int | None
    see: Callable[[Any], Float32Array]


def seeing(space: Any, what: str) -> Seeing:
    """How observations of a space are seen.

    Several choices together (MultiDiscrete, a Tuple of Discrete, as Blackjack has) are one state; the last varies
    fastest.

    Args:
        space: of the observations.
        what: for the message.

    Raises:
        ConfigError: it is neither of vectors nor of finitely many states, or of too many.
    """
    sizes, first = _choices(space)
    if sizes is None:
        width = int(require_vector(space, what).shape[0])
        return Seeing(width, None, lambda observation: np.asarray(observation, dtype=np.float32))
    count = int(np.prod(sizes, dtype=np.float64))
    if count > MOST_STATES:
        raise ConfigError(f"the {what} is one of {count} states; more than {MOST_STATES} are too many for a table")

    def see(observation: Any) -> Float32Array:
        hot = np.zeros(count, dtype=np.float32)
        hot[np.ravel_multi_index(np.atleast_1d(observation).astype(np.intp) - first, sizes)] = 1.0
        return hot

    def see_one(observation: Any) -> Float32Array:
        hot = np.zeros(count, dtype=np.float32)
        hot[int(observation) - int(first[0])] = 1.0
        return hot

    return Seeing(count, count, see_one if isinstance(space, Discrete) else see)


def _choices(space: Any) -> tuple[tuple[int, ...] | None, Any]:
    """How many choices there are in each place and the first of each; None for a space of another kind."""
    if isinstance(space, Discrete):
        return (int(space.n),), np.array([int(space.start)])
    if isinstance(space, MultiDiscrete) and len(space.nvec.shape) == 1:
        return tuple(int(n) for n in space.nvec), np.asarray(space.start)
    if isinstance(space, Tuple) and all(isinstance(part, Discrete) for part in space.spaces):
        parts = [part for part in space.spaces if isinstance(part, Discrete)]
        return tuple(int(part.n) for part in parts), np.array([int(part.start) for part in parts])
    return None, None
