"""The other PPOs that `humanoid_rl bench training` measures beside our own."""

from __future__ import annotations

import copy
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from humanoid_rl_ros.core.errors import MissingDependencyError
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.learning.ppo_config import PPOConfig


class Trainee(Protocol):
    """Something that learns in an environment of its own."""

    def iterate(self) -> None:
        """Collect and update once."""


def legged_settings(config: PPOConfig) -> PPOConfig:
    """What rsl_rl is commonly given for legged robots, in Isaac Lab say, where it differs from a configuration."""
    return replace(
        config,
        steps_per_iteration=24,
        epochs=5,
        minibatches=4,
        actor_hidden=(512, 256, 128),
        critic_hidden=(512, 256, 128),
        activation="elu",
        learning_rate=1e-3,
        learning_rate_floor=1e-5,
        learning_rate_ceiling=1e-2,
        desired_kl=0.01,
        entropy_coefficient=0.01,
        initial_std=1.0,
    )


@dataclass(frozen=True)
class Peer:
    """Another library.

    Attributes:
        title: what it is called.
        distribution: what pip calls it.
        how: how it is set up beside ours.
        settings: makes what it is given of our own configuration.
    """

    title: str
    distribution: str
    how: str
    settings: Callable[[PPOConfig], PPOConfig] = copy.copy

    @property
    def version(self) -> str | None:
        """Which is installed, or None."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def how_to_get(self) -> str:
        """What to do where it is missing; another torch than ours is not to come with it."""
        return f"{self.distribution} is not installed: pip install 'humanoid_rl_ros[train,peers]'"

    def require(self) -> None:
        """Refuse to go on without it.

        Raises:
            MissingDependencyError: it is not installed.
        """
        if self.version is None:
            raise MissingDependencyError(self.how_to_get)


AS_SHIPPED = "sb3_own"
"""The one that does not learn in our batch but in Gymnasium environments, a process each."""
PROCESSES = 8

PEERS = {
    "sb3": Peer("Stable-Baselines3", "stable-baselines3", "our batch, our settings"),
    AS_SHIPPED: Peer("Stable-Baselines3", "stable-baselines3", f"{PROCESSES} processes, its defaults"),
    "rsl_rl": Peer("rsl_rl", "rsl-rl-lib", "our batch, our settings"),
    "rsl_rl_own": Peer("rsl_rl", "rsl-rl-lib", "our batch, legged settings", legged_settings),
}


def make_peer(name: str, env: BatchEnv, config: PPOConfig, seed: int) -> Trainee:
    """A peer that begins in a batch, with what our own configuration says wherever it has such a thing.

    What it has not, it is spared: neither learns from mirror images, and Stable-Baselines3's critic sees what the
    actor sees.

    Args:
        name: one of `PEERS` but `AS_SHIPPED`, installed.
        env: what it learns in.
        config: of our own PPO.
        seed: of its randomness and the environment's.
    """
    if name == "sb3":
        from humanoid_rl_ros.cli.bench_sb3 import StableBaselines

        return StableBaselines(env, config, seed)
    from humanoid_rl_ros.cli.bench_rsl_rl import RslRl

    return RslRl(env, config, seed)
