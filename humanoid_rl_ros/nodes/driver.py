"""One behaviour of the policy node with the messages that it fills."""

from __future__ import annotations

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.interfaces.cdr import Float32ArrayWriter, JointStateWriter
from humanoid_rl_ros.policies.bundle import PolicyBundle


class Driver:
    """A bundle on a robot, from state to serialised effort.

    Args:
        bundle: must fit the robot.
        robot: the robot.
        entry_blend: time to take over from the measured pose [s]; None for the bundle's own.
    """

    def __init__(self, bundle: PolicyBundle, robot: RobotSpec, entry_blend: float | None = None) -> None:
        self.behaviour = PolicyBehaviour(bundle, robot, bundle.load_network(), entry_blend=entry_blend)
        self._says_target = bundle.action.kind != "effort"
        fields = ("position", "effort") if self._says_target else ("effort",)
        self._writer = JointStateWriter(robot.joint_names, fields)
        self._observation_writer = Float32ArrayWriter("observation", bundle.observation_size())
        self._action_writer = Float32ArrayWriter("action", len(bundle.joints))
        self._steps_shown = 0

    def update(self, state: RobotState, command: VelocityCommand) -> None:
        """Compute the effort for a state; errors as of `PolicyBehaviour.update`."""
        self._effort = self.behaviour.update(state, command)

    def message(self, frame_id: str) -> bytes:
        """The last effort, serialised: with the positions it is to reach, where the policy says such."""
        effort = self._effort
        if self._says_target and self.behaviour.last_target is not None:
            target = self.behaviour.last_target.position
            return self._writer.write(effort.stamp_ns, frame_id, target, effort.effort)
        return self._writer.write(effort.stamp_ns, frame_id, effort.effort)

    def step_messages(self) -> tuple[bytes, bytes] | None:
        """Observation and action, serialised; None where there was no inference since they were last asked for."""
        step = self.behaviour.last_step
        if step is None or self.behaviour.steps == self._steps_shown:
            return None
        self._steps_shown = self.behaviour.steps
        return self._observation_writer.write(step.observation), self._action_writer.write(step.action)
