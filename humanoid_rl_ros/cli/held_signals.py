"""Ctrl-C kept away from the middle of a message."""

from __future__ import annotations

import signal
from types import FrameType


class HeldSignals:
    """From its making to `release` SIGINT and SIGTERM wait until `check` asks; a second one waits for nobody.

    A KeyboardInterrupt that Python raises while rclpy hands over a message comes out of its C++ as another error, or
    not at all. Who spins an executor calls `check` between two spins, and starts rclpy without handlers of its own.
    """

    def __init__(self) -> None:
        self._came = False
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def check(self) -> None:
        """Say whether one has come.

        Raises:
            KeyboardInterrupt: it has.
        """
        if self._came:
            raise KeyboardInterrupt

    def release(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.check()
        self._came = True
