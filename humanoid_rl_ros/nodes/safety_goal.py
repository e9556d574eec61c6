"""What the safety monitor's status asks of the policy node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from humanoid_rl_ros.safety.status import ON_ITS_FEET, SafetyState


class Task(Enum):
    """What the policy node does: show itself alive, run the policy, or get the robot up."""

    STAND_BY = "standing by"
    POLICY = "running the policy"
    GET_UP = "getting up"


@dataclass(frozen=True)
class SafetyGoal:
    """A status, as far as the policy node follows it.

    Attributes:
        state: where the monitor is; None where nothing, or nothing known, was heard.
        since_ns: stamp of the first state that it holds for [ns].
        entry: armings and falls so far: where they changed a behaviour is entered anew, though the state may be the
            same as that heard before.
    """

    state: SafetyState | None = None
    since_ns: int = 0
    entry: tuple[str, str] = ("", "")

    @property
    def task(self) -> Task:
        """What is to be done."""
        if self.state is SafetyState.RECOVERING:
            return Task.GET_UP
        return Task.POLICY if self.state in ON_ITS_FEET else Task.STAND_BY

    def goes_on_from(self, before: SafetyGoal) -> bool:
        """Whether what was done before goes on."""
        return self.task is before.task and (self.task is Task.STAND_BY or self.entry == before.entry)


def goal_of(values: Mapping[str, str]) -> SafetyGoal:
    """The goal that the values of a status say; a state or stamp that is not known is none."""
    try:
        state, since_ns = SafetyState(values.get("state", "")), int(values.get("since_ns", "0"))
    except ValueError:
        return SafetyGoal()
    return SafetyGoal(state, since_ns, (values.get("armings", ""), values.get("falls", "")))
