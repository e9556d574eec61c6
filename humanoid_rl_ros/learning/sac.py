"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1801.01290 and 1812.05905) over a batch of robots."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchObservation, Mirroring
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch, ReplayBuffer
from humanoid_rl_ros.learning.sac_networks import TwinCritic, sample_squashed


@dataclass(frozen=True)
class SACConfig:
    """How soft actor-critic learns.

    Attributes:
        hidden, critic_hidden: widths of the hidden layers of the actor and of each critic.
        activation: of both.
        layer_norm, critic_layer_norm: normalise before each activation.
        steps_per_iteration: steps of every robot in one `iterate`.
        updates_per_step: gradient steps after each step of all robots.
        batch_size: transitions in each update.
        buffer_size: transitions kept.
        learning_starts: environment steps with evenly drawn actions before the first update.
        n_steps: rewards in a return before the critic takes over; the entropy of the steps in between is left out.
        discount: γ of a step.
        target_rate: ρ of the target critics, target ← target + ρ (critic − target) after each update.
        policy_delay: updates of the critics for each one of the actor and the temperature.
        actor_learning_rate, critic_learning_rate, temperature_learning_rate: of Adam.
        temperature: α, where tuning starts, in units of reward.
        tune_temperature: hold the entropy at its target; otherwise α stays.
        target_entropy_scale: target of the entropy of a policy over (−1, 1)ᵏ in units of −k.
        log_std_low, log_std_high: bounds of the logarithm of the standard deviation before tanh.
        max_gradient_norm: a gradient that is longer is shortened to this; None for never.
        normalise_observations: with running mean and variance.
        observation_clip: bound of what the networks see, normalised or not.
        mirror: half of each batch, drawn anew each time, is seen in the mirror where the task has one.
    """

    hidden: tuple[int, ...] = (256, 256)
    critic_hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    layer_norm: bool = False
    critic_layer_norm: bool = True
    steps_per_iteration: int = 64
    updates_per_step: int = 1
    batch_size: int = 256
    buffer_size: int = 1_000_000
    learning_starts: int = 5_000
    n_steps: int = 1
    discount: float = 0.99
    target_rate: float = 0.005
    policy_delay: int = 1
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    temperature_learning_rate: float = 3e-4
    temperature: float = 1.0
    tune_temperature: bool = True
    target_entropy_scale: float = 1.0
    log_std_low: float = -20.0
    log_std_high: float = 2.0
    max_gradient_norm: float | None = None
    normalise_observations: bool = True
    observation_clip: float = 10.0
    mirror: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "critic_hidden"):
            if not getattr(self, name) or any(width < 1 for width in getattr(self, name)):
                raise ConfigError(f"sac: {name} must be widths of at least 1, found {list(getattr(self, name))}")
        for name in (
            *("steps_per_iteration", "updates_per_step", "batch_size", "buffer_size", "n_steps", "policy_delay"),
            "learning_starts",
        ):
            least = 0 if name == "learning_starts" else 1
            if getattr(self, name) < least:
                raise ConfigError(f"sac: {name} must be at least {least}, found {getattr(self, name)}")
        for name in (
            *("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate", "temperature"),
            *("max_gradient_norm", "observation_clip"),
        ):
            if getattr(self, name) is not None and not getattr(self, name) > 0.0:
                raise ConfigError(f"sac: {name} must be above 0, found {getattr(self, name):g}")
        if not 0.0 <= self.discount < 1.0:
            raise ConfigError(f"sac: discount must be in [0, 1), found {self.discount:g}")
        if not 0.0 < self.target_rate <= 1.0:
            raise ConfigError(f"sac: target_rate must be in (0, 1], found {self.target_rate:g}")
        if not math.isfinite(self.target_entropy_scale):
            raise ConfigError(f"sac: target_entropy_scale must be finite, found {self.target_entropy_scale:g}")
        if not self.log_std_low < self.log_std_high:
            raise ConfigError(
                f"sac: log_std_low must be below log_std_high, found [{self.log_std_low:g}, {self.log_std_high:g}]"
            )


