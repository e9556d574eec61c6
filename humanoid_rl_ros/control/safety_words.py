"""The safety monitor's status in words, as its messages carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from humanoid_rl_ros.interfaces.cdr_writers import write_diagnostic_status
from humanoid_rl_ros.safety.status import SafetyState, SafetyStatus

OK, WARN, ERROR = 0, 1, 2
LEVELS = {
    SafetyState.DISARMED: WARN,
    SafetyState.READY: OK,
    SafetyState.ACTIVE: OK,
    SafetyState.DEGRADED: WARN,
    SafetyState.FALLING: ERROR,
    SafetyState.FALLEN: ERROR,
    SafetyState.RECOVERING: WARN,
    SafetyState.VERIFYING: WARN,
    SafetyState.ESTOP: ERROR,
}


def safety_text(status: SafetyStatus) -> str:
    """State and reason in one line."""
    return f"{status.state.value}: {status.text}" if status.text else status.state.value


def safety_values(status: SafetyStatus) -> Mapping[str, object]:
    """State, reason and counters by key."""
    return {
        "state": status.state.value,
        "since_ns": status.since_ns,
        "reason": status.reason,
        "last_fault": status.last_fault,
        "direction": "" if status.direction is None else status.direction.value,
        "tries": status.tries,
        "warmest": status.warmest,
        **asdict(status.counters),
    }


def write_safety_status(status: SafetyStatus, name: str, robot: str) -> bytes:
    """A serialised `diagnostic_msgs/DiagnosticStatus`.

    Args:
        status: the monitor's.
        name: of the node.
        robot: its name.
    """
    return write_diagnostic_status(LEVELS[status.state], name, safety_text(status), robot, safety_values(status))
