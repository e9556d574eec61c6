"""What every policy effort is judged by, with what must be remembered of those before it."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.checks import (
    Violation,
    check_answer,
    check_command_flood,
    check_finite,
    check_saturation,
    check_tracking,
)
from humanoid_rl_ros.safety.lasting import LastingEach
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.state_rules import FLOOD_WINDOW_NS


class CommandRules:
    """Judges efforts.

    Args:
        robot: joint order and limits.
        limits: thresholds.

    Attributes:
        flood: too many efforts for the states there are, or None.
        finite: too many in a row that are no numbers, or None.
        performance: a joint that gives all it has, or does not get where it should, or None.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self._limits = limits
        self._names = robot.joint_names
        # Each way by itself: an effort that chatters between its limits is not held at one.
        self._saturated, self._astray = LastingEach(2 * robot.n_joints), LastingEach(robot.n_joints)
        self._non_finite_run = 0
        self._window_ns: int | None = None
        self._efforts = self._states = 0
        self.flood: Violation | None = None
        self.finite: Violation | None = None
        self.performance: Violation | None = None

    def arm(self) -> None:
        """Begin anew."""
        self._saturated.reset()
        self._astray.reset()
        self._non_finite_run = 0
        self._window_ns = None
        self.flood = self.finite = self.performance = None

    def state_came(self, now_ns: int) -> None:
        """A state came, which is to be answered."""
        if self._window_ns is None or now_ns < self._window_ns:
            self._window_ns, self._efforts, self._states = now_ns, 0, 0
        elif now_ns - self._window_ns >= FLOOD_WINDOW_NS:
            self.flood = check_command_flood(self._efforts, self._states, self._limits)
            self._window_ns, self._efforts, self._states = now_ns, 0, 0
        self._states += 1

    def effort_came(self, effort: JointEffort, state: RobotState) -> Violation | None:
        """An effort came; why it cannot be the answer to a recent state, or None."""
        self._efforts += 1
        return check_answer(effort.stamp_ns, state.stamp_ns, self._limits)

    def judge(
        self,
        now_ns: int,
        sent: FloatArray,
        allowed: FloatArray,
        state: RobotState,
        *,
        non_finite: bool,
        target: FloatArray | None,
    ) -> None:
        """An effort was clamped.

        Args:
            now_ns: time [ns].
            sent: what goes to the motors [N·m; Shape (n,)].
            allowed: the most that might have [N·m; Shape (n,)].
            state: the last state.
            non_finite: whether it held NaN or Inf as it came.
            target: the positions that the policy wants, or None where it says none [rad; Shape (n,)].
        """
        limits = self._limits
        self._non_finite_run = self._non_finite_run + 1 if non_finite else 0
        self.finite = check_finite(self._non_finite_run, limits)
        enough = limits.saturation_share * allowed
        lasting = self._saturated.update(now_ns, np.concatenate([sent >= enough, -sent >= enough]))
        self.performance = None if lasting is None else check_saturation(lasting, 2 * self._names, limits)
        if target is None:
            self._astray.reset()
            return
        lasting = self._astray.update(now_ns, np.abs(target - state.joint_position) > limits.tracking_error)
        if lasting is not None and self.performance is None:
            self.performance = check_tracking(lasting, self._names, limits)
