"""What formations need of the robots of many teams, whether their physics is computed or stood in for."""

from __future__ import annotations

from typing import Any, Protocol

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.simulation.carried_beam import BeamState
from humanoid_rl_ros.simulation.team_simulation import TeamPose


class TeamBodies(Protocol):
    """Robots that follow velocity commands, w worlds with n robots each."""

    @property
    def period(self) -> float:
        """Of a control step [s]."""

    def place(self, worlds: BoolArray, position: FloatArray, heading: FloatArray) -> None:
        """Stand the robots of some worlds somewhere, as if they had never walked.

        Args:
            worlds: which [Shape (w,)].
            position, heading: of those [m; Shape (k, n, 2)], [rad; Shape (k, n)].
        """

    def push(self, worlds: IndexArray, robots: IndexArray, velocity: FloatArray) -> None:
        """Add to the velocity of some robots [m/s; world; Shape (k,), (k,), (k, 2)]."""

    def step(self, command: FloatArray) -> BoolArray:
        """One control step.

        Args:
            command: brought into the ranges of the walking policy [m/s, m/s, rad/s; Shape (w, n, 3)].

        Returns:
            Worlds whose physics left the finite; they are at rest in the state before [Shape (w,)].
        """

    def pose(self) -> TeamPose:
        """Where the robots are, and how fast."""

    def load(self) -> BeamState | None:
        """What the robots carry; None where that is nothing, or not simulated."""

    def down(self, tilt_limit: float, height_limit: float) -> BoolArray:
        """Which robots lie, or as good as [Shape (w, n)].

        Args:
            tilt_limit: a fall is a larger tilt [rad].
            height_limit: or a base below this share of its standing height.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""

    def close(self) -> None:
        """End threads."""
