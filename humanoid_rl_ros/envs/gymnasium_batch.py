"""Any Gymnasium environment as a batch: the benchmarks everybody knows, for the same learners."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchStep
from humanoid_rl_ros.envs.gymnasium_copies import GymnasiumCopies
from humanoid_rl_ros.envs.gymnasium_registry import Discrete, chooses, one_line, require_vector


class GymnasiumBatch(GymnasiumCopies):
    """Copies of an environment whose action is a vector; a `humanoid_rl_ros.envs.batch_env.BatchEnv`.

    An action outside the bounds is clipped to them.

    Args:
        id, n_envs, threads, stream, **kwargs: see `GymnasiumCopies`.

    Raises:
        ConfigError: as there, or the action is no vector of real numbers.
        MissingDependencyError: the environment needs something that is not installed.
    """

    def __init__(self, id: str, n_envs: int, *, threads: int = 1, stream: int = 0, **kwargs: Any) -> None:
        super().__init__(id, n_envs, threads=threads, stream=stream, **kwargs)
        self._action_space = require_vector(self._envs[0].action_space, f"action of '{id}'")

    @property
    def action_low(self) -> FloatArray:
        """Lower bounds of the action [Shape (action_size,)]."""
        return self._action_space.low.astype(np.float64)

    @property
    def action_high(self) -> FloatArray:
        """Upper bounds of the action [Shape (action_size,)]."""
        return self._action_space.high.astype(np.float64)

    @property
    def mirror(self) -> BatchMirror | None:
        """None: Gymnasium does not say which number stands for which side."""
        return None

    def step(self, action: Float32Array) -> BatchStep:
        """One step of every copy [Shape (n, action_size)]."""
        space = self._action_space
        return self._step(np.clip(action, space.low, space.high, dtype=space.dtype))


def gymnasium_copies(
    id: str, n_envs: int, *, threads: int | None = None, stream: int = 0, **kwargs: Any
) -> GymnasiumBatch | GymnasiumChoices:
    """Copies of an environment, whichever its actions are.

    Args:
        id, n_envs, stream, **kwargs: see `GymnasiumCopies`.
        threads: that step them; None for one per core, or only one where actions are choices: such environments are
            small and written in Python.

    Raises:
        ConfigError, MissingDependencyError: see `GymnasiumCopies`.
    """
    if chooses(id, kwargs):
        return GymnasiumChoices(id, n_envs, threads=threads or 1, stream=stream, **kwargs)
    return GymnasiumBatch(id, n_envs, threads=threads or len(os.sched_getaffinity(0)), stream=stream, **kwargs)


class GymnasiumChoices(GymnasiumCopies):
    """Copies of an environment whose action is a choice; a `humanoid_rl_ros.envs.batch_env.ChoiceEnv`.

    Args:
        id, n_envs, threads, stream, **kwargs: see `GymnasiumCopies`.

    Raises:
        ConfigError: as there, or the action is no choice among finitely many.
        MissingDependencyError: the environment needs something that is not installed.
    """

    def __init__(self, id: str, n_envs: int, *, threads: int = 1, stream: int = 0, **kwargs: Any) -> None:
        super().__init__(id, n_envs, threads=threads, stream=stream, **kwargs)
        space = self._envs[0].action_space
        if not isinstance(space, Discrete):
            raise ConfigError(f"the action of '{id}' must be a choice among finitely many, found {one_line(space)}")
        self._first, self._n_actions = int(space.start), int(space.n)

    @property
    def n_actions(self) -> int:
        """How many choices there are."""
        return self._n_actions

    def step(self, action: IndexArray) -> BatchStep:
        """One step of every copy, each by the number of its choice, from 0 [Shape (n,)]."""
        return self._step([self._first + int(choice) for choice in action])
