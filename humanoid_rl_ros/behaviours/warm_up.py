"""Runs a policy before anything depends on it, so that the first states are answered as fast as all others."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.state import RobotState, VelocityCommand

_GRAVITY = np.array([0.0, 0.0, 9.81])
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def warm_up(behaviour: PolicyBehaviour, inferences: int) -> None:
    """Run its network and its PD law, upright in its start pose, at the rates it was trained at.

    Another behaviour of the same bundle and network does this, and the network is reset behind it: of the behaviour
    itself nothing changes.

    Args:
        behaviour: the policy; not entered yet.
        inferences: how many.

    Raises:
        PolicyError: the network fails, or says what is not an action.
    """
    bundle, n = behaviour.bundle, behaviour.robot.n_joints
    velocity = np.zeros(3) if bundle.needs_base_linear_velocity else None
    ticks = max(1, round(bundle.pd_rate * bundle.control_period))
    twin = behaviour.twin()
    for tick in range(inferences * ticks):
        stamp_ns = round(tick * bundle.control_period * 1e9 / ticks)
        state = RobotState(stamp_ns, behaviour.start_position, np.zeros(n), _UPRIGHT, np.zeros(3), _GRAVITY, velocity)
        if tick == 0:
            twin.enter(state)
        twin.update(state, VelocityCommand())
    behaviour.reset_network()
