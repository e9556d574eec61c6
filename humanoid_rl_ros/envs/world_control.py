"""Gazebo advanced by an exact number of physics steps, through its world-control service.

The service answers when a request has been queued, not when it has been carried out: whoever steps has to wait until
the clock stands where it should. Each request says anew whether the world is paused, and one that steps without saying
so sets it running. Nothing of ROS is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from humanoid_rl_ros.core.errors import ConfigError, SimulatorError

# How often a wait looks at what has come, while nothing wakes it [s].
_LOOK_S = 0.05


class WorldControlError(SimulatorError):
    """The world did not do what was asked: it refused, went silent, or somebody else controls it too."""


@dataclass(frozen=True)
class WorldRequest:
    """One request to the world-control service.

    Attributes:
        pause: whether the world stands still when this has been carried out.
        steps: physics steps to make first; 0 for none.
        reset: back to time 0, with everything where it was loaded.
    """

    pause: bool
    steps: int = 0
    reset: bool = False


class WorldPort(Protocol):
    """The way to a world and its clock."""

    def ask(self, request: WorldRequest) -> None:
        """Send a request; forget the answer to the one before."""

    def answer(self) -> bool | None:
        """Whether the last request was accepted; None while that is not known."""

    def time_ns(self) -> int | None:
        """The newest simulated time; None before the first [ns]."""

    def wait(self, seconds: float) -> None:
        """Let messages come in, for at most so long [s]."""


class WorldControl:
    """Steps and resets one world that nobody else controls.

    Args:
        port: the way to it.
        step_ns: its physics step, as its SDF says [ns].
        now: a clock of wall time [s].
        name: of the service, for messages.
    """

    def __init__(self, port: WorldPort, step_ns: int, now: Callable[[], float], name: str = "the world") -> None:
        if step_ns <= 0:
            raise ConfigError(f"the physics step must be above 0 ns, found {step_ns}")
        self._port, self._step_ns, self._now, self._name = port, step_ns, now, name
        self._time_ns: int | None = None

    @property
    def time_ns(self) -> int:
        """Simulated time after the last call [ns].

        Raises:
            WorldControlError: there was none; `pause` first.
        """
        if self._time_ns is None:
            raise WorldControlError(f"{self._name} has not been paused yet: pause it before it is stepped")
        return self._time_ns

    def pause(self, timeout: float) -> int:
        """Stop the world where it is, one step on.

        The step runs out what is left of earlier requests: steps of a request that was given up stay queued, and would
        be made with the next ones.

        Args:
            timeout: wall time it may take [s].

        Returns:
            Simulated time at which it stands [ns].

        Raises:
            WorldControlError: refused, or no answer or clock in time.
        """
        deadline = self._deadline(timeout)
        self._ask(WorldRequest(pause=True, steps=1), deadline, timeout)
        # A clock that has shown the same time for a while has stopped.
        seen: int | None = None
        still_since = self._now()
        while True:
            found = self._port.time_ns()
            if found is None or found != seen:
                seen, still_since = found, self._now()
            elif self._now() - still_since >= 2.0 * _LOOK_S:
                self._time_ns = found
                return found
            self._wait(deadline, timeout, "does not stand still" if seen is not None else "publishes no clock")

    def advance(self, steps: int, timeout: float) -> int:
        """Make so many physics steps, and stand still again.

        Args:
            steps: how many, from 1.
            timeout: wall time they may take [s].

        Returns:
            Simulated time afterwards [ns].

        Raises:
            ConfigError: fewer than one step.
            WorldControlError: refused; not done in time; more steps than asked for, or time that went back, because
                somebody else controls the world.
        """
        if steps < 1:
            raise ConfigError(f"the world can be advanced by 1 step or more, found {steps}")
        before = self.time_ns
        after = before + steps * self._step_ns
        deadline = self._deadline(timeout)
        self._ask(WorldRequest(pause=True, steps=steps), deadline, timeout)
        while (found := self._seen()) != after:
            if found < before:
                raise self._lost(f"went back from {_s(before)} to {_s(found)}: it was reset or started anew")
            if found > after:
                raise self._lost(
                    f"went on to {_s(found)}, expected {_s(after)} after {steps} steps: it has another "
                    "physics step, or somebody else controls it"
                )
            self._wait(deadline, timeout, f"stands at {_s(found)}, expected {_s(after)} after {steps} steps")
        self._time_ns = after
        return after

    def reset(self, timeout: float) -> int:
        """Back to time 0, paused.

        A second request before the first is carried out would undo it; so this returns when time has gone back. After
        an error the world is paused first.

        Args:
            timeout: wall time it may take [s].

        Returns:
            Simulated time afterwards [ns].

        Raises:
            WorldControlError: refused, or time did not go back.
        """
        deadline = self._deadline(timeout)
        if self._time_ns is None:
            self.pause(timeout)
        self._ask(WorldRequest(pause=True, reset=True), deadline, timeout)
        while (found := self._port.time_ns()) != 0:
            otherwise = "publishes no clock" if found is None else f"stands at {_s(found)}, expected 0 s after a reset"
            self._wait(deadline, timeout, otherwise)
        self._time_ns = 0
        return 0

    def _ask(self, request: WorldRequest, deadline: float, timeout: float) -> None:
        self._port.ask(request)
        while (answer := self._port.answer()) is None:
            self._wait(deadline, timeout, "does not answer")
        if not answer:
            raise self._lost(f"refused {_what(request)}")

    def _seen(self) -> int:
        found = self._port.time_ns()
        return self.time_ns if found is None else found

    def _wait(self, deadline: float, timeout: float, otherwise: str) -> None:
        left = deadline - self._now()
        if left <= 0.0:
            raise self._lost(f"{otherwise}; waited {timeout:g} s")
        self._port.wait(min(left, _LOOK_S))

    def _deadline(self, timeout: float) -> float:
        if not 0.0 < timeout < float("inf"):
            raise ConfigError(f"timeout must be a time above 0 s, found {timeout}")
        return self._now() + timeout

    def _lost(self, text: str) -> WorldControlError:
        """An error after which nobody knows where the world stands."""
        self._time_ns = None
        return WorldControlError(f"{self._name} {text}")


def _what(request: WorldRequest) -> str:
    return "a reset" if request.reset else f"{request.steps} steps"


def _s(time_ns: int) -> str:
    return f"{time_ns * 1e-9:.6f} s"
