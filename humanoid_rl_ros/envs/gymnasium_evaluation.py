"""Whole episodes of a policy in a Gymnasium environment, as benchmarks count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.envs.evaluation import Act
from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumBatch, gymnasium_copies

LONGEST, LONGEST_OF_CHOICES = 10_000, 1_000
"""After which an episode is cut in an environment that never ends one [steps]; of choices a policy easily goes in
circles."""
# Apart from what the same seed gives a training.
_STREAM = 1_000_003


@dataclass(frozen=True, eq=False)
class Episodes:
    """What came of each.

    Attributes:
        returns: sums of reward, undiscounted [Shape (n,)].
        lengths: steps [Shape (n,)].
    """

    returns: FloatArray
    lengths: FloatArray


def run_episodes(id: str, act: Act, count: int, *, seed: int, threads: int | None = None, **kwargs: Any) -> Episodes:
    """One episode in each of so many copies of an environment.

    Args:
        id: as `gymnasium.make` takes it.
        act: the policy; where actions are choices it gives a number for each, and the largest is taken.
        count: episodes.
        seed: of the environments; a policy without chance gives the same episodes each time.
        threads: that step the copies; the outcome does not depend on them.
        **kwargs: for `gymnasium.make`.

    Raises:
        ConfigError, MissingDependencyError: no such environment is here, or no policy can see or act in it.
    """
    env = gymnasium_copies(id, count, threads=threads, **kwargs)
    longest = LONGEST if isinstance(env, GymnasiumBatch) else LONGEST_OF_CHOICES
    try:
        seen = env.reset(int(np.random.SeedSequence(seed, spawn_key=(_STREAM,)).generate_state(1)[0])).policy
        returns, lengths = np.zeros(count), np.zeros(count)
        running = np.ones(count, dtype=bool)
        while running.any() and lengths.max() < longest:
            says = act(seen)
            step = env.step(says) if isinstance(env, GymnasiumBatch) else env.step(says.argmax(axis=1))
            returns += np.where(running, step.reward, 0.0)
            lengths += running
            running &= ~(step.terminated | step.truncated)
            seen = step.observation.policy
        return Episodes(returns, lengths)
    finally:
        env.close()
