"""What a policy did in an environment for a few steps, and the collecting of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchObservation
from humanoid_rl_ros.learning.networks import ActorNetwork


@dataclass(frozen=True, eq=False)
class Rollout:
    """T steps of n robots, with all that an update needs to know of the policy that acted.

    Attributes:
        observation: what the actor saw [Shape (T, n, observation_size)].
        critic: what the critic saw then, and at the end where the last step led, before any reset
            [Shape (T + 1, n, critic_size)].
        action: what was done [Shape (T, n, action_size)].
        log_prob: of the action [Shape (T, n)].
        reward: [Shape (T, n)].
        terminated, done: the episode ended without future, or ended at all [Shape (T, n); bool].
        cut: which steps but the last led to the end of an episode that has a future, as t·n + robot [Shape (k,)].
        cut_critic: what the critic saw there, before the reset [Shape (k, critic_size)].
        mean, std: of the normaliser that the policy acted with [Shape (observation_size,)].
        clip: bound of what it normalised.
        statistics: of the environment, over these steps.
        seconds: that the collecting took.
    """

    observation: Tensor
    critic: Tensor
    action: Tensor
    log_prob: Tensor
    reward: Tensor
    terminated: Tensor
    done: Tensor
    cut: Tensor
    cut_critic: Tensor
    mean: Tensor
    std: Tensor
    clip: float
    statistics: dict[str, float]
    seconds: float

    def state_dict(self) -> dict[str, Any]:
        """Everything, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Collector:
    """Lets a policy act, and remembers where the robots stand between two rollouts.

    Args:
        env: reset here; each process of several has an environment of its own.
        seed: of the environment.
        steps: T.
        noise: generators of the exploration, one for each block of equally many robots.
    """

    def __init__(self, env: BatchEnv, seed: int, steps: int, noise: list[torch.Generator]) -> None:
        self._env = env
        self._steps = steps
        self._noise = noise
        self._action_size = len(env.action_low)
        self._taken = 0
        self._seen = env.reset(seed).copy()

    def collect(self, actor: ActorNetwork, log_std: Tensor) -> Rollout:
        """Act for T steps with normal noise about what the actor says.

        Args:
            actor: which nobody may change meanwhile.
            log_std: of the noise [Shape (action_size,)].

        Raises:
            TrainingError: a reward or an observation is not finite.
        """
        began = time.perf_counter()
        env, steps, n, a = self._env, self._steps, self._env.n_envs, self._action_size
        observation = torch.empty(steps, n, env.observation_size)
        critic = torch.empty(steps + 1, n, env.critic_size)
        action = torch.empty(steps, n, a)
        reward = torch.empty(steps, n)
        terminated = torch.empty(steps, n, dtype=torch.bool)
        done = torch.empty(steps, n, dtype=torch.bool)
        blocks = [torch.randn(steps, n // len(self._noise), a, generator=block) for block in self._noise]
        noise = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
        std = log_std.exp()
        cut: list[int] = []
        cut_critic: list[Float32Array] = []
        with torch.inference_mode():
            for t in range(steps):
                observation[t] = torch.from_numpy(self._seen.policy)
                critic[t] = torch.from_numpy(self._seen.critic)
                chosen = torch.addcmul(actor(observation[t]), noise[t], std)
                action[t] = chosen
                step = env.step(chosen.numpy())
                self._taken += n
                self._require_finite(step.reward, "reward")
                self._require_finite(step.observation.policy, "observation")
                ended = step.terminated | step.truncated
                reward[t] = torch.from_numpy(step.reward)
                terminated[t] = torch.from_numpy(step.terminated)
                done[t] = torch.from_numpy(ended)
                if t < steps - 1 and ended.any():
                    rows = np.flatnonzero(ended & ~step.terminated)
                    cut.extend((t * n + rows).tolist())
                    cut_critic.append(step.final.critic[rows])
                self._seen = step.observation
            critic[steps] = torch.from_numpy(step.final.critic)
        # log π(a|s) = −½ Σ ((a − μ) / σ)² − Σ log σ − ½ k log 2π, and (a − μ) / σ is the noise.
        log_prob = -0.5 * noise.square().sum(dim=-1) - log_std.sum() - 0.5 * a * math.log(2.0 * math.pi)
        self._seen = self._seen.copy()
        ends = np.concatenate(cut_critic) if cut_critic else np.zeros((0, env.critic_size))
        rollout = Rollout(
            observation,
            critic,
            action,
            log_prob,
            reward,
            terminated,
            done,
            torch.tensor(cut, dtype=torch.int64),
            torch.tensor(ends, dtype=torch.float32),
            actor.mean,
            actor.std,
            actor.clip,
            env.statistics(),
            time.perf_counter() - began,
        )
        for seen in (rollout.critic, rollout.cut_critic):
            self._require_finite(seen.numpy(), "critic's observation")
        return rollout

    def state_dict(self) -> dict[str, Any]:
        """Where the robots stand, and the state of all randomness."""
        return {
            "env": self._env.state_dict(),
            "policy": self._seen.policy,
            "critic": self._seen.critic,
            "noise": [generator.get_state() for generator in self._noise],
            "taken": self._taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another environment.
        """
        for name in ("policy", "critic"):
            expected, found = getattr(self._seen, name).shape, state[name].shape
            if found != expected:
                raise ConfigError(f"the checkpoint's {name} observations are of shape {found}, expected {expected}")
        self._env.load_state_dict(state["env"])
        self._seen = BatchObservation(state["policy"], state["critic"]).copy()
        for generator, saved in zip(self._noise, state["noise"], strict=True):
            generator.set_state(saved)
        self._taken = state["taken"]

    def _require_finite(self, values: FloatArray | Float32Array, what: str) -> None:
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            raise TrainingError(f"the {what} of a robot is {bad} at step {self._taken}")
