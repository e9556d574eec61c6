"""What the safety monitor says of itself, and which state may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class SafetyState(str, Enum):
    """Where the monitor is.

    DISARMED: something needed is missing, or nobody has armed it since the last fault; damping.
    READY: may be armed; damping.
    ACTIVE: the policy's efforts pass, clamped.
    DEGRADED: they pass, but something is not as it should be: the policy follows no velocity command.
    FALLING: the robot is on its way down; damping.
    FALLEN: it lies still, on a known side; damping.
    RECOVERING: the efforts of the get-up behaviour pass, under reduced limits; every rule holds but the tilt.
    VERIFYING: it is up, and the policy stands; it follows no velocity command.
    ESTOP: damping, then zero; latched.
    """

    DISARMED = "DISARMED"
    READY = "READY"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    FALLING = "FALLING"
    FALLEN = "FALLEN"
    RECOVERING = "RECOVERING"
    VERIFYING = "VERIFYING"
    ESTOP = "ESTOP"


_S = SafetyState

PASSING = frozenset({_S.ACTIVE, _S.DEGRADED, _S.RECOVERING, _S.VERIFYING})
"""The states in which efforts of the policy node reach the motors."""

PASSING_NAMES = frozenset(state.value for state in PASSING)
"""The same by name, as messages have it."""

ON_ITS_FEET = frozenset({_S.ACTIVE, _S.DEGRADED, _S.VERIFYING})
"""Those of them in which the policy drives the robot, and not the get-up behaviour."""

DOWN = frozenset({_S.FALLING, _S.FALLEN})
"""The states between a fall and the first try to get up."""

TRANSITIONS: Mapping[SafetyState, frozenset[SafetyState]] = {
    _S.DISARMED: frozenset({_S.READY, _S.ESTOP}),
    _S.READY: frozenset({_S.DISARMED, _S.ACTIVE, _S.FALLEN, _S.ESTOP}),
    _S.ACTIVE: frozenset({_S.DISARMED, _S.DEGRADED, _S.FALLING, _S.ESTOP}),
    _S.DEGRADED: frozenset({_S.DISARMED, _S.ACTIVE, _S.FALLING, _S.ESTOP}),
    _S.FALLING: frozenset({_S.DISARMED, _S.FALLEN, _S.ESTOP}),
    _S.FALLEN: frozenset({_S.DISARMED, _S.FALLING, _S.RECOVERING, _S.ESTOP}),
    _S.RECOVERING: frozenset({_S.DISARMED, _S.FALLING, _S.VERIFYING, _S.ESTOP}),
    _S.VERIFYING: frozenset({_S.DISARMED, _S.ACTIVE, _S.FALLING, _S.ESTOP}),
    _S.ESTOP: frozenset({_S.DISARMED}),
}
"""Every transition there is."""


class FallDirection(str, Enum):
    """The side a robot lies on; SITTING where its base is nearer to upright than to lying."""

    PRONE = "prone"
    SUPINE = "supine"
    LEFT = "left"
    RIGHT = "right"
    SITTING = "sitting"


@dataclass(frozen=True)
class Counters:
    """What has happened since the monitor was configured.

    Attributes:
        commands: policy efforts judged while they passed.
        clamped: those of them that were altered.
        non_finite: those of them that held NaN or Inf.
        rejected: messages that were refused before they reached the monitor.
        damped: commands sent that were damping.
        faults: times a violation ended a state in which efforts pass.
        armings: times it was armed; tells an ACTIVE from the one before.
        falls: times the robot fell.
        recoveries: times it was back on its feet by itself.
    """

    commands: int = 0
    clamped: int = 0
    non_finite: int = 0
    rejected: int = 0
    damped: int = 0
    faults: int = 0
    armings: int = 0
    falls: int = 0
    recoveries: int = 0


@dataclass(frozen=True)
class SafetyStatus:
    """What the monitor says of itself.

    Attributes:
        state: where it is.
        since_ns: stamp of the first state that it holds for [ns]: efforts for this state answer that one or a later.
        reason: the code of the violation that brought it there or keeps it there, or empty.
        text: the same for people.
        last_fault: code and text of the last violation that ended a state in which efforts pass, or empty.
        direction: the side the robot lies on, or None.
        tries: tries to get up since the fall.
        warmest: warmth of the warmest joint, as a share of what is allowed.
        counters: since it was configured.
    """

    state: SafetyState
    since_ns: int = 0
    reason: str = ""
    text: str = ""
    last_fault: str = ""
    direction: FallDirection | None = None
    tries: int = 0
    warmest: float = 0.0
    counters: Counters = field(default_factory=Counters)
