"""The two networks that PPO trains, each with its loss, optimiser and normaliser; they share samples alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.core.mirror import Mirroring
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.flat_parameters import FlatParameters
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.ppo_samples import Samples

_LOG_2_PI = math.log(2.0 * math.pi)
Minibatch = tuple[Tensor, Tensor]
"""The samples of a minibatch, and where they or their mirror images stand [Shape (m,), (m,)]."""


class _Part:
    """A network in one flat vector, with Adam and the clipping of its gradient."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], size: int, config: PPOConfig, others: Distributed | None
    ) -> None:
        self._config, self._others = config, others
        self._flat = FlatParameters(parameters)
        self._optimiser = torch.optim.Adam([self._flat.vector], lr=config.learning_rate, fused=True)
        self.normaliser = RunningNormaliser(size, clip=config.observation_clip)
        if others is not None:
            if others.rank > 0:
                self._flat.vector.data.zero_()
            others.sum_(self._flat.vector.data)

    def see(self, observations: Tensor, mirroring: Mirroring | None) -> None:
        """Take observations into the normaliser, and with them their mirror images [Shape (b, size)]."""
        mean, var, count = self.normaliser.update(observations, distributed=self._others)
        if mirroring is not None:
            index = torch.tensor(mirroring.index)
            self.normaliser.merge(torch.tensor(mirroring.sign) * mean[index], var[index], count)

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, normaliser."""
        return {
            "parameters": self._flat.vector.detach().clone(),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "normaliser": copy.deepcopy(self.normaliser.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._flat.vector.data.copy_(state["parameters"])
        self._optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self.normaliser.load_state_dict(state["normaliser"])

    def _descend(self, loss: Tensor, numbers: Tensor, what: str, rate: float, step: int) -> None:
        """One step of the optimiser.

        Args:
            loss: whose gradient is followed.
            numbers: averaged over the processes in place; the first must be finite.
            what: the loss, for the error.
            rate: of learning.
            step: for the error.

        Raises:
            TrainingError: loss, gradient or weights are not finite; the weights are then as they were.
        """
        gradient = self._flat.gradient.zero_()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        with torch.no_grad():
            if self._others is not None:
                self._others.mean_(gradient)
                self._others.mean_(numbers)
            require_finite(f"{what} loss", float(numbers[0]), step)
            norm = float(gradient.norm())
            require_finite(f"norm of the {what} gradient", norm, step)
            if norm > self._config.max_gradient_norm:
                gradient *= self._config.max_gradient_norm / norm
            self._optimiser.param_groups[0]["lr"] = rate
            self._optimiser.step()


class PolicyPart(_Part):
    """The actor and its exploration.

    Args:
        sizes: of observation and action.
        config: of PPO.
        generator: draws the weights.
        others: the processes it learns with.
    """

    def __init__(
        self, sizes: tuple[int, int], config: PPOConfig, generator: torch.Generator, others: Distributed | None
    ) -> None:
        widths = (sizes[0], *config.actor_hidden, sizes[1])
        self._layers = mlp(widths, config.activation, generator=generator, last_gain=0.01)
        self.log_std = nn.Parameter(torch.full((sizes[1],), math.log(config.initial_std)))
        super().__init__([*self._layers.parameters(), self.log_std], sizes[0], config, others)
        self.rate = config.learning_rate
        self._desired_kl = config.desired_kl

    def actor(self) -> ActorNetwork:
        """The policy as it is now, a copy."""
        return ActorNetwork(
            copy.deepcopy(self._layers),
            self.normaliser.mean.float(),
            self.normaliser.std,
            clip=self._config.observation_clip,
        )

    def set_layers(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with other weights.

        Args:
            weights: of the layers, as ``state_dict`` of them names them.

        Raises:
            RuntimeError: names or shapes differ.
        """
        self._layers.load_state_dict(dict(weights))

    @property
    def entropy(self) -> float:
        """H = Σ log σ + ½ k (1 + log 2π)."""
        return float(self.log_std.detach().sum()) + 0.5 * len(self.log_std) * (1.0 + _LOG_2_PI)

    def learn(self, samples: Samples, plan: Sequence[Minibatch], step: int) -> tuple[float, float, float]:
        """Go through the minibatches of an update.

        Returns:
            Means of loss, KL and the share of samples that the clip holds.

        Raises:
            TrainingError: see `_descend`.
        """
        sums = torch.zeros(3, dtype=torch.float64)
        self._desired_kl = self._config.kl_at(step)
        for i, (rows, sources) in enumerate(plan):
            sums += self._learn(samples, rows, sources, step, adapt=i > 0)
        loss, kl, held = (sums / len(plan)).tolist()
        if not self._flat.vector.isfinite().all():
            raise TrainingError(f"a weight of the policy is not finite at step {step}")
        return loss, kl, held

    def _learn(self, samples: Samples, rows: Tensor, sources: Tensor, step: int, *, adapt: bool) -> Tensor:
        config, advantage = self._config, samples.advantage[rows]
        # log π(a|s) = −½ Σ ((a − μ) / σ)² − Σ log σ − ½ k log 2π
        mean = self._layers(samples.observation.index_select(0, sources))
        normal = (samples.action.index_select(0, sources) - mean) * torch.exp(-self.log_std)
        log_std_sum = self.log_std.sum()
        log_prob = -0.5 * normal.square().sum(dim=1) - log_std_sum - 0.5 * normal.shape[1] * _LOG_2_PI
        # r = π(a|s) / π_old(a|s);  L = −E[min(r A, clip(r, 1 − ε, 1 + ε) A)]  (equation 7)
        log_ratio = log_prob - samples.log_prob[rows]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
        loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
        with torch.no_grad():
            # KL(π_old ‖ π) = E[r − 1 − log r], over the samples that π_old itself took: of the images it took none.
            own = rows == sources
            divergence = torch.where(own, log_ratio.expm1() - log_ratio, 0.0).sum()
            held = ((ratio - 1.0).abs() > config.clip).float().mean()
            numbers = torch.stack([loss.detach(), divergence, own.float().sum(), held]).double()
        rate = self.rate
        if adapt:
            rate = self._adapted(numbers, rate)
        # The entropy's gradient is that of Σ log σ.
        self._descend(loss - config.entropy_coefficient * log_std_sum, numbers, "policy", rate, step)
        self.rate = rate
        with torch.no_grad():
            if config.std_floor > 0.0:
                self.log_std.clamp_(min=math.log(config.std_floor))
        return torch.tensor([numbers[0], _divergence(numbers), numbers[3]], dtype=torch.float64)

    def _adapted(self, numbers: Tensor, rate: float) -> float:
        """The learning rate that keeps the divergence of an update about what is desired."""
        config, desired = self._config, self._desired_kl
        if desired is None or config.desired_kl is None:
            return rate
        seen = numbers.clone()
        if self._others is not None:
            self._others.mean_(seen)
        kl = _divergence(seen)
        if kl > 2.0 * desired:
            return max(config.learning_rate_floor * desired / config.desired_kl, rate / 1.5)
        if 0.0 < kl < 0.5 * desired:
            return min(config.learning_rate_ceiling, rate * 1.5)
        return rate

    def even_out(self, mirroring: Mirroring) -> None:
        """Let both sides explore alike."""
        with torch.no_grad():
            self.log_std.copy_(0.5 * (self.log_std + self.log_std[torch.tensor(mirroring.index)]))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, normaliser, learning rate."""
        return {**super().state_dict(), "rate": self.rate}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        super().load_state_dict(state)
        self.rate = state["rate"]


class ValuePart(_Part):
    """The critic.

    Args:
        size: of what it sees.
        config: of PPO.
        generator: draws the weights.
        others: the processes it learns with.
    """

    def __init__(self, size: int, config: PPOConfig, generator: torch.Generator, others: Distributed | None) -> None:
        self.network = mlp((size, *config.critic_hidden, 1), config.activation, generator=generator, last_gain=1.0)
        super().__init__(self.network.parameters(), size, config, others)

    def learn(self, samples: Samples, plan: Sequence[Minibatch], rate: float, step: int) -> float:
        """Go through the minibatches of an update.

        Returns:
            Mean of the loss.

        Raises:
            TrainingError: see `_descend`.
        """
        total = 0.0
        for rows, sources in plan:
            target = samples.target[rows]
            # L = E[(V − R)²]
            value = self.network(samples.critic.index_select(0, sources)).squeeze(1)
            error = (value - target).square()
            if self._config.value_clip is not None:
                before = samples.value[rows]
                near = before + (value - before).clamp(-self._config.value_clip, self._config.value_clip)
                error = torch.maximum(error, (near - target).square())
            loss = error.mean()
            numbers = loss.detach().double().reshape(1)
            self._descend(self._config.value_coefficient * loss, numbers, "value", rate, step)
            total += float(numbers[0])
        if not self._flat.vector.isfinite().all():
            raise TrainingError(f"a weight of the critic is not finite at step {step}")
        return total / len(plan)


def _divergence(numbers: Tensor) -> float:
    return float(numbers[1]) / max(float(numbers[2]), 1.0)


def require_finite(what: str, value: float, step: int) -> None:
    """Refuse NaN and Inf.

    Raises:
        TrainingError: names what it is.
    """
    if not math.isfinite(value):
        raise TrainingError(f"the {what} is {value} at step {step}")
