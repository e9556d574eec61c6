"""One pure function per rule: a violation with a reason code, or None.

What a rule needs to know of the past (how long, how often in a row) comes in as an argument; who keeps it stands in
`humanoid_rl_ros.safety.state_rules` and `humanoid_rl_ros.safety.command_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
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


# What must come, and how.


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


def check_frozen(code: str, what: str, since_ns: int, limits: SafetyLimits) -> Violation | None:
    """A sensor must not repeat itself to the last bit: one that does has stopped measuring.

    Args:
        code: the reason code.
        what: the sensor.
        since_ns: how long it has done so [ns].
        limits: thresholds.
    """
    if since_ns > limits.frozen_time * 1e9:
        return Violation(
            code, f"{what} has not changed by a bit for {since_ns * 1e-9:.2f} s, limit {limits.frozen_time:g} s"
        )
    return None


def check_clock(what: str, jump_ns: int, limits: SafetyLimits) -> Violation | None:
    """Stamps must not jump ahead of the time that passed.

    Args:
        what: whose stamps.
        jump_ns: by how much they did [ns].
        limits: thresholds.
    """
    if jump_ns > limits.clock_jump * 1e9:
        return Violation(
            "clock_jump",
            f"stamps of the {what} jumped {jump_ns * 1e-9:.3f} s ahead, limit {limits.clock_jump:g} s",
        )
    return None


def check_flood(what: str, rate: float, limits: SafetyLimits) -> Violation | None:
    """Sensors must not send faster than any robot does [rate in Hz]."""
    if rate > limits.flood_rate:
        return Violation("sensor_flood", f"{what} come at {rate:.0f} Hz, limit {limits.flood_rate:g} Hz")
    return None


def check_command_flood(efforts: int, states: int, limits: SafetyLimits) -> Violation | None:
    """A policy answers a state once, or a few times.

    Args:
        efforts: that came in a while.
        states: that came in the same while.
        limits: thresholds.
    """
    if efforts > limits.flood_efforts * max(states, 1):
        return Violation(
            "command_flood",
            f"{efforts} policy efforts for {states} states, limit {limits.flood_efforts:g} for one",
        )
    return None


def check_answer(stamp_ns: int, state_ns: int, limits: SafetyLimits) -> Violation | None:
    """An effort answers a state; its stamp is that of a recent one [ns]."""
    apart = (stamp_ns - state_ns) * 1e-9
    if abs(apart) > limits.answer_age:
        return Violation(
            "command_stamp",
            f"the stamp of the policy effort is {abs(apart):.3f} s {'ahead of' if apart > 0.0 else 'behind'} the last "
            f"state's, limit {limits.answer_age:g} s",
        )
    return None


def check_refused(code: str, text: str, run: int, limits: SafetyLimits) -> Violation | None:
    """Messages must be readable; one that is not may be noise.

    Args:
        code, text: why the last one was refused.
        run: how many in a row were.
        limits: thresholds.
    """
    return Violation(code, f"{text} ({run} in a row)") if run >= limits.reject_limit else None


def check_finite(run: int, limits: SafetyLimits) -> Violation | None:
    """Policy efforts must be numbers; `run` in a row were not."""
    if run >= limits.non_finite_limit:
        return Violation("non_finite", f"{run} policy efforts in a row were not finite")
    return None


def check_publishers(code: str, topic: str, count: int) -> Violation | None:
    """A topic that leads to the motors has exactly one publisher."""
    if count > 1:
        return Violation(code, f"{count} publishers on {topic}, expected 1")
    return None


def check_overrun(late_ns: int, limits: SafetyLimits) -> Violation | None:
    """The monitor's own timer must come in time [ns]."""
    if late_ns > limits.tick_overrun * 1e9:
        return Violation(
            "tick_overrun",
            f"the monitor was {late_ns * 1e-9:.3f} s late, limit {limits.tick_overrun:g} s: is the machine overloaded?",
        )
    return None


# What the robot does.


def check_tilt(tilt: float, limits: SafetyLimits) -> Violation | None:
    """The base must be nearer to upright than the tilt limit [rad]; what is no number is a tilt."""
    if not tilt <= limits.tilt_limit:
        return Violation("tilt", f"tilt {tilt:.2f} rad, limit {limits.tilt_limit:g} rad")
    return None


