"""The whole way from a measured state to the effort for the motors, without ROS and without waiting."""

from __future__ import annotations

from humanoid_rl_ros.behaviours.conductor import Conductor, Task
from humanoid_rl_ros.control.safety_goal import goal_for
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand
from humanoid_rl_ros.safety.monitor import SafetyMonitor


class ControlLoop:
    """Policy node and safety monitor as they are in lock-step: every state is answered before the next one comes.

    Args:
        conductor: the behaviours.
        monitor: judges what they say; its clock is the stamps of the states.
    """

    def __init__(self, conductor: Conductor, monitor: SafetyMonitor) -> None:
        self.conductor, self.monitor = conductor, monitor
        self._heard = -1

    def answer(self, state: RobotState, command: VelocityCommand) -> JointEffort:
        """What goes to the motors.

        Args:
            state: newer than the one before.
            command: the velocity asked for.

        Returns:
            The effort that answers the state.

        Raises:
            StateError, PolicyError: as of `PolicyBehaviour.update`.
        """
        now_ns, monitor = state.stamp_ns, self.monitor
        monitor.imu_came(now_ns, now_ns)
        damping = monitor.observe(now_ns, state)
        passed = self._ask(state, command)
        answer = damping if damping is not None else passed
        # An effort that ended what it should have gone on with is followed by damping.
        return answer if answer is not None else monitor.farewell()

    def _ask(self, state: RobotState, command: VelocityCommand) -> JointEffort | None:
        now_ns, monitor, conductor = state.stamp_ns, self.monitor, self.conductor
        self._listen()
        behaviour = conductor.due(state)
        if behaviour is None:
            return None
        effort = conductor.update(behaviour, state, command)
        if conductor.goal.task is Task.STAND_BY:
            monitor.heartbeat(now_ns, can_get_up=conductor.get_up is not None)
            return None
        return monitor.judge(now_ns, effort, meant_for=monitor.state, target=conductor.target_position)

    def _listen(self) -> None:
        if self.monitor.changes != self._heard:
            self._heard = self.monitor.changes
            status = self.monitor.status
            counters = status.counters
            self.conductor.follow(goal_for(status.state, status.since_ns, (str(counters.armings), str(counters.falls))))
