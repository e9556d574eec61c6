"""Whom a world in lock-step waits for. It reads no clock; time comes in as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class Presence(str, Enum):
    """How a robot takes part.

    HELD: it hangs where it was put, until a command comes that may move it.
    PRESENT: time passes when it has been told what to do next.
    ABSENT: nobody has told it anything for too long; its motors damp, and time passes without it.
    """

    HELD = "held"
    PRESENT = "present"
    ABSENT = "absent"


class Attendance:
    """Who must answer a state before time passes.

    All robots begin together: nothing moves until each has had a command that may move it, or until the first of them
    has waited for the others for too long. From then on everybody who is present is waited for in every state. Who does
    not answer in time counts as absent, and takes part again from its next answer on.

    Args:
        names: of the robots.
        timeout_ns: wall time without an answer after which a robot is absent [ns].
        start_timeout_ns: wall time for which the first robot waits for those that are still held [ns].
        held: whether the robots begin held; otherwise they are present from the start.
    """

    def __init__(self, names: Sequence[str], *, timeout_ns: int, start_timeout_ns: int, held: bool = True) -> None:
        self._names = tuple(names)
        self._timeout_ns, self._start_timeout_ns = timeout_ns, start_timeout_ns
        self._begin_held = held
        self.reset(0)

    def reset(self, now_ns: int) -> None:
        """All begin anew [ns]."""
        self._presence = dict.fromkeys(self._names, Presence.HELD if self._begin_held else Presence.PRESENT)
        self._begun = not self._begin_held
        self._first_ns: int | None = None
        self.ask(now_ns)

    def ask(self, now_ns: int) -> None:
        """A new state goes out: everybody has time to answer it from now on [ns]."""
        self._asked_ns = now_ns
        self._answered: set[str] = set()

    def presence(self, name: str) -> Presence:
        """How a robot takes part."""
        return self._presence[name]

    def absent(self) -> tuple[str, ...]:
        """The robots that are not there, in order."""
        return tuple(name for name in self._names if self._presence[name] is Presence.ABSENT)

    def missing(self) -> tuple[str, ...]:
        """The robots whose answer is waited for, in order."""
        waited = [name for name in self._names if self._presence[name] is Presence.PRESENT]
        if not self._begun:
            waited = list(self._names)
        return tuple(name for name in waited if name not in self._answered)

    def answer(self, name: str, now_ns: int) -> bool:
        """A robot was told what to do in this state, by who may move it.

        Returns:
            Whether it comes back by this: it was absent.
        """
        back = self._presence[name] is Presence.ABSENT
        self._presence[name] = Presence.PRESENT
        self._answered.add(name)
        if self._first_ns is None:
            self._first_ns = now_ns
        return back

    def come_back(self, name: str) -> None:
        """An absent robot was told something, if not for this state: it is waited for again."""
        self._presence[name] = Presence.PRESENT

    def hold(self, name: str) -> None:
        """A robot was put somewhere and hangs there; the others go on without it until it is told to move."""
        self._presence[name] = Presence.HELD
        self._answered.discard(name)

    def overdue(self, now_ns: int) -> tuple[str, ...]:
        """Take out who has not answered in time [ns].

        Returns:
            Who has become absent by this, or in a beginning is not waited for any longer.
        """
        if not self._begun:
            if self._first_ns is None or now_ns - self._first_ns <= self._start_timeout_ns:
                return ()
            late = tuple(name for name in self.missing() if self._presence[name] is Presence.HELD)
            self._begun, self._asked_ns = True, now_ns
            return late
        if now_ns - self._asked_ns <= self._timeout_ns:
            return ()
        late = self.missing()
        for name in late:
            self._presence[name] = Presence.ABSENT
        return late

    def may_pass(self) -> bool:
        """Whether time may pass: somebody is not held, and nobody is missing."""
        return any(found is not Presence.HELD for found in self._presence.values()) and not self.missing()

    def pass_time(self, now_ns: int) -> None:
        """Time has passed, and a new state goes out [ns]."""
        self._begun = True
        self.ask(now_ns)
