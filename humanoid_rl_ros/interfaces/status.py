"""Safety status and node diagnostics as diagnostic messages, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from humanoid_rl_ros.safety.monitor import SafetyState, SafetyStatus

LEVELS = {
    SafetyState.DISARMED: DiagnosticStatus.WARN,
    SafetyState.READY: DiagnosticStatus.OK,
    SafetyState.ACTIVE: DiagnosticStatus.OK,
    SafetyState.FALLING: DiagnosticStatus.ERROR,
    SafetyState.ESTOP: DiagnosticStatus.ERROR,
}


def diagnostic(name: str, hardware_id: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """One status with its values as text; floats keep six significant digits."""
    pairs = [
        KeyValue(key=key, value=f"{value:.6g}" if isinstance(value, float) else str(value)) for key, value in values.items()
    ]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)


def safety_status_message(status: SafetyStatus, name: str, robot: str) -> DiagnosticStatus:
    """The monitor's state, reason and counters."""
    text = f"{status.state.value}: {status.text}" if status.text else status.state.value
    values = {"state": status.state.value, "reason": status.reason, "last_fault": status.last_fault, **asdict(status.counters)}
    return diagnostic(name, robot, LEVELS[status.state], text, values)


def values_of(message: DiagnosticStatus) -> dict[str, str]:
    """The values of a status by key."""
    return {pair.key: pair.value for pair in message.values}
