"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1801.01290 and 1812.05905) with an asymmetric critic."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchObservation
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch, ReplayBuffer
from humanoid_rl_ros.learning.sac_config import SACConfig
from humanoid_rl_ros.learning.sac_networks import TwinCritic, sample_squashed
from humanoid_rl_ros.learning.transition_mirror import TransitionMirror

__all__ = ["SAC", "SACConfig"]

_NETWORKS = ("actor", "critic", "target", "policy_normaliser", "critic_normaliser")
_DESCENTS = ("actor_descent", "critic_descent", "temperature_descent")


class SAC:
    """Learns by SAC; a `humanoid_rl_ros.learning.learner.Learner`.

    For the networks, the buffer and the entropy an action is in (−1, 1)ᵏ; for the environment it is scaled to the
    bounds.

    Args:
        env: what it learns in. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.

    Raises:
        ConfigError: an action has no bounds, or such as the mirror does not keep; or the buffer is too small.
    """

    def __init__(self, env: BatchEnv, config: SACConfig, seed: int) -> None:
        self._env, self._config = env, config
        self._centre, self._half_range = _action_range(env)
        actions = len(self._centre)
        self._generator = torch.Generator().manual_seed(seed)
        self._observation = env.reset(seed)
        # An environment whose critic sees no more than its actor gives one array for both.
        self._shared = self._observation.critic is self._observation.policy
        self._actor = mlp(
            (env.observation_size, *config.actor_hidden, 2 * actions),
            config.activation,
            layer_norm=config.actor_layer_norm,
            generator=self._generator,
            last_gain=0.01,
        )
        self._critic = TwinCritic(
            env.critic_size,
            actions,
            config.critic_hidden,
            config.activation,
            layer_norm=config.critic_layer_norm,
            generator=self._generator,
        )
        self._target = copy.deepcopy(self._critic).requires_grad_(False)
        self._log_temperature = nn.Parameter(torch.tensor([math.log(config.temperature)]))
        self._target_entropy = -config.target_entropy_scale * actions
        self._target_flat = FlatParameters(self._target.parameters())
        longest = config.max_gradient_norm
        self._actor_descent = _Descent("policy", self._actor.parameters(), config.actor_learning_rate, longest)
        self._critic_descent = _Descent("value", self._critic.parameters(), config.critic_learning_rate, longest)
        self._temperature_descent = _Descent(
            "temperature", [self._log_temperature], config.temperature_learning_rate, longest
        )
        self._policy_normaliser = RunningNormaliser(env.observation_size, clip=config.observation_clip)
        self._critic_normaliser = (
            self._policy_normaliser
            if self._shared
            else RunningNormaliser(env.critic_size, clip=config.observation_clip)
        )
        self._buffer = ReplayBuffer(
            config.buffer_size,
            env.n_envs,
            observation_size=env.observation_size,
            critic_size=env.critic_size,
            action_size=actions,
            n_steps=config.n_steps,
            discount=config.discount,
            shared=self._shared,
        )
        mirror = env.mirror if config.mirror else None
        self._mirror = None if mirror is None else TransitionMirror(mirror, env)
        self._steps = self._updates = 0

    @property
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""
        return self._steps

    @property
    def temperature(self) -> float:
        """α, what a unit of entropy is worth in reward."""
        return math.exp(self._log_temperature.item())

    def iterate(self) -> dict[str, float]:
        """Step every robot `steps_per_iteration` times, and update `updates_per_step` times after each.

        The environment's statistics come with what it returns.

        Raises:
            TrainingError: a loss, a gradient, an action, a reward or an observation is not finite.
        """
        config = self._config
        shown: dict[str, list[float]] = defaultdict(list)
        collecting, began = 0.0, time.perf_counter()
        for _ in range(config.steps_per_iteration):
            before = time.perf_counter()
            self._collect()
            collecting += time.perf_counter() - before
            if self._steps >= config.learning_starts and self._buffer.ready:
                for batch in self._draw(config.updates_per_step * config.batch_size).split(config.batch_size):
                    self._update(batch, shown)
        return {
            **self._env.statistics(),
            **{name: float(np.mean(values)) for name, values in shown.items()},
            "policy/temperature": self.temperature,
            "time/collect": collecting,
            "time/update": time.perf_counter() - began - collecting,
        }

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        *hidden, last = copy.deepcopy(self._actor)
        assert isinstance(last, nn.Linear)
        actions = len(self._centre)
        mean = nn.Linear(last.in_features, actions)
        mean.load_state_dict({"weight": last.weight[:actions], "bias": last.bias[:actions]})
        return ActorNetwork(
            nn.Sequential(*hidden, mean),
            self._policy_normaliser.mean.float(),
            self._policy_normaliser.std,
            clip=self._config.observation_clip,
            low=self._centre - self._half_range,
            high=self._centre + self._half_range,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, the replay buffer included."""
        return {
            "algorithm": "sac",
            "shape": self._shape(),
            "steps": self._steps,
            "updates": self._updates,
            **{name: _copied(getattr(self, f"_{name}").state_dict()) for name in _NETWORKS},
            **{name: getattr(self, f"_{name}").state_dict() for name in _DESCENTS},
            "log_temperature": self._log_temperature.detach().clone(),
            "generator": self._generator.get_state(),
            "buffer": self._buffer.state_dict(),
            "environment": self._env.state_dict(),
            "observation": {"policy": self._observation.policy.copy(), "critic": self._observation.critic.copy()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`; the learning rates are those of the configuration.

        Raises:
            ConfigError: it is of another learner, network or environment, or holds more than the buffer.
        """
        if state.get("algorithm") != "sac":
            raise ConfigError(f"the checkpoint is of {state.get('algorithm')!r}, expected 'sac'")
        for name, expected in self._shape().items():
            if (found := state.get("shape", {}).get(name)) != expected:
                raise ConfigError(f"the checkpoint has {name} {found}, expected {expected}")
        try:
            self._buffer.load_state_dict(state["buffer"])
            self._env.load_state_dict(state["environment"])
            for name in (*_NETWORKS, *_DESCENTS):
                getattr(self, f"_{name}").load_state_dict(state[name])
            self._log_temperature.data.copy_(state["log_temperature"])
            self._generator.set_state(state["generator"])
            policy, critic = (np.array(state["observation"][name], dtype=np.float32) for name in ("policy", "critic"))
            self._observation = BatchObservation(policy, policy if self._shared else critic)
            self._steps, self._updates = int(state["steps"]), int(state["updates"])
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def _shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        config, env = self._config, self._env
        return {
            "observation_size": env.observation_size,
            "critic_size": env.critic_size,
            "action_size": len(self._centre),
            "robots": env.n_envs,
            "actor_hidden": list(config.actor_hidden),
            "critic_hidden": list(config.critic_hidden),
            "activation": config.activation,
            "actor_layer_norm": config.actor_layer_norm,
            "critic_layer_norm": config.critic_layer_norm,
        }

    def _policy(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log std before tanh, for normalised observations [Shape (b, o) -> (b, k), (b, k)]."""
        mean, log_std = self._actor(observation).chunk(2, -1)
        return mean, log_std.clamp(self._config.log_std_low, self._config.log_std_high)

    @torch.no_grad()
    def _collect(self) -> None:
        """One step of every robot."""
        self._see()
        if self._steps < self._config.learning_starts:
            action = 2.0 * torch.rand((self._env.n_envs, len(self._centre)), generator=self._generator) - 1.0
        else:
            seen = self._policy_normaliser.normalise(torch.from_numpy(self._observation.policy))
            action, _ = sample_squashed(*self._policy(seen), self._generator)
        scaled = (self._centre + self._half_range * action).numpy()
        self._require_finite("action", scaled)
        step = self._env.step(scaled)
        self._require_finite("reward", step.reward)
        self._require_finite("observation", step.final.policy)
        self._require_finite("critic's observation", step.final.critic)
        self._buffer.add(self._observation, action, step)
        self._observation = step.observation
        self._steps += self._env.n_envs

    def _see(self) -> None:
        """Take what is seen into the normalisers, and with it what its mirror image would have been."""
        if not self._config.normalise_observations:
            return
        mirror = self._mirror
        parts = [(self._policy_normaliser, self._observation.policy, None if mirror is None else mirror.policy)]
        if not self._shared:
            parts.append((self._critic_normaliser, self._observation.critic, None if mirror is None else mirror.critic))
        for normaliser, seen, image in parts:
            mean, var, count = normaliser.update(torch.from_numpy(seen))
            if image is not None:
                image.merge(normaliser, mean, var, count)

    def _draw(self, size: int) -> ReplayBatch:
        """Transitions as the networks see them: half of them mirrored, and normalised."""
        batch = self._buffer.sample(size, self._generator)
        if self._mirror is not None:
            batch = self._mirror.flip(batch, self._generator)
        observation = self._policy_normaliser.normalise(batch.observation)
        after = self._policy_normaliser.normalise(batch.next_observation)
        return ReplayBatch(
            observation=observation,
            critic=observation if self._shared else self._critic_normaliser.normalise(batch.critic),
            action=batch.action,
            reward=batch.reward,
            next_observation=after,
            next_critic=after if self._shared else self._critic_normaliser.normalise(batch.next_critic),
            discount=batch.discount,
        )

    def _update(self, batch: ReplayBatch, shown: dict[str, list[float]]) -> None:
        """One step of the critics' optimiser, and when it is time of the others."""
        temperature = self._log_temperature.detach().exp()
        with torch.no_grad():
            next_action, next_log_pi = sample_squashed(*self._policy(batch.next_observation), self._generator)
            # y = R + γᵐ (min_i Q'_i(s', a') − α log π(a'|s')),  a' ~ π  (1812.05905, equations 2 and 3)
            future = self._target(batch.next_critic, next_action).amin(0) - temperature * next_log_pi
            wanted = batch.reward + batch.discount * future
        value = self._critic(batch.critic, batch.action)
        # L = Σ_i E[½ (Q_i(s, a) − y)²]  (equation 5)
        loss = 0.5 * (value - wanted).square().mean(1).sum()
        self._critic_descent.step(loss, self._steps)
        shown["loss/value"].append(loss.item())
        shown["value/mean"].append(value.mean().item())
        self._updates += 1
        if self._updates % self._config.policy_delay == 0:
            self._update_policy(batch, temperature, shown)
        # Q'_i ← Q'_i + ρ (Q_i − Q'_i)
        self._target_flat.vector.data.lerp_(self._critic_descent.flat.vector.data, self._config.target_rate)

    def _update_policy(self, batch: ReplayBatch, temperature: Tensor, shown: dict[str, list[float]]) -> None:
        mean, log_std = self._policy(batch.observation)
        action, log_pi = sample_squashed(mean, log_std, self._generator)
        # L = E[α log π(a|s) − min_i Q_i(s, a)],  a ~ π through its noise  (equation 7)
        loss = (temperature * log_pi - self._critic(batch.critic, action).amin(0)).mean()
        if self._config.mean_penalty > 0.0:
            loss = loss + self._config.mean_penalty * mean.square().sum(-1).mean()
        self._actor_descent.step(loss, self._steps)
        entropy = -log_pi.detach().mean()
        shown["loss/policy"].append(loss.item())
        shown["policy/entropy"].append(entropy.item())
        shown["policy/std"].append(log_std.detach().exp().mean().item())
        if self._config.tune_temperature:
            # L = −log α E[log π(a|s) + H̄]: equation 18, descended in log α and without the factor α
            loss = (self._log_temperature * (entropy - self._target_entropy)).sum()
            self._temperature_descent.step(loss, self._steps)

    def _require_finite(self, what: str, values: NDArray[Any]) -> None:
        if not np.isfinite(values).all():
            robot = int(np.argwhere(~np.isfinite(values))[0][0])
            raise TrainingError(f"the {what} of robot {robot} is not finite at step {self._steps}")


class _Descent:
    """Steps parameters down a loss.

    Args:
        what: whose loss it is.
        parameters: moved into one vector.
        learning_rate: of Adam.
        longest: to which a gradient is clipped; None for never.
    """

    def __init__(
        self, what: str, parameters: Iterable[nn.Parameter], learning_rate: float, longest: float | None
    ) -> None:
        self._what, self._longest, self._learning_rate = what, longest, learning_rate
        self._parameters = list(parameters)
        self.flat = FlatParameters(self._parameters)
        self._optimiser = torch.optim.Adam([self.flat.vector], lr=learning_rate, fused=True)

    def step(self, loss: Tensor, steps: int) -> None:
        """One step, unless it would spoil the weights.

        Raises:
            TrainingError: the loss or its gradient is not finite.
        """
        gradient = self.flat.gradient.zero_()
        # What else the loss depends on gets no gradient: half the work, where the policy's loss goes through a critic.
        torch.autograd.backward(loss, inputs=self._parameters)
        norm = float(gradient.norm())
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise TrainingError(
                f"the {self._what} loss is {loss.item():g} and its gradient's norm {norm:g} at step {steps}"
            )
        if self._longest is not None and norm > self._longest:
            gradient *= self._longest / norm
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on beside the parameters."""
        return copy.deepcopy(self._optimiser.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`, with the learning rate there is."""
        self._optimiser.load_state_dict(copy.deepcopy(state))
        self._optimiser.param_groups[0]["lr"] = self._learning_rate


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor for itself: these are parts of one, which a deep copy would copy whole."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _action_range(env: BatchEnv) -> tuple[Tensor, Tensor]:
    """Centre and half range of the action [Shape (k,), (k,)]."""
    low, high = env.action_low, env.action_high
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        if not (math.isfinite(a) and math.isfinite(b) and a < b):
            raise ConfigError(f"sac: an action needs finite bounds, found [{a:g}, {b:g}] for number {i}")
    return torch.from_numpy(0.5 * (low + high)).float(), torch.from_numpy(0.5 * (high - low)).float()
