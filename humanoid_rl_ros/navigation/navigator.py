"""Follows a learned policy over the floor: a pose in, a velocity command out, and the reason for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.navigation.grid_policy import GridPolicy
from humanoid_rl_ros.navigation.steering import Steering, SteeringSpec

NS = 1_000_000_000
LONGEST_PERIOD_NS = NS // 10
"""Between two poses: of a longer time, the accelerations count this much."""
FELL_RAD = 0.7
"""Tilt beyond which there is no walking."""
STAYS = 2.0
"""Times the tolerance: how far the robot may drift from the goal before it walks again."""


class Activity(Enum):
    """What the navigator does."""

    WAITING = "waiting"
    TURNING = "turning"
    WALKING = "walking"
    RETURNING = "returning"
    ARRIVED = "arrived"
    STOPPED = "stopped"


MOVING = (Activity.TURNING, Activity.WALKING, Activity.RETURNING)


@dataclass(frozen=True)
class RobotPlace:
    """Where the robot is, as it was measured.

    Attributes:
        stamp_ns: of the measurement [ns].
        pose: in the map's frame.
        tilt: from upright [rad].
    """

    stamp_ns: int
    pose: PlanarPose
    tilt: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Attributes:
        command: the velocity.
        activity: what that is.
        reason: in words; of STOPPED and WAITING why.
        state: of the grid where the robot is, −1 for none.
        left: of the way to the goal [m]; inf where none is known.
        target: the point that is steered for [m; map frame], or None.
    """

    command: VelocityCommand
    activity: Activity
    reason: str
    state: int = -1
    left: float = math.inf
    target: tuple[float, float] | None = None


class Navigator:
    """Greedy moves of a policy, made into velocity.

    Args:
        policy: the policy on its grid.
        spec: speeds and tolerances.
        timeout_ns: age of the last place, by arrival, from which on the robot stands [ns].
    """

    def __init__(self, policy: GridPolicy, spec: SteeringSpec, *, timeout_ns: int = NS // 2) -> None:
        self.policy = policy
        self.grid = policy.grid
        self._goal = np.array(policy.grid.goal)
        self._steering = Steering(spec)
        self._spec = spec
        self._timeout_ns = timeout_ns
        self._place: RobotPlace | None = None
        self._arrived_ns = 0
        self._arrived = False
        self._refusal = ""
        self._way_from, self._way = -1, np.zeros((0, 2))
        self.refused = 0

    def forget(self) -> None:
        """Know no place, and stand."""
        self._place, self._refusal = None, ""
        self._arrived = False
        self._steering.stop()

    def refuse(self, why: str) -> Decision:
        """A place that cannot be used: the robot stands until one comes that can.

        Args:
            why: in words.
        """
        self.refused += 1
        self._place, self._refusal = None, why
        return Decision(self._steering.stop(), Activity.STOPPED, why)

    def see(self, place: RobotPlace, now_ns: int) -> Decision:
        """Take in where the robot is, and decide.

        Args:
            place: as measured.
            now_ns: of its arrival, on a clock that never jumps [ns].
        """
        before = self._place
        if before is not None and place.stamp_ns == before.stamp_ns:
            return self.decide(now_ns)  # told twice: no news of the robot, and none of its sensors
        since_ns = 0 if before is None else place.stamp_ns - before.stamp_ns
        if since_ns < 0:  # the clock was set back: as if nothing had been before
            self.forget()
        self._place, self._arrived_ns = place, now_ns
        return self._decided(min(max(since_ns, 0), LONGEST_PERIOD_NS) / NS)

    def decide(self, now_ns: int) -> Decision:
        """What to do without news; see `see`."""
        if self._place is None:
            activity = Activity.STOPPED if self._refusal else Activity.WAITING
            return Decision(self._steering.stop(), activity, self._refusal or "no odometry has come")
        age = (now_ns - self._arrived_ns) / NS
        if now_ns - self._arrived_ns > self._timeout_ns:
            return Decision(self._steering.stop(), Activity.STOPPED, f"no new odometry for {age:.1f} s")
        return self._decided(0.0)

    def _decided(self, period: float) -> Decision:
        assert self._place is not None
        pose, tilt = self._place.pose, self._place.tilt
        if not tilt <= FELL_RAD:
            return Decision(self._steering.stop(), Activity.STOPPED, f"the robot leans by {math.degrees(tilt):.0f}°")
        here = np.array([pose.x, pose.y])
        if self._has_arrived(here):
            state = self.grid.state_of(here)
            cell = -1 if state is None else state
            return Decision(self._steering.ease(period), Activity.ARRIVED, "at the goal", cell, 0.0)
        state = self.grid.state_of(here)
        if state is None:
            return self._back(pose, here, period)
        if not self.policy.arrives[state]:
            return Decision(self._steering.stop(), Activity.STOPPED, self._loop(state), state)
        if state != self._way_from:  # the robot stays in a cell for many decisions
            self._way_from, self._way = state, self.policy.points(state)
        points = self._way
        target = self._target(here, points)
        left = _apart(here, points[-1]) if len(points) < 2 else float(self.policy.lengths[state])
        command = self._steering.towards(pose, target, left, period)
        activity = Activity.TURNING if self._steering.turning else Activity.WALKING
        return Decision(command, activity, f"{left:.1f} m to the goal", state, left, target)

    def _has_arrived(self, here: FloatArray) -> bool:
        within = self._spec.tolerance * (STAYS if self._arrived else 1.0)
        # Not through a wall: the goal must be in sight.
        self._arrived = _apart(here, self._goal) <= within and self.grid.is_clear(here, self._goal)
        return self._arrived

    def _target(self, here: FloatArray, points: FloatArray) -> tuple[float, float]:
        """The farthest point of the way, up to the look-ahead, to which the straight line is clear.

        The next point always is: a cell and one that a move leads to from it lie in a rectangle of free cells.
        """
        best = points[min(1, len(points) - 1)]
        along = 0.0
        for i in range(2, len(points)):
            along += _apart(points[i], points[i - 1])
            if along > self._spec.look_ahead or not self.grid.is_clear(here, points[i]):
                break
            best = points[i]
        return float(best[0]), float(best[1])

    def _back(self, pose: PlanarPose, here: FloatArray, period: float) -> Decision:
        """From where no free cell is to the nearest one, or the reason why not."""
        state, away = self.grid.nearest_state(here)
        where = f"({pose.x:.2f}, {pose.y:.2f})"
        what = "off the grid" if self.grid.cell_of(here) is None else "in a cell that is not free"
        if away > self._spec.off_grid:
            reason = f"{where} is {what}, and the nearest free cell is {away:.1f} m away"
            return Decision(self._steering.stop(), Activity.STOPPED, reason)
        x, y = (float(value) for value in self.grid.centres[state])
        command = self._steering.towards(pose, (x, y), away, period)
        return Decision(command, Activity.RETURNING, f"{where} is {what}; to the next that is", -1, target=(x, y))

    def _loop(self, state: int) -> str:
        way = self.policy.way(state)
        again = self.grid.centres[self.policy.following[way[-1]]]
        return (
            f"the policy does not lead from here to the goal: after {len(way)} moves it is at "
            f"({again[0]:.2f}, {again[1]:.2f}) again; train it longer"
        )


def _apart(one: FloatArray, other: FloatArray) -> float:
    return math.hypot(one[0] - other[0], one[1] - other[1])