def check_falling(tilt: float, tilt_rate: float, limits: SafetyLimits) -> Violation | None:
    """The base must not be on its way to the tilt limit.

    Args:
        tilt: [rad].
        tilt_rate: how fast it grows [rad/s].
        limits: thresholds.
    """
    ahead = tilt + tilt_rate * limits.falling_horizon
    if tilt > limits.falling_tilt and tilt_rate > limits.falling_rate and ahead > limits.tilt_limit:
        return Violation(
            "falling",
            f"tilt {tilt:.2f} rad grows by {tilt_rate:.1f} rad/s, to {ahead:.2f} rad in {limits.falling_horizon:g} s; "
            f"limit {limits.tilt_limit:g} rad",
        )
    return None


def check_joint_speed(
    speed: FloatArray, run: IndexArray, names: Sequence[str], limits: SafetyLimits
) -> Violation | None:
    """No joint may be too fast for several states in a row.

    Args:
        speed: as a share of the velocity limits [Shape (n,)].
        run: states in a row in which each was too fast [Shape (n,)].
        names: of the joints.
        limits: thresholds.
    """
    worst = int(run.argmax())
    if run[worst] >= limits.joint_speed_count:
        return Violation(
            "joint_speed",
            f"joint '{names[worst]}' moves at {speed[worst]:.2f} of its velocity limit in {run[worst]} states in a "
            f"row, limit {limits.joint_speed:g}",
        )
    return None


def check_predicted_position(
    beyond: FloatArray, run: IndexArray, names: Sequence[str], limits: SafetyLimits
) -> Violation | None:
    """No joint may be on its way through its stop.

    Args:
        beyond: how far beyond its limits each will be at the horizon [rad; Shape (n,)].
        run: states in a row in which it was more than the margin [Shape (n,)].
        names: of the joints.
        limits: thresholds.
    """
    worst = int(run.argmax())
    if run[worst] >= limits.position_count:
        return Violation(
            "predicted_position",
            f"joint '{names[worst]}' will be {beyond[worst]:.2f} rad beyond its limits in {limits.position_horizon:g} "
            f"s, in {run[worst]} states in a row; limit {limits.position_margin:g} rad",
        )
    return None


def check_pose(beyond: FloatArray, names: Sequence[str], limits: SafetyLimits) -> Violation | None:
    """Before it is armed every joint of a robot must be within its limits.

    Args:
        beyond: how far outside each is [rad; Shape (n,)].
        names: of the joints.
        limits: thresholds.
    """
    worst = int(beyond.argmax())  # NaN, where there is one
    if not beyond[worst] <= limits.pose_margin:
        return Violation(
            "pose",
            f"joint '{names[worst]}' is {beyond[worst]:.2f} rad beyond its limits, limit {limits.pose_margin:g} rad",
        )
    return None


def check_tracking(lasting: FloatArray, names: Sequence[str], limits: SafetyLimits) -> Violation | None:
    """No joint may stay far from what the policy wants of it.

    Args:
        lasting: how long each has been further than allowed from its target [s; Shape (n,)].
        names: of the joints.
        limits: thresholds.
    """
    worst = int(lasting.argmax())
    if lasting[worst] > limits.tracking_time:
        return Violation(
            "tracking",
            f"joint '{names[worst]}' has been more than {limits.tracking_error:g} rad from its target for "
            f"{lasting[worst]:.2f} s, limit {limits.tracking_time:g} s",
        )
    return None


def check_saturation(lasting: FloatArray, names: Sequence[str], limits: SafetyLimits) -> Violation | None:
    """No joint may give all it has one way for long.

    Args:
        lasting: how long each has, the one way and the other [s; Shape (2n,)].
        names: of the joints, twice.
        limits: thresholds.
    """
    worst = int(lasting.argmax())
    if lasting[worst] > limits.saturation_time:
        return Violation(
            "effort_saturated",
            f"joint '{names[worst]}' has given all it may for {lasting[worst]:.2f} s, "
            f"limit {limits.saturation_time:g} s",
        )
    return None


def check_warmth(warmth: FloatArray, names: Sequence[str], limits: SafetyLimits) -> Violation | None:
    """A joint that is warm is given less.

    Args:
        warmth: estimated, as a share of what is allowed [Shape (n,)].
        names: of the joints.
        limits: thresholds.
    """
    worst = int(warmth.argmax())
    if warmth[worst] > limits.thermal_derate:
        return Violation(
            "thermal",
            f"joint '{names[worst]}' is at {warmth[worst]:.2f} of its rated warming, derated from "
            f"{limits.thermal_derate:g}",
        )
    return None
