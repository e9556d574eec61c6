"""The safety monitor's status as a diagnostic message."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus

from humanoid_rl_ros.control.safety_words import LEVELS, safety_text, safety_values
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.safety.status import SafetyStatus


def safety_status_message(
    status: SafetyStatus, name: str, robot: str, more: Mapping[str, object] | None = None
) -> DiagnosticStatus:
    """The monitor's state, reason and counters, and more values by key."""
    level = bytes([LEVELS[status.state]])
    return diagnostic(name, robot, level, safety_text(status), {**safety_values(status), **(more or {})})
