"""The messages that go with a behaviour."""

from __future__ import annotations

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.state import JointEffort
from humanoid_rl_ros.interfaces.cdr import Float32ArrayWriter, JointStateWriter


class BehaviourMessages:
    """Serialises what a behaviour says.

    Args:
        behaviour: the behaviour.
    """

    def __init__(self, behaviour: PolicyBehaviour) -> None:
        self._behaviour = behaviour
        bundle = behaviour.bundle
        self._says_target = bundle.action.kind != "effort"
        fields = ("position", "effort") if self._says_target else ("effort",)
        self._writer = JointStateWriter(behaviour.robot.joint_names, fields)
        self._observation_writer = Float32ArrayWriter("observation", bundle.observation_size())
        self._action_writer = Float32ArrayWriter("action", len(bundle.joints))
        self._steps_shown = 0

    def effort(self, effort: JointEffort, frame_id: str) -> bytes:
        """An effort: with the positions it is to reach, where the policy says such."""
        if not self._says_target:
            return self._writer.write(effort.stamp_ns, frame_id, effort.effort)
        assert self._behaviour.last_target is not None  # whoever gave an effort has a target
        return self._writer.write(effort.stamp_ns, frame_id, self._behaviour.last_target.position, effort.effort)

    def step(self) -> tuple[bytes, bytes] | None:
        """Observation and action; None where there was no inference since they were last asked for."""
        step = self._behaviour.last_step
        if step is None or self._behaviour.steps == self._steps_shown:
            return None
        self._steps_shown = self._behaviour.steps
        return self._observation_writer.write(step.observation), self._action_writer.write(step.action)
