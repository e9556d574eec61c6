"""Running mean and variance of what a network sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanoid_rl_ros.learning.distributed import Distributed


class RunningNormaliser(nn.Module):
    """(x − mean) / std, clipped, over everything seen so far; the identity before the first update.

    The statistics are float64, what is applied is float32.

    Args:
        size: width of what is normalised.
        clip: bound of the result.
        epsilon: std = √(var + epsilon²), so that an element that hardly ever changes is not blown up when it does.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, size: int, *, clip: float = 10.0, epsilon: float = 1e-2) -> None:
        super().__init__()
        self.clip = clip
        self.epsilon = epsilon
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @property
    def std(self) -> Tensor:
        """What is divided by [Shape (size,); float32]."""
        if self.count == 0.0:
            return torch.ones_like(self.var, dtype=torch.float32)
        return (self.var + self.epsilon**2).sqrt().float()

    def normalise(self, x: Tensor) -> Tensor:
        """Normalised and clipped [Shape (..., size); float32]."""
        return ((x - self.mean.float()) / self.std).clamp_(-self.clip, self.clip)

    def update(self, batch: Tensor, *, distributed: Distributed | None = None) -> tuple[Tensor, Tensor, float]:
        """Take a batch into the statistics.

        Args:
            batch: [Shape (b, size)].
            distributed: the processes whose batches of the same b are taken in with it.

        Returns:
            Mean and variance of what was taken in [Shape (size,); float64], and how many rows.
        """
        var, mean = torch.var_mean(batch.double(), dim=0, correction=0)
        count = float(len(batch))
        if distributed is not None:
            own = mean
            mean = distributed.mean_(own.clone())
            # The variance of a union of equal parts: the mean of theirs, and the variance of their means.
            var = distributed.mean_(var + (own - mean).square())
            count *= distributed.world_size
        self.merge(mean, var, count)
        return mean, var, count

    def merge(self, mean: Tensor, var: Tensor, count: float) -> None:
        """Take in the statistics of a batch (Chan, Golub and LeVeque, 1983).

        Args:
            mean, var: of the batch; the variance is the mean square deviation [Shape (size,); float64].
            count: rows of the batch.
        """
        total = self.count + count
        delta = mean - self.mean
        # M = M_a + M_b + δ² n_a n_b / n, with M = n · var.
        sum_of_squares = self.var * self.count + var * count + delta.square() * self.count * count / total
        self.mean += delta * (count / total)
        self.var.copy_(sum_of_squares / total)
        self.count.copy_(total)
