"""What soft actor-critic is made of: the squashed Gaussian, and critics that are evaluated together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.networks import ACTIVATIONS


def sample_squashed(mean: Tensor, log_std: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a = tanh(u), u ~ N(mean, std²), so that gradients reach mean and std.

    Args:
        mean, log_std: of u [Shape (b, k)].
        generator: draws.

    Returns:
        a [Shape (b, k)] and log π(a), the density over (−1, 1)ᵏ [Shape (b,)].
    """
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
    u = mean + log_std.exp() * noise
    # log π(a) = Σ log N(u; mean, std²) − log(1 − tanh² u)  (Haarnoja et al., 2018, appendix C, eq. 21)
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    # log(1 − tanh² u) = 2 (log 2 − u − softplus(−2u)), which does not lose its digits where tanh is near ±1.
    log_slope = 2.0 * (math.log(2.0) - u - functional.softplus(-2.0 * u))
    return torch.tanh(u), (log_normal - log_slope).sum(-1)


class TwinCritic(nn.Module):
    """Two action-value networks of the same shape in one batched pass.

    Args:
        observation_size, action_size: widths of what they see.
        hidden: widths of the hidden layers.
        activation: one of `ACTIVATIONS`.
        layer_norm: normalise before each activation.
        generator: draws the weights, orthogonal in each network.

    Raises:
        ConfigError: the activation is unknown.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: Sequence[int],
        activation: str,
        *,
        layer_norm: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"activation must be one of {', '.join(ACTIVATIONS)}, found '{activation}'")
        self.activation = ACTIVATIONS[activation]()
        inputs, *hidden_weights = (
            _orthogonal(width_in, width_out, 2.0**0.5, generator)
            for width_in, width_out in zip((observation_size + action_size, *hidden[:-1]), hidden, strict=True)
        )
        # Apart, so that the gradient of an action need not pass through the much wider observation.
        self.from_observation = nn.Parameter(inputs[:, :observation_size].clone())
        self.from_action = nn.Parameter(inputs[:, observation_size:].clone())
        self.weights = nn.ParameterList([*hidden_weights, _orthogonal(hidden[-1], 1, 1.0, generator)])
        self.biases = nn.ParameterList([torch.zeros(2, 1, width) for width in (*hidden, 1)])
        normed = hidden if layer_norm else ()
        self.gains = nn.ParameterList([torch.ones(2, 1, width) for width in normed])
        self.shifts = nn.ParameterList([torch.zeros(2, 1, width) for width in normed])

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Both values [Shape (b, observation_size), (b, action_size) -> (2, b)]."""
        x = torch.baddbmm(self.biases[0], observation.expand(2, -1, -1), self.from_observation)
        x = torch.baddbmm(x, action.expand(2, -1, -1), self.from_action)
        for i, weight in enumerate(self.weights):
            if self.gains:
                x = torch.addcmul(self.shifts[i], functional.layer_norm(x, x.shape[-1:]), self.gains[i])
            x = torch.baddbmm(self.biases[i + 1], self.activation(x), weight)
        return x.squeeze(-1)


def _orthogonal(width_in: int, width_out: int, gain: float, generator: torch.Generator) -> Tensor:
    weight = torch.empty(2, width_in, width_out)
    for one in weight:
        nn.init.orthogonal_(one, gain=gain, generator=generator)
    return weight
