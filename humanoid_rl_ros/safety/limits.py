"""SafetyLimits: every threshold of the safety monitor, in one YAML."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError

FORMAT = 1


@dataclass(frozen=True)
class SafetyLimits:
    """Thresholds; the effort and position limits themselves are the robot's.

    Attributes:
        effort_scale: share of the robot's effort limits that may be commanded, in (0, 1].
        effort_rate: largest change of effort, as a multiple of the joint's effort limit per second [1/s].
        soft_position_margin: distance from a position limit at which outward effort begins to shrink [rad].
        soft_position_stiffness: how steeply it shrinks, as a multiple of the joint's effort limit per margin.
        damping_scale: damping effort is −damping_scale·kd·q̇ with the robot's kd.
        command_timeout: age of the last policy effort at which damping begins [s].
        state_timeout: age of the last joint state at which damping begins [s].
        imu_timeout: age of the last IMU message at which damping begins [s].
        tilt_limit: tilt of the base that counts as falling [rad].
        tilt_time: how long it must last [s].
        non_finite_limit: policy efforts in a row that are not finite before the monitor disarms.
        estop_damping_time: how long the emergency stop damps before it goes to zero effort [s].
    """

    effort_scale: float = 1.0
    effort_rate: float = 2000.0
    soft_position_margin: float = 0.02
    soft_position_stiffness: float = 1.0
    damping_scale: float = 1.0
    command_timeout: float = 0.1
    state_timeout: float = 0.1
    imu_timeout: float = 0.1
    tilt_limit: float = 1.0
    tilt_time: float = 0.1
    non_finite_limit: int = 3
    estop_damping_time: float = 2.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not value > 0.0 or value == float("inf"):
                raise ConfigError(f"safety: '{item.name}' must be finite and above 0, found {value:g}")
        if self.effort_scale > 1.0:
            raise ConfigError(f"safety: 'effort_scale' must be at most 1, found {self.effort_scale:g}")


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


def _value(section: Section, key: str, default: object) -> float | int:
    if isinstance(default, int):
        return section.integer(key, default)
    return section.number(key, default)
