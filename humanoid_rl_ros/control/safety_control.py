"""Everything that the safety monitor's node decides. It reads no clock; time comes in as an argument."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.outlet import Outlet
from humanoid_rl_ros.control.safety_words import write_safety_status
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.interfaces import measurements, topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, JointStateWriter, read_imu
from humanoid_rl_ros.interfaces.cdr_writers import write_float64_array
from humanoid_rl_ros.safety.arrivals import Source
from humanoid_rl_ros.safety.checks import Violation, check_publishers
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import DOWN, PASSING, SafetyState

TICK_PERIOD_NS = 10_000_000
MEANT_FOR = {state.value: state for state in SafetyState}
NOT_ACTIVATED = Violation("inactive", "the node is not activated")
PUBLISHER_COUNTS = struct.Struct("<II")
"""Of `Entry.PUBLISHERS`: how many publish policy efforts, and joint commands."""


@dataclass(frozen=True)
class SafetySettings:
    """How the monitor is run.

    Attributes:
        lockstep: whether its clock is the stamp of the state, and each effort answers the state of its stamp.
        clock_may_reset: whether stamps that go back mean that the simulation was reset.
        stamped_commands: whether joint commands are `JointState`, or `Float64MultiArray`.
        auto_arm: whether it arms itself the first time it is READY.
        settles: whether all must be well for `SafetyLimits.ready_time` before it is READY; not in lock-step.
        lockstep_timeout_ns: in lock-step, wall time without a policy effort after which damping begins [ns].
        effort_topic, command_topic: resolved names, for messages.
    """

    lockstep: bool = False
    clock_may_reset: bool = False
    stamped_commands: bool = False
    auto_arm: bool = False
    settles: bool = False
    lockstep_timeout_ns: int = 5_000_000_000
    effort_topic: str = topics.POLICY_EFFORT.name
    command_topic: str = topics.JOINT_COMMAND.name


@dataclass(frozen=True, eq=False)
class Asked:
    """What a policy effort says: the effort, the positions it is to reach, and the safety state it is meant for."""

    effort: JointEffort
    target: FloatArray | None
    meant_for: SafetyState | None


class SafetyControl:
    """Reads messages, asks the monitor, says commands.

    From its first start on, also when stopped, it answers every state: with the policy's effort where such may pass,
    with damping otherwise. In lock-step the clock of the monitor is the stamp of the state, so that a run is the same
    on any machine; a wall-clock watchdog notices a policy that has died.

    Args:
        robot: the robot.
        limits: thresholds.
        settings: how it is run.
        outlet: takes what it says: `topics.JOINT_COMMAND`, `SAFETY_STATUS`, and records.
    """

    NOT_STATE = frozenset(
        {"_outlet", "_state_reader", "_effort_reader", "_writer", "_state_matcher", "_effort_matcher"}
    )

    def __init__(self, robot: RobotSpec, limits: SafetyLimits, settings: SafetySettings, outlet: Outlet) -> None:
        self._robot = robot
        self._settings = settings
        self._outlet = outlet
        self.monitor = SafetyMonitor(robot, limits, settles=settings.settles)
        self._state_reader, self._effort_reader = JointStateReader(), JointStateReader()
        self._writer = JointStateWriter(robot.joint_names, ("effort",))
        self._state_matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        self._effort_matcher = JointMatcher(robot.joint_names)
        self._pairing = StatePairing(exact=settings.lockstep, clock_may_reset=settings.clock_may_reset)
        self._imu_seen_ns: int | None = None
        self._imu_stamp_ns: int | None = None
        self._state: RobotState | None = None
        self._pending: deque[Asked] = deque(maxlen=1)
        self._asked_ns: int | None = None
        self._ticked_ns = 0
        self._auto_arm = settings.auto_arm
        self._running = self.answers = False
        self._shown = -1
        self._faults_shown = 0
        self._wall_ns = 0

    def take(self, entry: Entry, now_ns: int, data: bytes = b"") -> tuple[bool, str] | None:
        """Consume something.

        Args:
            entry: what it is.
            now_ns: monotonic time of its arrival [ns].
            data: the serialised message; for `Entry.PUBLISHERS` the counts.

        Returns:
            Of what an operator asks: whether it was done, and what to tell them.
        """
        self._wall_ns = now_ns
        answer = None
        if entry is Entry.JOINT_STATES:
            self._on_joint_state(data)
        elif entry is Entry.IMU:
            self._on_imu(data)
        elif entry is Entry.EFFORT:
            self._on_effort(data)
        elif entry is Entry.TICK:
            self._tick()
        elif entry is Entry.PUBLISHERS:
            self._count_publishers(*PUBLISHER_COUNTS.unpack(data))
        elif entry is Entry.START:
            self._start()
        elif entry is Entry.STOP:
            self._stop()
        elif entry is Entry.FAREWELL:
            self._send(self.monitor.farewell())
            self.answers = False
            return None
        else:
            answer = self._asked(entry)
        self.show_status()
        return answer

    def gate(self) -> Mapping[str, Violation | None]:
        """What must hold before the robot may be armed: what is wrong, or None."""
        return self.monitor.gate(self._now_ns)

    @property
    def _now_ns(self) -> int:
        """The monitor's clock: the state's stamp in lock-step, else the monotonic clock."""
        if not self._settings.lockstep:
            return self._wall_ns
        return 0 if self._state is None else self._state.stamp_ns

    def _start(self) -> None:
        self.answers = self._running = True
        self.monitor.report(self._now_ns, None)

    def _stop(self) -> None:
        """Disarm; damping goes on."""
        self._running = False
        monitor, now_ns = self.monitor, self._now_ns
        if monitor.state in PASSING or monitor.state in DOWN:
            monitor.disarm(now_ns)
        self._send(monitor.report(now_ns, NOT_ACTIVATED))
        self._answer_last_state()

    def _answer_last_state(self) -> None:
        if self._state is not None:
            self._send(self.monitor.observe(self._now_ns, self._state))

    # Messages in.

    def _on_joint_state(self, message: bytes) -> None:
        try:
            sample = measurements.joint_sample(self._state_reader.read(message), self._state_matcher)
            state = self._pairing.add_joints(sample)
        except StateError as error:
            self._refuse(Source.STATE, error)
            return
        self._on_state(state)

    def _on_imu(self, message: bytes) -> None:
        try:
            sample = measurements.imu_sample(read_imu(message))
            state = self._pairing.add_imu(sample)
        except StateError as error:
            self._refuse(Source.IMU, error)
            return
        now_ns = self._now_ns
        if sample.stamp_ns != self._imu_stamp_ns:  # a repeated measurement is not a fresh one
            self._imu_stamp_ns = sample.stamp_ns
            self._imu_seen_ns = self._wall_ns
            self._send(self.monitor.imu_came(now_ns, sample.stamp_ns))
        else:
            self.monitor.repeat(now_ns, Source.IMU)
        self._on_state(state)

    def _on_state(self, state: RobotState | None) -> None:
        if state is None:
            return
        monitor, lockstep = self.monitor, self._settings.lockstep
        previous, self._state = self._state, state
        if previous is not None and state.stamp_ns < previous.stamp_ns:
            monitor.restart()
            self._pending.clear()
        elif previous is not None and state.stamp_ns == previous.stamp_ns and not lockstep:
            monitor.repeat(self._now_ns, Source.STATE)
            return
        if previous is None or state.stamp_ns != previous.stamp_ns:
            self._asked_ns = self._wall_ns
        now_ns = self._now_ns
        self._send(monitor.observe(now_ns, state, imu_seen_ns=now_ns if lockstep else self._imu_seen_ns))
        if self._pending and self._pending[0].effort.stamp_ns == state.stamp_ns:
            self._judge(self._pending.popleft())

    def _on_effort(self, message: bytes) -> None:
        try:
            received = self._effort_reader.read(message)
            asked = Asked(
                measurements.effort_of(received, self._effort_matcher),
                measurements.target_of(received, self._effort_matcher),
                MEANT_FOR.get(received.frame_id),
            )
        except StateError as error:
            self._refuse(Source.COMMAND, error)
            return
        standby = topics.read_standby(received.frame_id)
        if standby is not None:
            can_get_up = standby[0] == topics.STANDBY_CAN_GET_UP
            self.monitor.heartbeat(self._now_ns, can_get_up=can_get_up, refusal=standby[1])
        elif self._settings.lockstep and (self._state is None or self._state.stamp_ns != asked.effort.stamp_ns):
            self._pending.append(asked)  # it came before the state it answers
        else:
            self._judge(asked)

    def _judge(self, asked: Asked) -> None:
        monitor = self.monitor
        if self._settings.lockstep and monitor.state in PASSING and asked.meant_for not in (None, monitor.state):
            return  # the policy answers anew once it has heard where the monitor is
        self._asked_ns = None
        self._send(monitor.judge(self._now_ns, asked.effort, meant_for=asked.meant_for, target=asked.target))

    def _refuse(self, source: Source, error: StateError) -> None:
        self._send(self.monitor.reject(self._now_ns, source, error.code, str(error)))
        self._outlet.refused(f"{source.value} refused: {error}")
        if error.code == "clock_jump" and self.monitor.state not in PASSING:
            # It has been noticed: the source's clock was set, and what it says now is the time.
            self._pairing.reset()
            self._state = self._imu_stamp_ns = None

    # Time passing.

    def _tick(self) -> None:
        monitor, wall_ns = self.monitor, self._wall_ns
        late_ns = wall_ns - self._ticked_ns - TICK_PERIOD_NS if self._ticked_ns else 0
        self._ticked_ns = wall_ns
        if self._settings.lockstep:
            self._watch_lockstep()
        else:
            self._send(monitor.tick(wall_ns, late_ns=late_ns))
        if self._auto_arm and self._running and monitor.state is SafetyState.READY:
            self._auto_arm = False
            self._asked_ns = wall_ns  # the policy's time to answer begins now
            monitor.arm(self._now_ns)

    def _count_publishers(self, efforts: int, commands: int) -> None:
        settings = self._settings
        found = check_publishers("second_policy", settings.effort_topic, efforts)
        found = found or check_publishers("second_commander", settings.command_topic, commands)
        self._send(self.monitor.report(self._now_ns, found if self._running else NOT_ACTIVATED))

    def _watch_lockstep(self) -> None:
        """Simulated time stands still when the policy dies, so only the wall clock can tell."""
        asked_ns, wall_ns, limit_ns = self._asked_ns, self._wall_ns, self._settings.lockstep_timeout_ns
        if self.monitor.state not in PASSING or asked_ns is None or wall_ns - asked_ns < limit_ns:
            return
        seconds = (wall_ns - asked_ns) * 1e-9
        self.monitor.policy_lost(self._now_ns, f"no policy effort for {seconds:.1f} s of wall time")
        self._answer_last_state()

    # What an operator asks.

    def _asked(self, entry: Entry) -> tuple[bool, str]:
        monitor, now_ns = self.monitor, self._now_ns
        if entry is Entry.DISARM:
            return monitor.disarm(now_ns)
        if entry is Entry.RESET:
            return monitor.reset(now_ns)
        if entry is Entry.EMERGENCY_STOP:
            answer = monitor.emergency_stop(now_ns)
            self._answer_last_state()
            return answer
        if entry is not Entry.ARM:
            raise StateError(f"a safety monitor has no use for {entry.name}")
        if not self._running:
            return False, "refused: the node is not activated"
        if monitor.state not in PASSING:
            self._asked_ns = self._wall_ns
        return monitor.arm(now_ns)

    # Messages out.

    def _send(self, effort: JointEffort | None) -> None:
        if effort is None or not self.answers:
            return
        if self._settings.stamped_commands:
            data = self._writer.write(effort.stamp_ns, self.monitor.state.value, effort.effort)
        else:
            data = write_float64_array(effort.effort)
        self._outlet.publish(topics.JOINT_COMMAND, data)

    def show_status(self, *, again: bool = False) -> None:
        """Say where the monitor is, if that has changed, or `again`."""
        monitor, outlet = self.monitor, self._outlet
        if again or monitor.changes != self._shown:
            self._shown = monitor.changes
            status = monitor.status
            if status.counters.faults > self._faults_shown:
                self._faults_shown = status.counters.faults
                outlet.error(f"fault: {status.last_fault}")
            outlet.info(f"{status.state.value}{': ' + status.text if status.text else ''}")
            outlet.publish(topics.SAFETY_STATUS, write_safety_status(status, "safety_monitor", self._robot.name))
        if monitor.record_due:
            outlet.record(monitor.record_due, monitor.status, monitor.events(self._now_ns))
            monitor.record_due = ""
