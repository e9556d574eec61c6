"""What every learner offers to the program that runs it."""

from __future__ import annotations

from typing import Any, Protocol

from humanoid_rl_ros.learning.networks import ActorNetwork


class Learner(Protocol):
    """Learns a policy iteration by iteration.

    All randomness comes from the seed it was made with: the same seed gives the same weights, bit for bit, on one
    machine and one version of the libraries.
    """

    @property
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""

    def iterate(self) -> dict[str, float]:
        """Collect and update once.

        Returns:
            What there is to show, by name: losses, KL, learning rate, seconds spent in ``time/collect`` and
            ``time/update``.

        Raises:
            TrainingError: a loss, a weight or a reward is not finite; what was saved before is untouched.
        """

    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on: weights, optimiser, normaliser, RNG, environment, counters."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another network or another environment.
        """
