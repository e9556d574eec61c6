"""Which behaviour answers a state: the policy, or the one that gets the robot up, as the safety monitor wants it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand


class Task(Enum):
    """What is to be done: show what the policy would do, run it, or get the robot up."""

    STAND_BY = "standing by"
    POLICY = "running the policy"
    GET_UP = "getting up"


@dataclass(frozen=True)
class Goal:
    """What is wanted of the behaviours.

    Attributes:
        task: what is to be done.
        follows_velocity: whether the policy follows the velocity asked of it, or stands.
        resumes: whether it takes over from a robot that has just got up.
        since_ns: stamp of the first state for which this holds [ns].
        entry: where it differs from the entry before, the behaviour is entered anew though the task is the same.
    """

    task: Task = Task.STAND_BY
    follows_velocity: bool = False
    resumes: bool = False
    since_ns: int = 0
    entry: tuple[str, ...] = ()

    def goes_on_from(self, before: Goal) -> bool:
        """Whether what was done before goes on."""
        return self.task is before.task and (self.task is Task.STAND_BY or self.entry == before.entry)


class Conductor:
    """Answers states by the behaviour that the goal asks for.

    Args:
        policy: the policy.
        get_up: what gets the robot up, or None.
        resume_blend: time in which the policy takes over from a robot that has got up [s].
    """

    def __init__(self, policy: PolicyBehaviour, get_up: PolicyBehaviour | None, *, resume_blend: float = 0.3) -> None:
        self.policy, self.get_up = policy, get_up
        self.goal = Goal()
        self._resume_blend = resume_blend
        self._period_ns = round(policy.bundle.control_period * 1e9)
        self._shown_ns: int | None = None

    def leave(self) -> None:
        """Whatever comes next is entered afresh."""
        self._shown_ns = None
        for behaviour in (self.policy, self.get_up):
            if behaviour is not None:
                behaviour.leave()

    def follow(self, goal: Goal) -> bool:
        """Do this from now on; whether what was done before goes on."""
        before, self.goal = self.goal, goal
        if goal.goes_on_from(before):
            return True
        self.leave()
        return False

    def due(self, state: RobotState) -> PolicyBehaviour | None:
        """The behaviour that has something to say to this state, or None.

        While standing by that is the policy, once a control period. A state older than the goal is answered by
        nobody: whoever changed the goal has answered it.
        """
        if state.stamp_ns < self.goal.since_ns:
            return None
        if self.goal.task is Task.GET_UP:
            return self.get_up
        if self.goal.task is Task.POLICY:
            return self.policy
        if self._shown_ns is not None and abs(state.stamp_ns - self._shown_ns) < self._period_ns:
            return None
        self._shown_ns = state.stamp_ns
        return self.policy

    def update(self, behaviour: PolicyBehaviour, state: RobotState, command: VelocityCommand) -> JointEffort:
        """The effort of the behaviour that is due.

        Args:
            behaviour: as `due` gave it.
            state: the state it was due for.
            command: the velocity asked for.

        Raises:
            StateError, PolicyError: as of `PolicyBehaviour.update`; everything is then entered afresh.
        """
        goal = self.goal
        enters = goal.task is Task.STAND_BY or not behaviour.entered
        if enters:
            behaviour.enter(state, blend=self._resume_blend if goal.resumes else None)
        # A policy that was running already answers the first state in which it may follow as it answered the one
        # before: in lock-step it may have done so before it heard.
        if goal.task is Task.POLICY and not (goal.follows_velocity and (enters or state.stamp_ns > goal.since_ns)):
            command = VelocityCommand()
        return behaviour.update(state, command)
