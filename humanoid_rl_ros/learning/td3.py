"""Twin delayed deep deterministic policy gradient (Fujimoto, van Hoof and Meger, 2018, arXiv:1802.09477)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchStep
from humanoid_rl_ros.learning.action_range import ActionRange
from humanoid_rl_ros.learning.actor_critic_config import ActorCriticConfig
from humanoid_rl_ros.learning.descent import Descent
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch
from humanoid_rl_ros.learning.replay_learner import ReplayLearner, Shown
from humanoid_rl_ros.learning.sac_networks import TwinCritic
from humanoid_rl_ros.learning.transition_mirror import TransitionMirror

__all__ = ["TD3", "TD3Config"]


@dataclass(frozen=True)
class TD3Config(ActorCriticConfig):
    """What can be chosen about TD3; what it shares with others is in `ActorCriticConfig`.

    Attributes:
        policy_delay: updates of the critics for each one of the actor and the targets.
        exploration_noise: std of what is added to an action in (−1, 1)ᵏ when the robot acts.
        target_noise, target_noise_clip: std and bound of what is added to the target's action, σ̃ and c.
    """

    algorithm: ClassVar[str] = "td3"

    policy_delay: int = 2
    exploration_noise: float = 0.1
    target_noise: float = 0.2
    target_noise_clip: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_counts("exploration_noise", "target_noise", "target_noise_clip", least=0)


class TD3(ReplayLearner):
    """Learns by TD3.

    For the networks and the buffer an action is in (−1, 1)ᵏ; for the environment it is scaled to the bounds.

    Args:
        env: what it learns in. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.

    Raises:
        ConfigError: an action has no bounds, or such as the mirror does not keep; or the buffer is too small.
    """

    algorithm = "td3"
    networks = ("actor", "actor_target", "critic", "critic_target")
    descents = ("actor_descent", "critic_descent")

    def __init__(self, env: BatchEnv, config: TD3Config, seed: int) -> None:
        self._range = ActionRange(env, "td3")
        super().__init__(env, config, seed, self._range.size)
        self._robots, self._config = env, config
        self._actor = mlp(
            (env.observation_size, *config.actor_hidden, self._range.size),
            config.activation,
            layer_norm=config.actor_layer_norm,
            generator=self._generator,
            last_gain=0.01,
        )
        self._critic = TwinCritic(
            env.critic_size,
            self._range.size,
            config.critic_hidden,
            config.activation,
            layer_norm=config.critic_layer_norm,
            generator=self._generator,
        )
        self._actor_target = copy.deepcopy(self._actor).requires_grad_(False)
        self._critic_target = copy.deepcopy(self._critic).requires_grad_(False)
        longest = config.max_gradient_norm
        self._actor_descent = Descent("policy", self._actor.parameters(), config.actor_learning_rate, longest)
        self._critic_descent = Descent("value", self._critic.parameters(), config.critic_learning_rate, longest)
        self._followers = [
            (FlatParameters(self._actor_target.parameters()), self._actor_descent.flat),
            (FlatParameters(self._critic_target.parameters()), self._critic_descent.flat),
        ]
        mirror = env.mirror if config.mirror else None
        self._mirror = None if mirror is None else TransitionMirror(mirror, env)

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        return ActorNetwork(
            copy.deepcopy(self._actor),
            self._policy_normaliser.mean.float(),
            self._policy_normaliser.std,
            clip=self._config.observation_clip,
            low=self._range.low,
            high=self._range.high,
        )

    def shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in, beside the environment's widths."""
        return self._config.shape()

    def explore(self, at_random: bool) -> Tensor:
        """Actions of the policy with noise, or drawn evenly [Shape (n, action_size)]."""
        shape = (self._env.n_envs, self._range.size)
        if at_random:
            return 2.0 * torch.rand(shape, generator=self._generator) - 1.0
        noise = self._config.exploration_noise * torch.randn(shape, generator=self._generator)
        return (torch.tanh(self._actor(self.seen_now())) + noise).clamp(-1.0, 1.0)

    def act(self, action: Tensor) -> BatchStep:
        """Step every robot, with its action scaled to the bounds."""
        return self._robots.step(self._range.scaled(action, self._steps))

    def learn_from(self, batch: ReplayBatch, shown: Shown) -> None:
        """One step of the critics' optimiser, and when it is time of the actor's."""
        config = self._config
        with torch.no_grad():
            # ã = clip(π'(s') + clip(ε, −c, c), −1, 1),  ε ~ N(0, σ̃²)  (equations 14 and 15)
            noise = config.target_noise * torch.randn(batch.action.shape, generator=self._generator)
            noise = noise.clamp(-config.target_noise_clip, config.target_noise_clip)
            next_action = (torch.tanh(self._actor_target(batch.next_observation)) + noise).clamp(-1.0, 1.0)
            # y = R + γᵐ min_i Q'_i(s', ã)  (equation 10)
            wanted = batch.reward + batch.discount * self._critic_target(batch.next_critic, next_action).amin(0)
        value = self._critic(batch.critic, batch.action)
        # L = Σ_i E[(Q_i(s, a) − y)²]
        loss = (value - wanted).square().mean(1).sum()
        self._critic_descent.step(loss, self._steps)
        shown["loss/value"].append(loss.item())
        shown["value/mean"].append(value.mean().item())
        self._updates += 1
        if self._updates % config.policy_delay == 0:
            self._update_policy(batch, shown)
            for follower, leader in self._followers:
                follower.vector.data.lerp_(leader.vector.data, config.target_rate)

    def _update_policy(self, batch: ReplayBatch, shown: Shown) -> None:
        before_tanh = self._actor(batch.observation)
        # L = −E[Q_1(s, π(s))]: the deterministic policy gradient (Silver et al., 2014)
        loss = -self._critic(batch.critic, torch.tanh(before_tanh))[0].mean()
        loss = loss + self._config.actor_penalty(before_tanh, lambda: self._actor(batch.next_observation), self._steps)
        self._actor_descent.step(loss, self._steps)
        shown["loss/policy"].append(loss.item())
