"""Which behaviour answers a state: the policy, or the one that gets the robot up, as the safety monitor wants it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from humanoid_rl_ros.behaviours.hand_over import HandOver
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import PolicyError
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
        self._shown_ns: int | None = None
        self._leaving: tuple[PolicyBehaviour, float] | None = None
        self._hand_over: HandOver | None = None
        self.target_position: FloatArray | None = None
        """What the last effort is to reach [rad; Shape (n,)]; None where a policy says efforts itself."""

    def leave(self) -> None:
        """Whatever comes next is entered afresh."""
        self._shown_ns = None
        self._leaving = self._hand_over = None
        for behaviour in (self.policy, self.get_up):
            if behaviour is not None:
                behaviour.leave()

    def switch(self, policy: PolicyBehaviour, *, blend: float) -> None:
        """Run another policy from now on.

        Args:
            policy: entered afresh.
            blend: time in which it takes over from one that is running [s].

        Raises:
            PolicyError: it would have to take over from what it cannot take over from, or without a blend; nothing
                has changed then.
        """
        running = self.goal.task is not Task.STAND_BY
        if policy is self.policy:
            raise PolicyError("it runs already" if running else "it is chosen already")
        if running and not (self.goal.task is Task.POLICY and self.goal.follows_velocity):
            raise PolicyError("the robot is on its way up; wait until it walks, or disarm it")
        if running and self._hands_over:
            raise PolicyError("one policy is just taking over from another; wait")
        if running and blend <= 0.0:
            raise PolicyError("without a blend only while the safety monitor lets nothing pass; disarm it")
        policy.leave()
        if running and self.policy.entered:
            self._leaving = self.policy, blend
        else:
            self.policy.leave()
            self._shown_ns = None
        self.policy = policy

    @property
    def _hands_over(self) -> bool:
        return self._leaving is not None or self._hand_over is not None

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
        period_ns = round(self.policy.bundle.control_period * 1e9)
        if self._shown_ns is not None and abs(state.stamp_ns - self._shown_ns) < period_ns:
            return None
        self._shown_ns = state.stamp_ns
        return self.policy

    def update(
        self,
        behaviour: PolicyBehaviour,
        state: RobotState,
        command: VelocityCommand,
        hands: FloatArray | None = None,
    ) -> JointEffort:
        """The effort of the behaviour that is due.

        Args:
            behaviour: as `due` gave it.
            state: the state it was due for.
            command: the velocity asked for.
            hands: where the hands are asked to be; see `PolicyBehaviour.update`.

        Raises:
            StateError, PolicyError: as of `PolicyBehaviour.update`; everything is then entered afresh.
        """
        goal = self.goal
        enters = goal.task is Task.STAND_BY or not behaviour.entered
        if self._leaving is not None:
            leaving, blend = self._leaving
            self._hand_over, self._leaving = HandOver(leaving, state.stamp_ns, blend), None
            behaviour.enter(state, blend=0.0)  # the blend is that of the efforts
            enters = False  # it goes on as the one before
        elif enters:
            behaviour.enter(state, blend=self._resume_blend if goal.resumes else None)
        # A policy that was running already answers the first state in which it may follow as it answered the one
        # before: in lock-step it may have done so before it heard.
        if goal.task is Task.POLICY and not (goal.follows_velocity and (enters or state.stamp_ns > goal.since_ns)):
            command, hands = VelocityCommand(), None
        effort = behaviour.update(state, command, hands)
        self.target_position = behaviour.target_position
        if self._hand_over is None or self._hand_over.over(state.stamp_ns):
            self._hand_over = None
            return effort
        effort, self.target_position = self._hand_over.mix(behaviour, effort, state, command, hands)
        return effort
