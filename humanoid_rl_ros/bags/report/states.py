"""The safety monitor's states over time, and the faults among their changes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from humanoid_rl_ros.bags.series import RobotTime, Series
from humanoid_rl_ros.interfaces.cdr_messages import RawStatus
from humanoid_rl_ros.safety.status import PASSING_NAMES

FALLING, FALLEN, RECOVERING, ESTOP, DISARMED = "FALLING", "FALLEN", "RECOVERING", "ESTOP", "DISARMED"
_DOWN = frozenset({FALLING, FALLEN})


@dataclass(frozen=True)
class StateSpan:
    """A time in which the monitor was in one state.

    Attributes:
        state: its name.
        start, end: [s].
        reason: code of what brought it there; empty where there is none.
        text: the same for people.
    """

    state: str
    start: float
    end: float
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class Fault:
    """A violation that took the motors from the policy.

    Attributes:
        number: from 1.
        time: [s].
        rule: code of the rule that was violated.
        text: what was found, for people.
        before, after: states.
        outcome: what came of it.
    """

    number: int
    time: float
    rule: str
    text: str
    before: str
    after: str
    outcome: str


@dataclass(frozen=True)
class Event:
    """One line of the list of what happened.

    Attributes:
        time: [s].
        kind: ``state``, ``node``, ``gap``, ``command``.
        text: for people.
        level: 0 good, 1 worth a look, 2 bad.
    """

    time: float
    kind: str
    text: str
    level: int = 0


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _time_of(log_ns: int, status: RawStatus, time: RobotTime) -> float:
    """When a state began: by the stamp that the monitor gives, where that is of this clock and not too old."""
    seen = float(time.of_log(np.array([log_ns]))[0])
    since = _integer(status.values.get("since_ns", ""))
    if time.by_stamps and since:
        said = float(time.of_stamp(np.array([since]))[0])
        if -1.0 <= said <= seen:
            return max(said, 0.0)
    return max(seen, 0.0)


def state_spans(series: Series, time: RobotTime) -> tuple[StateSpan, ...]:
    """One for each change of state or reason, up to the end of the bag."""
    spans: list[StateSpan] = []
    for log_ns, status in series.statuses:
        state, reason = status.values.get("state", ""), status.values.get("reason", "")
        if not state:
            continue
        text = status.message.removeprefix(state).removeprefix(": ")
        at = _time_of(log_ns, status, time)
        if spans:
            last = spans[-1]
            if (last.state, last.reason) == (state, reason):
                continue
            at = max(at, last.start)
            spans[-1] = StateSpan(last.state, last.start, at, last.reason, last.text)
        spans.append(StateSpan(state, at, max(at, time.end), reason, text))
    return tuple(spans)


def faults_of(series: Series, time: RobotTime, spans: tuple[StateSpan, ...]) -> tuple[Fault, ...]:
    """Where the robot fell or was stopped, and where the monitor counted a fault.

    Of a monitor that does not count, every end of a state in which efforts pass.
    """
    found: list[Fault] = []
    before: RawStatus | None = None
    for log_ns, status in series.statuses:
        if before is not None and _is_fault(before, status):
            state, last = status.values.get("state", ""), status.values.get("last_fault", "")
            rule, _, text = last.partition(": ")
            at = _time_of(log_ns, status, time)
            found.append(
                Fault(
                    len(found) + 1,
                    at,
                    rule or status.values.get("reason", ""),
                    text or status.message.removeprefix(state).removeprefix(": "),
                    before.values.get("state", ""),
                    state,
                    _outcome(at, spans),
                )
            )
        before = status
    return tuple(found)


def _is_fault(before: RawStatus, status: RawStatus) -> bool:
    old, new = before.values.get("state", ""), status.values.get("state", "")
    if new == ESTOP != old or (old in PASSING_NAMES and new in _DOWN):
        return True
    if "faults" in before.values and "faults" in status.values:
        return _integer(status.values["faults"]) > _integer(before.values["faults"])
    return old in PASSING_NAMES and new not in PASSING_NAMES


def _outcome(at: float, spans: tuple[StateSpan, ...]) -> str:
    """Until the robot was driven again, or for good."""
    later = [span for span in spans if span.start >= at - 1e-6]
    tries = 0
    for i, span in enumerate(later):
        tries += span.state == RECOVERING
        if i and span.state in ("ACTIVE", "DEGRADED"):
            how = f"got up at try {tries}" if tries else "went on"
            return f"{how}, driven again after {span.start - at:.1f} s"
        if i and span.state in (ESTOP, DISARMED):
            return f"ended in {span.state} after {span.start - at:.1f} s"
    return f"still {later[-1].state} at the end" if later else "the bag ends here"


def fall_times(spans: tuple[StateSpan, ...]) -> tuple[float, ...]:
    """When the robot fell [s]: FALLING that does not follow FALLEN or RECOVERING of the same fall."""
    times = []
    for i, span in enumerate(spans):
        if span.state == FALLING and (i == 0 or spans[i - 1].state not in _DOWN | {RECOVERING}):
            times.append(span.start)
    return tuple(times)


def recovery_count(spans: tuple[StateSpan, ...]) -> int:
    """How often it got up by itself."""
    return sum(
        later.state in ("ACTIVE", "DEGRADED") and earlier.state == "VERIFYING" for earlier, later in pairwise(spans)
    )


def state_seconds(spans: tuple[StateSpan, ...]) -> dict[str, float]:
    """Time in each state [s]."""
    seconds: dict[str, float] = {}
    for span in spans:
        seconds[span.state] = seconds.get(span.state, 0.0) + span.end - span.start
    return seconds
