"""All parameters of a learner in one vector, so that a step, a norm, a copy and a sum over processes are one call."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Each parameter starts on a cache line of its own, as it would if it had been allocated alone.
ALIGNMENT = 16


class FlatParameters:
    """Moves parameters into one vector; what they were given to goes on using them.

    Args:
        groups: parameters that belong together.

    Attributes:
        vector: the values, of which every parameter is a part; what an optimiser steps.
        groups: where in the vector each group is.
    """

    def __init__(self, *groups: Iterable[nn.Parameter]) -> None:
        listed = [list(group) for group in groups]
        widths = [[-(-parameter.numel() // ALIGNMENT) * ALIGNMENT for parameter in group] for group in listed]
        self.vector = nn.Parameter(torch.zeros(sum(map(sum, widths))))
        self.vector.grad = torch.zeros_like(self.vector)
        self.groups: list[slice] = []
        start = 0
        for group, group_widths in zip(listed, widths, strict=True):
            begin = start
            for parameter, width in zip(group, group_widths, strict=True):
                part = slice(start, start + parameter.numel())
                values = self.vector.data[part].view_as(parameter)
                parameter.data = values.copy_(parameter.data)
                parameter.grad = self.vector.grad[part].view_as(parameter)
                start += width
            self.groups.append(slice(begin, start))

    @property
    def gradient(self) -> Tensor:
        """Of the vector; a backward pass adds to it."""
        assert self.vector.grad is not None
        return self.vector.grad
