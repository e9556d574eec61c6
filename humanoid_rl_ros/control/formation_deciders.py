"""Who may decide how the robots of a team walk: a shared policy, or the hand-written law."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.formation_view import ProportionalGains, TeamView, corrected, observe, proportional

Decide = Callable[[TeamView], FloatArray]
"""The commands of all robots for what their odometry tells [TeamView of (..., n) -> Shape (..., n, 3)]."""
BASELINE = ProportionalGains()


def by_policy(act: Callable[[Float32Array], Float32Array], scale: Sequence[float], ranges: CommandSpec) -> Decide:
    """Let one policy decide for every robot.

    Args:
        act: actions for rows of observations [Shape (b, OBSERVATION_SIZE) -> (b, 3)].
        scale: what an action of 1 is worth [m/s, m/s, rad/s].
        ranges: of the walking policy.
    """

    def decide(view: TeamView) -> FloatArray:
        seen = observe(view)
        action = act(seen.reshape(-1, seen.shape[-1])).reshape(*seen.shape[:-1], 3)
        return corrected(view, action, np.asarray(scale, dtype=np.float64), ranges)

    return decide


def by_law(ranges: CommandSpec, gains: ProportionalGains = BASELINE) -> Decide:
    """Let the hand-written law decide."""
    return lambda view: proportional(view, gains, ranges)
