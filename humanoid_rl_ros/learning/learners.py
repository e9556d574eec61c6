"""The learners by name."""

from __future__ import annotations

from typing import Any

import torch

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.learner import Learner
from humanoid_rl_ros.learning.ppo import PPO
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.sac import SAC, SACConfig

CONFIGS: dict[str, type[Any]] = {"ppo": PPOConfig, "sac": SACConfig}
"""What each is configured by."""


def require_algorithm(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        ConfigError: with the nearest.
    """
    if name not in CONFIGS:
        raise ConfigError(f"no algorithm named '{name}'; {did_you_mean(name, CONFIGS)}")


def make_learner(name: str, env: BatchEnv, config: Any, seed: int, others: Distributed | None = None) -> Learner[Any]:
    """A learner that begins.

    Args:
        name: ``ppo`` or ``sac``.
        env: what it learns in; with other processes, this one's share of the robots.
        config: of its own kind.
        seed: of all its randomness.
        others: the processes it learns with.

    Raises:
        ConfigError: it cannot learn with others, or the configuration does not fit the environment.
    """
    require_algorithm(name)
    if name == "ppo":
        return PPO(env, config, seed, others)
    if others is not None and others.world_size > 1:
        raise ConfigError(f"{name} learns in one process; only ppo can be started by torchrun")
    return SAC(env, config, seed)


def close_learner(learner: Learner[Any]) -> None:
    """End what it does beside; the environment may be closed then."""
    if isinstance(learner, PPO):
        learner.close()


def use_threads(count: int) -> None:
    """Let torch use so many threads; with several, its sums may differ from those of one in the last bit."""
    torch.set_num_threads(count)
