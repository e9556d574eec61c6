"""What every network looks like to its runner."""

from __future__ import annotations

from typing import Protocol

from humanoid_rl_ros.core.arrays import Float32Array


class Policy(Protocol):
    """A network: one observation in, one action out; a recurrent one keeps its state between calls."""

    def infer(self, observation: Float32Array) -> Float32Array:
        """The action for an observation [Shape (obs,) -> (act,)]."""
        ...

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        """The actions for observations that have nothing to do with each other [Shape (b, obs) -> (b, act)].

        Raises:
            PolicyError: the network is recurrent.
        """
        ...

    def reset(self) -> None:
        """Forget the recurrent state."""
        ...
