"""The messages that go with a behaviour."""

from __future__ import annotations

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.state import JointEffort
from humanoid_rl_ros.interfaces.cdr import Float32ArrayWriter, JointStateWriter


class BehaviourMessages:
    """Serialises what a behaviour says.

    Args:
        behaviour: the behaviour.
    """

    NOT_STATE = frozenset({"_writer", "_target_writer", "_observation_writer", "_action_writer"})

    def __init__(self, behaviour: PolicyBehaviour) -> None:
        self.behaviour = behaviour
        bundle = behaviour.bundle
        names = behaviour.robot.joint_names
        self._writer = JointStateWriter(names, ("effort",))
        self._target_writer = JointStateWriter(names, ("position", "effort"))
        self._observation_writer = Float32ArrayWriter("observation", bundle.observation_size())
        self._action_writer = Float32ArrayWriter("action", len(bundle.joints))
        self._steps_shown = 0

    def effort(self, effort: JointEffort, target: FloatArray | None, frame_id: str) -> bytes:
        """An effort: with the positions it is to reach [rad; Shape (n,)], where there are such."""
        if target is None:
            return self._writer.write(effort.stamp_ns, frame_id, effort.effort)
        return self._target_writer.write(effort.stamp_ns, frame_id, target, effort.effort)

    def step(self) -> tuple[bytes, bytes] | None:
        """Observation and action; None where there was no inference since they were last asked for."""
        step = self.behaviour.last_step
        if step is None or self.behaviour.steps == self._steps_shown:
            return None
        self._steps_shown = self.behaviour.steps
        return self._observation_writer.write(step.observation), self._action_writer.write(step.action)
