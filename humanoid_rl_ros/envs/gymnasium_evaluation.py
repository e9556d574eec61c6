"""Whole episodes of a policy in a Gymnasium environment, as benchmarks count them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.envs.evaluation import Act
from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumBatch

LONGEST = 10_000
"""After which an episode is cut in an environment that never ends one [steps]."""
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


def run_episodes(id: str, act: Act, count: int, *, seed: int, threads: int = 1) -> Episodes:
    """One episode in each of so many copies of an environment.

    Args:
        id: as `gymnasium.make` takes it.
        act: the policy.
        count: episodes.
        seed: of the environments; a policy without chance gives the same episodes each time.
        threads: that step the copies; the outcome does not depend on them.

    Raises:
        ConfigError, MissingDependencyError: there is no such environment here, or it is not one of vectors.
    """
    env = GymnasiumBatch(id, count, threads=threads)
    try:
        seen = env.reset(int(np.random.SeedSequence(seed, spawn_key=(_STREAM,)).generate_state(1)[0])).policy
        returns, lengths = np.zeros(count), np.zeros(count)
        running = np.ones(count, dtype=bool)
        while running.any() and lengths.max() < LONGEST:
            step = env.step(act(seen))
            returns += np.where(running, step.reward, 0.0)
            lengths += running
            running &= ~(step.terminated | step.truncated)
            seen = step.observation.policy
        return Episodes(returns, lengths)
    finally:
        env.close()
