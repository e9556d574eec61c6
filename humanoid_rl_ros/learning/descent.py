"""Steps of Adam that a loss which is not finite cannot spoil."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.learning.flat_parameters import FlatParameters


class Descent:
    """Steps parameters down a loss.

    Args:
        what: whose loss it is.
        parameters: moved into one vector.
        learning_rate: of Adam.
        longest: to which a gradient is clipped; None for never.
    """

    def __init__(
        self, what: str, parameters: Iterable[nn.Parameter], learning_rate: float, longest: float | None
    ) -> None:
        self._what, self._longest, self._learning_rate = what, longest, learning_rate
        self._parameters = list(parameters)
        self.flat = FlatParameters(self._parameters)
        self._optimiser = torch.optim.Adam([self.flat.vector], lr=learning_rate, fused=True)

    def step(self, loss: Tensor, steps: int) -> None:
        """One step, unless it would spoil the weights.

        Args:
            loss: whose gradient reaches the parameters.
            steps: environment steps so far, for the message.

        Raises:
            TrainingError: the loss or its gradient is not finite.
        """
        gradient = self.flat.gradient.zero_()
        # What else the loss depends on gets no gradient: half the work, where the policy's loss goes through a critic.
        torch.autograd.backward(loss, inputs=self._parameters)
        norm = float(gradient.norm())
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise TrainingError(
                f"the {self._what} loss is {loss.item():g} and its gradient's norm {norm:g} at step {steps}"
            )
        if self._longest is not None and norm > self._longest:
            gradient *= self._longest / norm
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on beside the parameters."""
        return copy.deepcopy(self._optimiser.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`, with the learning rate there is."""
        self._optimiser.load_state_dict(copy.deepcopy(state))
        self._optimiser.param_groups[0]["lr"] = self._learning_rate
