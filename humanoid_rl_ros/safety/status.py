"""What the safety monitor says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class SafetyState(str, Enum):
    """Where the monitor is.

    DISARMED: something needed is missing. READY: may be armed. ACTIVE: policy efforts pass, clamped. FALLING: the robot
    tipped over; damping, latched. ESTOP: damping, then zero; latched.
    """

    DISARMED = "DISARMED"
    READY = "READY"
    ACTIVE = "ACTIVE"
    FALLING = "FALLING"
    ESTOP = "ESTOP"


@dataclass(frozen=True)
class Counters:
    """What has happened since the monitor was configured.

    Attributes:
        commands: policy efforts judged while ACTIVE.
        clamped: those of them that were altered.
        non_finite: those of them that held NaN or Inf.
        rejected: messages that were refused before they reached the monitor.
        damped: commands sent that were damping.
        faults: times a violation ended ACTIVE.
        armings: times it was armed; tells an ACTIVE from the one before.
    """

    commands: int = 0
    clamped: int = 0
    non_finite: int = 0
    rejected: int = 0
    damped: int = 0
    faults: int = 0
    armings: int = 0


@dataclass(frozen=True)
class SafetyStatus:
    """What the monitor says of itself.

    Attributes:
        state: where it is.
        reason: the code of the violation that brought it there or keeps it there, or empty.
        text: the same for people.
        last_fault: code and text of the last violation that ended ACTIVE, or empty.
        counters: since it was configured.
    """

    state: SafetyState
    reason: str = ""
    text: str = ""
    last_fault: str = ""
    counters: Counters = field(default_factory=Counters)
