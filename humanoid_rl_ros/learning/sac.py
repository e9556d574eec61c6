"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1801.01290 and 1812.05905) with an asymmetric critic."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchStep
from humanoid_rl_ros.learning.action_range import ActionRange
from humanoid_rl_ros.learning.descent import Descent
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch
from humanoid_rl_ros.learning.replay_learner import ReplayLearner, Shown
from humanoid_rl_ros.learning.sac_config import SACConfig
from humanoid_rl_ros.learning.sac_networks import TwinCritic, sample_squashed
from humanoid_rl_ros.learning.transition_mirror import TransitionMirror

__all__ = ["SAC", "SACConfig"]


class SAC(ReplayLearner):
    """Learns by SAC.

    For the networks, the buffer and the entropy an action is in (−1, 1)ᵏ; for the environment it is scaled to the
    bounds.

    Args:
        env: what it learns in. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.

    Raises:
        ConfigError: an action has no bounds, or such as the mirror does not keep; or the buffer is too small.
    """

    algorithm = "sac"
    networks = ("actor", "critic", "target")
    descents = ("actor_descent", "critic_descent", "temperature_descent")

    def __init__(self, env: BatchEnv, config: SACConfig, seed: int) -> None:
        self._range = ActionRange(env, "sac")
        actions = self._range.size
        super().__init__(env, config, seed, actions)
        self._robots, self._config = env, config
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
        self._actor_descent = Descent("policy", self._actor.parameters(), config.actor_learning_rate, longest)
        self._critic_descent = Descent("value", self._critic.parameters(), config.critic_learning_rate, longest)
        self._temperature_descent = Descent(
            "temperature", [self._log_temperature], config.temperature_learning_rate, longest
        )
        mirror = env.mirror if config.mirror else None
        self._mirror = None if mirror is None else TransitionMirror(mirror, env)

    @property
    def temperature(self) -> float:
        """α, what a unit of entropy is worth in reward."""
        return math.exp(self._log_temperature.item())

    def standing(self) -> dict[str, float]:
        """The temperature."""
        return {"policy/temperature": self.temperature}

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        *hidden, last = copy.deepcopy(self._actor)
        assert isinstance(last, nn.Linear)
        actions = self._range.size
        mean = nn.Linear(last.in_features, actions)
        mean.load_state_dict({"weight": last.weight[:actions], "bias": last.bias[:actions]})
        return ActorNetwork(
            nn.Sequential(*hidden, mean),
            self._policy_normaliser.mean.float(),
            self._policy_normaliser.std,
            clip=self._config.observation_clip,
            low=self._range.low,
            high=self._range.high,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, the replay buffer included."""
        return {**super().state_dict(), "log_temperature": self._log_temperature.detach().clone()}

    def load_more(self, state: dict[str, Any]) -> None:
        """The temperature."""
        self._log_temperature.data.copy_(state["log_temperature"])

    def shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in, beside the environment's widths."""
        return self._config.shape()

    def explore(self, at_random: bool) -> Tensor:
        """Actions of the policy, or drawn evenly [Shape (n, action_size)]."""
        if at_random:
            return 2.0 * torch.rand((self._env.n_envs, self._range.size), generator=self._generator) - 1.0
        action, _ = sample_squashed(*self._policy(self.seen_now()), self._generator)
        return action

    def act(self, action: Tensor) -> BatchStep:
        """Step every robot, with its action scaled to the bounds."""
        return self._robots.step(self._range.scaled(action, self._steps))

    def _policy(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log std before tanh, for normalised observations [Shape (b, o) -> (b, k), (b, k)]."""
        mean, log_std = self._actor(observation).chunk(2, -1)
        return mean, log_std.clamp(self._config.log_std_low, self._config.log_std_high)

    def learn_from(self, batch: ReplayBatch, shown: Shown) -> None:
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

    def _update_policy(self, batch: ReplayBatch, temperature: Tensor, shown: Shown) -> None:
        mean, log_std = self._policy(batch.observation)
        action, log_pi = sample_squashed(mean, log_std, self._generator)
        # L = E[α log π(a|s) − min_i Q_i(s, a)],  a ~ π through its noise  (equation 7)
        loss = (temperature * log_pi - self._critic(batch.critic, action).amin(0)).mean()
        loss = loss + self._config.actor_penalty(mean, lambda: self._policy(batch.next_observation)[0], self._steps)
        self._actor_descent.step(loss, self._steps)
        entropy = -log_pi.detach().mean()
        shown["loss/policy"].append(loss.item())
        shown["policy/entropy"].append(entropy.item())
        shown["policy/std"].append(log_std.detach().exp().mean().item())
        if self._config.tune_temperature:
            # L = −log α E[log π(a|s) + H̄]: equation 18, descended in log α and without the factor α
            loss = (self._log_temperature * (entropy - self._target_entropy)).sum()
            self._temperature_descent.step(loss, self._steps)