class SAC:
    """Learns from a replay buffer, with twin critics, a squashed Gaussian actor and a temperature that tunes itself.

    Actions are (−1, 1) for the networks, the buffer and the entropy, and scaled to the bounds of the environment.

    Args:
        env: reset here; the learner steps it from then on.
        config: how.
        seed: all randomness, the environment's included.

    Raises:
        ConfigError: an action has no bounds, or bounds that the mirror does not keep.
    """

    def __init__(self, env: BatchEnv, config: SACConfig, seed: int) -> None:
        self.env, self.config = env, config
        self._centre, self._half_range = _action_range(env)
        actions = len(self._centre)
        self._generator = torch.Generator().manual_seed(seed)
        self._observation = env.reset(seed)
        self._shared = self._observation.critic is self._observation.policy
        c = config
        self._actor = mlp(
            (env.observation_size, *c.hidden, 2 * actions),
            c.activation,
            layer_norm=c.layer_norm,
            generator=self._generator,
            last_gain=0.01,
        )
        self._critic = TwinCritic(
            env.critic_size,
            actions,
            c.critic_hidden,
            c.activation,
            layer_norm=c.critic_layer_norm,
            generator=self._generator,
        )
        self._target = copy.deepcopy(self._critic).requires_grad_(False)
        self._log_temperature = nn.Parameter(torch.tensor(math.log(c.temperature)))
        self._target_entropy = -c.target_entropy_scale * actions
        self._actor_parameters = list(self._actor.parameters())
        self._critic_parameters = list(self._critic.parameters())
        self._actor_optimiser = torch.optim.Adam(self._actor_parameters, c.actor_learning_rate, fused=True)
        self._critic_optimiser = torch.optim.Adam(self._critic_parameters, c.critic_learning_rate, fused=True)
        self._temperature_optimiser = torch.optim.Adam([self._log_temperature], c.temperature_learning_rate, fused=True)
        self._normaliser = RunningNormaliser(env.observation_size, clip=c.observation_clip)
        self._critic_normaliser = (
            self._normaliser if self._shared else RunningNormaliser(env.critic_size, clip=c.observation_clip)
        )
        self._buffer = ReplayBuffer(
            c.buffer_size,
            env.n_envs,
            observation_size=env.observation_size,
            critic_size=env.critic_size,
            action_size=actions,
            n_steps=c.n_steps,
            discount=c.discount,
            shared=self._shared,
        )
        self._mirror = _Mirror(env) if c.mirror and env.mirror is not None else None
        self._steps = self._updates = 0

    @property
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""
        return self._steps

    @property
    def temperature(self) -> float:
        """α, what a unit of entropy is worth in units of reward."""
        return math.exp(self._log_temperature.item())

    def iterate(self) -> dict[str, float]:
        """Step every robot `steps_per_iteration` times, with `updates_per_step` updates after each step."""
        shown: dict[str, list[float]] = defaultdict(list)
        collecting = 0.0
        start = time.perf_counter()
        for _ in range(self.config.steps_per_iteration):
            before = time.perf_counter()
            self._collect()
            collecting += time.perf_counter() - before
            if self._steps >= self.config.learning_starts and self._buffer.ready:
                # All batches of a step in one draw: gathering is cheaper that way.
                drawn = self._draw(self.config.updates_per_step * self.config.batch_size)
                for batch in drawn.split(self.config.batch_size):
                    self._update(batch, shown)
        result = {name: float(np.mean(values)) for name, values in shown.items()}
        result["policy/temperature"] = self.temperature
        result["time/collect"] = collecting
        result["time/update"] = time.perf_counter() - start - collecting
        return result

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""
        *hidden, last = copy.deepcopy(self._actor)
        assert isinstance(last, nn.Linear)
        actions = len(self._centre)
        mean = nn.Linear(last.in_features, actions)
        mean.load_state_dict({"weight": last.weight[:actions], "bias": last.bias[:actions]})
        return ActorNetwork(
            nn.Sequential(*hidden, mean),
            self._normaliser.mean.float(),
            self._normaliser.std,
            clip=self.config.observation_clip,
            low=self._centre - self._half_range,
            high=self._centre + self._half_range,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, the replay buffer included."""
        return {
            **{name: copy.deepcopy(part.state_dict()) for name, part in self._parts().items()},
            "log_temperature": self._log_temperature.detach().clone(),
            "generator": self._generator.get_state(),
            "buffer": self._buffer.state_dict(),
            "environment": self.env.state_dict(),
            "observation": {"policy": self._observation.policy.copy(), "critic": self._observation.critic.copy()},
            "steps": self._steps,
            "updates": self._updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`; learning rates stay as they are configured now.

        Raises:
            ConfigError: it is of another network or another environment.
        """
        self._buffer.load_state_dict(state["buffer"])
        self.env.load_state_dict(state["environment"])
        rates = [optimiser.param_groups[0]["lr"] for optimiser in self._optimisers()]
        for name, part in self._parts().items():
            try:
                part.load_state_dict(copy.deepcopy(state[name]))
            except (RuntimeError, ValueError) as error:
                text = " ".join(str(error).split())
                raise ConfigError(f"the saved {name} is of another network: {text}") from None
        for optimiser, rate in zip(self._optimisers(), rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate
        with torch.no_grad():
            self._log_temperature.copy_(state["log_temperature"])
        self._generator.set_state(state["generator"])
        policy = np.array(state["observation"]["policy"], dtype=np.float32)
        critic = policy if self._shared else np.array(state["observation"]["critic"], dtype=np.float32)
        self._observation = BatchObservation(policy, critic)
        self._steps, self._updates = int(state["steps"]), int(state["updates"])

    def _optimisers(self) -> tuple[torch.optim.Adam, ...]:
        return self._actor_optimiser, self._critic_optimiser, self._temperature_optimiser

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own under torch's names."""
        names = ("actor", "critic", "target", "normaliser", "critic_normaliser")
        optimisers = ("actor_optimiser", "critic_optimiser", "temperature_optimiser")
        return {name: getattr(self, f"_{name}") for name in (*names, *optimisers)}

    def _policy(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log std before tanh, for normalised observations [Shape (b, o) -> (b, k), (b, k)]."""
        mean, log_std = self._actor(observation).chunk(2, -1)
        return mean, log_std.clamp(self.config.log_std_low, self.config.log_std_high)

    @torch.no_grad()
    def _collect(self) -> None:
        seen = torch.from_numpy(self._observation.policy)
        if self.config.normalise_observations:
            self._normaliser.update(seen)
            if not self._shared:
                self._critic_normaliser.update(torch.from_numpy(self._observation.critic))
        if self._steps < self.config.learning_starts:
            action = 2.0 * torch.rand((len(seen), len(self._centre)), generator=self._generator) - 1.0
        else:
            action, _ = sample_squashed(*self._policy(self._normaliser.normalise(seen)), self._generator)
        scaled = (self._centre + self._half_range * action).numpy()
        self._require_finite("action", scaled)
        step = self.env.step(scaled)
        self._require_finite("reward", step.reward)
        self._require_finite("observation", step.final.policy)
        self._require_finite("critic's observation", step.final.critic)
        self._buffer.add(self._observation, action, step)
        self._observation = step.observation
        self._steps += len(seen)

    def _require_finite(self, what: str, values: NDArray[Any]) -> None:
        if not np.isfinite(values).all():
            robot = int(np.argwhere(~np.isfinite(values))[0][0])
            raise TrainingError(f"the {what} of robot {robot} is not finite after {self._steps} steps")

    def _draw(self, size: int) -> ReplayBatch:
        """Transitions as the networks see them: normalised, and half of them mirrored."""
        batch = self._buffer.sample(size, self._generator)
        if self._mirror is not None:
            batch = self._mirror.apply(batch, self._generator)
        observation = self._normaliser.normalise(batch.observation)
        following = self._normaliser.normalise(batch.next_observation)
        if self._shared:
            critic, next_critic = observation, following
        else:
            critic = self._critic_normaliser.normalise(batch.critic)
            next_critic = self._critic_normaliser.normalise(batch.next_critic)
        return ReplayBatch(observation, critic, batch.action, batch.reward, following, next_critic, batch.discount)

    def _update(self, batch: ReplayBatch, shown: dict[str, list[float]]) -> None:
        temperature = self._log_temperature.detach().exp()
        with torch.no_grad():
            next_action, next_log_pi = sample_squashed(*self._policy(batch.next_observation), self._generator)
            # y = R + γᵐ (min_i Q'_i(s', a') − α log π(a'|s')), a' ~ π  (1812.05905, eq. 2 and 3)
            future = self._target(batch.next_critic, next_action).amin(0) - temperature * next_log_pi
            wanted = batch.reward + batch.discount * future
        value = self._critic(batch.critic, batch.action)
        # J_Q = Σ_i E[½ (Q_i(s, a) − y)²]  (eq. 5)
        loss = 0.5 * (value - wanted).square().mean(1).sum()
        self._descend(self._critic_optimiser, self._critic_parameters, loss, "critics")
        shown["loss/critic"].append(loss.item())
        shown["value/mean"].append(value.detach().mean().item())
        self._updates += 1
        if self._updates % self.config.policy_delay == 0:
            self._update_policy(batch, temperature, shown)
        with torch.no_grad():
            # Q'_i ← Q'_i + ρ (Q_i − Q'_i)
            for target, parameter in zip(self._target.parameters(), self._critic_parameters, strict=True):
                target.lerp_(parameter, self.config.target_rate)

    def _update_policy(self, batch: ReplayBatch, temperature: Tensor, shown: dict[str, list[float]]) -> None:
        action, log_pi = sample_squashed(*self._policy(batch.observation), self._generator)
        # J_π = E[α log π(a|s) − min_i Q_i(s, a)], a ~ π through its noise  (eq. 7)
        loss = (temperature * log_pi - self._critic(batch.critic, action).amin(0)).mean()
        self._descend(self._actor_optimiser, self._actor_parameters, loss, "actor")
        entropy = -log_pi.detach().mean()
        shown["loss/actor"].append(loss.item())
        shown["policy/entropy"].append(entropy.item())
        if self.config.tune_temperature:
            # J(α) = E[−α (log π(a|s) + H̄)], descended in log α with the factor α left out  (eq. 18)
            loss = self._log_temperature * (entropy - self._target_entropy)
            self._descend(self._temperature_optimiser, [self._log_temperature], loss, "temperature")

    def _descend(self, optimiser: torch.optim.Adam, parameters: list[nn.Parameter], loss: Tensor, what: str) -> None:
        """One step of the optimiser; refused before it changes anything when the loss or a gradient is not finite."""
        gradients = torch.autograd.grad(loss, parameters)
        norm = nn.utils.get_total_norm(gradients)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise TrainingError(
                f"the loss of the {what} is {loss.item():g} with a gradient of {norm.item():g} "
                f"after {self._steps} steps; nothing was changed by it"
            )
        longest = self.config.max_gradient_norm
        shorten = 1.0 if longest is None else min(1.0, longest / max(norm.item(), 1e-12))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient if shorten == 1.0 else gradient * shorten
        optimiser.step()


class _Mirror:
    """Shows transitions in the mirror of a task.

    Raises:
        ConfigError: the bounds of the action are not those of its mirror image.
    """

    def __init__(self, env: BatchEnv) -> None:
        mirror = env.mirror
        assert mirror is not None
        low, high = env.action_low[mirror.action.index], env.action_high[mirror.action.index]
        flipped = mirror.action.sign < 0.0
        if not (
            np.allclose(np.where(flipped, -high, low), env.action_low)
            and np.allclose(np.where(flipped, -low, high), env.action_high)
        ):
            raise ConfigError("sac: the bounds of the action change in the mirror; set mirror to false")
        self._policy, self._critic, self._action = map(_tensors, (mirror.policy, mirror.critic, mirror.action))

    def apply(self, batch: ReplayBatch, generator: torch.Generator) -> ReplayBatch:
        """Mirror each transition with probability ½."""
        chosen = torch.rand(len(batch.reward), 1, generator=generator) < 0.5

        def flip(values: Tensor, how: tuple[Tensor, Tensor]) -> Tensor:
            return torch.where(chosen, values[:, how[0]] * how[1], values)

        return ReplayBatch(
            flip(batch.observation, self._policy),
            flip(batch.critic, self._critic),
            flip(batch.action, self._action),
            batch.reward,
            flip(batch.next_observation, self._policy),
            flip(batch.next_critic, self._critic),
            batch.discount,
        )


def _tensors(mirroring: Mirroring) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(mirroring.index.astype(np.int64)), torch.from_numpy(mirroring.sign.astype(np.float32))


def _action_range(env: BatchEnv) -> tuple[Tensor, Tensor]:
    """Centre and half range of the action [Shape (k,), (k,)]."""
    low, high = env.action_low, env.action_high
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        if not (math.isfinite(a) and math.isfinite(b) and a < b):
            raise ConfigError(f"sac: an action needs finite bounds, found [{a:g}, {b:g}] for number {i}")
    return torch.from_numpy(0.5 * (low + high)).float(), torch.from_numpy(0.5 * (high - low)).float()
