"""Whether a policy may take over from the pose a robot is in: near its own, or with a blend long enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.controller import PEAK_BLEND_RATE
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.state import RobotState

ANY_DISTANCE = 1000.0
"""Of a joint from the start pose: none is farther [rad]."""


@dataclass(frozen=True)
class StartGate:
    """How far from its start pose, and how fast towards it, a policy may begin.

    Attributes:
        speed: largest joint speed that the entry blend may ask for [rad/s].
        distance: distance of a joint from the start pose that needs no blend [rad].
    """

    speed: float
    distance: float = 0.1

    def __post_init__(self) -> None:
        if not self.speed > 0.0 or not self.distance >= 0.0:
            raise ConfigError(
                f"a start needs a joint speed above 0 and a distance of at least 0, found {self.speed:g} and "
                f"{self.distance:g}"
            )

    def refusal(self, behaviour: PolicyBehaviour, state: RobotState) -> str:
        """Why this policy may not take over from this state, naming the worst joint; empty where it may.

        The blend's target moves at most `PEAK_BLEND_RATE`·distance/duration fast. Joints that no PD law pulls, those
        whose effort the network says itself, are where they are.

        Args:
            behaviour: with its start pose and its entry blend.
            state: where the robot is.
        """
        away = np.where(behaviour.pulled, np.abs(behaviour.start_position - state.joint_position), 0.0)
        worst = int(np.argmax(away))
        far = float(away[worst])
        if far <= self.distance:
            return ""
        blend, needed = behaviour.entry_blend, PEAK_BLEND_RATE * far / self.speed
        if needed <= blend:
            return ""
        name, was, goal = (
            values[worst] for values in (behaviour.robot.joint_names, state.joint_position, behaviour.start_position)
        )
        how = "without an entry_blend it would go there at once"
        if blend > 0.0:
            how = f"with entry_blend {blend:g} s it would go there at {PEAK_BLEND_RATE * far / blend:.1f} rad/s"
        return (
            f"{name} is {far:.2f} rad from where '{behaviour.bundle.name}' starts ({was:.2f}, expected {goal:.2f}); "
            f"{how}, limit {self.speed:g}: move it nearer, or set entry_blend to "
            f"{math.ceil(10.0 * needed) / 10.0:g} s or more"
        )
