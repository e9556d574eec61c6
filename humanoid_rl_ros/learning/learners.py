"""The learners by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.batch_env import BatchEnv, ChoiceEnv
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.dqn import DQN, DQNConfig
from humanoid_rl_ros.learning.learner import Learner
from humanoid_rl_ros.learning.ppo import PPO
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.q_learning import QLearning, QLearningConfig
from humanoid_rl_ros.learning.reinforce import Reinforce, ReinforceConfig
from humanoid_rl_ros.learning.sac import SAC, SACConfig
from humanoid_rl_ros.learning.sarsa import Sarsa, SarsaConfig
from humanoid_rl_ros.learning.td3 import TD3, TD3Config

VECTORS, CHOICES = "vectors", "choices"


@dataclass(frozen=True)
class LearnerKind:
    """One learner.

    Attributes:
        make: the class, made with an environment, a configuration and a seed.
        config: what it is configured by.
        actions: which it can choose: `VECTORS`, `CHOICES`, or both.
    """

    make: type[Any]
    config: type[Any]
    actions: tuple[str, ...]


LEARNERS: Mapping[str, LearnerKind] = {
    "q_learning": LearnerKind(QLearning, QLearningConfig, (CHOICES,)),
    "sarsa": LearnerKind(Sarsa, SarsaConfig, (CHOICES,)),
    "reinforce": LearnerKind(Reinforce, ReinforceConfig, (CHOICES, VECTORS)),
    "dqn": LearnerKind(DQN, DQNConfig, (CHOICES,)),
    "td3": LearnerKind(TD3, TD3Config, (VECTORS,)),
    "ppo": LearnerKind(PPO, PPOConfig, (VECTORS,)),
    "sac": LearnerKind(SAC, SACConfig, (VECTORS,)),
}
"""In the order in which one meets them when learning."""

CONFIGS: dict[str, type[Any]] = {name: kind.config for name, kind in LEARNERS.items()}
"""What each is configured by."""


def require_algorithm(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        ConfigError: with the nearest.
    """
    if name not in LEARNERS:
        raise ConfigError(f"no algorithm named '{name}'; {did_you_mean(name, LEARNERS)}")


def require_actions(name: str, actions: str, task: str) -> None:
    """Refuse a learner that cannot choose actions of a kind.

    Args:
        name: of the learner.
        actions: `VECTORS` or `CHOICES`.
        task: whose actions they are, for the message.

    Raises:
        ConfigError: with those that can.
    """
    if actions not in LEARNERS[name].actions:
        found, wanted = ("a vector", "a choice") if actions == VECTORS else ("a choice", "a vector")
        able = ", ".join(other for other, kind in LEARNERS.items() if actions in kind.actions)
        raise ConfigError(f"an action of {task} is {found}, and {name} learns where it is {wanted}; take {able}")


def make_learner(
    name: str, env: BatchEnv | ChoiceEnv, config: Any, seed: int, others: Distributed | None = None
) -> Learner[Any]:
    """A learner that begins.

    Args:
        name: of `LEARNERS`.
        env: what it learns in; with other processes, this one's share of the robots.
        config: of its own kind.
        seed: of all its randomness.
        others: the processes it learns with.

    Raises:
        ConfigError: it cannot learn with others, or the configuration does not fit the environment.
    """
    require_algorithm(name)
    learner: Learner[Any]
    if name == "ppo":
        learner = PPO(cast(BatchEnv, env), config, seed, others)
        return learner
    if others is not None and others.world_size > 1:
        raise ConfigError(f"{name} learns in one process; only ppo can be started by torchrun")
    learner = LEARNERS[name].make(env, config, seed)
    return learner


def use_threads(count: int) -> None:
    """Let torch use so many threads; with several, its sums may differ from those of one in the last bit."""
    torch.set_num_threads(count)
