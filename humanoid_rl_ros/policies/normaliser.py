"""The statistics that a network's observations were normalised with, where they are not inside the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.policy import Policy


@dataclass(frozen=True)
class NormaliserSpec:
    """observation → clip((observation − mean) / std).

    Attributes:
        mean, std: one for each number of the observation; std above 0.
        clip: bound of the result on both sides; inf for none.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    clip: float = math.inf

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ConfigError(f"normaliser: {len(self.mean)} means but {len(self.std)} standard deviations")
        if not self.mean:
            raise ConfigError("normaliser: no mean is given")
        if min(self.std) <= 0.0:
            raise ConfigError(f"normaliser: std[{self.std.index(min(self.std))}] must be above 0")


def normaliser_from_section(section: Section) -> NormaliserSpec:
    """Read the ``normaliser`` mapping of a policy YAML."""
    mean, std = section.numbers("mean"), section.numbers("std")
    clip = section.number("clip", math.inf, above=0.0, infinite=True)
    section.finish()
    try:
        return NormaliserSpec(tuple(map(float, mean)), tuple(map(float, std)), clip)
    except ConfigError as error:
        raise ConfigError(f"{section.where}: {error}") from None


class NormalisedPolicy:
    """A network behind its normaliser.

    Args:
        network: sees normalised observations.
        spec: statistics of the observations.
        observation_size: numbers in an observation.

    Raises:
        ConfigError: the statistics are of another number of observations.
    """

    def __init__(self, network: Policy, spec: NormaliserSpec, observation_size: int) -> None:
        if len(spec.mean) != observation_size:
            raise ConfigError(f"normaliser: {len(spec.mean)} means for an observation of {observation_size} numbers")
        self._network = network
        self._mean = np.array(spec.mean, dtype=np.float32)
        self._std = np.array(spec.std, dtype=np.float32)
        self._clip = spec.clip

    def infer(self, observation: Float32Array) -> Float32Array:
        """See `humanoid_rl_ros.policies.policy.Policy.infer`."""
        return self._network.infer(self._normalised(observation))

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        """See `humanoid_rl_ros.policies.policy.Policy.infer_batch`."""
        return self._network.infer_batch(self._normalised(observations))

    def reset(self) -> None:
        """See `humanoid_rl_ros.policies.policy.Policy.reset`."""
        self._network.reset()

    def _normalised(self, observation: Float32Array) -> Float32Array:
        normal = (observation - self._mean) / self._std
        return np.asarray(np.clip(normal, -self._clip, self._clip), dtype=np.float32)
