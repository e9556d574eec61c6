"""Copies of one Gymnasium environment that are stepped together, whatever their actions are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep
from humanoid_rl_ros.envs.gymnasium_registry import make_environment
from humanoid_rl_ros.envs.gymnasium_seeing import seeing
from humanoid_rl_ros.envs.gymnasium_state import read_state, write_state


class GymnasiumCopies:
    """Copies of one Gymnasium environment; the critic sees what the actor sees.

    A state that is one of finitely many is seen one-hot, for networks and tables alike.

    Args:
        id: as `gymnasium.make` takes it, such as ``Humanoid-v5``.
        n_envs: copies.
        threads: that step them; more than one pays for physics that runs outside the interpreter, as MuJoCo does.
        stream: which of several batches of one seed this is: together they start as one large batch does.
        **kwargs: for `gymnasium.make`.

    Raises:
        ConfigError: there is no such environment, it does not take the arguments, or its observation is
            neither a vector of real numbers nor one of finitely many states.
        MissingDependencyError: the environment needs something that is not installed.
    """

    def __init__(self, id: str, n_envs: int, *, threads: int = 1, stream: int = 0, **kwargs: Any) -> None:
        if n_envs < 1 or threads < 1:
            raise ConfigError(f"environment '{id}': n_envs and threads must be at least 1, found {n_envs}, {threads}")
        arguments = json.dumps(kwargs, sort_keys=True, default=lambda value: type(value).__name__)
        self._made_with = f"{id} {arguments}"
        self._id, self._stream = id, stream
        self._envs = [make_environment(id, kwargs) for _ in range(n_envs)]
        self._seeing = seeing(self._envs[0].observation_space, f"observation of '{id}'")
        threads = min(threads, n_envs)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._shares = [range(start, n_envs, threads) for start in range(threads)]
        self._seen: Float32Array = np.zeros((n_envs, self._seeing.size), dtype=np.float32)
        self._returns: FloatArray = np.zeros(n_envs)
        self._lengths: FloatArray = np.zeros(n_envs)
        self._ended: FloatArray = np.zeros(3)
        self._cut = False

    @property
    def n_envs(self) -> int:
        """Copies of the environment."""
        return len(self._envs)

    @property
    def observation_size(self) -> int:
        """Width of the observation."""
        return self._seeing.size

    @property
    def critic_size(self) -> int:
        """Width of the observation."""
        return self._seeing.size

    @property
    def n_states(self) -> int | None:
        """How many states there are, each seen one-hot; None where a vector is seen."""
        return self._seeing.n_states

    def reset(self, seed: int) -> BatchObservation:
        """Start every copy anew, each with a seed of its own drawn from this one."""
        first = self._stream * self.n_envs
        seeds = np.random.SeedSequence(seed).generate_state(first + self.n_envs)[first:]
        seen = np.empty_like(self._seen)

        def start(i: int) -> None:
            seen[i] = self._seeing.see(self._envs[i].reset(seed=int(seeds[i]))[0])

        self._each(start)
        self._returns[:] = self._lengths[:] = 0.0
        self._ended[:] = 0.0
        self._cut = False
        self._seen = seen
        return BatchObservation(seen, seen)

    def _step(self, actions: Sequence[Any]) -> BatchStep:
        """One step of every copy, each with an action that its environment takes."""
        if self._cut:
            return self._cut_episodes()
        see = self._seeing.see
        seen = np.empty_like(self._seen)
        reward = np.empty(self.n_envs)
        terminated, truncated = np.empty(self.n_envs, dtype=bool), np.empty(self.n_envs, dtype=bool)
        last: dict[int, Any] = {}

        def advance(i: int) -> None:
            observation, reward[i], terminated[i], truncated[i], _ = self._envs[i].step(actions[i])
            seen[i] = see(observation)
            if terminated[i] or truncated[i]:
                last[i] = seen[i].copy()
                seen[i] = see(self._envs[i].reset()[0])

        self._each(advance)
        self._count(reward, terminated | truncated)
        self._seen = seen
        observation = final = BatchObservation(seen, seen)
        if last:
            before_reset = seen.copy()
            for i, value in last.items():
                before_reset[i] = value
            final = BatchObservation(before_reset, before_reset)
        return BatchStep(observation, reward, terminated, truncated, final)

    def statistics(self) -> dict[str, float]:
        """Mean return and length [steps] of the episodes that ended since the last call, and their number."""
        count, total_return, total_length = (float(value) for value in self._ended)
        self._ended[:] = 0.0
        if not count:
            return {}
        return {
            "episode/return": total_return / count,
            "episode/length": total_length / count,
            "episode/count": count,
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs.

        Exact for environments whose attributes are numbers, text and arrays (classic control), and for MuJoCo's. What
        any other holds, such as a Box2D world, cannot be copied: of those only the randomness is kept, and
        `load_state_dict` starts new episodes.
        """
        return {
            "environment": self._made_with,
            "environments": [read_state(env) for env in self._envs],
            "observation": self._seen.copy(),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
            "ended": self._ended.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Where that could not be exact, the next `step` takes no action: it reports every episode as cut by time after
        the observation that was seen last, with reward 0 and without counting it, and starts the next.

        Raises:
            ConfigError: it is of another environment, of other arguments or another number of copies.
        """
        found = state.get("environment")
        if found != self._made_with or len(state["environments"]) != self.n_envs:
            raise ConfigError(
                f"the saved state is of {len(state.get('environments', []))} × {found}, "
                f"expected {self.n_envs} × {self._made_with}"
            )
        for env, saved in zip(self._envs, state["environments"], strict=True):
            env.reset(seed=0)
            try:
                write_state(env, saved)
            except (AttributeError, KeyError, ValueError) as error:
                raise ConfigError(f"the saved state of '{self._id}' does not fit it: {error}") from None
        self._seen = np.array(state["observation"], dtype=np.float32)
        for name in ("returns", "lengths", "ended"):
            getattr(self, f"_{name}")[:] = state[name]
        self._cut = not all(saved["exact"] for saved in state["environments"])

    def close(self) -> None:
        """Close every copy and end the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        for env in self._envs:
            env.close()

    def _each(self, do: Callable[[int], None]) -> None:
        """Call for every copy; each thread has its own copies, so that the result does not depend on their number."""

        def share(copies: range) -> None:
            for i in copies:
                do(i)

        if self._pool is None:
            share(range(self.n_envs))
        else:
            list(self._pool.map(share, self._shares))

    def _count(self, reward: FloatArray, ended: BoolArray) -> None:
        self._returns += reward
        self._lengths += 1.0
        if ended.any():
            self._ended += ended.sum(), self._returns[ended].sum(), self._lengths[ended].sum()
            self._returns[ended] = self._lengths[ended] = 0.0

    def _cut_episodes(self) -> BatchStep:
        before = self._seen
        self._seen = np.stack([self._seeing.see(env.reset()[0]) for env in self._envs])
        self._returns[:] = self._lengths[:] = 0.0
        self._cut = False
        no, yes = np.zeros(self.n_envs, dtype=bool), np.ones(self.n_envs, dtype=bool)
        return BatchStep(
            BatchObservation(self._seen, self._seen), np.zeros(self.n_envs), no, yes, BatchObservation(before, before)
        )
