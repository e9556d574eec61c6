"""safety_monitor_node: the only publisher of joint commands; every effort passes the monitor, or damping goes out."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, JointStateWriter, read_imu
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import SafetyParameters
from humanoid_rl_ros.nodes.safety_records import SafetyRecords, records_folder
from humanoid_rl_ros.nodes.safety_status import safety_status_message
from humanoid_rl_ros.resources import find_robot, safety_file
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation, check_publishers
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import DOWN, PASSING, SafetyState

TICK_PERIOD_S = 0.01
TICK_PERIOD_NS = round(TICK_PERIOD_S * 1e9)
GRAPH_PERIOD_S = 0.05
SHUTDOWN_DAMPING_S = 0.2
STANDBY_FRAMES = (topics.STANDBY, topics.STANDBY_CAN_GET_UP)
MEANT_FOR = {state.value: state for state in SafetyState}
NOT_ACTIVATED = Violation("inactive", "the node is not activated")


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a policy effort says: the effort, the positions it is to reach, and the safety state it is meant for."""

    effort: JointEffort
    target: FloatArray | None
    meant_for: SafetyState | None


class SafetyMonitorNode(ManagedNode):
    """Converts, asks the monitor, publishes.

    From its first activation on, also when deactivated, it answers every state: with the policy's effort where such may
    pass, with damping otherwise. In lock-step the clock of the monitor is the stamp of the state, so that a run is the
    same on any machine; a wall-clock watchdog notices a policy that has died.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("safety_monitor", SafetyParameters, **options)
        self._monitor: SafetyMonitor | None = None
        self._answers = False

    def setup(self, parameters: SafetyParameters) -> None:
        """Load robot and limits."""
        self._lockstep = parameters.mode == "lockstep"
        if self._lockstep and parameters.command_type != "joint_state":
            raise ConfigError("lock-step needs parameter command_type:=joint_state, whose messages carry stamps")
        robot = find_robot(parameters.robot)
        limits = load_safety_limits(safety_file(parameters.limits))
        self._robot = robot
        self._state_reader, self._effort_reader = JointStateReader(), JointStateReader()
        self._writer = JointStateWriter(robot.joint_names, ("effort",))
        self._auto_arm = parameters.auto_arm
        self._lockstep_timeout_ns = round(parameters.lockstep_timeout * 1e9)
        self._state_matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        self._effort_matcher = JointMatcher(robot.joint_names)
        clock_may_reset = bool(self.get_parameter("use_sim_time").value)
        self._pairing = StatePairing(exact=self._lockstep, clock_may_reset=clock_may_reset)
        self._imu_seen_ns: int | None = None
        self._imu_stamp_ns: int | None = None
        self._state: RobotState | None = None
        self._pending: deque[_Asked] = deque(maxlen=1)
        self._asked_ns: int | None = None
        self._graph_checked_ns = self._ticked_ns = 0
        self._shown = -1
        self._faults_shown = 0
        self._ending_ns: int | None = None
        self._stamped = parameters.command_type == "joint_state"
        kind = JointState if self._stamped else None
        self._command = self.publish_on(topics.JOINT_COMMAND, kind=kind)
        self._status = self.publish_on(topics.SAFETY_STATUS)
        self._monitor = SafetyMonitor(robot, limits)
        self._records = SafetyRecords(records_folder(parameters.records), self.get_logger().warning)
        self.subscribe_to(topics.IMU, self._on_imu, raw=True)
        self.subscribe_to(topics.JOINT_STATES, self._on_joint_state, raw=True)
        self.subscribe_to(topics.POLICY_EFFORT, self._on_effort, raw=True)
        self.serve(SetBool, topics.SAFETY_ARM, self._arm)
        self.serve(Trigger, topics.SAFETY_RESET, self._reset)
        self.serve(Trigger, topics.SAFETY_EMERGENCY_STOP, self._emergency_stop)
        self.every(TICK_PERIOD_S, self._tick)
        self._show_status()

    def start(self) -> None:
        """Answer states from now on."""
        self._answers = True
        if self._monitor is not None:
            self._monitor.report(self._now_ns(), None)

    def stop(self) -> None:
        """Disarm; damping goes on."""
        if self._monitor is not None:
            if self._monitor.state in PASSING or self._monitor.state in DOWN:
                self._monitor.disarm(self._now_ns())
            self._send(self._monitor.report(self._now_ns(), NOT_ACTIVATED))
            if self._state is not None:
                self._send(self._monitor.observe(self._now_ns(), self._state))
            self._show_status()

    def release(self) -> None:
        """Send zero effort last: nobody will answer the next state."""
        if self._answers and self._monitor is not None:
            self._send(self._monitor.farewell())
        if self._monitor is not None:
            self._records.close()
        self._monitor = None
        self._answers = False

    def finish(self) -> bool:
        """Damp a little longer, then send zero effort."""
        if self._monitor is None or not self._answers:
            return True
        if self._ending_ns is None:
            self._ending_ns = time.monotonic_ns()
            self.running = False
            self.stop()
        if time.monotonic_ns() - self._ending_ns < SHUTDOWN_DAMPING_S * 1e9:
            return False
        self._send(self._monitor.farewell())
        self._answers = False
        return True

    def last_word(self) -> None:
        """Zero effort, at once."""
        if self._monitor is not None:
            self._send(self._monitor.farewell())

    def _now_ns(self) -> int:
        """The monitor's clock: the state's stamp in lock-step, else the monotonic clock."""
        if not self._lockstep:
            return time.monotonic_ns()
        return 0 if self._state is None else self._state.stamp_ns

    # Messages in.

    def _on_joint_state(self, message: bytes) -> None:
        if self._monitor is None:
            return
        try:
            state = self._pairing.add_joints(
                conversions.joint_sample(self._state_reader.read(message), self._state_matcher)
            )
        except StateError as error:
            self._refuse(Source.STATE, error)
            return
        self._on_state(state)

    def _on_imu(self, message: bytes) -> None:
        monitor = self._monitor
        if monitor is None:
            return
        try:
            sample = conversions.imu_sample(read_imu(message))
            state = self._pairing.add_imu(sample)
        except StateError as error:
            self._refuse(Source.IMU, error)
            return
        now_ns = self._now_ns()
        if sample.stamp_ns != self._imu_stamp_ns:  # a repeated measurement is not a fresh one
            self._imu_stamp_ns = sample.stamp_ns
            self._imu_seen_ns = time.monotonic_ns()
            self._send(monitor.imu_came(now_ns, sample.stamp_ns))
        else:
            monitor.repeat(now_ns, Source.IMU)
        self._on_state(state)
        self._show_status()

    def _on_state(self, state: RobotState | None) -> None:
        monitor = self._monitor
        if state is None or monitor is None:
            return
        previous, self._state = self._state, state
        if previous is not None and state.stamp_ns < previous.stamp_ns:
            monitor.restart()
            self._pending.clear()
        elif previous is not None and state.stamp_ns == previous.stamp_ns and not self._lockstep:
            monitor.repeat(self._now_ns(), Source.STATE)
            return
        if previous is None or state.stamp_ns != previous.stamp_ns:
            self._asked_ns = time.monotonic_ns()
        now_ns = self._now_ns()
        self._send(monitor.observe(now_ns, state, imu_seen_ns=now_ns if self._lockstep else self._imu_seen_ns))
        if self._pending and self._pending[0].effort.stamp_ns == state.stamp_ns:
            self._judge(monitor, self._pending.popleft())
        self._show_status()

    def _on_effort(self, message: bytes) -> None:
        monitor = self._monitor
        if monitor is None:
            return
        try:
            received = self._effort_reader.read(message)
            asked = _Asked(
                conversions.effort_of(received, self._effort_matcher),
                conversions.target_of(received, self._effort_matcher),
                MEANT_FOR.get(received.frame_id),
            )
        except StateError as error:
            self._refuse(Source.COMMAND, error)
            return
        if received.frame_id in STANDBY_FRAMES:
            monitor.heartbeat(self._now_ns(), can_get_up=received.frame_id == topics.STANDBY_CAN_GET_UP)
        elif self._lockstep and (self._state is None or self._state.stamp_ns != asked.effort.stamp_ns):
            self._pending.append(asked)  # it came before the state it answers
        else:
            self._judge(monitor, asked)
        self._show_status()

    def _judge(self, monitor: SafetyMonitor, asked: _Asked) -> None:
        if self._lockstep and monitor.state in PASSING and asked.meant_for not in (None, monitor.state):
            return  # the policy answers anew once it has heard where the monitor is
        self._asked_ns = None
        self._send(monitor.judge(self._now_ns(), asked.effort, meant_for=asked.meant_for, target=asked.target))

    def _refuse(self, source: Source, error: StateError) -> None:
        monitor = self._monitor
        assert monitor is not None
        self._send(monitor.reject(self._now_ns(), source, error.code, str(error)))
        self.warn_about(f"{source.value} refused: {error}")
        if error.code == "clock_jump" and monitor.state not in PASSING:
            # It has been noticed: the source's clock was set, and what it says now is the time.
            self._pairing.reset()
            self._state = self._imu_stamp_ns = None
        self._show_status()

    # Time passing.

    def _tick(self) -> None:
        monitor = self._monitor
        if monitor is None:
            return
        wall_ns = time.monotonic_ns()
        late_ns = wall_ns - self._ticked_ns - TICK_PERIOD_NS if self._ticked_ns else 0
        self._ticked_ns = wall_ns
        if wall_ns - self._graph_checked_ns > GRAPH_PERIOD_S * 1e9:
            self._graph_checked_ns = wall_ns
            found = self._second_publisher() if self.running else NOT_ACTIVATED
            self._send(monitor.report(self._now_ns(), found))
        if self._lockstep:
            self._watch_lockstep(monitor, wall_ns)
        else:
            self._send(monitor.tick(wall_ns, late_ns=late_ns))
        if self._auto_arm and self.running and monitor.state is SafetyState.READY:
            self._auto_arm = False
            self._asked_ns = time.monotonic_ns()  # the policy's time to answer begins now
            monitor.arm(self._now_ns())
        self._show_status()

    def _second_publisher(self) -> Violation | None:
        # Counting does not follow remappings by itself.
        effort, command = (self.resolve_topic_name(t.name) for t in (topics.POLICY_EFFORT, topics.JOINT_COMMAND))
        found = check_publishers("second_policy", effort, self.count_publishers(effort))
        return found or check_publishers("second_commander", command, self.count_publishers(command))

    def _watch_lockstep(self, monitor: SafetyMonitor, wall_ns: int) -> None:
        """Simulated time stands still when the policy dies, so only the wall clock can tell."""
        asked_ns = self._asked_ns
        if monitor.state not in PASSING or asked_ns is None or wall_ns - asked_ns < self._lockstep_timeout_ns:
            return
        seconds = (wall_ns - asked_ns) * 1e-9
        monitor.policy_lost(self._now_ns(), f"no policy effort for {seconds:.1f} s of wall time")
        if self._state is not None:
            self._send(monitor.observe(self._now_ns(), self._state))

    # Messages out.

    def _send(self, effort: JointEffort | None) -> None:
        if effort is None or not self._answers or self._monitor is None:
            return
        if self._stamped:
            self._command.publish(self._writer.write(effort.stamp_ns, self._monitor.state.value, effort.effort))
        else:
            self._command.publish(conversions.command_array(effort))

    def _show_status(self) -> None:
        monitor = self._monitor
        if monitor is None or monitor.changes == self._shown:
            return
        self._shown = monitor.changes
        status = monitor.status
        if status.counters.faults > self._faults_shown:
            self._faults_shown = status.counters.faults
            self.get_logger().error(f"fault: {status.last_fault}")
        self.get_logger().info(f"{status.state.value}{': ' + status.text if status.text else ''}")
        self._status.publish(safety_status_message(status, "safety_monitor", self._robot.name))
        self._keep_record(monitor)

    def _keep_record(self, monitor: SafetyMonitor) -> None:
        if monitor.record_due:
            events = monitor.events(self._now_ns())
            self._records.write(monitor.record_due, self._robot.name, monitor.status, events)
            monitor.record_due = ""

    # Services.

    def _arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        assert self._monitor is not None
        if not request.data:
            response.success, response.message = self._monitor.disarm(self._now_ns())
        elif not self.running:
            response.success, response.message = False, "refused: the node is not activated"
        else:
            if self._monitor.state not in PASSING:
                self._asked_ns = time.monotonic_ns()
            response.success, response.message = self._monitor.arm(self._now_ns())
        self._show_status()
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._monitor is not None
        response.success, response.message = self._monitor.reset(self._now_ns())
        self._show_status()
        self._keep_record(self._monitor)
        return response

    def _emergency_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._monitor is not None
        response.success, response.message = self._monitor.emergency_stop(self._now_ns())
        if self._state is not None:
            self._send(self._monitor.observe(self._now_ns(), self._state))
        self._show_status()
        return response

    def diagnose(self) -> DiagnosticStatus | None:
        """State, reason, counters."""
        if self._monitor is None:
            return None
        return safety_status_message(self._monitor.status, self.get_fully_qualified_name(), self._robot.name)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `safety_monitor_node`."""
    return run_node(SafetyMonitorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
