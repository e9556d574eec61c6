"""What the safety monitor's status asks of the policy node."""

from __future__ import annotations

from collections.abc import Mapping

from humanoid_rl_ros.behaviours.conductor import Goal, Task
from humanoid_rl_ros.safety.status import ON_ITS_FEET, SafetyState


def goal_for(state: SafetyState, since_ns: int, entry: tuple[str, ...]) -> Goal:
    """The goal that goes with a state of the monitor.

    Args:
        state: where the monitor is.
        since_ns: stamp of the first state that it holds for [ns].
        entry: how often the robot was armed and fell: what tells an ACTIVE from the one before.
    """
    task = Task.GET_UP if state is SafetyState.RECOVERING else Task.POLICY if state in ON_ITS_FEET else Task.STAND_BY
    return Goal(task, state is SafetyState.ACTIVE, state is SafetyState.VERIFYING, since_ns, entry)


def state_and_goal(values: Mapping[str, str]) -> tuple[SafetyState | None, Goal]:
    """What the values of a status say; a state or a stamp that is not known is none, and asks to stand by."""
    try:
        state, since_ns = SafetyState(values.get("state", "")), int(values.get("since_ns", "0"))
    except ValueError:
        return None, Goal()
    return state, goal_for(state, since_ns, (values.get("armings", ""), values.get("falls", "")))
