"""The PD law of a simulation that is told where joints are to go, and not by which effort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.controller import PDController, PDGains
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.state import JointTarget, RobotState
from humanoid_rl_ros.simulation.placement import LAW, Placement

LONGEST_S = 1.0
"""Simulated time for which nobody need be asked again [s]."""
_TOLERANCE_NS = 2.0
"""Of a period that is no whole number of nanoseconds."""


class TargetFollower:
    """Follows targets with the gains that the robot was placed with.

    Args:
        joints: names, in the robot's order.
        rate: states per second [Hz].
    """

    def __init__(self, joints: Sequence[str], rate: float) -> None:
        self._joints, self._rate = tuple(joints), rate
        self._law: PDController | None = None

    def forget(self) -> None:
        """No gains are known."""
        self._law = None

    def gains_of(self, placement: Placement) -> PDGains | None:
        """The gains in a placement, or None where it has none.

        Raises:
            StateError: they are not one for each joint.
        """
        if placement.kp is None or placement.kd is None or placement.effort_limit is None:
            return None
        for name in LAW:
            size = getattr(placement, name).size
            if size != len(self._joints):
                raise StateError(f"{name} has {size} numbers, the robot has {len(self._joints)} joints")
        return PDGains(placement.kp, placement.kd, placement.effort_limit)

    def use(self, gains: PDGains) -> None:
        """Follow with these from now on."""
        self._law = PDController(gains, self._joints)

    def plan(self, points: Sequence[tuple[FloatArray, int]]) -> list[JointTarget]:
        """The target of each state period.

        Args:
            points: positions in the robot's order, and until when, from now [rad; Shape (n,); ns].

        Raises:
            StateError: there are no gains, or the points are not finite, not in order, too many, or end between two
                states.
        """
        if self._law is None:
            raise StateError(f"no {', '.join(LAW)} are known; place the robot with them first")
        found: list[JointTarget] = []
        for position, until_ns in points:
            if not np.isfinite(position).all():
                raise StateError(
                    f"target of joint '{self._joints[int(np.argmin(np.isfinite(position)))]}' is not finite"
                )
            last = round(until_ns * 1e-9 * self._rate)
            if abs(last * 1e9 / self._rate - until_ns) > _TOLERANCE_NS:
                raise StateError(f"a target ends after {until_ns} ns, between two states at {self._rate:g} Hz")
            if last <= len(found):
                raise StateError(f"a target ends after {until_ns} ns, not after the one before it")
            if last > LONGEST_S * self._rate:
                raise StateError(f"a target ends after {until_ns * 1e-9:g} s, expected {LONGEST_S:g} s at most")
            target = JointTarget(position, np.zeros_like(position))
            found += [target] * (last - len(found))
        return found

    def effort(self, target: JointTarget, state: RobotState) -> FloatArray:
        """The effort in a state [N·m; Shape (n,)]."""
        assert self._law is not None  # `plan` was asked before
        return self._law.effort(target, state)
