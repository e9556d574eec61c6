"""A safety monitor whose callback raises after a while: what `humanoid_rl bench faults` lets happen to a robot."""

from __future__ import annotations

import time
from typing import Any

from humanoid_rl_ros.nodes.base import run_node
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
from humanoid_rl_ros.safety.status import PASSING

RAISES_AFTER_S = 1.0


class RaisingMonitor(SafetyMonitorNode):
    """Raises in its timer once efforts have passed for a second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._passing_since: float | None = None

    def _tick(self) -> None:
        super()._tick()
        if self._control is not None and self._control.monitor.state in PASSING:
            self._passing_since = self._passing_since or time.monotonic()
            if time.monotonic() - self._passing_since > RAISES_AFTER_S:
                raise RuntimeError("made to raise")


def main() -> int:
    """Entry point."""
    return run_node(RaisingMonitor)


if __name__ == "__main__":
    raise SystemExit(main())
