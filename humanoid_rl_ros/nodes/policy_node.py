"""policy_node: joint states, IMU and velocity commands in, joint efforts out, by a trained policy."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.behaviours.warm_up import warm_up
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.policy_control import PolicyControl, PolicySettings
from humanoid_rl_ros.control.setup import PolicySource
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.journal import NodeJournal, NodeOutlet
from humanoid_rl_ros.nodes.parameters import PolicyParameters
from humanoid_rl_ros.nodes.policy_shelf import PolicyShelf, shelf_name
from humanoid_rl_ros.nodes.setup_message import SetupMessage, policy_source
from humanoid_rl_ros.nodes.statistics import Durations
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_policy, find_robot


class PolicyNode(ManagedNode):
    """Loads bundles, hands messages to a `PolicyControl`, and publishes what it says.

    Further bundles are loaded beside the first, at the start or later, and a service for each makes it the one that
    runs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", PolicyParameters, **options)
        self._control: PolicyControl | None = None
        self._switches: dict[str, Any] = {}
        self.add_on_set_parameters_callback(self._on_parameters)

    def setup(self, parameters: PolicyParameters) -> None:
        """Load robot, bundles and networks, which are checked and warmed up."""
        self._robot = robot = find_robot(parameters.robot)
        velocity_topic = parameters.base_velocity_topic or robot.base_velocity_topic
        self._velocity_source = parameters.base_velocity_source if velocity_topic else ""
        self._entry_blend = None if parameters.entry_blend < 0.0 else parameters.entry_blend
        self._settings = _settings(parameters, clock_may_reset=bool(self.get_parameter("use_sim_time").value))
        self._source_of: dict[PolicyBehaviour, PolicySource] = {}
        self._warm_up = parameters.warm_up
        self._shelf = PolicyShelf(self._policy)
        for name in (parameters.policy, *parameters.policies):
            self._shelf.add(name)
        get_up = self._behaviour(find_policy(parameters.get_up)) if parameters.get_up else None
        self._ticks, self._inferences = Durations(), Durations()
        publishers = {topics.POLICY_EFFORT.name: self.publish_on(topics.POLICY_EFFORT)}
        if parameters.publish_observation:
            for topic in (topics.POLICY_OBSERVATION, topics.POLICY_ACTION):
                publishers[topic.name] = self.publish_on(topic)
        self._journal = NodeJournal(self, topics.POLICY_JOURNAL)
        self._outlet = NodeOutlet(self, publishers, self._journal)
        policies = {name: self._shelf.take(name) for name in self._shelf.names}
        self._control = PolicyControl(robot, self._settings, policies, get_up, self._outlet)
        self._journal.follow(self._control)
        self._sources = [] if get_up is None else [policy_source("", get_up.bundle, None)]
        self._setup_message = SetupMessage(self, topics.POLICY_SETUP, parameters)
        self._say_setup(added=False)
        self.subscribe_to(topics.SAFETY_STATUS, partial(self._take, Entry.SAFETY_STATUS), raw=True)
        kind = Twist if parameters.command_type == "twist" else None
        if parameters.use_cmd_vel:
            self.subscribe_to(topics.VELOCITY_COMMAND, partial(self._take, Entry.VELOCITY_COMMAND), kind=kind, raw=True)
        self.subscribe_to(topics.HAND_TARGETS, partial(self._take, Entry.HAND_TARGETS), raw=True)
        if velocity_topic:
            on_velocity = partial(self._take, Entry.BASE_VELOCITY)
            self.subscribe_to(topics.ODOMETRY, on_velocity, name=velocity_topic, raw=True)
        self._serve_switches()
        self.subscribe_to(topics.IMU, partial(self._take, Entry.IMU), raw=True)
        self.subscribe_to(topics.JOINT_STATES, partial(self._take, Entry.JOINT_STATES), raw=True)
        bundle = self._control.conductor.policy.bundle
        gets_up = "" if get_up is None else f"; gets up by '{get_up.bundle.name}'"
        self.get_logger().info(
            f"policy '{bundle.name}' on robot '{robot.name}': {bundle.observation_size()} observations, "
            f"{len(bundle.joints)} joints, {1.0 / bundle.control_period:g} Hz, PD trained at {bundle.pd_rate:g} Hz"
            f"{gets_up}"
        )

    def _behaviour(self, bundle: PolicyBundle, blend: float | None = None) -> PolicyBehaviour:
        for warning in require_contract(bundle, self._robot, base_velocity=self._velocity_source):
            self.get_logger().warning(f"policy '{bundle.name}': {warning.text}")
        behaviour = PolicyBehaviour(bundle, self._robot, bundle.load_network(), entry_blend=blend)
        warm_up(behaviour, self._warm_up)
        return behaviour

    def _policy(self, name: str) -> PolicyBehaviour:
        """A policy, and what there is to say of it, now that its files are those that are loaded."""
        bundle = find_policy(name)
        behaviour = self._behaviour(bundle, self._entry_blend)
        self._source_of[behaviour] = policy_source(shelf_name(name), bundle, self._entry_blend)
        return behaviour

    def _say_setup(self, *, added: bool) -> None:
        """What the node is made of; again, where a policy was added."""
        assert self._control is not None
        known = {(source.short_name, source.key) for source in self._sources}
        for policy in self._control.policies.values():
            source = replace(self._source_of[policy], added=added)
            if (source.short_name, source.key) not in known:
                self._sources.append(source)
        self._setup_message.say(self._robot, self._settings, policies=self._sources)

    def _take(self, entry: Entry, data: bytes = b"") -> tuple[bool, str] | None:
        control = self._control
        if control is None:
            return None
        began_ns, now_ns = time.perf_counter_ns(), time.monotonic_ns()
        answers, inferences = control.answers, control.inferences
        self._outlet.first_said_ns = None
        self._journal.consumed(entry, now_ns, data)
        answer = control.take(entry, now_ns, data)
        if control.answers != answers and self._outlet.first_said_ns is not None:
            passed_ms = (self._outlet.first_said_ns - began_ns) * 1e-6
            self._ticks.add(passed_ms)
            if control.inferences != inferences:
                self._inferences.add(passed_ms)
        return answer

    def start(self) -> None:
        """Answer states from now on, entering afresh."""
        self._take(Entry.START)

    def stop(self) -> None:
        """Answer no more."""
        self._take(Entry.STOP)

    def release(self) -> None:
        """Forget the policies."""
        if self._control is not None:
            self._journal.flush()
        self._control = None
        self._switches.clear()

    def finish(self) -> bool:
        """Send what waits in the journal."""
        if self.running and self._control is not None:
            self.running = False
            self.stop()
            self._journal.flush()
        return True

    # Changing the policy.

    def _serve_switches(self) -> None:
        """A service for every policy on the shelf, and for no other."""
        for name in [name for name in self._switches if name not in self._shelf.names]:
            self.serve_no_more(self._switches.pop(name))
        for name in [name for name in self._shelf.names if name not in self._switches]:
            self._switches[name] = self.serve(Trigger, topics.SWITCH_POLICY + name, partial(self._switch, name))

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        control = self._control
        for item in changed:
            if item.name != "policies" or control is None:
                continue
            try:
                self._shelf.fetch(list(item.value or ()), keep=control.conductor.policy)
            except HumanoidError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self._serve_switches()
        return SetParametersResult(successful=True)

    def _switch(self, name: str, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        control = self._control
        assert control is not None  # services live from configure to cleanup
        try:
            policy = self._shelf.take(name)
        except HumanoidError as error:
            response.success, response.message = False, f"'{control.conductor.policy.bundle.name}' stays: {error}"
            self.get_logger().error(f"cannot change to '{name}': {response.message}")
            return response
        if control.policies.get(name) is not policy:
            control.add(name, policy)
            self._journal.adopt()
            self._say_setup(added=True)
        answer = self._take(Entry.SWITCH, f"{name}\0{self._source_of[policy].key}".encode())
        assert answer is not None
        response.success, response.message = answer
        return response

    @property
    def answered_ns(self) -> int | None:
        """Stamp of the state that was answered last [ns]."""
        return None if self._control is None else self._control.answered_ns

    def forget_times(self) -> None:
        """Count durations from now on."""
        self._ticks, self._inferences = Durations(), Durations()

    def diagnose(self) -> DiagnosticStatus | None:
        """Ticks, late ticks, latency."""
        if self._control is None:
            return None
        conductor = self._control.conductor
        level = DiagnosticStatus.OK if self.running else DiagnosticStatus.WARN
        policy, get_up = conductor.policy, conductor.get_up
        values = {
            "policy": policy.bundle.name,
            "policies": " ".join(self._shelf.names),
            "get_up": "" if get_up is None else get_up.bundle.name,
            "ticks": self._ticks.count,
            "steps": policy.steps,
            "late_ticks": policy.late_steps,
            "refused": self._control.refused,
            **{f"tick_ms_{key}": value for key, value in self._ticks.summary().items()},
            **{f"inference_ms_{key}": value for key, value in self._inferences.summary().items()},
        }
        text = conductor.goal.task.value if self.running else "inactive"
        return diagnostic(self.get_fully_qualified_name(), self._robot.name, level, text, values)


def _settings(parameters: PolicyParameters, *, clock_may_reset: bool) -> PolicySettings:
    if len(parameters.velocity_command) != 3:
        raise ConfigError(f"parameter 'velocity_command' needs 3 numbers, found {len(parameters.velocity_command)}")
    x, y, yaw = parameters.velocity_command
    return PolicySettings(
        lockstep=parameters.mode == "lockstep",
        clock_may_reset=clock_may_reset,
        use_cmd_vel=parameters.use_cmd_vel,
        stamped_commands=parameters.command_type != "twist",
        velocity_command=(x, y, yaw),
        command_timeout_ns=round(parameters.command_timeout * 1e9),
        base_velocity_timeout_ns=round(parameters.base_velocity_timeout * 1e9),
        switch_blend=parameters.switch_blend,
        resume_blend=parameters.resume_blend,
        start_speed=parameters.start_speed,
        start_distance=parameters.start_distance,
    )


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `policy_node`."""
    return run_node(PolicyNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
