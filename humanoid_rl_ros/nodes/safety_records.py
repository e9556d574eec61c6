"""Writes what led to a fault into files, beside the control loop."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from humanoid_rl_ros.safety.events import Event
from humanoid_rl_ros.safety.status import SafetyStatus

FORMAT = 1
KEPT = 100


def records_folder(given: str) -> Path:
    """The folder given, or the one where ROS keeps its logs."""
    if given:
        return Path(given).expanduser()
    home = os.environ.get("ROS_HOME") or "~/.ros"
    return Path(home).expanduser() / "humanoid_rl_safety"


class SafetyRecords:
    """A folder of records, one JSON file each, of which the newest hundred are kept.

    Args:
        folder: made with the first record.
        complain: takes a line when a record cannot be written; called from another thread.
    """

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        self._folder = folder
        self._complain = complain
        self._waiting: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="safety records", daemon=True)
        self._thread.start()

    def write(self, why: str, robot: str, status: SafetyStatus, events: Sequence[Event]) -> None:
        """Have a record written; returns at once.

        Args:
            why: reason code, or ``reset``.
            robot: its name.
            status: the monitor's, now.
            events: oldest first.
        """
        written = datetime.now(timezone.utc)
        head = {"format": FORMAT, "written": written.isoformat(), "robot": robot, "why": why}
        self._waiting.put({**head, "status": asdict(status), "events": [asdict(event) for event in events]})

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self._save(record)
            except (OSError, TypeError, ValueError) as error:
                self._complain(f"cannot write the safety record: {error}")

    def _save(self, record: dict[str, object]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        moment = str(record["written"]).replace(":", "").replace("-", "").split("+")[0]
        path = self._folder / f"{moment}_{record['why']}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1))
        partial.replace(path)
        for old in sorted(self._folder.glob("*.json"))[:-KEPT]:
            old.unlink(missing_ok=True)
