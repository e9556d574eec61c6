"""policy_node: joint states, IMU and velocity commands in, joint efforts out, by a trained policy."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry

from humanoid_rl_ros.behaviours.conductor import Conductor, Task
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.safety_goal import state_and_goal
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, read_imu
from humanoid_rl_ros.interfaces.status import diagnostic, values_of
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.behaviour_messages import BehaviourMessages
from humanoid_rl_ros.nodes.parameters import PolicyParameters
from humanoid_rl_ros.nodes.statistics import Durations
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_policy, find_robot
from humanoid_rl_ros.safety.status import SafetyState


class PolicyNode(ManagedNode):
    """Runs one bundle on one robot, and another to get it up after a fall.

    While the safety monitor lets no effort pass the node stands by: once a control period it shows what it would send
    if it took over now, marked so that the monitor does not pass it on. When the monitor becomes ACTIVE the behaviour
    is entered afresh. In RECOVERING the robot is got up; then the policy stands, and follows velocity commands again
    once the monitor is ACTIVE.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", PolicyParameters, **options)
        self._conductor: Conductor | None = None

    def setup(self, parameters: PolicyParameters) -> None:
        """Load robot, bundles and networks, check that they fit, warm the networks up."""
        self._robot = robot = find_robot(parameters.robot)
        bundle = find_policy(parameters.policy)
        self._has_base_velocity = bool(parameters.base_velocity_topic)
        policy = self._behaviour(bundle, None if parameters.entry_blend < 0.0 else parameters.entry_blend)
        get_up = self._behaviour(find_policy(parameters.get_up)) if parameters.get_up else None
        self._messages = {behaviour: BehaviourMessages(behaviour) for behaviour in (policy, get_up) if behaviour}
        self._conductor = Conductor(policy, get_up, resume_blend=parameters.resume_blend)
        self._standby = topics.STANDBY if get_up is None else topics.STANDBY_CAN_GET_UP
        if len(parameters.velocity_command) != 3:
            raise ConfigError(f"parameter 'velocity_command' needs 3 numbers, found {len(parameters.velocity_command)}")
        self._fixed_command = VelocityCommand(*parameters.velocity_command)
        self._use_cmd_vel = parameters.use_cmd_vel
        self._command_timeout_ns = round(parameters.command_timeout * 1e9)
        self._command = VelocityCommand()
        self._command_seen_ns: int | None = None
        self._base_velocity_timeout_ns = round(parameters.base_velocity_timeout * 1e9)
        self._base_velocity_ns: int | None = None
        self._lockstep = parameters.mode == "lockstep"
        self._reader = JointStateReader()
        self._matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        clock_may_reset = bool(self.get_parameter("use_sim_time").value)
        self._pairing = StatePairing(exact=self._lockstep, clock_may_reset=clock_may_reset)
        self._safety_state: SafetyState | None = None
        self._answer: bytes | None = None
        self._answered: tuple[PolicyBehaviour, JointEffort] | None = None
        self._state: RobotState | None = None
        self._refused = 0
        self._ticks = Durations()
        self._effort = self.publish_on(topics.POLICY_EFFORT)
        self._observation = self._action = None
        if parameters.publish_observation:
            self._observation = self.publish_on(topics.POLICY_OBSERVATION)
            self._action = self.publish_on(topics.POLICY_ACTION)
        self.subscribe_to(topics.SAFETY_STATUS, self._on_safety_status)
        kind = Twist if parameters.command_type == "twist" else None
        if parameters.use_cmd_vel:
            self.subscribe_to(topics.VELOCITY_COMMAND, self._on_command, kind=kind)
        if parameters.base_velocity_topic:
            self.subscribe_to(topics.ODOMETRY, self._on_base_velocity, name=parameters.base_velocity_topic)
        self.subscribe_to(topics.IMU, self._on_imu, raw=True)
        self.subscribe_to(topics.JOINT_STATES, self._on_joint_state, raw=True)
        gets_up = "" if get_up is None else f"; gets up by '{get_up.bundle.name}'"
        self.get_logger().info(
            f"policy '{bundle.name}' on robot '{robot.name}': {bundle.observation_size()} observations, "
            f"{len(bundle.joints)} joints, {1.0 / bundle.control_period:g} Hz, PD trained at {bundle.pd_rate:g} Hz"
            f"{gets_up}"
        )

    def _behaviour(self, bundle: PolicyBundle, blend: float | None = None) -> PolicyBehaviour:
        for warning in require_contract(bundle, self._robot, has_base_linear_velocity=self._has_base_velocity):
            self.get_logger().warning(f"policy '{bundle.name}': {warning.text}")
        return PolicyBehaviour(bundle, self._robot, bundle.load_network(), entry_blend=blend)

    def start(self) -> None:
        """Answer states from now on, entering afresh."""
        if self._conductor is not None:
            self._conductor.leave()
        self._answer = self._answered = None

    def release(self) -> None:
        """Forget the policies."""
        self._conductor = None

    # Messages in.

    def _on_joint_state(self, message: bytes) -> None:
        began = time.perf_counter_ns()
        try:
            state = self._pairing.add_joints(conversions.joint_sample(self._reader.read(message), self._matcher))
        except StateError as error:
            self._refuse_state(error, "joint state")
            return
        self._on_state(state, began)

    def _on_imu(self, message: bytes) -> None:
        began = time.perf_counter_ns()
        try:
            state = self._pairing.add_imu(conversions.imu_sample(read_imu(message)))
        except StateError as error:
            self._refuse_state(error, "IMU message")
            return
        self._on_state(state, began)

    def _on_command(self, message: Any) -> None:
        try:
            self._command = conversions.velocity_command(message)
            self._command_seen_ns = time.monotonic_ns()
        except StateError as error:
            self._refuse(str(error))

    def _on_base_velocity(self, message: Odometry) -> None:
        linear = message.twist.twist.linear
        self._pairing.base_linear_velocity = np.array([linear.x, linear.y, linear.z])
        self._base_velocity_ns = time.monotonic_ns()

    def _on_safety_status(self, message: DiagnosticStatus) -> None:
        conductor = self._conductor
        if conductor is None:
            return
        state, goal = state_and_goal(values_of(message))
        if state is self._safety_state and goal.entry == conductor.goal.entry:
            return
        self._safety_state = state
        if conductor.follow(goal):
            # The simulation waits for the same answer, said to be for the state that is.
            if self._lockstep and self._answered is not None and goal.task is not Task.STAND_BY:
                self._say(*self._answered)
            return
        self._answer = self._answered = None
        self.get_logger().info(f"the safety monitor is {values_of(message).get('state')}: {goal.task.value}")
        if self._lockstep and self._state is not None:
            # The simulation waits for the answer to this very state, now of another kind.
            self._on_state(self._state, time.perf_counter_ns())

    # States in, efforts out.

    def _on_state(self, state: RobotState | None, began_ns: int) -> None:
        conductor = self._conductor
        if state is None or not self.running or conductor is None:
            return
        previous, self._state = self._state, state
        if previous is not None and state.stamp_ns == previous.stamp_ns:
            if not self._lockstep:
                return  # a repeated measurement is no new one
            if self._answer is not None:
                self._effort.publish(self._answer)  # the simulation asks again: the same answer
                return
        elif previous is not None and state.stamp_ns < previous.stamp_ns:
            self.get_logger().info(f"simulation reset: time went back to {state.stamp_ns * 1e-9:.3f} s")
            self._begin_anew(conductor)
        behaviour = conductor.due(state)
        if behaviour is None:
            return
        try:
            self._check_base_velocity()
            effort = conductor.update(behaviour, state, self._velocity_command())
        except HumanoidError as error:
            conductor.leave()
            self._answer = self._answered = None
            self._refuse(f"no effort: {error}")
            return
        self._say(behaviour, effort)
        self._ticks.add((time.perf_counter_ns() - began_ns) * 1e-6)
        self._show_step(behaviour)

    def _begin_anew(self, conductor: Conductor) -> None:
        """Time has gone back: what holds, holds from now on."""
        conductor.leave()
        conductor.goal = replace(conductor.goal, since_ns=0)
        self._answer = self._answered = None

    def _say(self, behaviour: PolicyBehaviour, effort: JointEffort) -> None:
        assert self._conductor is not None
        frame = self._standby
        if self._safety_state is not None and self._conductor.goal.task is not Task.STAND_BY:
            frame = self._safety_state.value
        self._answered = behaviour, effort
        self._answer = self._messages[behaviour].effort(effort, frame)
        self._effort.publish(self._answer)

    def _velocity_command(self) -> VelocityCommand:
        if not self._use_cmd_vel:
            return self._fixed_command
        seen_ns = self._command_seen_ns
        if seen_ns is None or self._is_old(seen_ns, self._command_timeout_ns):
            return VelocityCommand()
        return self._command

    def _check_base_velocity(self) -> None:
        """In lock-step simulated time stands still while an answer is waited for, so nothing grows old."""
        seen_ns = self._base_velocity_ns
        if not self._lockstep and seen_ns is not None and self._is_old(seen_ns, self._base_velocity_timeout_ns):
            self._pairing.base_linear_velocity = self._base_velocity_ns = None
            raise StateError("the estimate of the base's velocity has fallen silent")

    @staticmethod
    def _is_old(seen_ns: int, timeout_ns: int) -> bool:
        return time.monotonic_ns() - seen_ns > timeout_ns

    def _show_step(self, behaviour: PolicyBehaviour) -> None:
        if self._observation is None or self._action is None:
            return
        shown = self._messages[behaviour].step()
        if shown is not None:
            self._observation.publish(shown[0])
            self._action.publish(shown[1])

    def _refuse_state(self, error: StateError, what: str) -> None:
        self._refuse(f"{what} refused: {error}")
        conductor = self._conductor
        if error.code == "clock_jump" and conductor is not None and conductor.goal.task is Task.STAND_BY:
            # The monitor has noticed: the source's clock was set, and what it says now is the time.
            self._pairing.reset()
            self._state = None
            self._begin_anew(conductor)

    def _refuse(self, text: str) -> None:
        self._refused += 1
        self.warn_about(text)

    def diagnose(self) -> DiagnosticStatus | None:
        """Ticks, late ticks, latency."""
        conductor = self._conductor
        if conductor is None:
            return None
        level = DiagnosticStatus.OK if self.running else DiagnosticStatus.WARN
        policy, get_up = conductor.policy, conductor.get_up
        values = {
            "policy": policy.bundle.name,
            "get_up": "" if get_up is None else get_up.bundle.name,
            "ticks": self._ticks.count,
            "steps": policy.steps,
            "late_ticks": policy.late_steps,
            "refused": self._refused,
            **{f"tick_ms_{key}": value for key, value in self._ticks.summary().items()},
        }
        text = conductor.goal.task.value if self.running else "inactive"
        return diagnostic(self.get_fully_qualified_name(), self._robot.name, level, text, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `policy_node`."""
    return run_node(PolicyNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
