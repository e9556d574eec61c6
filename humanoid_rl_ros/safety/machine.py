"""The states of the safety monitor: what leads from one to the next. It knows no ROS; time comes in as an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.arrivals import Arrivals, Source
from humanoid_rl_ros.safety.checks import Violation, check_warmth
from humanoid_rl_ros.safety.command_rules import CommandRules
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.events import Event, EventRing
from humanoid_rl_ros.safety.fall import direction_of
from humanoid_rl_ros.safety.lasting import Lasting
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.state_rules import StateRules
from humanoid_rl_ros.safety.status import DOWN, ON_ITS_FEET, PASSING, Counters, FallDirection, SafetyState, SafetyStatus

# A robot that lies still is known to by `fallen_rate`; it has begun to move where its base turns so much faster.
_MOVES_AGAIN = 3.0


class SafetyMachine:
    """Where the monitor is, and where what is known now leads.

    Args:
        robot: joint order and limits.
        limits: thresholds.
        settles: whether `ready_time` must pass before READY; in lock-step nothing can be late, and it need not.

    Attributes:
        changes: grows whenever the status has changed.
        record_due: why the events should be kept for people to read, or empty; whoever keeps them empties it.
    """

    NOT_STATE = frozenset({"_ring"})
    """What is told to people and decides nothing."""

    def __init__(self, robot: RobotSpec, limits: SafetyLimits, *, settles: bool = False) -> None:
        self._robot = robot
        self._limits = limits
        self._settles = settles
        self._envelope = Envelope(robot, limits)
        self._arrivals = Arrivals(limits)
        self._states = StateRules(robot, limits)
        self._commands = CommandRules(robot, limits)
        self._ring = EventRing()
        self._state: RobotState | None = None
        self._restarted = False
        self._external: Violation | None = None
        self._overrun: Violation | None = None
        self._can_get_up = False
        self._start: Violation | None = None
        self._estop_ns: int | None = None
        self._estop_damped = False
        self._began_ns: int | None = None
        self._sound, self._still, self._up, self._stood = Lasting(), Lasting(), Lasting(), Lasting()
        self._settled = Lasting()
        self._status = SafetyStatus(SafetyState.DISARMED, reason="startup", text="not armed yet")
        self._counts: Counter[str] = Counter()
        self._direction: FallDirection | None = None
        self._tries = 0
        # Whether a state came since it is known to lie: that state, and no message that chances to come before it, is
        # the first that the get-up behaviour answers. In lock-step every run is then the same.
        self._rested = False
        self.record_due = ""
        self.changes = 0

    @property
    def state(self) -> SafetyState:
        """Where it is now."""
        return self._status.state

    @property
    def status(self) -> SafetyStatus:
        """State, reason and counters now."""
        warmest = float(self._envelope.thermal.warmth.max())
        counters = Counters(**self._counts)
        return replace(self._status, direction=self._direction, tries=self._tries, warmest=warmest, counters=counters)

    def events(self, now_ns: int) -> tuple[Event, ...]:
        """What happened in the 60 s before now."""
        return self._ring.until(now_ns)

    def _sensors(self, now_ns: int) -> Violation | None:
        found = self._arrivals.check(Source.STATE, now_ns) or self._arrivals.check(Source.IMU, now_ns)
        return found or self._states.sensors

    def _update(self, now_ns: int, jump: Violation | None = None) -> None:
        """Go where what is known now leads; `jump`: a clock that jumped just now."""
        if self.state is SafetyState.ESTOP:
            return
        if self.state in PASSING:
            self._supervise(now_ns, jump)
        elif self.state in DOWN:
            self._wait(now_ns)
        else:
            self._get_ready(now_ns)

    def gate(self, now_ns: int) -> Mapping[str, Violation | None]:
        """What must hold before the robot may be armed, in the order of its importance: what is wrong, or None."""
        states = self._states
        return {
            "sensors": self._sensors(now_ns),
            "upright": None if self._may_get_up() else states.tilt,
            "joints": states.pose or states.motion,
            "graph": self._external,
            "policy": self._arrivals.check(Source.COMMAND, now_ns),
            # One that lies is got up from whatever pose it is in, by another policy.
            "start_pose": None if states.tilt is not None else self._start,
        }

    def _get_ready(self, now_ns: int) -> None:
        found = next(filter(None, self.gate(now_ns).values()), None)
        lasted_ns = self._settled.update(now_ns, found is None)
        if found is not None:
            self._go(now_ns, SafetyState.DISARMED, found.code, found.text)
        elif self.state is SafetyState.READY:
            return
        elif self._settles and lasted_ns < self._limits.ready_time * 1e9:
            text = f"all must be well for {self._limits.ready_time:g} s before the robot may be armed"
            self._go(now_ns, SafetyState.DISARMED, "settling", text)
        else:
            self._go(now_ns, SafetyState.READY)

    def _came(self, source: Source, now_ns: int) -> None:
        """A message that could be read; one after a gap shows a gap that no tick may have seen."""
        # Where efforts pass nothing settles, and no time is to be lost.
        gap = self._arrivals.late(source, now_ns) if self._settles and self.state not in PASSING else None
        self._arrivals.came(source, now_ns)
        if gap is not None:
            self._settled.reset()
            if self.state is SafetyState.READY:
                self._go(now_ns, SafetyState.DISARMED, gap.code, gap.text)

    def _supervise(self, now_ns: int, jump: Violation | None) -> None:
        """Efforts pass: the first rule that does not hold ends that, sensors first."""
        states, mode = self._states, self.state
        lost = jump or self._sensors(now_ns) or self._external
        if lost is not None:
            return self._fault(now_ns, SafetyState.DISARMED, lost)
        if states.motion is not None:
            return self._stop(now_ns, states.motion)
        if mode in ON_ITS_FEET and states.fall is not None:
            return self._fall(now_ns, states.fall)
        silent = self._commands.flood or self._arrivals.check(Source.COMMAND, now_ns)
        if silent is not None:
            return self._fault(now_ns, SafetyState.DISARMED, silent)
        if mode is SafetyState.RECOVERING:
            self._watch_getting_up(now_ns)
        elif mode is SafetyState.VERIFYING:
            self._verify(now_ns)
        else:
            self._grade(now_ns)

    def _grade(self, now_ns: int) -> None:
        """ACTIVE or DEGRADED."""
        limits = self._limits
        if self._stood.update(now_ns, True) > limits.recovered_time * 1e9:
            self._tries = 0
        found = self._commands.performance or self._states.flood or self._overrun
        found = found or check_warmth(self._envelope.thermal.warmth, self._robot.joint_names, limits)
        sound_ns = self._sound.update(now_ns, found is None)
        if found is not None:
            self._note(now_ns, "violation", found.code, found.text)
            if self.state is SafetyState.ACTIVE:
                self._go(now_ns, SafetyState.DEGRADED, found.code, found.text)
        elif self.state is SafetyState.DEGRADED and sound_ns >= limits.degraded_time * 1e9:
            self._go(now_ns, SafetyState.ACTIVE)

    def _wait(self, now_ns: int) -> None:
        """FALLING or FALLEN: until the robot lies still, and then until it may get up."""
        limits, rate = self._limits, self._states.base_rate
        blind = self._state is None or self._sensors(now_ns) is not None
        still_ns = self._still.update(now_ns, not blind and rate < limits.fallen_rate)
        if self.state is SafetyState.FALLING:
            if still_ns >= limits.fallen_time * 1e9:
                self._lie_down(now_ns)
        elif not blind and rate > _MOVES_AGAIN * limits.fallen_rate:
            self._go(now_ns, SafetyState.FALLING, "moves", f"the base turns at {rate:.2f} rad/s again")
        elif self._rested and not blind and self._external is None and limits.recover and self._can_get_up:
            self._tries += 1
            self._enter(now_ns, SafetyState.RECOVERING, "fallen", f"lies {self._side}, try {self._tries}")

    def _lie_down(self, now_ns: int) -> None:
        self._direction = direction_of(self._states.attitude.gravity)
        waits = "" if self._limits.recover and self._can_get_up else ", and nothing here gets it up"
        self._go(now_ns, SafetyState.FALLEN, "fallen", f"the robot lies still ({self._side}){waits}")

    def _watch_getting_up(self, now_ns: int) -> None:
        limits, state = self._limits, self._state
        near = state is not None and bool(
            (np.abs(state.joint_position - self._robot.default_position) < limits.upright_pose).all()
        )
        up_ns = self._up.update(now_ns, self._upright() and near)
        if up_ns >= limits.upright_time * 1e9:
            self._enter(
                now_ns, SafetyState.VERIFYING, "recovered", f"upright, tilt {self._states.attitude.tilt:.2f} rad"
            )
        elif self._passed(now_ns) > limits.recovery_time:
            text = f"not upright after {limits.recovery_time:g} s, try {self._tries} of {limits.recovery_tries}"
            self._fall(now_ns, Violation("recovery_timeout", text))

    def _verify(self, now_ns: int) -> None:
        limits = self._limits
        if self._up.update(now_ns, self._upright()) >= limits.verify_time * 1e9:
            self._count(recoveries=1)
            self._enter(now_ns, SafetyState.ACTIVE)
        elif self._passed(now_ns) > limits.verify_limit:
            text = f"not still on its feet after {limits.verify_limit:g} s"
            self._fall(now_ns, Violation("verify_timeout", text))

    def _upright(self) -> bool:
        limits, found = self._limits, self._states
        return found.attitude.tilt < limits.upright_tilt and found.base_rate < limits.upright_rate

    def _may_get_up(self) -> bool:
        """Whether a robot that lies may be armed as it lies."""
        return self._limits.recover and self._can_get_up and self._states.base_rate < self._limits.fallen_rate

    @property
    def _side(self) -> str:
        return "" if self._direction is None else self._direction.value

    def _passed(self, now_ns: int) -> float:
        """Time in this state [s]."""
        if self._began_ns is None:
            self._began_ns = now_ns
        return (now_ns - self._began_ns) * 1e-9

    # Transitions.

    def _go(self, now_ns: int, state: SafetyState, reason: str = "", text: str = "") -> None:
        before = self._status
        since_ns = 0 if self._state is None else self._state.stamp_ns
        self._status = SafetyStatus(state, since_ns, reason, text, before.last_fault)
        if state is SafetyState.ACTIVE:
            self._direction = None
        if state is not before.state:
            self._began_ns = now_ns
            for lasting in (self._sound, self._still, self._up, self._settled):
                lasting.reset()
        if (state, reason) != (before.state, before.reason):
            self.changes += 1
            self._note(now_ns, "transition", reason, text)

    def _enter(self, now_ns: int, state: SafetyState, reason: str = "", text: str = "") -> None:
        """Efforts of another behaviour pass from now on; it has one time-out to answer."""
        self._envelope.reset()
        self._commands.arm()
        self._states.arm()
        self._arrivals.came(Source.COMMAND, now_ns)
        self._go(now_ns, state, reason, text)

    def _fault(self, now_ns: int, state: SafetyState, found: Violation) -> None:
        self._count(faults=1)
        self.record_due = found.code
        self._status = replace(self._status, last_fault=f"{found.code}: {found.text}")
        self._go(now_ns, state, found.code, found.text)

    def _fall(self, now_ns: int, found: Violation) -> None:
        """Down again: another try, or the emergency stop."""
        self._count(falls=1)
        self._stood.reset()
        if self._tries >= self._limits.recovery_tries:
            text = f"{self._tries} tries to get up have failed; the last: {found.text}"
            return self._stop(now_ns, Violation("recovery_failed", text))
        self._fault(now_ns, SafetyState.FALLING, found)

    def _stop(self, now_ns: int, found: Violation) -> None:
        """The emergency stop, by a fault or by the operator."""
        self._estop_ns, self._estop_damped = now_ns, False
        if found.code == "operator":
            self._go(now_ns, SafetyState.ESTOP, found.code, found.text)
        else:
            self._fault(now_ns, SafetyState.ESTOP, found)

    def _count(self, **more: int) -> None:
        self._counts.update(more)

    def _note(self, now_ns: int, kind: str, code: str, text: str) -> None:
        stamp_ns = None if self._state is None else self._state.stamp_ns
        self._ring.add(Event(now_ns, stamp_ns, kind, self.state.value, code, text))
