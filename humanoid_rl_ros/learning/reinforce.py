"""REINFORCE with a baseline (Williams, 1992; Sutton and Barto, 2018, section 13.4)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeGuard, cast

import numpy as np
import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchObservation, BatchStep, ChoiceEnv
from humanoid_rl_ros.learning.checked_config import CheckedConfig
from humanoid_rl_ros.learning.descent import Descent
from humanoid_rl_ros.learning.learner import Learner, require_finite_step, require_own_state
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.normaliser import RunningNormaliser

__all__ = ["Reinforce", "ReinforceConfig"]


@dataclass(frozen=True)
class ReinforceConfig(CheckedConfig):
    """What can be chosen about REINFORCE.

    Attributes:
        episodes_per_iteration: that every robot ends in one `iterate`.
        longest: steps after which an iteration ends all the same; what is to come then is worth the baseline's guess.
        discount: γ.
        learning_rate, baseline_learning_rate: of Adam.
        baseline_epochs: steps of the baseline's optimiser in an iteration; the policy takes one.
        entropy_coefficient: weight of the policy's entropy.
        normalise_advantages: whether they are brought to mean 0 and std 1.
        max_gradient_norm: to which the gradients of policy and baseline are clipped, each for itself; None for never.
        initial_std: of the exploration where an action is a vector, in units of the action.
        actor_hidden, critic_hidden: widths of the hidden layers of policy and baseline.
        activation: between the layers.
        normalise_observations: whether observations are brought to mean 0 and std 1.
        observation_clip: bound of what the networks see, normalised or not.
    """

    algorithm: ClassVar[str] = "reinforce"

    episodes_per_iteration: int = 4
    longest: int = 1_000
    discount: float = 0.99
    learning_rate: float = 3e-3
    baseline_learning_rate: float = 3e-3
    baseline_epochs: int = 20
    entropy_coefficient: float = 0.0
    normalise_advantages: bool = True
    max_gradient_norm: float | None = 1.0
    initial_std: float = 0.5
    actor_hidden: tuple[int, ...] = (64,)
    critic_hidden: tuple[int, ...] = (64,)
    activation: str = "tanh"
    normalise_observations: bool = True
    observation_clip: float = 10.0

    def __post_init__(self) -> None:
        self.require_counts("episodes_per_iteration", "longest")
        self.require_counts("baseline_epochs", "entropy_coefficient", least=0)
        self.require_shares("discount")
        self.require_positive(
            *("learning_rate", "baseline_learning_rate", "max_gradient_norm", "initial_std", "observation_clip")
        )
        self.require_network("actor_hidden", "critic_hidden", may_be_empty=True)


@dataclass(frozen=True, eq=False)
class EpisodeSteps:
    """Steps of episodes that were seen to their end.

    Attributes:
        observation, critic: what actor and baseline saw [Shape (b, observation_size), (b, critic_size)].
        action: what was done: vectors [Shape (b, action_size)], or choices [Shape (b,); int64].
        gain: G, discounted sum of the rewards from there on [Shape (b,)].
        statistics: of the environment, over these steps.
        seconds: that the collecting took.
    """

    observation: Tensor
    critic: Tensor
    action: Tensor
    gain: Tensor
    statistics: dict[str, float]
    seconds: float


class Reinforce(Learner[EpisodeSteps]):
    """Learns by REINFORCE.

    θ ← θ + α (G − v(S)) ∇ ln π(A|S, θ)  (Sutton and Barto, 2018, equation 13.11, without the factor γᵗ, so that late
    steps of an episode count as much as early ones)

    Args:
        env: what it learns in; its actions are vectors or choices. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.
    """

    def __init__(self, env: BatchEnv | ChoiceEnv, config: ReinforceConfig, seed: int) -> None:
        self._env, self._config = env, config
        self._generator = torch.Generator().manual_seed(seed)
        self._acting: _Acting = (
            _Choices(env) if _has_choices(env) else _Vectors(cast(BatchEnv, env), config.initial_std)
        )
        self._actor = mlp(
            (env.observation_size, *config.actor_hidden, self._acting.outputs),
            config.activation,
            generator=self._generator,
            last_gain=0.01,
        )
        self._baseline = mlp(
            (env.critic_size, *config.critic_hidden, 1), config.activation, generator=self._generator, last_gain=1.0
        )
        parameters = (*self._actor.parameters(), *self._acting.parameters)
        self._actor_descent = Descent("policy", parameters, config.learning_rate, config.max_gradient_norm)
        self._baseline_descent = Descent(
            "value", self._baseline.parameters(), config.baseline_learning_rate, config.max_gradient_norm
        )
        self._policy_normaliser = RunningNormaliser(env.observation_size, clip=config.observation_clip)
        self._critic_normaliser = RunningNormaliser(env.critic_size, clip=config.observation_clip)
        self._observation = env.reset(seed).copy()
        self._steps = 0

    @property
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""
        return self._steps

    def iterate(self) -> dict[str, float]:
        """Collect and update once; the environment's statistics come with what it returns.

        Raises:
            TrainingError: a loss, a gradient, a reward or an observation is not finite.
        """
        episodes = self.collect()
        began = time.perf_counter()
        metrics = self.update(episodes)
        took = time.perf_counter() - began
        return {**episodes.statistics, **metrics, "time/collect": episodes.seconds, "time/update": took}

    @torch.no_grad()
    def collect(self) -> EpisodeSteps:
        """Act until every robot has ended its episodes.

        What a robot does after the end of its last is left out: nobody knows yet what comes of it.

        Raises:
            TrainingError: a reward or an observation is not finite.
        """
        began = time.perf_counter()
        observations, critics, actions = [], [], []
        steps: list[BatchStep] = []
        ended = np.zeros(self._env.n_envs, dtype=np.intp)
        while ended.min() < self._config.episodes_per_iteration and len(steps) < self._config.longest:
            seen = torch.from_numpy(self._observation.policy)
            observations.append(seen)
            critics.append(torch.from_numpy(self._observation.critic))
            action = self._acting.draw(self._actor(self._policy_normaliser.normalise(seen)), self._generator)
            actions.append(action)
            step = self._acting.step(action)
            require_finite_step(step, self._steps)
            steps.append(step)
            ended += step.terminated | step.truncated
            self._observation = step.observation.copy()
            self._steps += self._env.n_envs
        gain, known = self._gains(steps)
        return EpisodeSteps(
            torch.stack(observations)[known],
            torch.stack(critics)[known],
            torch.stack(actions)[known],
            gain[known],
            self._env.statistics(),
            time.perf_counter() - began,
        )

    def update(self, experience: EpisodeSteps) -> dict[str, float]:
        """One step of the policy, and the baseline's.

        Raises:
            TrainingError: a loss or a gradient is not finite.
        """
        config = self._config
        seen = self._critic_normaliser.normalise(experience.critic)
        with torch.no_grad():
            value = self._baseline(seen)[:, 0]
            advantage = experience.gain - value
            unexplained = advantage.var(correction=0) / experience.gain.var(correction=0).clamp_min(1e-12)
            if config.normalise_advantages and len(advantage) > 1:
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        says = self._actor(self._policy_normaliser.normalise(experience.observation))
        log_prob, entropy = self._acting.log_prob(says, experience.action)
        # L = −E[(G − v(S)) ln π(A|S)]
        loss = -(advantage * log_prob).mean()
        self._actor_descent.step(loss - config.entropy_coefficient * entropy, self._steps)
        baseline_loss = 0.0
        for _ in range(config.baseline_epochs):
            # L = E[½ (G − v(S))²]
            error = 0.5 * (experience.gain - self._baseline(seen)[:, 0]).square().mean()
            self._baseline_descent.step(error, self._steps)
            baseline_loss = error.item()
        if config.normalise_observations:
            self._policy_normaliser.update(experience.observation)
            self._critic_normaliser.update(experience.critic)
        return {
            "loss/policy": loss.item(),
            "loss/value": baseline_loss,
            "policy/entropy": float(entropy.detach()),
            "value/mean": float(value.mean()),
            "value/explained_variance": 1.0 - float(unexplained),
        }

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included: the mean of its actions, or how much it likes each choice."""
        return ActorNetwork(
            copy.deepcopy(self._actor),
            self._policy_normaliser.mean.float(),
            self._policy_normaliser.std,
            clip=self._config.observation_clip,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on."""
        return {
            "algorithm": "reinforce",
            "shape": self._shape(),
            "steps": self._steps,
            "actor": {name: value.clone() for name, value in self._actor.state_dict().items()},
            "acting": [parameter.detach().clone() for parameter in self._acting.parameters],
            "baseline": {name: value.clone() for name, value in self._baseline.state_dict().items()},
            "policy_normaliser": copy.deepcopy(self._policy_normaliser.state_dict()),
            "critic_normaliser": copy.deepcopy(self._critic_normaliser.state_dict()),
            "actor_descent": self._actor_descent.state_dict(),
            "baseline_descent": self._baseline_descent.state_dict(),
            "generator": self._generator.get_state(),
            "environment": self._env.state_dict(),
            "observation": {"policy": self._observation.policy.copy(), "critic": self._observation.critic.copy()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`; the learning rates are those of the configuration.

        Raises:
            ConfigError: it is of another learner, network or environment.
        """
        require_own_state(state, "reinforce", self._shape())
        try:
            self._env.load_state_dict(state["environment"])
            for name in (
                *("actor", "baseline", "policy_normaliser", "critic_normaliser"),
                *("actor_descent", "baseline_descent"),
            ):
                getattr(self, f"_{name}").load_state_dict(state[name])
            for parameter, saved in zip(self._acting.parameters, state["acting"], strict=True):
                parameter.data.copy_(saved)
            self._generator.set_state(state["generator"])
            seen = state["observation"]
            self._observation = BatchObservation(np.asarray(seen["policy"]), np.asarray(seen["critic"])).copy()
            self._steps = int(state["steps"])
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def _shape(self) -> dict[str, Any]:
        config, env = self._config, self._env
        return {
            "observation_size": env.observation_size,
            "critic_size": env.critic_size,
            "outputs": self._acting.outputs,
            "robots": env.n_envs,
            "actor_hidden": list(config.actor_hidden),
            "critic_hidden": list(config.critic_hidden),
            "activation": config.activation,
        }

    def _gains(self, steps: Sequence[BatchStep]) -> tuple[Tensor, Tensor]:
        """G of every step, and whether its episode was seen to its end [Shape (T, n), (T, n)]."""
        shape = (len(steps), self._env.n_envs)
        gain, known = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
        cut = len(steps) >= self._config.longest
        following = torch.zeros(self._env.n_envs)
        goes_on = torch.zeros(self._env.n_envs, dtype=torch.bool)
        for t in reversed(range(len(steps))):
            step = steps[t]
            ended = torch.from_numpy(step.terminated | step.truncated)
            if cut and t == len(steps) - 1:
                ended = torch.ones_like(ended)
            worth = self._worth(step, ended & ~torch.from_numpy(step.terminated))
            # G_t = R_{t+1} + γ G_{t+1}
            gain[t] = torch.from_numpy(step.reward).float() + self._config.discount * torch.where(
                ended, worth, following
            )
            goes_on = goes_on | ended
            known[t] = goes_on
            following = gain[t]
        return gain, known

    def _worth(self, step: BatchStep, cut: Tensor) -> Tensor:
        """What is to come of the robots whose time was up, as the baseline has it; 0 of the others [Shape (n,)]."""
        worth = torch.zeros(self._env.n_envs)
        if cut.any():
            last = torch.from_numpy(np.asarray(step.final.critic, dtype=np.float32))[cut]
            worth[cut] = self._baseline(self._critic_normaliser.normalise(last))[:, 0]
        return worth


class _Acting(Protocol):
    """How what the network says becomes an action."""

    outputs: int
    parameters: tuple[nn.Parameter, ...]

    def draw(self, says: Tensor, generator: torch.Generator) -> Tensor: ...

    def step(self, action: Tensor) -> BatchStep: ...

    def log_prob(self, says: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Of the actions [Shape (b,)], and the mean entropy."""


class _Choices:
    """The network says how much it likes each choice: π(a) = e^{l_a} / Σ e^{l_b}."""

    def __init__(self, env: ChoiceEnv) -> None:
        self._env, self.outputs = env, env.n_actions
        self.parameters: tuple[nn.Parameter, ...] = ()

    def draw(self, says: Tensor, generator: torch.Generator) -> Tensor:
        return torch.multinomial(says.softmax(1), 1, generator=generator)[:, 0]

    def step(self, action: Tensor) -> BatchStep:
        return self._env.step(action.numpy())

    def log_prob(self, says: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        logs = says.log_softmax(1)
        return logs.gather(1, action[:, None])[:, 0], -(logs.exp() * logs).sum(1).mean()


class _Vectors:
    """The network says the mean of a normal distribution; its std is learned beside."""

    def __init__(self, env: BatchEnv, initial_std: float) -> None:
        self._env, self.outputs = env, len(env.action_low)
        self._log_std = nn.Parameter(torch.full((self.outputs,), math.log(initial_std)))
        self.parameters: tuple[nn.Parameter, ...] = (self._log_std,)

    def draw(self, says: Tensor, generator: torch.Generator) -> Tensor:
        return says + self._log_std.exp() * torch.randn(says.shape, generator=generator)

    def step(self, action: Tensor) -> BatchStep:
        return self._env.step(action.numpy())

    def log_prob(self, says: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        # ln π = −½ Σ ((a − μ) / σ)² − Σ ln σ − ½ k ln 2π;  H = Σ ln σ + ½ k ln 2πe
        constant = 0.5 * self.outputs * math.log(2.0 * math.pi)
        distance = ((action - says) / self._log_std.exp()).square().sum(1)
        entropy = self._log_std.sum() + constant + 0.5 * self.outputs
        return -0.5 * distance - self._log_std.sum() - constant, entropy


def _has_choices(env: BatchEnv | ChoiceEnv) -> TypeGuard[ChoiceEnv]:
    return hasattr(env, "n_actions")
