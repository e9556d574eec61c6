"""From where the robot is and where it should go to a velocity command."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.planar import PlanarPose, wrapped
from humanoid_rl_ros.core.state import VelocityCommand

STANDING = VelocityCommand()


@dataclass(frozen=True)
class SteeringSpec:
    """How fast, and how exactly.

    Attributes:
        linear_speed: largest speed forward [m/s].
        angular_speed: largest rate of turning [rad/s].
        linear_acceleration, angular_acceleration: largest change of the command [m/s², rad/s²].
        heading_gain: rate of turning for each radian that the heading is off [1/s].
        turn_in_place: heading error above which the robot stands and turns [rad].
        look_ahead: distance along the way that is steered for, where the straight line to it is clear [m].
        tolerance: distance from the goal within which the robot has arrived [m].
        slow_down: distance from the goal from which on it walks slower [m].
        off_grid: distance to the nearest free cell's centre up to which the robot goes there from a cell that is not
            free [m].
    """

    linear_speed: float = 0.45
    angular_speed: float = 0.7
    linear_acceleration: float = 0.6
    angular_acceleration: float = 2.0
    heading_gain: float = 1.6
    turn_in_place: float = 0.8
    look_ahead: float = 0.8
    tolerance: float = 0.2
    slow_down: float = 0.5
    off_grid: float = 0.75

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"'{name}' must be finite and above 0, found {value:g}")
        if self.turn_in_place >= math.pi / 2.0:
            raise ConfigError(f"'turn_in_place' must be below a right angle, found {self.turn_in_place:g}")


def steering_from_section(section: Section) -> SteeringSpec:
    """Read the ``steering`` mapping of a navigation bundle; what is left out has its default.

    Raises:
        ConfigError: a key is unknown or malformed.
    """
    values = {name: section.number(name, default, above=0.0) for name, default in vars(SteeringSpec()).items()}
    section.finish()
    return SteeringSpec(**values)


STILL_TURNING = 0.4
"""Of `turn_in_place`: heading error at which turning in place ends."""
SLOWEST = 0.3
"""Of the largest speed: next to the goal."""


class Steering:
    """Turns towards a point and walks to it, within speeds and accelerations.

    Args:
        spec: how fast.
    """

    def __init__(self, spec: SteeringSpec) -> None:
        self.spec = spec
        self.turning = False
        self._before = STANDING

    def stop(self) -> VelocityCommand:
        """Zero at once; the next command starts from it."""
        self.turning = False
        self._before = STANDING
        return STANDING

    def ease(self, period: float) -> VelocityCommand:
        """Towards zero within the accelerations."""
        self.turning = False
        return self._limited(0.0, 0.0, period)

    def towards(self, pose: PlanarPose, point: tuple[float, float], left: float, period: float) -> VelocityCommand:
        """The command that brings the robot towards a point.

        Args:
            pose: of the robot.
            point: in the same frame [m].
            left: of the way to the goal [m].
            period: since the last command [s].
        """
        spec = self.spec
        off = wrapped(math.atan2(point[1] - pose.y, point[0] - pose.x) - pose.yaw)
        self.turning = abs(off) > (STILL_TURNING if self.turning else 1.0) * spec.turn_in_place
        turn = min(max(spec.heading_gain * off, -spec.angular_speed), spec.angular_speed)
        nearness = min(1.0, max(SLOWEST, left / spec.slow_down))
        speed = 0.0 if self.turning else spec.linear_speed * nearness * max(0.0, math.cos(off))
        return self._limited(speed, turn, period)

    def _limited(self, speed: float, turn: float, period: float) -> VelocityCommand:
        before, spec = self._before, self.spec
        self._before = VelocityCommand(
            linear_x=_near(speed, before.linear_x, spec.linear_acceleration * period),
            angular_z=_near(turn, before.angular_z, spec.angular_acceleration * period),
        )
        return self._before


def _near(wanted: float, before: float, step: float) -> float:
    return min(max(wanted, before - step), before + step)
