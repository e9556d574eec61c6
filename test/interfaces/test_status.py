"""A node's diagnostic status."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus

from humanoid_rl_ros.interfaces.status import diagnostic, values_of

pytestmark = pytest.mark.ros


def test_values_are_text_and_floats_have_six_digits() -> None:
    message = diagnostic("n", "r", DiagnosticStatus.OK, "fine", {"a": 1.23456789, "b": 3, "c": True, "d": "x"})
    assert values_of(message) == {"a": "1.23457", "b": "3", "c": "True", "d": "x"}
