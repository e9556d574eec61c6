"""How two runs compare: what a comparison of two recordings gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMPLETE = 0.98
"""Share of its moments that a signal must have in common with that of the other run."""
STATE_SLACK_S = 0.1
"""How far apart the safety monitor may go somewhere for it to be the same [s]."""


@dataclass(frozen=True)
class Place:
    """Where a signal differs.

    Attributes:
        time: [s from where the runs are lined up].
        column: joint or element.
        first, second: the two values.
    """

    time: float
    column: str
    first: float
    second: float

    @property
    def size(self) -> float:
        """How much they differ."""
        return abs(self.first - self.second)


@dataclass(frozen=True)
class SignalDifference:
    """How one signal of two runs compares.

    Attributes:
        name: of the signal.
        compared: moments compared.
        moments: of the run that has more of them.
        identical: those of them at which every number is the same.
        exact: whether moments of the very same time were compared, or the nearest.
        rms: root mean square of all differences.
        first: where any number differs first; None where none does.
        parted: where one differs first by more than its tolerance.
        largest: where one differs most.
        only: columns that one of the runs has alone.
        tolerance: from which on they have parted.
    """

    name: str
    compared: int
    moments: int
    identical: int
    exact: bool
    rms: float = 0.0
    first: Place | None = None
    parted: Place | None = None
    largest: Place | None = None
    only: tuple[str, ...] = ()
    tolerance: float = 0.0


@dataclass(frozen=True)
class StateChange:
    """The safety monitor went somewhere [s from where the runs are lined up]."""

    time: float
    state: str
    reason: str


@dataclass(frozen=True)
class RunDifference:
    """How two runs compare.

    Attributes:
        aligned: how they were lined up, for people.
        origins: the moment of each that was taken for 0, in seconds since its bag began [s].
        signals: in the order in which one leads to the next.
        states: of the first, and of the second.
        missing: signals that one of them has alone, one line each.
        problems: of the bags.
    """

    aligned: str
    origins: tuple[float, float]
    signals: tuple[SignalDifference, ...]
    states: tuple[tuple[StateChange, ...], tuple[StateChange, ...]]
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether both have the same signals at the same moments, and every number and every state is the same."""
        return (
            bool(self.signals)
            and not self.missing
            and not self.state_parting
            and not self.incomplete
            and (all(signal.first is None and not signal.only for signal in self.signals))
        )

    @property
    def incomplete(self) -> tuple[SignalDifference, ...]:
        """Signals of which too few moments are in both runs for them to be called the same."""
        return tuple(signal for signal in self.signals if signal.compared < COMPLETE * signal.moments)

    @property
    def _telling(self) -> tuple[SignalDifference, ...]:
        """Those of equal moments, if there are such: what lies between two moments is no difference of the runs."""
        return tuple(signal for signal in self.signals if signal.exact and signal.compared) or self.signals

    @property
    def first(self) -> tuple[str, Place] | None:
        """The first number that differs, and of which signal."""
        found = [(s.name, s.first) for s in self._telling if s.first is not None]
        return min(found, key=lambda item: item[1].time, default=None)

    @property
    def parted(self) -> tuple[str, Place] | None:
        """Where they first differ by more than a tolerance."""
        found = [(s.name, s.parted) for s in self._telling if s.parted is not None]
        return min(found, key=lambda item: item[1].time, default=None)

    @property
    def state_parting(self) -> tuple[StateChange | None, StateChange | None] | None:
        """The first change of the safety monitor that the other run does not have, beside what that has instead."""
        first, second = self.states
        for k in range(max(len(first), len(second))):
            a, b = first[k] if k < len(first) else None, second[k] if k < len(second) else None
            same = a is not None and b is not None and (a.state, a.reason) == (b.state, b.reason)
            if not same or (a is not None and b is not None and abs(a.time - b.time) > STATE_SLACK_S):
                return a, b
        return None


def as_json(difference: RunDifference) -> Mapping[str, Any]:
    """As JSON types."""

    def place(found: Place | None) -> Any:
        return None if found is None else {**vars(found), "size": found.size}

    return {
        "aligned": difference.aligned,
        "origins": list(difference.origins),
        "identical": difference.identical,
        "signals": [
            {
                **vars(signal),
                "first": place(signal.first),
                "parted": place(signal.parted),
                "largest": place(signal.largest),
                "only": list(signal.only),
            }
            for signal in difference.signals
        ],
        "states": [[vars(change) for change in changes] for changes in difference.states],
        "missing": list(difference.missing),
        "problems": list(difference.problems),
    }
