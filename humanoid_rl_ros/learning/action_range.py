"""Actions between bounds: the networks' in (−1, 1)ᵏ, the environment's in its own units."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchEnv


class ActionRange:
    """The bounds of an environment's action.

    Args:
        env: whose they are.
        algorithm: that needs them, for the message.

    Attributes:
        size: numbers in an action.
        low, high: the bounds [Shape (size,)].

    Raises:
        ConfigError: a bound is not finite, or leaves nothing between.
    """

    def __init__(self, env: BatchEnv, algorithm: str) -> None:
        low, high = env.action_low, env.action_high
        for i, (a, b) in enumerate(zip(low, high, strict=True)):
            if not (math.isfinite(a) and math.isfinite(b) and a < b):
                raise ConfigError(f"{algorithm}: an action needs finite bounds, found [{a:g}, {b:g}] for number {i}")
        self._centre = torch.from_numpy(0.5 * (low + high)).float()
        self._half_range = torch.from_numpy(0.5 * (high - low)).float()
        self.size = len(low)
        self.low, self.high = self._centre - self._half_range, self._centre + self._half_range

    def scaled(self, action: Tensor, steps: int) -> Float32Array:
        """Actions of (−1, 1)ᵏ as the environment takes them [Shape (n, size)].

        Raises:
            TrainingError: one is not finite, at so many steps.
        """
        if not action.isfinite().all():
            robot = int((~action.isfinite()).nonzero()[0, 0])
            raise TrainingError(f"the action of robot {robot} is not finite at step {steps}")
        values: Float32Array = (self._centre + self._half_range * action).numpy()
        return values
