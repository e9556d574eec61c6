"""safety_monitor_node: the only publisher of joint commands; every effort passes the monitor, or damping goes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.safety_control import PUBLISHER_COUNTS, TICK_PERIOD_NS, SafetyControl, SafetySettings
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.journal import NodeJournal, NodeOutlet
from humanoid_rl_ros.nodes.parameters import SafetyParameters
from humanoid_rl_ros.nodes.safety_records import SafetyRecords, records_folder
from humanoid_rl_ros.nodes.safety_status import safety_status_message
from humanoid_rl_ros.nodes.setup_message import SetupMessage
from humanoid_rl_ros.resources import find_robot, safety_file
from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.safety.status import SafetyStatus

GRAPH_PERIOD_NS = 50_000_000
SHUTDOWN_DAMPING_NS = 200_000_000
LAST_WORD_NS = 100_000_000


class SafetyMonitorNode(ManagedNode):
    """Hands messages, time and requests to a `SafetyControl`, and publishes what it says."""

    def __init__(self, **options: Any) -> None:
        super().__init__("safety_monitor", SafetyParameters, **options)
        self._control: SafetyControl | None = None

    def setup(self, parameters: SafetyParameters) -> None:
        """Load robot and limits."""
        lockstep, stamped = parameters.mode == "lockstep", parameters.command_type == "joint_state"
        if lockstep and not stamped:
            raise ConfigError("lock-step needs parameter command_type:=joint_state, whose messages carry stamps")
        self._robot = robot = find_robot(parameters.robot)
        limits = load_safety_limits(safety_file(parameters.limits)).for_states_at(parameters.state_rate)
        self._effort_topic, self._command_topic = (
            self.resolve_topic_name(topic.name) for topic in (topics.POLICY_EFFORT, topics.JOINT_COMMAND)
        )
        settings = SafetySettings(
            lockstep=lockstep,
            clock_may_reset=bool(self.get_parameter("use_sim_time").value),
            stamped_commands=stamped,
            auto_arm=parameters.auto_arm,
            settles=not lockstep,
            lockstep_timeout_ns=round(parameters.lockstep_timeout * 1e9),
            effort_topic=self._effort_topic,
            command_topic=self._command_topic,
        )
        self._graph_checked_ns = 0
        self._ending_ns: int | None = None
        self._command = self.publish_on(topics.JOINT_COMMAND, kind=JointState if stamped else None)
        status = self.publish_on(topics.SAFETY_STATUS)
        self._journal = NodeJournal(self, topics.SAFETY_JOURNAL)
        publishers = {topics.JOINT_COMMAND.name: self._command, topics.SAFETY_STATUS.name: status}
        outlet = NodeOutlet(self, publishers, self._journal, self._keep_record)
        self._records = SafetyRecords(records_folder(parameters.records), self.get_logger().warning)
        self._control = SafetyControl(robot, limits, settings, outlet)
        self._journal.follow(self._control)
        SetupMessage(self, topics.SAFETY_SETUP, parameters).say(robot, settings, limits=limits)
        self.subscribe_to(topics.IMU, partial(self._take, Entry.IMU), raw=True)
        self.subscribe_to(topics.JOINT_STATES, partial(self._take, Entry.JOINT_STATES), raw=True)
        self.subscribe_to(topics.POLICY_EFFORT, partial(self._take, Entry.EFFORT), raw=True)
        self.serve(SetBool, topics.SAFETY_ARM, self._arm)
        self.serve(Trigger, topics.SAFETY_RESET, partial(self._serve, Entry.RESET))
        self.serve(Trigger, topics.SAFETY_EMERGENCY_STOP, partial(self._serve, Entry.EMERGENCY_STOP))
        self.every(TICK_PERIOD_NS * 1e-9, self._tick)
        self._control.show_status()

    def _take(self, entry: Entry, data: bytes = b"", now_ns: int | None = None) -> tuple[bool, str] | None:
        if self._control is None:
            return None
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        self._journal.consumed(entry, now_ns, data)
        return self._control.take(entry, now_ns, data)

    def start(self) -> None:
        """Answer states from now on."""
        self._take(Entry.START)

    def stop(self) -> None:
        """Disarm; damping goes on."""
        self._take(Entry.STOP)

    def release(self) -> None:
        """Send zero effort last: nobody will answer the next state."""
        if self._control is not None:
            if self._control.answers:
                self._take(Entry.FAREWELL)
            self._journal.flush()
            self._records.close()
        self._control = None

    def finish(self) -> bool:
        """Damp a little longer, then send zero effort."""
        if self._control is None or not self._control.answers:
            return True
        if self._ending_ns is None:
            self._ending_ns = time.monotonic_ns()
            self.running = False
            self.stop()
        if time.monotonic_ns() - self._ending_ns < SHUTDOWN_DAMPING_NS:
            return False
        self.last_word()
        return True

    def last_word(self) -> None:
        """Zero effort, at once, and until it has arrived."""
        self._take(Entry.FAREWELL)
        if self._control is not None:
            with suppress(Exception):  # it is said; a middleware that cannot tell whether it arrived changes nothing
                self._command.wait_for_all_acked(Duration(nanoseconds=LAST_WORD_NS))
            self._journal.flush()

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._graph_checked_ns > GRAPH_PERIOD_NS:
            self._count(now_ns)
        self._take(Entry.TICK, now_ns=now_ns)  # what counting took is not time that the timer was late by

    def _count(self, now_ns: int) -> None:
        """Look who else publishes what only one may."""
        self._graph_checked_ns = now_ns
        # Counting does not follow remappings by itself.
        counts = self.count_publishers(self._effort_topic), self.count_publishers(self._command_topic)
        self._take(Entry.PUBLISHERS, PUBLISHER_COUNTS.pack(*counts), now_ns)

    def _keep_record(self, why: str, status: SafetyStatus, events: Sequence[Event]) -> None:
        self._records.write(why, self._robot.name, status, events)

    def _arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            self._count(time.monotonic_ns())  # who came since the last time keeps it from being armed
        return self._serve(Entry.ARM if request.data else Entry.DISARM, request, response)

    def _serve(self, entry: Entry, request: Any, response: Any) -> Any:
        answer = self._take(entry)
        assert answer is not None  # services live from configure to cleanup
        response.success, response.message = answer
        return response

    def diagnose(self) -> DiagnosticStatus | None:
        """State, reason, counters; what must hold before it may be armed, and whether it does."""
        if self._control is None:
            return None
        status = self._control.monitor.status
        gate = {f"gate_{name}": found.text if found else "ok" for name, found in self._control.gate().items()}
        return safety_status_message(status, self.get_fully_qualified_name(), self._robot.name, gate)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `safety_monitor_node`."""
    return run_node(SafetyMonitorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
