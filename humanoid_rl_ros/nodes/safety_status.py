"""The safety monitor's status as a diagnostic message."""

from __future__ import annotations

from dataclasses import asdict

from diagnostic_msgs.msg import DiagnosticStatus

from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.safety.status import SafetyState, SafetyStatus

LEVELS = {
    SafetyState.DISARMED: DiagnosticStatus.WARN,
    SafetyState.READY: DiagnosticStatus.OK,
    SafetyState.ACTIVE: DiagnosticStatus.OK,
    SafetyState.DEGRADED: DiagnosticStatus.WARN,
    SafetyState.FALLING: DiagnosticStatus.ERROR,
    SafetyState.FALLEN: DiagnosticStatus.ERROR,
    SafetyState.RECOVERING: DiagnosticStatus.WARN,
    SafetyState.VERIFYING: DiagnosticStatus.WARN,
    SafetyState.ESTOP: DiagnosticStatus.ERROR,
}


def safety_status_message(status: SafetyStatus, name: str, robot: str) -> DiagnosticStatus:
    """The monitor's state, reason and counters."""
    text = f"{status.state.value}: {status.text}" if status.text else status.state.value
    values = {
        "state": status.state.value,
        "since_ns": status.since_ns,
        "reason": status.reason,
        "last_fault": status.last_fault,
        "direction": "" if status.direction is None else status.direction.value,
        "tries": status.tries,
        "warmest": status.warmest,
        **asdict(status.counters),
    }
    return diagnostic(name, robot, LEVELS[status.state], text, values)
