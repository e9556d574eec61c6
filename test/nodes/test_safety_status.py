"""The safety status as a diagnostic message."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus

from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.safety_status import safety_status_message
from humanoid_rl_ros.safety.status import Counters, FallDirection, SafetyState, SafetyStatus

pytestmark = pytest.mark.ros


def test_a_status_says_state_reason_fault_and_counters() -> None:
    status = SafetyStatus(
        SafetyState.FALLING,
        since_ns=2_000_000_000_123,
        reason="tilt",
        text="tilt 1.20 rad",
        last_fault="tilt: tilt 1.20 rad",
        direction=FallDirection.LEFT,
        tries=2,
        warmest=0.25,
        counters=Counters(100, 2, 3, 4, 5, 6, 7, 8, 9),
    )
    message = safety_status_message(status, "safety_monitor", "g1")
    assert (message.name, message.hardware_id, message.message) == ("safety_monitor", "g1", "FALLING: tilt 1.20 rad")
    assert values_of(message) == {
        "state": "FALLING",
        "since_ns": "2000000000123",
        "reason": "tilt",
        "last_fault": "tilt: tilt 1.20 rad",
        "direction": "left",
        "tries": "2",
        "warmest": "0.25",
        "commands": "100",
        "clamped": "2",
        "non_finite": "3",
        "rejected": "4",
        "damped": "5",
        "faults": "6",
        "armings": "7",
        "falls": "8",
        "recoveries": "9",
    }


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (SafetyState.DISARMED, DiagnosticStatus.WARN),
        (SafetyState.READY, DiagnosticStatus.OK),
        (SafetyState.ACTIVE, DiagnosticStatus.OK),
        (SafetyState.FALLING, DiagnosticStatus.ERROR),
        (SafetyState.ESTOP, DiagnosticStatus.ERROR),
    ],
)
def test_the_level_of_each_state_is_the_byte_that_the_message_wants(state: SafetyState, level: bytes) -> None:
    message = safety_status_message(SafetyStatus(state), "n", "r")
    assert isinstance(message.level, bytes)
    assert message.level == level
    assert message.message == state.value
