"""The demo's observer, where the demo itself would have to be lucky to show it."""

from __future__ import annotations

import signal

import pytest

from humanoid_rl_ros.cli.observer import GraphObserver

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heard_between_two_messages_and_not_within_one(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    observer = GraphObserver()
    finished = []

    def interrupted() -> None:
        timer.cancel()
        signal.raise_signal(number)
        finished.append(True)

    try:
        timer = observer.node.create_timer(0.01, interrupted)
        with pytest.raises(KeyboardInterrupt):
            observer.spin(30.0)
        assert finished
        assert observer.node.context.ok()  # rclpy did not end by itself what is still to be closed
    finally:
        observer.close()
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_waits_for_nobody() -> None:
    observer = GraphObserver()
    try:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        observer.close()
