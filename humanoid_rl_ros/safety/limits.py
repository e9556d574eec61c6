"""SafetyLimits: every threshold of the safety monitor, in one YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError

FORMAT = 1
FLOOD_MARGIN = 2.0
"""Of the rate that a source is meant to have, before it is a flood."""


def _limit(default: float | int, most: float, least: float = 0.0) -> Any:
    """A number above 0, at least `least` and at most `most`; an integer where the default is one.

    No threshold can be written that switches its rule off: 0, infinity and what no robot ever reaches are refused.
    """
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True)
class SafetyLimits:
    """Thresholds; effort, speed and position limits themselves are the robot's.

    The envelope:

    Attributes:
        effort_scale: share of the robot's effort limits that may be commanded.
        effort_rate: largest change of effort, as a multiple of the joint's effort limit per second [1/s].
        soft_position_margin: distance from a position limit at which outward effort begins to shrink [rad].
        soft_position_stiffness: how steeply it shrinks, as a multiple of the joint's effort limit per margin.
        speed_corner: share of a joint's velocity limit from which the effort that drives it on falls to 0 at the limit.
        power_limit: mechanical power that all joints together may be driven with [W].
        thermal_share: effort a joint can give for ever, as a share of its limit, where the robot does not say.
        thermal_time: time constant of a joint's warming [s].
        thermal_derate: share of the rated warming at which the joint's effort limit begins to shrink.
        damping_scale: damping effort is −damping_scale·kd·q̇ with the robot's kd.

    What must come, and how:

    Attributes:
        command_timeout: age of the last policy effort at which damping begins [s].
        state_timeout: age of the last joint state at which damping begins [s].
        imu_timeout: age of the last IMU message at which damping begins [s].
        frozen_time: how long a sensor may repeat itself to the last bit [s].
        clock_jump: how far stamps may jump ahead of the time that passed [s].
        answer_age: how far an effort's stamp may be from the last state's [s].
        reject_limit: messages in a row that cannot be read before the monitor disarms.
        non_finite_limit: policy efforts in a row that are not finite before the monitor disarms.
        flood_rate: rate of states or IMU messages that no robot has [Hz].
        flood_efforts: policy efforts for one state, on the average.
        tick_overrun: how late the monitor itself may be [s].
        ready_time: how long all must be well, without a break, before the robot may be armed [s].

    What the robot does:

    Attributes:
        joint_speed: share of a joint's velocity limit that is too fast.
        joint_speed_count: states in a row.
        position_horizon: how far ahead a position is predicted [s].
        position_margin: how far beyond its limits it may be predicted [rad].
        position_count: states in a row.
        tracking_error: distance of a joint from the policy's target [rad].
        tracking_time: how long it may last [s].
        saturation_share: share of what a joint may give that counts as all of it.
        saturation_time: how long a joint may give it, the same way [s].
        tilt_limit: tilt of the base that counts as falling [rad].
        tilt_time: how long it must last [s].
        falling_tilt: tilt from which the base may be found to be on its way down [rad].
        falling_rate: rate of the tilt below which it is not [rad/s].
        falling_horizon: it is, where it passes `tilt_limit` within this time at the rate of now [s].
        falling_time: how long that must last [s].
        pose_margin: how far beyond its limits a joint may be when the robot is armed [rad].
        degraded_time: how long a reason for DEGRADED must be gone [s].

    After a fall:

    Attributes:
        recover: whether the robot is to get up by itself, where the policy node can.
        fallen_rate: rate of the base below which it counts as still [rad/s].
        fallen_time: how long it must be still [s].
        recovery_effort_scale: share of `effort_scale` that getting up may use.
        recovery_time: how long a try may take [s].
        recovery_tries: tries before the emergency stop.
        upright_tilt: tilt below which it counts as up [rad].
        upright_rate: rate of the base below which it counts as still while up [rad/s].
        upright_pose: largest distance of a joint from the default pose at which it counts as up [rad].
        upright_time: how long it must be up before a try has succeeded [s].
        verify_time: how long it must then stand by its policy, still and upright, before it walks on [s].
        verify_limit: time in which it must have done so [s].
        recovered_time: time on its feet after which an earlier fall no longer counts [s].
        estop_damping_time: how long the emergency stop damps before it goes to zero effort [s].
    """

    effort_scale: float = _limit(1.0, 1.0)
    effort_rate: float = _limit(2000.0, 1e5)
    soft_position_margin: float = _limit(0.02, 1.0)
    soft_position_stiffness: float = _limit(1.0, 100.0, 1.0)
    speed_corner: float = _limit(0.9, 0.99)
    power_limit: float = _limit(5000.0, 1e5)
    thermal_share: float = _limit(0.5, 1.0, 0.05)
    thermal_time: float = _limit(120.0, 3600.0, 5.0)
    thermal_derate: float = _limit(0.8, 0.95)
    damping_scale: float = _limit(1.0, 10.0, 0.1)

    command_timeout: float = _limit(0.1, 2.0)
    state_timeout: float = _limit(0.1, 2.0)
    imu_timeout: float = _limit(0.1, 2.0)
    frozen_time: float = _limit(0.5, 10.0)
    clock_jump: float = _limit(0.5, 10.0)
    answer_age: float = _limit(0.5, 2.0)
    reject_limit: int = _limit(3, 100)
    non_finite_limit: int = _limit(3, 100)
    flood_rate: float = _limit(1200.0, 1e5)
    flood_efforts: float = _limit(4.0, 100.0, 1.0)
    tick_overrun: float = _limit(0.05, 1.0)
    ready_time: float = _limit(0.5, 10.0)

    joint_speed: float = _limit(1.5, 3.0)
    joint_speed_count: int = _limit(5, 1000)
    position_horizon: float = _limit(0.01, 0.5)
    position_margin: float = _limit(0.2, 1.0)
    position_count: int = _limit(5, 1000)
    tracking_error: float = _limit(1.5, 4.0)
    tracking_time: float = _limit(0.5, 10.0)
    saturation_share: float = _limit(0.99, 1.0, 0.5)
    saturation_time: float = _limit(1.0, 60.0)
    tilt_limit: float = _limit(1.0, 1.6)
    tilt_time: float = _limit(0.1, 2.0)
    falling_tilt: float = _limit(0.4, 1.6)
    falling_rate: float = _limit(0.5, 10.0)
    falling_horizon: float = _limit(0.25, 2.0)
    falling_time: float = _limit(0.04, 2.0)
    pose_margin: float = _limit(0.1, 1.0)
    degraded_time: float = _limit(1.0, 60.0)

    recover: bool = True
    fallen_rate: float = _limit(0.2, 3.0)
    fallen_time: float = _limit(0.5, 10.0)
    recovery_effort_scale: float = _limit(0.8, 1.0)
    recovery_time: float = _limit(10.0, 120.0)
    recovery_tries: int = _limit(3, 20)
    upright_tilt: float = _limit(0.3, 1.0)
    upright_rate: float = _limit(0.6, 3.0)
    upright_pose: float = _limit(0.7, 3.0)
    upright_time: float = _limit(0.3, 10.0)
    verify_time: float = _limit(1.0, 60.0)
    verify_limit: float = _limit(5.0, 120.0)
    recovered_time: float = _limit(5.0, 600.0)
    estop_damping_time: float = _limit(2.0, 60.0)

    def __post_init__(self) -> None:
        for item in fields(self):
            if "most" in item.metadata:
                _check(item.name, getattr(self, item.name), item.metadata["least"], item.metadata["most"])
        for smaller, larger in (("falling_tilt", "tilt_limit"), ("upright_tilt", "tilt_limit")):
            if not getattr(self, smaller) < getattr(self, larger):
                raise ConfigError(
                    f"safety: '{smaller}' must be below '{larger}' {getattr(self, larger):g}, "
                    f"found {getattr(self, smaller):g}"
                )
        if not self.verify_time < self.verify_limit:
            raise ConfigError(
                f"safety: 'verify_time' must be below 'verify_limit' {self.verify_limit:g}, found {self.verify_time:g}"
            )

    def for_states_at(self, rate: float) -> SafetyLimits:
        """The same for a source that is meant to send states at this rate [Hz], and no flood before `FLOOD_MARGIN`."""
        return replace(self, flood_rate=max(self.flood_rate, FLOOD_MARGIN * rate))


def _check(name: str, value: float, least: float, most: float) -> None:
    if not value > 0.0 or not value >= least or not math.isfinite(value):
        allowed = f"at least {least:g}" if least > 0.0 else "above 0"
        raise ConfigError(f"safety: '{name}' must be finite and {allowed}, found {value:g}")
    if value > most:
        raise ConfigError(f"safety: '{name}' must be at most {most:g}, found {value:g}")


def load_safety_limits(path: str | Path) -> SafetyLimits:
    """Read a safety YAML.

    Args:
        path: the file.

    Returns:
        The limits; keys that are left out keep their defaults.

    Raises:
        ConfigError: the file is missing or malformed, or a key is unknown or out of range.
    """
    top = read_yaml(path)
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: safety format {version} is not known; this version reads format {FORMAT}")
    try:
        values: dict[str, Any] = {item.name: _value(top, item.name, item.default) for item in fields(SafetyLimits)}
        limits = SafetyLimits(**values)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(top.where) else f"{top.where}: {text}") from None
    top.finish()
    return limits


def _value(section: Section, key: str, default: object) -> float | int | bool:
    if isinstance(default, bool):
        return section.boolean(key, default)
    if isinstance(default, int):
        return section.integer(key, default)
    return section.number(key, default)
