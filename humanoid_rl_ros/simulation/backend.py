"""The interface every simulated robot offers, and the truth that only a simulation knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState


@dataclass(frozen=True)
class FootContact:
    """The load on one foot.

    Attributes:
        name: the body of the model.
        force: vertical force from the ground, positive up [N].
    """

    name: str
    force: float


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What no sensor of a robot tells; for scoring, logging and display, never for a policy.

    Attributes:
        stamp_ns: simulated time [ns].
        base_position: origin of the root body [m; world; Shape (3,)].
        base_orientation: root body in the world [wxyz, unit; Shape (4,)].
        base_linear_velocity: of that origin [m/s; base frame; Shape (3,)].
        base_angular_velocity: [rad/s; base frame; Shape (3,)].
        base_height: height of that origin above the floor [m].
        feet: the load on each foot.
    """

    stamp_ns: int
    base_position: FloatArray
    base_orientation: FloatArray
    base_linear_velocity: FloatArray
    base_angular_velocity: FloatArray
    base_height: float
    feet: tuple[FootContact, ...]

    def __post_init__(self) -> None:
        for name in ("base_position", "base_orientation", "base_linear_velocity", "base_angular_velocity"):
            object.__setattr__(self, name, frozen(getattr(self, name)))


class SimulationBackend(Protocol):
    """A robot that takes efforts and gives states, one state period at a time.

    It never waits for a clock and never opens a window: who calls it decides how fast time passes.
    """

    @property
    def robot(self) -> RobotSpec:
        """The robot; its joint order is the order of every array here."""

    @property
    def period_ns(self) -> int:
        """Time from one state to the next, rounded [ns]."""

    def reset(self, rng: np.random.Generator | None = None) -> RobotState:
        """Stand the robot on the floor in its initial pose, at time 0.

        Args:
            rng: draws a small perturbation of the pose and of the velocity; without it the pose is exact.

        Returns:
            The first state.
        """

    def step(self, effort: FloatArray) -> RobotState:
        """Hold an effort for one state period.

        Args:
            effort: clipped to the effort limits, as a motor would [N·m; Shape (n,)].

        Returns:
            The state at the end of the period.

        Raises:
            StateError: the effort has a wrong shape or is not finite.
            ModelError: the physics diverged; reset before the next step.
        """

    def hold(self) -> RobotState:
        """Let one state period pass with base and joints locked where they are, as on a gantry.

        Returns:
            The state at the end of the period: same pose, no velocity, gravity on the accelerometer.
        """

    def read(self) -> RobotState:
        """The last state, again."""

    def ground_truth(self) -> GroundTruth:
        """Pose, velocity and foot loads at the instant of the last state; of a robot that is held the loads are 0."""
