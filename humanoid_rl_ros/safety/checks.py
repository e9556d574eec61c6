"""One pure function per rule: a violation with a reason code, or None."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.limits import SafetyLimits


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold.

    Attributes:
        code: short reason code, stable for machines.
        text: what was found and what is allowed.
    """

    code: str
    text: str


def check_age(code: str, what: str, age_ns: int | None, timeout: float) -> Violation | None:
    """A message must have come, and recently.

    Args:
        code: the reason code.
        what: what is waited for.
        age_ns: time since its arrival on a monotonic clock [ns]; None if it never came. A negative age counts as its
            size: a clock that went back says nothing good about freshness.
        timeout: largest age [s].
    """
    if age_ns is None:
        return Violation(code, f"no {what} has arrived")
    if abs(age_ns) > timeout * 1e9:
        return Violation(code, f"no {what} for {abs(age_ns) * 1e-9:.3f} s, limit {timeout:g} s")
    return None


def check_tilt(state: RobotState, limits: SafetyLimits) -> Violation | None:
    """The base must be nearer to upright than the tilt limit."""
    angle = float(rotations.tilt(state.orientation))
    if not angle <= limits.tilt_limit:
        return Violation("tilt", f"tilt {angle:.2f} rad, limit {limits.tilt_limit:g} rad")
    return None


def check_publishers(code: str, topic: str, count: int) -> Violation | None:
    """A topic that leads to the motors has exactly one publisher."""
    if count > 1:
        return Violation(code, f"{count} publishers on {topic}, expected 1")
    return None
