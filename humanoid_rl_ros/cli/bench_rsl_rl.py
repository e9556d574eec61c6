"""rsl_rl's PPO in a batch environment, as its runner would have it."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchObservation
from humanoid_rl_ros.learning.ppo_config import PPOConfig

# What rsl_rl calls our activations where the names differ.
ACTIVATION_NAMES = {"silu": "swish"}


class BatchVecEnv(VecEnv):
    """A batch environment as rsl_rl wants one.

    Args:
        batch: the robots.
        seed: with which they start.
    """

    def __init__(self, batch: BatchEnv, seed: int) -> None:
        self._batch = batch
        self.num_envs, self.num_actions = batch.n_envs, len(batch.action_low)
        self.device = "cpu"
        self.cfg: dict[str, Any] = {}
        # Asked for by the interface; the batch ends its episodes itself.
        self.max_episode_length = 1
        self.episode_length_buf = torch.zeros(batch.n_envs, dtype=torch.long)
        self._seen = _tensors(batch.reset(seed))

    def get_observations(self) -> TensorDict:
        """What was seen last."""
        return self._seen

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Step all robots."""
        step = self._batch.step(actions.numpy())
        self._seen = _tensors(step.observation)
        done = torch.from_numpy(step.terminated | step.truncated)
        extras = {"time_outs": torch.from_numpy(step.truncated)}
        return self._seen, torch.from_numpy(step.reward).float(), done, extras


class RslRl:
    """A `humanoid_rl_ros.cli.bench_peers.Trainee`. It writes no log.

    Args:
        env: what it learns in.
        config: of our own PPO.
        seed: of everything.
    """

    def __init__(self, env: BatchEnv, config: PPOConfig, seed: int) -> None:
        torch.manual_seed(seed)
        # It prints its networks.
        with contextlib.redirect_stdout(io.StringIO()):
            self._runner = OnPolicyRunner(BatchVecEnv(env, seed), _settings(config), device="cpu")

    def iterate(self) -> None:
        """Collect and update once."""
        self._runner.learn(1)


def _tensors(seen: BatchObservation) -> TensorDict:
    groups = {"policy": torch.from_numpy(seen.policy), "critic": torch.from_numpy(seen.critic)}
    return TensorDict(groups, batch_size=[len(seen.policy)])


def _settings(config: PPOConfig) -> dict[str, Any]:
    activation = ACTIVATION_NAMES.get(config.activation, config.activation)
    network = {"class_name": "MLPModel", "activation": activation, "obs_normalization": True}
    noise = {"class_name": "GaussianDistribution", "init_std": config.initial_std, "std_type": "log"}
    return {
        "num_steps_per_env": config.steps_per_iteration,
        "save_interval": 0,
        "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
        "actor": {**network, "hidden_dims": list(config.actor_hidden), "distribution_cfg": noise},
        "critic": {**network, "hidden_dims": list(config.critic_hidden)},
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": config.epochs,
            "num_mini_batches": config.minibatches,
            "clip_param": config.clip,
            "gamma": config.discount,
            "lam": config.gae_lambda,
            "value_loss_coef": config.value_coefficient,
            "entropy_coef": config.entropy_coefficient,
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.max_gradient_norm,
            "use_clipped_value_loss": config.value_clip is not None,
            "schedule": "fixed" if config.desired_kl is None else "adaptive",
            "desired_kl": config.desired_kl,
        },
    }
