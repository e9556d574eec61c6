"""Deep Q-learning (Mnih et al., 2015), double (van Hasselt, Guez and Silver, 2016, arXiv:1509.06461)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.envs.batch_env import BatchStep, ChoiceEnv
from humanoid_rl_ros.learning.checked_config import ReplayConfig
from humanoid_rl_ros.learning.descent import Descent
from humanoid_rl_ros.learning.exploration import EpsilonGreedy
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.prioritised_replay import PrioritisedReplay
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch, ReplayBuffer
from humanoid_rl_ros.learning.replay_learner import ReplayLearner, Shown

__all__ = ["DQN", "DQNConfig"]
BETA_STEPS_UNTOLD = 100_000


@dataclass(frozen=True)
class DQNConfig(ReplayConfig, EpsilonGreedy):
    """What can be chosen about DQN; what it shares with others is in `ReplayConfig` and `EpsilonGreedy`.

    Attributes:
        learning_rate: of Adam.
        hidden: widths of the hidden layers.
        layer_norm: whether they are normalised before their activation.
        double: whether the network that learns says which action is best next, and the target only what it is worth.
        target_every: updates between two moves of the target by `target_rate`; with a rate of 1 it is copied.
        prioritised: whether what surprised more is drawn more often.
        priority_exponent: α of it.
        priority_beta: β of the weights to begin with.
        priority_beta_steps: environment steps after which it is 1; None for the whole of a run, and `BETA_STEPS_UNTOLD`
            where nobody says how long that is.
    """

    algorithm: ClassVar[str] = "dqn"
    may_be_undiscounted: ClassVar[bool] = True

    batch_size: int = 64
    buffer_size: int = 100_000
    learning_starts: int = 1_000
    max_gradient_norm: float | None = 10.0
    normalise_observations: bool = False
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (128, 128)
    layer_norm: bool = False
    double: bool = True
    target_every: int = 1
    prioritised: bool = False
    priority_exponent: float = 0.6
    priority_beta: float = 0.4
    priority_beta_steps: int | None = None
    epsilon_share: float = 0.2

    of_run: ClassVar[tuple[str, ...]] = ("epsilon_steps", "priority_beta_steps")

    def __post_init__(self) -> None:
        ReplayConfig.__post_init__(self)
        EpsilonGreedy.__post_init__(self)
        self.require_counts("target_every")
        self.require_counts("priority_beta_steps", least=0)
        self.require_positive("learning_rate")
        self.require_shares("priority_exponent", "priority_beta")
        self.require_network("hidden")

    def for_run(self, steps: int) -> DQNConfig:
        """The same for a run of so many environment steps: what is None in it is said."""
        whole = super().for_run(steps)
        return whole if whole.priority_beta_steps is not None else replace(whole, priority_beta_steps=steps)

    def beta_at(self, steps: int) -> float:
        """β after so many steps."""
        there = BETA_STEPS_UNTOLD if self.priority_beta_steps is None else self.priority_beta_steps
        way = 1.0 if steps >= there else steps / there
        return self.priority_beta + way * (1.0 - self.priority_beta)


class DQN(ReplayLearner):
    """Learns by DQN.

    Args:
        env: what it learns in, whose actions are choices. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.

    Raises:
        ConfigError: the buffer is too small.
    """

    algorithm = "dqn"
    networks = ("network", "target")
    descents = ("descent",)

    def __init__(self, env: ChoiceEnv, config: DQNConfig, seed: int) -> None:
        self._config, self._choices = config, env
        super().__init__(env, config, seed, 1)
        self._network = mlp(
            (env.observation_size, *config.hidden, env.n_actions),
            config.activation,
            layer_norm=config.layer_norm,
            generator=self._generator,
            last_gain=0.1,
        )
        self._target = copy.deepcopy(self._network).requires_grad_(False)
        self._descent = Descent("value", self._network.parameters(), config.learning_rate, config.max_gradient_norm)
        self._target_flat = FlatParameters(self._target.parameters())

    @property
    def epsilon(self) -> float:
        """How often it does what comes."""
        return self._config.epsilon_at(self._steps)

    def make_buffer(self) -> ReplayBuffer:
        """Where transitions are kept.

        Raises:
            ConfigError: it is too small.
        """
        config, env = self._config, self._choices
        kind = partial(PrioritisedReplay, exponent=config.priority_exponent) if config.prioritised else ReplayBuffer
        return kind(
            config.buffer_size,
            env.n_envs,
            observation_size=env.observation_size,
            critic_size=env.critic_size,
            action_size=1,
            n_steps=config.n_steps,
            discount=config.discount,
            shared=self._shared,
        )

    def standing(self) -> dict[str, float]:
        """ε."""
        return {"policy/epsilon": self.epsilon}

    def actor(self) -> ActorNetwork:
        """The values of the actions, normaliser included; the largest is taken."""
        return ActorNetwork(
            copy.deepcopy(self._network),
            self._policy_normaliser.mean.float(),
            self._policy_normaliser.std,
            clip=self._config.observation_clip,
        )

    def shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in, beside the environment's widths."""
        config = self._config
        return {
            "actions": self._choices.n_actions,
            "hidden": list(config.hidden),
            "activation": config.activation,
            "layer_norm": config.layer_norm,
            "prioritised": config.prioritised,
        }

    def explore(self, at_random: bool) -> Tensor:
        """Choices, ε-greedy [Shape (n, 1)]."""
        n = self._choices.n_envs
        anything = torch.randint(self._choices.n_actions, (n,), generator=self._generator)
        if at_random:
            return anything[:, None].float()
        best = self._network(self.seen_now()).argmax(1)
        lots = torch.rand(n, generator=self._generator)
        return torch.where(lots < self.epsilon, anything, best)[:, None].float()

    def act(self, action: Tensor) -> BatchStep:
        """Step every robot by its choice."""
        choices: IndexArray = action[:, 0].long().numpy()
        return self._choices.step(choices)

    def learn(self, updates: int, shown: Shown) -> None:
        """So many updates; with priorities each draws after the one before it has said what surprised it."""
        if not isinstance(self._buffer, PrioritisedReplay):
            super().learn(updates, shown)
            return
        for _ in range(updates):
            drawn = self._buffer.draw(self._config.batch_size, self._generator, self._config.beta_at(self._steps))
            error = self._descend(self.seen_by_networks(drawn.transitions), drawn.weight, shown)
            self._buffer.surprise(drawn.places, error)

    def learn_from(self, batch: ReplayBatch, shown: Shown) -> None:
        """One step of the optimiser."""
        self._descend(batch, torch.ones(len(batch.reward)), shown)

    def _descend(self, batch: ReplayBatch, weight: Tensor, shown: Shown) -> Tensor:
        """One step of the optimiser; how wrong each value was [Shape (b,)]."""
        config = self._config
        with torch.no_grad():
            future = self._target(batch.next_observation)
            # Y = R + γᵐ Q'(s', argmax_a Q(s', a))  (van Hasselt et al., equation 4); without `double` max_a Q'(s', a)
            says = self._network(batch.next_observation) if config.double else future
            wanted = batch.reward + batch.discount * future.gather(1, says.argmax(1, keepdim=True))[:, 0]
        value = self._network(batch.observation).gather(1, batch.action.long())[:, 0]
        # Huber's loss: the error's gradient is clipped to ±1 (Mnih et al., 2015, Methods).
        loss = (weight * functional.smooth_l1_loss(value, wanted, reduction="none")).mean()
        self._descent.step(loss, self._steps)
        shown["loss/value"].append(loss.item())
        shown["value/mean"].append(value.mean().item())
        self._updates += 1
        if self._updates % config.target_every == 0:
            self._target_flat.vector.data.lerp_(self._descent.flat.vector.data, config.target_rate)
        error: Tensor = wanted - value.detach()
        return error
