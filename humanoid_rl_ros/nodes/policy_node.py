"""policy_node: joint states, IMU and velocity commands in, joint efforts out, by a trained policy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.cdr import Float32ArrayWriter, JointStateReader, JointStateWriter, read_imu
from humanoid_rl_ros.interfaces.status import diagnostic, values_of
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import PolicyParameters
from humanoid_rl_ros.nodes.statistics import Durations
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_policy, find_robot


class PolicyNode(ManagedNode):
    """Runs one bundle on one robot.

    While the safety monitor is not ACTIVE the node stands by: once a control period it shows what it would send if it
    took over now, marked so that the monitor does not pass it on. When the monitor becomes ACTIVE the behaviour is
    entered afresh.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", PolicyParameters, **options)
        self._behaviour: PolicyBehaviour | None = None

    def setup(self, parameters: PolicyParameters) -> None:
        """Load robot, bundle and network, check that they fit, warm the network up."""
        robot = find_robot(parameters.robot)
        bundle = find_policy(parameters.policy)
        estimator = parameters.base_velocity_topic
        for warning in require_contract(bundle, robot, has_base_linear_velocity=bool(estimator)):
            self.get_logger().warning(f"policy '{bundle.name}': {warning.text}")
        size = bundle.observation_size()
        blend = None if parameters.entry_blend < 0.0 else parameters.entry_blend
        self._behaviour = PolicyBehaviour(bundle, robot, bundle.load_network(), entry_blend=blend)
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
        self._period_ns = round(bundle.control_period * 1e9)
        self._reader = JointStateReader()
        self._writer = JointStateWriter(robot.joint_names, ("effort",))
        self._matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        clock_may_reset = bool(self.get_parameter("use_sim_time").value)
        self._pairing = StatePairing(exact=self._lockstep, clock_may_reset=clock_may_reset)
        self._armed = False
        self._arming: str | None = None
        self._state: RobotState | None = None
        self._answer: bytes | None = None
        self._standby_ns: int | None = None
        self._steps_shown = 0
        self._refused = 0
        self._ticks = Durations()
        self._effort = self.publish_on(topics.POLICY_EFFORT)
        self._observation = self._action = None
        self._observation_writer = Float32ArrayWriter("observation", size)
        self._action_writer = Float32ArrayWriter("action", len(bundle.joints))
        if parameters.publish_observation:
            self._observation = self.publish_on(topics.POLICY_OBSERVATION)
            self._action = self.publish_on(topics.POLICY_ACTION)
        self.subscribe_to(topics.SAFETY_STATUS, self._on_safety_status)
        kind = Twist if parameters.command_type == "twist" else None
        if parameters.use_cmd_vel:
            self.subscribe_to(topics.VELOCITY_COMMAND, self._on_command, kind=kind)
        if estimator:
            self.subscribe_to(topics.ODOMETRY, self._on_base_velocity, name=estimator)
        self.subscribe_to(topics.IMU, self._on_imu, raw=True)
        self.subscribe_to(topics.JOINT_STATES, self._on_joint_state, raw=True)
        self.get_logger().info(
            f"policy '{bundle.name}' on robot '{robot.name}': {size} observations, "
            f"{len(bundle.joints)} joints, {1.0 / bundle.control_period:g} Hz, PD trained at {bundle.pd_rate:g} Hz"
        )

    def start(self) -> None:
        """Answer states from now on, entering afresh."""
        if self._behaviour is not None:
            self._behaviour.leave()
        self._answer = None

    def release(self) -> None:
        """Forget the policy."""
        self._behaviour = None

    # Messages in.

    def _on_joint_state(self, message: bytes) -> None:
        began = time.perf_counter_ns()
        try:
            state = self._pairing.add_joints(conversions.joint_sample(self._reader.read(message), self._matcher))
        except StateError as error:
            self._refuse(f"joint state refused: {error}")
            return
        self._on_state(state, began)

    def _on_imu(self, message: bytes) -> None:
        began = time.perf_counter_ns()
        try:
            state = self._pairing.add_imu(conversions.imu_sample(read_imu(message)))
        except StateError as error:
            self._refuse(f"IMU message refused: {error}")
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
        values = values_of(message)
        armed = values.get("state") == topics.ACTIVE
        # Disarmed and armed again between two messages heard is a new entry too.
        if armed == self._armed and (not armed or values.get("armings") == self._arming):
            return
        self._armed, self._arming = armed, values.get("armings")
        if self._behaviour is not None:
            self._behaviour.leave()
        self.get_logger().info("the safety monitor is ACTIVE: taking over" if armed else "standing by")
        if self._lockstep and self._state is not None:
            # The simulation waits for the answer to this very state, now of another kind.
            self._answer = None
            self._on_state(self._state, time.perf_counter_ns())

    # States in, efforts out.

    def _on_state(self, state: RobotState | None, began_ns: int) -> None:
        if state is None or not self.running or self._behaviour is None:
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
            self._behaviour.leave()
            self._standby_ns = None
        if not self._armed and not self._standby_is_due(state):
            return
        try:
            self._answer_state(self._behaviour, state)
        except HumanoidError as error:
            self._behaviour.leave()
            self._answer = None
            self._refuse(f"no effort: {error}")
            return
        self._ticks.add((time.perf_counter_ns() - began_ns) * 1e-6)
        self._show_step(self._behaviour)

    def _standby_is_due(self, state: RobotState) -> bool:
        due = (
            self._standby_ns is None
            or abs(state.stamp_ns - self._standby_ns) >= self._period_ns
            or self._answer is None
        )
        if due:
            self._standby_ns = state.stamp_ns
        return due

    def _answer_state(self, behaviour: PolicyBehaviour, state: RobotState) -> None:
        if self._base_velocity_is_old():
            self._pairing.base_linear_velocity = self._base_velocity_ns = None
            raise StateError("the estimate of the base's velocity has fallen silent")
        if not self._armed or not behaviour.entered:
            behaviour.enter(state)
        effort = behaviour.update(state, self._velocity_command())
        frame = topics.ACTIVE if self._armed else topics.STANDBY
        self._answer = self._writer.write(effort.stamp_ns, frame, effort.effort)
        self._effort.publish(self._answer)

    def _velocity_command(self) -> VelocityCommand:
        if not self._use_cmd_vel:
            return self._fixed_command
        seen_ns = self._command_seen_ns
        if seen_ns is None or self._is_old(seen_ns, self._command_timeout_ns):
            return VelocityCommand()
        return self._command

    def _base_velocity_is_old(self) -> bool:
        """In lock-step simulated time stands still while an answer is waited for, so nothing grows old."""
        seen_ns = self._base_velocity_ns
        return not self._lockstep and seen_ns is not None and self._is_old(seen_ns, self._base_velocity_timeout_ns)

    @staticmethod
    def _is_old(seen_ns: int, timeout_ns: int) -> bool:
        return time.monotonic_ns() - seen_ns > timeout_ns

    def _show_step(self, behaviour: PolicyBehaviour) -> None:
        step = behaviour.last_step
        if self._observation is None or self._action is None or step is None or behaviour.steps == self._steps_shown:
            return
        self._steps_shown = behaviour.steps
        self._observation.publish(self._observation_writer.write(step.observation))
        self._action.publish(self._action_writer.write(step.action))

    def _refuse(self, text: str) -> None:
        self._refused += 1
        self.warn_about(text)

    def diagnose(self) -> DiagnosticStatus | None:
        """Ticks, late ticks, latency."""
        if self._behaviour is None:
            return None
        level = DiagnosticStatus.OK if self.running else DiagnosticStatus.WARN
        text = "running" if self.running and self._armed else "standing by" if self.running else "inactive"
        values = {
            "policy": self._behaviour.bundle.name,
            "ticks": self._ticks.count,
            "steps": self._behaviour.steps,
            "late_ticks": self._behaviour.late_steps,
            "refused": self._refused,
            **{f"tick_ms_{key}": value for key, value in self._ticks.summary().items()},
        }
        return diagnostic(self.get_fully_qualified_name(), self._behaviour.robot.name, level, text, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `policy_node`."""
    return run_node(PolicyNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
