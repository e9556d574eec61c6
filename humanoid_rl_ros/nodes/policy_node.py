"""policy_node: joint states, IMU and velocity commands in, joint efforts out, by a trained policy."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, read_imu
from humanoid_rl_ros.interfaces.status import diagnostic, values_of
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.driver import Driver
from humanoid_rl_ros.nodes.parameters import PolicyParameters
from humanoid_rl_ros.nodes.safety_goal import SafetyGoal, Task, goal_of
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
        self._policy: Driver | None = None

    def setup(self, parameters: PolicyParameters) -> None:
        """Load robot, bundles and networks, check that they fit, warm the networks up."""
        self._robot = robot = find_robot(parameters.robot)
        bundle = find_policy(parameters.policy)
        self._has_base_velocity = bool(parameters.base_velocity_topic)
        blend = None if parameters.entry_blend < 0.0 else parameters.entry_blend
        self._policy = self._driver(bundle, blend)
        self._get_up = self._driver(find_policy(parameters.get_up)) if parameters.get_up else None
        self._resume_blend = parameters.resume_blend
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
        self._matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        clock_may_reset = bool(self.get_parameter("use_sim_time").value)
        self._pairing = StatePairing(exact=self._lockstep, clock_may_reset=clock_may_reset)
        self._goal = SafetyGoal()
        self._answer: bytes | None = None
        self._answered_by: Driver | None = None
        self._state: RobotState | None = None
        self._standby_ns: int | None = None
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
        gets_up = "" if self._get_up is None else f"; gets up by '{self._get_up.behaviour.bundle.name}'"
        self.get_logger().info(
            f"policy '{bundle.name}' on robot '{robot.name}': {bundle.observation_size()} observations, "
            f"{len(bundle.joints)} joints, {1.0 / bundle.control_period:g} Hz, PD trained at {bundle.pd_rate:g} Hz"
            f"{gets_up}"
        )

    def _driver(self, bundle: PolicyBundle, blend: float | None = None) -> Driver:
        for warning in require_contract(bundle, self._robot, has_base_linear_velocity=self._has_base_velocity):
            self.get_logger().warning(f"policy '{bundle.name}': {warning.text}")
        return Driver(bundle, self._robot, blend)

    def start(self) -> None:
        """Answer states from now on, entering afresh."""
        self._leave()

    def release(self) -> None:
        """Forget the policies."""
        self._policy = self._get_up = None

    def _leave(self) -> None:
        """Whatever comes next is entered afresh, and nothing said before is said again."""
        for driver in (self._policy, self._get_up):
            if driver is not None:
                driver.behaviour.leave()
        self._answer = self._answered_by = None

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
        before, self._goal = self._goal, goal_of(values_of(message))
        goal = self._goal
        if goal.state is before.state and goal.entry == before.entry:
            return
        if goal.goes_on_from(before):
            # The simulation waits for the same answer, said to be for the state that is.
            if self._lockstep and self._answered_by is not None and goal.task is not Task.STAND_BY:
                self._say(self._answered_by)
            return
        self._leave()
        self.get_logger().info(f"the safety monitor is {values_of(message).get('state')}: {goal.task.value}")
        if self._lockstep and self._state is not None:
            # The simulation waits for the answer to this very state, now of another kind.
            self._on_state(self._state, time.perf_counter_ns())

    # States in, efforts out.

    def _on_state(self, state: RobotState | None, began_ns: int) -> None:
        if state is None or not self.running or self._policy is None:
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
            self._leave()
            self._goal = replace(self._goal, since_ns=state.stamp_ns)
            self._standby_ns = None
        if state.stamp_ns < self._goal.since_ns:
            return  # the monitor answered it before it let efforts pass
        driver = self._get_up if self._goal.task is Task.GET_UP else self._policy
        if driver is None or (self._goal.task is Task.STAND_BY and not self._standby_is_due(state)):
            return
        try:
            self._answer_state(driver, state)
        except HumanoidError as error:
            self._leave()
            self._refuse(f"no effort: {error}")
            return
        self._ticks.add((time.perf_counter_ns() - began_ns) * 1e-6)
        self._show_step(driver)

    def _standby_is_due(self, state: RobotState) -> bool:
        due = (
            self._standby_ns is None
            or abs(state.stamp_ns - self._standby_ns) >= self._period_ns
            or self._answer is None
        )
        if due:
            self._standby_ns = state.stamp_ns
        return due

    def _answer_state(self, driver: Driver, state: RobotState) -> None:
        if self._base_velocity_is_old():
            self._pairing.base_linear_velocity = self._base_velocity_ns = None
            raise StateError("the estimate of the base's velocity has fallen silent")
        goal = self._goal
        enters = goal.task is Task.STAND_BY or not driver.behaviour.entered
        if enters:
            resumes = goal.state is SafetyState.VERIFYING
            driver.behaviour.enter(state, blend=self._resume_blend if resumes else None)
        # One that was running already answers the first state of ACTIVE as it answered the one before: in lock-step it
        # may have done so before it heard.
        follows = goal.state is SafetyState.ACTIVE and (enters or state.stamp_ns > goal.since_ns)
        waits = goal.task is Task.STAND_BY
        driver.update(state, self._velocity_command() if follows or waits else VelocityCommand())
        self._say(driver)

    def _say(self, driver: Driver) -> None:
        if self._goal.task is not Task.STAND_BY:
            assert self._goal.state is not None
            frame = self._goal.state.value
        else:
            frame = topics.STANDBY if self._get_up is None else topics.STANDBY_CAN_GET_UP
        self._answer, self._answered_by = driver.message(frame), driver
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

    def _show_step(self, driver: Driver) -> None:
        if self._observation is None or self._action is None:
            return
        shown = driver.step_messages()
        if shown is not None:
            self._observation.publish(shown[0])
            self._action.publish(shown[1])

    def _refuse_state(self, error: StateError, what: str) -> None:
        self._refuse(f"{what} refused: {error}")
        if error.code == "clock_jump" and self._goal.task is Task.STAND_BY:
            # The monitor has noticed: the source's clock was set, and what it says now is the time.
            self._pairing.reset()
            self._state = None
            self._goal = replace(self._goal, since_ns=0)

    def _refuse(self, text: str) -> None:
        self._refused += 1
        self.warn_about(text)

    def diagnose(self) -> DiagnosticStatus | None:
        """Ticks, late ticks, latency."""
        if self._policy is None:
            return None
        level = DiagnosticStatus.OK if self.running else DiagnosticStatus.WARN
        behaviour = self._policy.behaviour
        values = {
            "policy": behaviour.bundle.name,
            "get_up": "" if self._get_up is None else self._get_up.behaviour.bundle.name,
            "ticks": self._ticks.count,
            "steps": behaviour.steps,
            "late_ticks": behaviour.late_steps,
            "refused": self._refused,
            **{f"tick_ms_{key}": value for key, value in self._ticks.summary().items()},
        }
        text = self._goal.task.value if self.running else "inactive"
        return diagnostic(self.get_fully_qualified_name(), self._robot.name, level, text, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `policy_node`."""
    return run_node(PolicyNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
