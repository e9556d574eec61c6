"""Proximal policy optimisation (Schulman et al., 2017) with an asymmetric critic."""

from __future__ import annotations

import copy
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.ppo_samples import Samples, minibatches, samples_of, standardised
from humanoid_rl_ros.learning.rollout import Collector, Rollout

__all__ = ["PPO", "PPOConfig"]

# What each source of randomness is for; each has a stream of its own.
_WEIGHTS, _NOISE, _ORDER = range(3)
_LOG_2_PI = math.log(2.0 * math.pi)


class PPO:
    """Learns by PPO; a `humanoid_rl_ros.learning.learner.Learner`.

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
            minibatches.
    """

    def __init__(self, env: BatchEnv, config: PPOConfig, seed: int, distributed: Distributed | None = None) -> None:
        self._env, self._config, self._others = env, config, distributed
        rank, self._world = (0, 1) if distributed is None else (distributed.rank, distributed.world_size)
        self._require_shares()
        weights = _generator(seed, _WEIGHTS, 0)
        self._actor = mlp(
            (env.observation_size, *config.actor_hidden, len(env.action_low)),
            config.activation,
            generator=weights,
            last_gain=0.01,
        )
        self._critic = mlp(
            (env.critic_size, *config.critic_hidden, 1), config.activation, generator=weights, last_gain=1.0
        )
        self._log_std = nn.Parameter(torch.full((len(env.action_low),), math.log(config.initial_std)))
        self._flat = FlatParameters([*self._actor.parameters(), self._log_std], self._critic.parameters())
        self._optimiser = torch.optim.Adam([self._flat.vector], lr=config.learning_rate, fused=True)
        self._learning_rate = config.learning_rate
        self._policy_normaliser = RunningNormaliser(env.observation_size, clip=config.observation_clip)
        self._critic_normaliser = RunningNormaliser(env.critic_size, clip=config.observation_clip)
        self._mirror = env.mirror if config.mirror else None
        shards = range(rank * config.shards, (rank + 1) * config.shards)
        self._order = [_generator(seed, _ORDER, shard) for shard in shards]
        noise = [_generator(seed, _NOISE, shard) for shard in shards]
        self._collector = Collector(env, seed, config.steps_per_iteration, noise)
        self._steps = 0
        self._pool: ThreadPoolExecutor | None = None
        self._in_flight: Future[Rollout] | None = None
        if distributed is not None:
            if rank > 0:
                self._flat.vector.data.zero_()
            distributed.sum_(self._flat.vector.data)

    @property
    def steps(self) -> int:
        """Environment steps learnt from, of all robots together."""
        return self._steps

    @property
    def std(self) -> Tensor:
        """Of the exploration, in units of the action [Shape (action_size,)]."""
        return self._log_std.detach().exp()

    def iterate(self) -> dict[str, float]:
        """Collect and update once; the environment's statistics come with what it returns.

        Raises:
            TrainingError: a loss, a weight, a reward or an observation is not finite.
        """
        rollout = self.collect()
        if self._config.overlap:
            self._pool = self._pool or ThreadPoolExecutor(1, "collect")
            # Bound here and now: the thread acts with what the policy is before the update.
            self._in_flight = self._pool.submit(self._collector.collect, self.actor(), self._log_std.detach().clone())
        return {**rollout.statistics, **self.update(rollout), "time/collect": rollout.seconds}

    def collect(self) -> Rollout:
        """The batch in flight, or else one that the policy collects now."""
        if self._in_flight is not None:
            flight, self._in_flight = self._in_flight, None
            return flight.result()
        return self._collector.collect(self.actor(), self._log_std.detach().clone())

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a batch."""
        began = time.perf_counter()
        config, mirror = self._config, self._mirror
        samples = samples_of(rollout, self._critic, self._critic_normaliser, mirror, config.discount, config.gae_lambda)
        if not samples.advantage.isfinite().all():
            raise TrainingError(f"an advantage is not finite at step {self._steps}")
        unexplained = (samples.target - samples.value).var() / samples.target.var().clamp_min(1e-12)
        if config.normalise_advantages:
            samples = replace(samples, advantage=standardised(samples.advantage, self._others))
        steps, robots = rollout.reward.shape
        sums = torch.zeros(4, dtype=torch.float64)
        count = 0
        for _ in range(config.epochs):
            order = minibatches(self._order, steps, robots, config.minibatches, images=mirror is not None)
            for rows, sources in order:
                sums += self._step(samples, rows, sources, adapt=count > 0)
                count += 1
        with torch.no_grad():
            if mirror is not None:
                # The two sides explore alike.
                self._log_std.copy_(0.5 * (self._log_std + self._log_std[torch.tensor(mirror.action.index)]))
            self._see(rollout)
            if not self._flat.vector.isfinite().all():
                raise TrainingError(f"a weight is not finite at step {self._steps}")
            entropy = float(self._log_std.sum()) + 0.5 * len(self._log_std) * (1.0 + _LOG_2_PI)
        self._steps += steps * robots * self._world
        policy_loss, value_loss, kl, clipped = (sums / count).tolist()
        return {
            "loss/policy": policy_loss,
            "loss/value": value_loss,
            "policy/kl": kl,
            "policy/clip_fraction": clipped,
            "policy/entropy": entropy,
            "policy/std": float(self.std.mean()),
            "policy/learning_rate": self._learning_rate,
            "value/mean": float(samples.value.mean()),
            "value/explained_variance": 1.0 - float(unexplained),
            "time/update": time.perf_counter() - began,
        }

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        normaliser = self._policy_normaliser
        return ActorNetwork(
            copy.deepcopy(self._actor), normaliser.mean.float(), normaliser.std, clip=self._config.observation_clip
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, a batch in flight included; waits for that.

        With several processes each has a state of its own: its robots and its randomness.
        """
        flight = None if self._in_flight is None else self._in_flight.result().state_dict()
        return {
            "algorithm": "ppo",
            "shape": self._shape(),
            "steps": self._steps,
            "learning_rate": self._learning_rate,
            "parameters": self._flat.vector.detach().clone(),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "policy_normaliser": copy.deepcopy(self._policy_normaliser.state_dict()),
            "critic_normaliser": copy.deepcopy(self._critic_normaliser.state_dict()),
            "order": [generator.get_state() for generator in self._order],
            "collector": self._collector.state_dict(),
            "in_flight": flight,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another learner, network, environment or process.
        """
        self._wait()
        if state.get("algorithm") != "ppo":
            raise ConfigError(f"the checkpoint is of {state.get('algorithm')!r}, expected 'ppo'")
        for name, expected in self._shape().items():
            if (found := state.get("shape", {}).get(name)) != expected:
                raise ConfigError(f"the checkpoint has {name} {found}, expected {expected}")
        try:
            self._collector.load_state_dict(state["collector"])
            self._flat.vector.data.copy_(state["parameters"])
            self._optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
            self._policy_normaliser.load_state_dict(state["policy_normaliser"])
            self._critic_normaliser.load_state_dict(state["critic_normaliser"])
            for generator, saved in zip(self._order, state["order"], strict=True):
                generator.set_state(saved)
            self._steps, self._learning_rate = state["steps"], state["learning_rate"]
            if state["in_flight"] is not None:
                self._in_flight = Future()
                self._in_flight.set_result(Rollout(**state["in_flight"]))
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def close(self) -> None:
        """Wait for the batch in flight and end its thread; the environment may be closed then."""
        self._wait()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _wait(self) -> None:
        """Let the batch in flight come in, and forget it."""
        if self._in_flight is not None:
            self._in_flight.exception()
            self._in_flight = None

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

    def _step(self, samples: Samples, rows: Tensor, sources: Tensor, *, adapt: bool) -> Tensor:
        """One step of the optimiser.

        Args:
            samples: what is learnt from.
            rows: the samples of this minibatch [Shape (m,)].
            sources: where they or their images stand [Shape (m,)].
            adapt: whether the learning rate follows the divergence.

        Returns:
            Policy loss, value loss, KL and the part of the samples that the clip holds [Shape (4,)].
        """
        config = self._config
        advantage, target = samples.advantage[rows], samples.target[rows]
        # log π(a|s) = −½ Σ ((a − μ) / σ)² − Σ log σ − ½ k log 2π
        mean = self._actor(samples.observation.index_select(0, sources))
        normal = (samples.action.index_select(0, sources) - mean) * torch.exp(-self._log_std)
        log_std_sum = self._log_std.sum()
        log_prob = -0.5 * normal.square().sum(dim=1) - log_std_sum - 0.5 * normal.shape[1] * _LOG_2_PI
        # r = π(a|s) / π_old(a|s);  L = −E[min(r A, clip(r, 1 − ε, 1 + ε) A)]  (equation 7)
        log_ratio = log_prob - samples.log_prob[rows]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
        policy_loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
        # L = E[(V − R)²]
        value = self._critic(samples.critic.index_select(0, sources)).squeeze(1)
        error = (value - target).square()
        if config.value_clip is not None:
            before = samples.value[rows]
            near = before + (value - before).clamp(-config.value_clip, config.value_clip)
            error = torch.maximum(error, (near - target).square())
        value_loss = error.mean()
        # H = Σ log σ + ½ k (1 + log 2π), of which only the first part has a gradient.
        loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * log_std_sum
        gradient = self._flat.gradient.zero_()
        loss.backward()
        with torch.no_grad():
            # KL(π_old ‖ π) = E[r − 1 − log r], over the samples that π_old itself took: of the images it took none.
            own = rows == sources
            divergence = torch.where(own, log_ratio.expm1() - log_ratio, 0.0).sum()
            held = ((ratio - 1.0).abs() > config.clip).float().mean()
            numbers = torch.stack([policy_loss, value_loss, divergence, own.float().sum(), held]).double()
            if self._others is not None:
                self._others.mean_(gradient)
                self._others.mean_(numbers)
            policy_loss_seen, value_loss_seen, divergence_seen, n_own, held_seen = numbers.tolist()
            self._require_finite("policy loss", policy_loss_seen)
            self._require_finite("value loss", value_loss_seen)
            for part, what in zip(self._flat.groups, ("policy", "value"), strict=True):
                norm = float(gradient[part].norm())
                self._require_finite(f"norm of the {what} gradient", norm)
                if norm > config.max_gradient_norm:
                    gradient[part] *= config.max_gradient_norm / norm
            kl = divergence_seen / max(n_own, 1.0)
            if adapt:
                self._adapt(kl)
            self._optimiser.param_groups[0]["lr"] = self._learning_rate
            self._optimiser.step()
            if config.std_floor > 0.0:
                self._log_std.clamp_(min=math.log(config.std_floor))
        return torch.tensor([policy_loss_seen, value_loss_seen, kl, held_seen], dtype=torch.float64)

    def _adapt(self, kl: float) -> None:
        """Keep the divergence of an update about what is desired, by the learning rate."""
        config = self._config
        if config.desired_kl is None:
            return
        if kl > 2.0 * config.desired_kl:
            self._learning_rate = max(config.learning_rate_floor, self._learning_rate / 1.5)
        elif 0.0 < kl < 0.5 * config.desired_kl:
            self._learning_rate = min(config.learning_rate_ceiling, self._learning_rate * 1.5)

    def _see(self, rollout: Rollout) -> None:
        """Take what was seen into the normalisers, and with it what its mirror image would have been."""
        mirror = self._mirror
        for normaliser, seen, mirroring in (
            (self._policy_normaliser, rollout.observation, None if mirror is None else mirror.policy),
            (self._critic_normaliser, rollout.critic[:-1], None if mirror is None else mirror.critic),
        ):
            mean, var, count = normaliser.update(seen.flatten(0, 1), distributed=self._others)
            if mirroring is not None:
                index = torch.tensor(mirroring.index)
                normaliser.merge(torch.tensor(mirroring.sign) * mean[index], var[index], count)

    def _require_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise TrainingError(f"the {what} is {value} at step {self._steps}")


def _generator(seed: int, purpose: int, shard: int) -> torch.Generator:
    state = np.random.SeedSequence(seed, spawn_key=(purpose, shard)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)
