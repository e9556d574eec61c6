"""One policy takes over from another while the robot moves: for a while both answer, and their efforts are mixed."""

from __future__ import annotations

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.controller import blend_weight
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand


class HandOver:
    """Leads from what one behaviour says to what another says.

    Gains differ between policies, so it is efforts that are mixed, w·new + (1 − w)·old with the weight of
    `humanoid_rl_ros.core.controller.blend_weight`; each policy goes on seeing its own last action.

    Args:
        leaving: the behaviour that ran until now; goes on answering until the end.
        start_ns: stamp of the first state that both answer [ns].
        duration: [s].
    """

    def __init__(self, leaving: PolicyBehaviour, start_ns: int, duration: float) -> None:
        self._leaving = leaving
        self._start_ns = start_ns
        self._duration_ns = round(duration * 1e9)

    def over(self, now_ns: int) -> bool:
        """Whether the new behaviour alone answers a state of that stamp."""
        return now_ns - self._start_ns >= self._duration_ns

    def mix(
        self,
        coming: PolicyBehaviour,
        effort: JointEffort,
        state: RobotState,
        command: VelocityCommand,
        hands: FloatArray | None = None,
    ) -> tuple[JointEffort, FloatArray | None]:
        """What answers a state on the way.

        Args:
            coming: the behaviour that takes over.
            effort: its answer.
            state: the state.
            command: the velocity asked for.
            hands: see `PolicyBehaviour.update`.

        Returns:
            The effort, and the positions it is to reach [rad; Shape (n,)] where both policies say such.

        Raises:
            StateError, PolicyError: as of `PolicyBehaviour.update`, by the one that leaves.
        """
        before = self._leaving.update(state, command, hands)
        weight = blend_weight(state.stamp_ns - self._start_ns, self._duration_ns)
        mixed = JointEffort(effort.stamp_ns, before.effort + weight * (effort.effort - before.effort))
        old, new = self._leaving.target_position, coming.target_position
        return mixed, None if old is None or new is None else old + weight * (new - old)
