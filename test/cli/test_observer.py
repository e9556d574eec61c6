"""The demo's observer, where the demo itself would have to be lucky to show it."""

from __future__ import annotations

import pytest
import rclpy

from humanoid_rl_ros.cli.observer import GraphObserver

pytestmark = pytest.mark.ros


def test_a_signal_that_rclpy_heard_first_is_an_interrupt() -> None:
    observer = GraphObserver()
    try:
        observer.spin(0.05)
        rclpy.try_shutdown()  # what its signal handler does
        with pytest.raises(KeyboardInterrupt):
            observer.spin(5.0)
    finally:
        observer.close()
