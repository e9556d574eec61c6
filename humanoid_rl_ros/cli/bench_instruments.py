"""What `humanoid_rl bench training` measures our own loop with, from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


class Stopwatch:
    """Adds up the time spent in methods of single objects.

    Args:
        labels: what it will be attached to.

    Attributes:
        seconds: of each label [s].
    """

    def __init__(self, *labels: str) -> None:
        self.seconds = dict.fromkeys(labels, 0.0)

    def attach(self, owner: Any, method: str, label: str) -> None:
        """Time a method of an object from now on.

        Args:
            owner: the object.
            method: its name.
            label: what it counts as; several may share one.
        """
        original = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.seconds[label] += time.perf_counter() - began

        setattr(owner, method, timed)

    def restart(self) -> None:
        """Begin again at zero."""
        self.seconds = dict.fromkeys(self.seconds, 0.0)


class RecordedPhysics:
    """What the physics was asked while somebody learned, to be asked again with nothing around it.

    The states are those of the learning; only the bodies of robots that were reset meanwhile are those of their next
    episode.

    Args:
        simulation: whose steps are recorded.
    """

    def __init__(self, simulation: BatchSimulation) -> None:
        self._simulation = simulation
        self._steps: list[tuple[dict[str, Any], Any, dict[str, Any]]] = []

    def record(self, learn: Callable[[], None]) -> None:
        """Remember the steps that are taken while something runs, instead of those remembered before."""
        simulation, step = self._simulation, self._simulation.step
        self._steps = []

        def recorded(target: Any, **others: Any) -> None:
            kept = {name: deepcopy(value) for name, value in others.items()}
            self._steps.append((simulation.snapshot(), target.copy(), kept))
            step(target, **others)

        setattr(simulation, "step", recorded)  # noqa: B010  # mypy forbids to assign to a method
        try:
            learn()
        finally:
            setattr(simulation, "step", step)  # noqa: B010

    def replay(self, seconds: float) -> float:
        """Take the recorded steps again, and leave the simulation as it was.

        Args:
            seconds: how long at least [s].

        Returns:
            Steps of robots per second, the physics alone counted.
        """
        simulation = self._simulation
        before = simulation.snapshot()
        taken, passed = 0, 0.0
        while passed < seconds:
            for snapshot, target, others in self._steps:
                simulation.restore(snapshot)
                began = time.perf_counter()
                simulation.step(target, **others)
                passed += time.perf_counter() - began
            taken += len(self._steps) * simulation.n
        simulation.restore(before)
        return taken / passed
