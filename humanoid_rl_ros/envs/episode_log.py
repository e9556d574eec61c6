"""Counts what happens in episodes, for logs and curricula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray

ENDS = ("fall", "time", "diverged")


class EpisodeLog:
    """Sums of the running episodes, and means over what ended since they were last asked for.

    Args:
        n: robots.
        terms: names of the rewards.
        period: of control [s].

    Attributes:
        steps: length so far of each running episode [Shape (n,)].
        error: its summed velocity error [m/s; Shape (n,)].
    """

    def __init__(self, n: int, terms: Sequence[str], period: float) -> None:
        self._terms, self._period = tuple(terms), period
        self.steps: IndexArray = np.zeros(n, dtype=np.intp)
        self.reward, self.error = np.zeros(n), np.zeros(n)
        self._clear()

    def _clear(self) -> None:
        self._samples = 0
        self._term_sum = np.zeros(len(self._terms))
        self._error_sum = np.zeros(2)
        self._returns: list[float] = []
        self._lengths: list[int] = []
        self._ends = dict.fromkeys(ENDS, 0)

    def add(self, terms: FloatArray, linear_error: FloatArray, yaw_error: FloatArray) -> None:
        """A control step of all robots.

        Args:
            terms: what each reward was worth [Shape (n, terms)].
            linear_error: [m/s; Shape (n,)].
            yaw_error: [rad/s; Shape (n,)].
        """
        self.steps += 1
        self.reward += terms.sum(axis=1)
        self.error += linear_error
        self._samples += len(terms)
        self._term_sum += terms.sum(axis=0)
        self._error_sum += (linear_error.sum(), np.abs(yaw_error).sum())

    def end(self, which: IndexArray, fallen: BoolArray, diverged: BoolArray) -> tuple[IndexArray, FloatArray]:
        """Episodes of some robots ended; their lengths [steps] and mean velocity errors [m/s].

        Args:
            which: rows [Shape (k,)].
            fallen, diverged: of all robots [Shape (n,)].
        """
        lengths = self.steps[which].copy()
        errors = self.error[which] / np.maximum(lengths, 1)
        self._returns += self.reward[which].tolist()
        self._lengths += lengths.tolist()
        broken, down = int(diverged[which].sum()), int((fallen & ~diverged)[which].sum())
        self._ends["diverged"] += broken
        self._ends["fall"] += down
        self._ends["time"] += len(which) - broken - down
        self.steps[which], self.reward[which], self.error[which] = 0, 0.0, 0.0
        return lengths, errors

    def statistics(self) -> dict[str, float]:
        """Means since the last call."""
        found: dict[str, float] = {}
        if self._returns:
            count = len(self._returns)
            found["episode/return"] = float(np.mean(self._returns))
            found["episode/length"] = float(np.mean(self._lengths))
            found["episode/count"] = float(count)
            found |= {f"end/{reason}": ended / count for reason, ended in self._ends.items()}
        if self._samples:
            for name, total in zip(self._terms, self._term_sum, strict=True):
                found[f"reward/{name}"] = float(total / self._samples / self._period)
            found["task/velocity_error"] = float(self._error_sum[0] / self._samples)
            found["task/yaw_error"] = float(self._error_sum[1] / self._samples)
        self._clear()
        return found

    def state_dict(self) -> dict[str, Any]:
        """The running episodes; what waits to be asked for is not in it."""
        return {"steps": self.steps.copy(), "reward": self.reward.copy(), "error": self.error.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.steps[...], self.reward[...], self.error[...] = state["steps"], state["reward"], state["error"]
        self._clear()
