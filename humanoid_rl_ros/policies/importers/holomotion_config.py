"""The config.yaml beside an ONNX of HoloMotion, whose metadata says nothing of what the network sees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.csv_terms import CsvTerm
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import command_ranges
from humanoid_rl_ros.policies.importers.source import Config

KEYS = ("modules",)
"""By which it is known."""
STAND_THRESHOLD = 0.1
"""Norm of the command up to which HoloMotion's move mask is 0."""
_TERMS: Mapping[str, tuple[str, ...]] = {
    "velocity_command": ("moving", "velocity_commands"),
    "projected_gravity": ("projected_gravity",),
    "rel_robot_root_ang_vel": ("base_ang_vel",),
    "rel_robot_root_lin_vel": ("base_lin_vel",),
    "dof_pos": ("joint_pos_rel",),
    "dof_vel": ("joint_vel_rel",),
    "last_action": ("last_action",),
    "last_actions": ("last_action",),
}
_AXES = {"lin_vel_x": "linear_x", "lin_vel_y": "linear_y", "ang_vel_z": "angular_z"}
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_DEEPEST = 5
_MOST_FRAMES = 1000


def read_holomotion_terms(config: Config) -> list[CsvTerm]:
    """What the actor sees.

    Args:
        config: the config.yaml, with or without its references resolved.

    Raises:
        ConfigError: it is malformed, or the policy follows a motion or sees what is not known.
    """
    root = config.data
    path = ("modules", "actor", "obs_schema", "flattened_obs")
    schema = Section({key: value for key, value in root.items() if key == "modules"}, str(config.path))
    for key in path:
        schema = schema.section(key)
    frames = _resolved(root, schema.raw("seq_len", 1), schema.where)
    if isinstance(frames, bool) or not isinstance(frames, int) or not 1 <= frames <= _MOST_FRAMES:
        raise ConfigError(f"{schema.where}: 'seq_len' must be a whole number from 1 on, found {frames!r}")
    terms = []
    for full in schema.names("terms"):
        name = full.rpartition("/")[2].removeprefix("actor_")
        if name.startswith("ref_") or "keybody" in name:
            raise ConfigError(f"{schema.where}: it follows a recorded motion, no velocity command ('{full}')")
        if name not in _TERMS:
            raise ConfigError(f"{schema.where}: term '{full}' is not known; {did_you_mean(name, _TERMS)}")
        terms.append(CsvTerm(full, _TERMS[name], frames=frames))
    if not terms:
        raise ConfigError(f"{schema.where}: 'terms' names no term")
    return terms


def lay_holomotion_rates(draft: Draft, config: Config) -> None:
    """Control period and ranges, as far as the file holds the environment's configuration too.

    Args:
        draft: takes them.
        config: the config.yaml.

    Raises:
        ConfigError: a number is malformed.
    """
    environment = _at(config.data, "env.config")
    where = f"{config.path}: env: config"
    simulation = environment.get("simulation") if isinstance(environment, Mapping) else None
    if isinstance(simulation, Mapping):
        section = Section(simulation, f"{where}: simulation")
        rate, decimation = section.number("sim_freq", above=0.0), section.number("control_decimation", least=1.0)
        draft.say("control_period", decimation / rate)
    ranges = _at(config.data, "env.config.commands.base_velocity.params.ranges")
    if isinstance(ranges, Mapping):
        section = Section(ranges, f"{where}: commands: base_velocity: params: ranges")
        for axis, bounds in command_ranges(section, _AXES).items():
            draft.say(f"command.{axis}", bounds)


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data


def _resolved(root: Mapping[str, Any], value: Any, where: str) -> Any:
    """Follow a reference such as ``${obs.context_length}``."""
    for _ in range(_DEEPEST):
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value
        value = _at(root, match[1])
        if value is None:
            raise ConfigError(f"{where}: '{match[0]}' refers to what the file does not hold; give the resolved file")
    raise ConfigError(f"{where}: references go in circles")
