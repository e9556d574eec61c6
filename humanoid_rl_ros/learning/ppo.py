"""Proximal policy optimisation (Schulman et al., 2017) with an asymmetric critic."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.learning.begin import begin_from
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.learner import Learner, require_own_state
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.ppo_parts import Minibatch, PolicyPart, ValuePart
from humanoid_rl_ros.learning.ppo_samples import Samples, minibatches, samples_of, standardised
from humanoid_rl_ros.learning.rollout import Collector, Rollout

__all__ = ["PPO", "PPOConfig"]

# What each source of randomness is for; each has a stream of its own.
_WEIGHTS, _NOISE, _ORDER = range(3)


class PPO(Learner[Rollout]):
    """Learns by PPO.

    The normalisers take a batch in after the update that learnt from it, so that an update sees observations just as
    the policy saw them that acted.

    Args:
        env: what it learns in; with other processes, this one's share of the robots, which draws randomness of its
            own from the common seed. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.
        distributed: the processes it learns with, each with equally many robots.

    Raises:
        ConfigError: the robots cannot be shared out among the shards or the processes, or there are fewer samples than
            minibatches, or the policy to begin with does not fit.
    """

    def __init__(self, env: BatchEnv, config: PPOConfig, seed: int, distributed: Distributed | None = None) -> None:
        self._env, self._config, self._others = env, config, distributed
        rank, self._world = (0, 1) if distributed is None else (distributed.rank, distributed.world_size)
        self._require_shares()
        weights = _generator(seed, _WEIGHTS, 0)
        sizes = env.observation_size, len(env.action_low)
        self.policy = PolicyPart(sizes, config, weights, distributed)
        self.value = ValuePart(env.critic_size, config, weights, distributed)
        if config.begin_from:
            begin_from(self.policy, env, config.begin_from)
        self._mirror = env.mirror if config.mirror else None
        shards = range(rank * config.shards, (rank + 1) * config.shards)
        self._order = [_generator(seed, _ORDER, shard) for shard in shards]
        noise = [_generator(seed, _NOISE, shard) for shard in shards]
        self._collector = Collector(env, seed, config.steps_per_iteration, noise)
        self._steps = 0
        self._pool: ThreadPoolExecutor | None = None
        self._critic_learns: Future[float] | None = None
        self._value_loss = 0.0

    @property
    def steps(self) -> int:
        """Environment steps learnt from, of all robots together."""
        return self._steps

    @property
    def std(self) -> Tensor:
        """Of the exploration, in units of the action [Shape (action_size,)]."""
        return self.policy.log_std.detach().exp()

    def iterate(self) -> dict[str, float]:
        """Collect and update once; the environment's statistics come with what it returns.

        Raises:
            TrainingError: a loss, a weight, a reward or an observation is not finite.
        """
        rollout = self.collect()
        return {**rollout.statistics, **self.update(rollout), "time/collect": rollout.seconds}

    def collect(self) -> Rollout:
        """Act with the policy as it is now."""
        return self._collector.collect(self.actor(), self.policy.log_std.detach().clone())

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a batch; with `overlap` the critic goes on learning when this has returned."""
        began = time.perf_counter()
        config, mirror = self._config, self._mirror
        self._join()
        rollout = replace(rollout, reward=config.reward_scale * rollout.reward)
        samples = samples_of(
            rollout, self.value.network, self.value.normaliser, mirror, config.discount, config.gae_lambda
        )
        if not samples.advantage.isfinite().all():
            raise TrainingError(f"an advantage is not finite at step {self._steps}")
        unexplained = (samples.target - samples.value).var() / samples.target.var().clamp_min(1e-12)
        if config.normalise_advantages:
            samples = replace(samples, advantage=standardised(samples.advantage, self._others))
        steps, robots = rollout.reward.shape
        plan = [
            minibatch
            for _ in range(config.epochs)
            for minibatch in minibatches(self._order, steps, robots, config.minibatches, images=mirror is not None)
        ]
        self._let_critic_learn(samples, plan)
        policy_loss = kl = held = 0.0
        if self._steps >= config.policy_from:
            policy_loss, kl, held = self.policy.learn(samples, plan, self._steps)
        if mirror is not None:
            self.policy.even_out(mirror.action)
        self.policy.see(rollout.observation.flatten(0, 1), None if mirror is None else mirror.policy)
        self.value.see(rollout.critic[:-1].flatten(0, 1), None if mirror is None else mirror.critic)
        self._steps += steps * robots * self._world
        return {
            "loss/policy": policy_loss,
            "loss/value": self._value_loss,
            "policy/kl": kl,
            "policy/clip_fraction": held,
            "policy/entropy": self.policy.entropy,
            "policy/std": float(self.std.mean()),
            "policy/learning_rate": self.policy.rate,
            "value/mean": float(samples.value.mean()),
            "value/explained_variance": 1.0 - float(unexplained),
            "time/update": time.perf_counter() - began,
        }

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        return self.policy.actor()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on; waits for the critic.

        With several processes each has a state of its own: its robots and its randomness.

        Raises:
            TrainingError: the critic ran into what is not finite.
        """
        self._join()
        return {
            "algorithm": "ppo",
            "shape": self._shape(),
            "steps": self._steps,
            "policy": self.policy.state_dict(),
            "value": self.value.state_dict(),
            "value_loss": self._value_loss,
            "order": [generator.get_state() for generator in self._order],
            "collector": self._collector.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another learner, network, environment or process.
        """
        self._wait()
        require_own_state(state, "ppo", self._shape())
        try:
            self._collector.load_state_dict(state["collector"])
            self.policy.load_state_dict(state["policy"])
            self.value.load_state_dict(state["value"])
            for generator, saved in zip(self._order, state["order"], strict=True):
                generator.set_state(saved)
            self._steps, self._value_loss = state["steps"], state["value_loss"]
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def close(self) -> None:
        """Wait for the critic and end its thread."""
        self._wait()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _let_critic_learn(self, samples: Samples, plan: list[Minibatch]) -> None:
        """Here, or in a thread while the policy learns and then acts: neither needs the critic before the next update.

        What it learns is the same either way, to the bit. Several processes take turns in adding up, so there it is
        here.
        """
        rate = self._config.critic_learning_rate
        work = (samples, plan, self.policy.rate if rate is None else rate, self._steps)
        if not self._config.overlap or self._others is not None:
            self._value_loss = self.value.learn(*work)
            return
        if self._pool is None:
            threads = torch.get_num_threads()
            self._pool = ThreadPoolExecutor(1, "critic", initializer=lambda: torch.set_num_threads(threads))
        self._critic_learns = self._pool.submit(self.value.learn, *work)

    def _join(self) -> None:
        """Wait for the critic.

        Raises:
            TrainingError: it ran into what is not finite.
        """
        if self._critic_learns is not None:
            learning, self._critic_learns = self._critic_learns, None
            self._value_loss = learning.result()

    def _wait(self) -> None:
        """Wait for the critic, whatever becomes of it."""
        if self._critic_learns is not None:
            self._critic_learns.exception()
            self._critic_learns = None

    def _require_shares(self) -> None:
        config, n = self._config, self._env.n_envs
        if n % config.shards:
            raise ConfigError(f"ppo: {n} robots cannot be shared out evenly among {config.shards} 'shards'")
        samples = n // config.shards * config.steps_per_iteration
        if samples < config.minibatches:
            raise ConfigError(
                f"ppo: {config.minibatches} 'minibatches' need at least as many samples, found {samples} in a shard"
            )
        if self._others is not None:
            total = int(self._others.sum_(torch.tensor([n])).item())
            if self._any(total != n * self._world):
                raise ConfigError(f"ppo: every process needs equally many robots; found {n} here of {total} in all")

    def _any(self, value: bool) -> bool:
        """Whether it is so in any process."""
        return value if self._others is None else bool(self._others.sum_(torch.tensor([int(value)])).item())

    def _shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        config, env = self._config, self._env
        return {
            "observation_size": env.observation_size,
            "critic_size": env.critic_size,
            "action_size": len(env.action_low),
            "robots": env.n_envs,
            "actor_hidden": list(config.actor_hidden),
            "critic_hidden": list(config.critic_hidden),
            "activation": config.activation,
            "shards": config.shards,
            "processes": self._world,
            "process": 0 if self._others is None else self._others.rank,
        }


def _generator(seed: int, purpose: int, shard: int) -> torch.Generator:
    state = np.random.SeedSequence(seed, spawn_key=(purpose, shard)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)
