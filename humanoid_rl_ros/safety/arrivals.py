"""What has arrived, when, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from humanoid_rl_ros.safety.checks import Violation, check_age, check_refused
from humanoid_rl_ros.safety.limits import SafetyLimits


class Source(str, Enum):
    """Where messages come from; the value is what people call it."""

    STATE = "joint state"
    IMU = "IMU message"
    COMMAND = "policy effort"


@dataclass
class _Arrival:
    timeout: float
    code: str
    awaited: str
    frozen: str
    seen_ns: int | None = None
    refused: int = 0
    refusal: tuple[str, str] = ("", "")
    repeated_ns: int | None = None


class Arrivals:
    """Age, refusals and repetitions of each source.

    Args:
        limits: thresholds.
    """

    def __init__(self, limits: SafetyLimits) -> None:
        self._limits = limits
        self._of = {
            Source.STATE: _Arrival(limits.state_timeout, "state_timeout", "joint state with IMU", "joints_frozen"),
            Source.IMU: _Arrival(limits.imu_timeout, "imu_timeout", "IMU message", "imu_frozen"),
            Source.COMMAND: _Arrival(limits.command_timeout, "command_timeout", "policy effort", "policy_frozen"),
        }

    def came(self, source: Source, seen_ns: int | None) -> None:
        """One came that could be read; None: it is as if none had ever come."""
        self._of[source].seen_ns = seen_ns

    def readable(self, source: Source) -> None:
        """The last one could be read: those refused before it were noise."""
        self._of[source].refused = 0

    def has_come(self, source: Source) -> bool:
        """Whether one ever came."""
        return self._of[source].seen_ns is not None

    def refuse(self, source: Source, code: str, text: str) -> None:
        """One came that could not be read; it counts as not having come."""
        arrival = self._of[source]
        arrival.refused += 1
        arrival.refusal = (code, text)

    def repeat(self, source: Source, now_ns: int) -> None:
        """One came again with the stamp of the one before; it counts as not having come."""
        self._of[source].repeated_ns = now_ns

    def late(self, source: Source, now_ns: int) -> Violation | None:
        """Whether the last one that could be read is too old, or there was none."""
        arrival = self._of[source]
        age_ns = None if arrival.seen_ns is None else now_ns - arrival.seen_ns
        late = check_age(arrival.code, arrival.awaited, age_ns, arrival.timeout)
        if late is None or arrival.repeated_ns is None or abs(now_ns - arrival.repeated_ns) > arrival.timeout * 1e9:
            return late
        return Violation(arrival.frozen, f"the {source.value} repeats one stamp: {late.text}")

    def check(self, source: Source, now_ns: int) -> Violation | None:
        """What is wrong with a source now."""
        arrival = self._of[source]
        refused = check_refused(*arrival.refusal, arrival.refused, self._limits)
        return refused or self.late(source, now_ns)
