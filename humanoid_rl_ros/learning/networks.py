"""Networks: multilayer perceptrons, and the actor as it is exported."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


def mlp(
    sizes: Sequence[int], activation: str, *, layer_norm: bool = False, generator: torch.Generator, last_gain: float
) -> nn.Sequential:
    """Linear layers with an activation between them, initialised orthogonally (Saxe et al., 2014).

    Args:
        sizes: widths, input and output included.
        activation: one of `ACTIVATIONS`.
        layer_norm: normalise before each activation.
        generator: draws the weights.
        last_gain: of the last layer; √2 for the others.

    Raises:
        ConfigError: the activation is unknown.
    """
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation must be one of {', '.join(ACTIVATIONS)}, found '{activation}'")
    layers: list[nn.Module] = []
    for i, (width_in, width_out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        linear = nn.Linear(width_in, width_out)
        nn.init.orthogonal_(linear.weight, gain=last_gain if last else 2.0**0.5, generator=generator)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if not last:
            if layer_norm:
                layers.append(nn.LayerNorm(width_out))
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class ActorNetwork(nn.Module):
    """The policy as it is exported: normalise, perceptron, and for a squashed policy tanh and scale.

    action = layers(clip((observation − mean) / std, ±clip)), or centre + half_range · tanh(·) of it.

    Args:
        layers: of `mlp`.
        mean, std: of the observation normaliser [Shape (observation_size,)].
        clip: bound of the normalised observation.
        low, high: bounds of a squashed action [Shape (action_size,)]; None for an action as the last layer gives it.
    """

    mean: Tensor
    std: Tensor
    centre: Tensor
    half_range: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        mean: Tensor,
        std: Tensor,
        *,
        clip: float,
        low: Tensor | None = None,
        high: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.clip = clip
        self.squashed = low is not None
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())
        if low is not None and high is not None:
            self.register_buffer("centre", 0.5 * (high + low))
            self.register_buffer("half_range", 0.5 * (high - low))

    def forward(self, observation: Tensor) -> Tensor:
        """Actions for observations [Shape (b, observation_size) -> (b, action_size)]."""
        normal = ((observation - self.mean) / self.std).clamp(-self.clip, self.clip)
        action: Tensor = self.layers(normal)
        return self.centre + self.half_range * torch.tanh(action) if self.squashed else action
