"""What an actor is made of besides linear layers and activations; torch runs it, and it is written as ONNX."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """clip((x − mean) / std, ±clip), in the precision of the statistics; the result is in that of x.

    Args:
        mean, std: [Shape (n,)].
        clip: bound of the result, one for all or one for each; inf for none.
    """

    mean: Tensor
    std: Tensor
    clip: Tensor

    def __init__(self, mean: Tensor, std: Tensor, clip: Tensor | float) -> None:
        super().__init__()
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("std", std.detach().clone())
        self.register_buffer("clip", torch.as_tensor(clip, dtype=mean.dtype).detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """[Shape (b, n) -> (b, n)]."""
        return ((x.to(self.mean.dtype) - self.mean) / self.std).clamp(-self.clip, self.clip).to(x.dtype)


class Memory(nn.Module):
    """An LSTM or GRU of one robot, one step at a time.

    Args:
        rnn: its layers.
    """

    def __init__(self, rnn: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.rnn = rnn
        self._state: Tensor | tuple[Tensor, Tensor] | None = None

    def reset(self) -> None:
        """Forget."""
        self._state = None

    def forward(self, x: Tensor) -> Tensor:
        """[Shape (1, n) -> (1, hidden)]."""
        y, self._state = self.rnn(x.unsqueeze(0), self._state)
        last: Tensor = y[0]
        return last


class Squash(nn.Module):
    """centre + half_range · tanh(x).

    Args:
        centre, half_range: [Shape (n,)].
    """

    centre: Tensor
    half_range: Tensor

    def __init__(self, centre: Tensor, half_range: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre.detach().clone())
        self.register_buffer("half_range", half_range.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """[Shape (b, n) -> (b, n)]."""
        return self.centre + self.half_range * torch.tanh(x)


class FirstHalf(nn.Module):
    """The means of a layer that gives means, then standard deviations.

    Args:
        size: how many means.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """[Shape (b, 2 size) -> (b, size)]."""
        return x[:, : self.size]


class BetaMean(nn.Module):
    """The mean of a Beta distribution, stretched: α / (α + β) with α, β = softplus(x) + 1.

    Args:
        size: how many actions.
        lower, upper: range of an action.
    """

    def __init__(self, size: int, lower: float, upper: float) -> None:
        super().__init__()
        self.size, self.lower, self.upper = size, lower, upper

    def forward(self, x: Tensor) -> Tensor:
        """[Shape (b, 2 size) -> (b, size)]."""
        both = nn.functional.softplus(x) + 1.0
        alpha, beta = both[:, : self.size], both[:, self.size :]
        return alpha / (alpha + beta) * (self.upper - self.lower) + self.lower
