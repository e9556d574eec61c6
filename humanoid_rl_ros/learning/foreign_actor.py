"""An actor as it is put together from a foreign checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError

Bounds = tuple[tuple[float, ...], tuple[float, ...]]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
"""With torch's defaults, as Stable-Baselines3 and rsl_rl build them."""


@dataclass(frozen=True)
class ForeignActor:
    """What a checkpoint turns an observation into.

    Attributes:
        stages: one after the other; a `Normalise` and a `Memory` come first, where there are any.
        observation_size, action_size: numbers in an observation and an action.
        bounds: what the algorithm clips its actions to or unscales them within, lower and upper; None for nothing.
        inferred: what no file says, by a short key: what was taken, and why.
        notes: what a person should know, one sentence each.
    """

    stages: tuple[nn.Module, ...]
    observation_size: int
    action_size: int
    bounds: Bounds | None = None
    inferred: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def perceptron(
    layers: Sequence[tuple[Float32Array, Float32Array]], activation: str, width: int, where: str
) -> list[nn.Module]:
    """Linear layers with an activation between them.

    Args:
        layers: weights [Shape (out, in)] and biases [Shape (out,)].
        activation: one of `ACTIVATIONS`.
        width: numbers that the first takes.
        where: the file, for messages.

    Raises:
        PolicyError: there is none, or one does not take what the one before gives.
    """
    if not layers:
        raise PolicyError(f"{where}: holds no layer of an actor")
    stages: list[nn.Module] = []
    for i, (weight, bias) in enumerate(layers):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise PolicyError(
                f"{where}: layer {i} of the actor has weights of shape {weight.shape} and biases of {bias.shape}, "
                f"but must take {width} numbers"
            )
        width = weight.shape[0]
        linear = nn.Linear(1, 1)
        linear.in_features, linear.out_features = weight.shape[1], width
        linear.weight, linear.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
        stages += [linear] if i == 0 else [ACTIVATIONS[activation](), linear]
    return stages
