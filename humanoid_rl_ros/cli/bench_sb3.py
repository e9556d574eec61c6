"""Stable-Baselines3's PPO in a batch environment, as its documentation would have it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecMonitor, VecNormalize

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.learning.networks import ACTIVATIONS
from humanoid_rl_ros.learning.ppo_config import PPOConfig

# It takes finite bounds only.
LARGEST_ACTION = 100.0

StepReturn = tuple[Float32Array, Float32Array, BoolArray, list[dict[str, Any]]]


class BatchVecEnv(VecEnv):
    """A batch environment as Stable-Baselines3 wants one; the actor's observation alone.

    Args:
        batch: the robots.
        seed: with which they start.
    """

    def __init__(self, batch: BatchEnv, seed: int) -> None:
        self._batch, self._seed = batch, seed
        self._action: Float32Array = np.zeros((batch.n_envs, len(batch.action_low)), dtype=np.float32)
        low, high = (
            np.clip(bound, -LARGEST_ACTION, LARGEST_ACTION).astype(np.float32)
            for bound in (batch.action_low, batch.action_high)
        )
        seen = Box(-np.inf, np.inf, (batch.observation_size,), np.float32)
        super().__init__(batch.n_envs, seen, Box(low, high, dtype=np.float32))

    def reset(self) -> Float32Array:
        """Start every robot anew."""
        return self._batch.reset(self._seed).policy

    def step_async(self, actions: Float32Array) -> None:
        """Take the actions of the next step."""
        self._action = actions

    def step_wait(self) -> StepReturn:
        """Step; what was seen last of an episode that ended stands in its `infos`."""
        step = self._batch.step(self._action)
        done = step.terminated | step.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            infos[i] = {
                "terminal_observation": step.final.policy[i],
                "TimeLimit.truncated": bool(step.truncated[i]),
            }
        return step.observation.policy, step.reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to end: the batch belongs to who made it."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the environment, once for each robot."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not offered."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Not offered."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Never."""
        return [False] * self.num_envs


class StableBaselines:
    """A `humanoid_rl_ros.cli.bench_peers.Trainee`. Episodes are counted by the environment, so without VecMonitor.

    Args:
        env: what it learns in.
        config: of our own PPO.
        seed: of everything.
    """

    def __init__(self, env: BatchEnv, config: PPOConfig, seed: int) -> None:
        self._samples = env.n_envs * config.steps_per_iteration
        normalised = VecNormalize(
            BatchVecEnv(env, seed), norm_reward=False, clip_obs=config.observation_clip, gamma=config.discount
        )
        self._learner = PPO(
            "MlpPolicy",
            normalised,
            learning_rate=config.learning_rate,
            n_steps=config.steps_per_iteration,
            batch_size=-(-self._samples // config.minibatches),
            n_epochs=config.epochs,
            gamma=config.discount,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip,
            clip_range_vf=config.value_clip,
            normalize_advantage=config.normalise_advantages,
            ent_coef=config.entropy_coefficient,
            vf_coef=config.value_coefficient,
            max_grad_norm=config.max_gradient_norm,
            policy_kwargs={
                "net_arch": {"pi": list(config.actor_hidden), "vf": list(config.critic_hidden)},
                "activation_fn": ACTIVATIONS[config.activation],
                "log_std_init": math.log(config.initial_std),
            },
            seed=seed,
            device="cpu",
        )

    def iterate(self) -> None:
        """Collect and update once."""
        self._learner.learn(self._samples, log_interval=None, reset_num_timesteps=False)


class StableBaselinesAsShipped:
    """Its PPO with its own defaults, in Gymnasium environments of a process each; a `Trainee`.

    Args:
        make: makes one environment; called in its process.
        processes: how many.
        seed: of everything.

    Attributes:
        samples: environment steps in an iteration.
    """

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]], processes: int, seed: int) -> None:
        self._robots = VecMonitor(SubprocVecEnv([make] * processes))
        self._learner = PPO("MlpPolicy", self._robots, seed=seed, device="cpu")
        self.samples = self._learner.n_steps * processes

    def iterate(self) -> None:
        """Collect and update once."""
        self._learner.learn(self.samples, log_interval=None, reset_num_timesteps=False)

    def episode_steps(self) -> float:
        """Mean length of the last hundred episodes that ended, NaN for none."""
        ended = [episode["l"] for episode in self._learner.ep_info_buffer or ()]
        return float(np.mean(ended)) if ended else math.nan

    def close(self) -> None:
        """End the processes."""
        self._robots.close()
