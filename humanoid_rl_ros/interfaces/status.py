"""What a node says of itself, as a diagnostic status, and back."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from humanoid_rl_ros.interfaces.cdr_writers import shown


def diagnostic(name: str, hardware_id: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """One status with its values as text; floats keep six significant digits."""
    pairs = [KeyValue(key=key, value=shown(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware_id, values=pairs)


def values_of(message: DiagnosticStatus) -> dict[str, str]:
    """The values of a status by key."""
    return {pair.key: pair.value for pair in message.values}
