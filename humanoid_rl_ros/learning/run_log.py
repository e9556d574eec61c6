"""What a training run leaves to look at: `metrics.csv` and TensorBoard's event files."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.learning.event_file import EventFile
from humanoid_rl_ros.learning.metrics_file import STEPS, MetricsFile
from humanoid_rl_ros.learning.run_folder import RunFolder
from humanoid_rl_ros.learning.trainer import Progress

SECONDS, PACE = "seconds", "steps_per_second"


class RunLog:
    """Writes both; says once when it cannot, and lets the training go on.

    Args:
        folder: of the run.
        steps: where this session begins; what an earlier one wrote beyond is taken back.
        warn: hears in one line that nothing is written any more.
        wall_clock: [s since 1970].

    Raises:
        TrainingError: they cannot be written from the first.
    """

    def __init__(
        self,
        folder: RunFolder,
        steps: int,
        warn: Callable[[str], None],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._warn = warn
        self._wall_clock = wall_clock
        self._silent = False
        self._folder = folder
        try:
            self._metrics = MetricsFile(folder.metrics, steps)
            self._events = EventFile(folder.tensorboard, wall_clock(), steps + 1 if steps else 0)
        except OSError as error:
            raise TrainingError(f"cannot write {folder.path}: {error.strerror or error}") from None

    def write(self, progress: Progress) -> None:
        """Write where the run stands."""
        pace = {SECONDS: progress.seconds, PACE: progress.steps_per_second}
        try:
            self._metrics.append({STEPS: progress.steps, **pace, **progress.metrics})
            self._events.write(self._wall_clock(), progress.steps, {**progress.metrics, f"time/{PACE}": pace[PACE]})
            self._silent = False
        except OSError as error:
            if not self._silent:
                self._warn(f"cannot write {self._folder.path}: {error.strerror or error}; training goes on")
            self._silent = True

    def close(self) -> None:
        """Close the event file."""
        with suppress(OSError):  # the disk is still full, which was said
            self._events.close()
