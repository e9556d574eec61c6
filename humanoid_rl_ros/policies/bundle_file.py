"""`policy.yaml` ↔ `PolicyBundle`. `docs/policy-bundle.md` describes every key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from humanoid_rl_ros.core.action import KINDS, LAST_ACTIONS, ActionSpec
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.command import CommandSpec, command_from_section
from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.gait import gait_from_section
from humanoid_rl_ros.core.hand_targets import HandTargetSpec, hand_targets_from_section
from humanoid_rl_ros.policies.bundle import (
    BASE_VELOCITY_SOURCES,
    FILE_NAME,
    FORMAT,
    MISSING,
    DrivenJoint,
    HeldJoint,
    PolicyBundle,
    WeightsSpec,
)
from humanoid_rl_ros.policies.bundle_observation import read_bounds, read_observation
from humanoid_rl_ros.policies.normaliser import normaliser_from_section
from humanoid_rl_ros.policies.signature import require_signature
from humanoid_rl_ros.policies.term_plugins import load_term_plugins


def load_bundle(path: str | Path) -> PolicyBundle:
    """Read a policy bundle; the weights are not opened.

    Args:
        path: the folder, or the `policy.yaml` in it.

    Returns:
        The bundle.

    Raises:
        ConfigError: a file is missing, a key is missing, unknown or malformed, two of them contradict each other, or
            the file is not the one that was signed.
    """
    load_term_plugins()
    file = Path(path)
    if file.is_dir():
        file = file / FILE_NAME
    top = read_yaml(file)
    require_signature(file.parent, [file.name])
    if question := _question(top.plain()):
        raise ConfigError(f"{file}: not complete; fill in {question}")
    try:
        return _bundle(top, file.parent)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(top.where) else f"{top.where}: {text}") from None


def _question(value: Any, key: str = "") -> str:
    """The first thing that somebody still has to find out, with its key; empty where there is none."""
    if isinstance(value, str) and value.startswith(MISSING):
        return f"'{key}': {value.removeprefix(MISSING).strip()}"
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in below:
        where = f"{key}.{name}" if key else str(name)
        found = _question(name, key) if str(name).startswith(MISSING) else _question(part, where)
        if found:
            return found
    return ""


def _bundle(top: Section, folder: Path) -> PolicyBundle:
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"bundle format {version} is not known; this version reads format {FORMAT}")
    joints_section = top.section("joints")
    joints = {name: _driven(joints_section.section(name)) for name in joints_section.keys()}
    held_section = top.section("held", {})
    held = {name: _held(held_section.section(name)) for name in held_section.keys()}
    names = tuple(joints)
    defaults = {name: joint.default_position for name, joint in joints.items()}
    action = top.section("action")
    clamp = action.raw("target_limits", None) == "joint_limits"
    command = command_from_section(top.section("command")) if "command" in top else CommandSpec()
    gait = gait_from_section(top.section("gait")) if "gait" in top else None
    bundle = PolicyBundle(
        name=top.text("name"),
        robot=top.text("robot", ""),
        weights=_weights(top.section("weights"), folder),
        joints=joints,
        held=held,
        hold_remaining=top.boolean("hold_remaining", False),
        observation=read_observation(top.section("observation"), defaults, gait.stand_threshold if gait else None),
        action=_action(action, names, np.array([defaults[n] for n in names]), clamp),
        control_period=top.number("control_period", above=0.0),
        pd_rate=top.number("pd_rate", above=0.0),
        target_low_pass=top.number("target_low_pass", 1.0, above=0.0, most=1.0),
        effort_low_pass=top.number("effort_low_pass", 1.0, above=0.0, most=1.0),
        soft_effort_limit=top.number("soft_effort_limit", 1.0, above=0.0, most=1.0),
        clamp_target_to_joint_limits=clamp,
        imu=top.text("imu", ""),
        base_velocity=top.choice("base_velocity", BASE_VELOCITY_SOURCES) if "base_velocity" in top else "",
        command=command,
        hand_targets=_hand_targets(top.section("hand_targets")) if "hand_targets" in top else None,
        gait=gait,
        entry_blend=top.number("entry_blend", 0.0, least=0.0),
        origin=top.text("origin", ""),
        licence=top.text("licence", ""),
        inferred=_texts(top.section("inferred", {})),
        folder=folder,
    )
    top.finish()
    if clamp and bundle.action.kind == "effort":
        raise ConfigError("action: 'target_limits' joint_limits are positions, but the action is an effort")
    try:
        size = bundle.observation_size()
    except ContractError as error:
        raise ConfigError(str(error)) from None
    if bundle.weights.inputs and sum(bundle.weights.inputs.values()) != size:
        taken = sum(bundle.weights.inputs.values())
        raise ConfigError(f"weights: the 'inputs' take {taken} numbers, the observation has {size}")
    if bundle.weights.normaliser is not None and len(bundle.weights.normaliser.mean) != size:
        found = len(bundle.weights.normaliser.mean)
        raise ConfigError(f"weights: normaliser: {found} means for an observation of {size} numbers")
    return bundle


def _hand_targets(section: Section) -> HandTargetSpec:
    spec = hand_targets_from_section(section)
    section.finish()
    return spec


def _driven(section: Section) -> DrivenJoint:
    joint = DrivenJoint(
        default_position=section.number("default"),
        kp=section.number("kp", least=0.0),
        kd=section.number("kd", least=0.0),
        effort_limit=section.number("effort", math.inf, above=0.0, infinite=True),
    )
    section.finish()
    return joint


def _held(section: Section) -> HeldJoint:
    joint = HeldJoint(
        position=section.number("position"),
        kp=section.number("kp", least=0.0),
        kd=section.number("kd", least=0.0),
        effort_limit=section.number("effort", math.inf, above=0.0, infinite=True),
    )
    section.finish()
    return joint


def _weights(section: Section, folder: Path) -> WeightsSpec:
    recurrent, inputs = section.section("recurrent", {}), section.section("inputs", {})
    spec = WeightsSpec(
        path=folder / section.text("file"),
        sha256=section.text("sha256", ""),
        external_data=tuple(folder / name for name in section.names("external_data", ())),
        input_name=section.text("input", ""),
        output_name=section.text("output", ""),
        inputs={name: inputs.integer(name, least=1) for name in inputs.keys()},
        recurrent=_texts(recurrent),
        normaliser=normaliser_from_section(section.section("normaliser")) if "normaliser" in section else None,
    )
    section.finish()
    if spec.inputs and spec.input_name:
        raise ConfigError(f"{section.where}: give either 'input' or 'inputs'")
    return spec


def _texts(section: Section) -> dict[str, str]:
    return {name: section.text(name) for name in section.keys()}


def _joint_bounds(section: Section, key: str, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """No bounds, one number for ±number, a pair for all, or ``lower`` and ``upper`` by joint."""
    value = section.raw(key, None)
    if isinstance(value, dict):
        nested = section.section(key)
        low = nested.per_name("lower", names, infinite=True)
        high = nested.per_name("upper", names, infinite=True)
        nested.finish()
        return low, high
    pair = read_bounds(section, key) or (-math.inf, math.inf)
    return np.full(len(names), pair[0]), np.full(len(names), pair[1])


def _action(section: Section, names: tuple[str, ...], defaults: FloatArray, joint_limits: bool) -> ActionSpec:
    clip_lower, clip_upper = _joint_bounds(section, "clip", names)
    free = np.full(len(names), -math.inf), np.full(len(names), math.inf)
    limits = section.raw("target_limits", None)
    if isinstance(limits, str) and not joint_limits:
        expected = "a number, a pair, lower and upper, or joint_limits"
        raise ConfigError(f"{section.where}: 'target_limits' must be {expected}, found {limits!r}")
    target_lower, target_upper = free if joint_limits else _joint_bounds(section, "target_limits", names)
    offset = section.per_name("offset", names) if "offset" in section else defaults
    fields: dict[str, Any] = {
        "scale": section.per_name("scale", names, 1.0),
        "offset": offset,
        "clip_lower": clip_lower,
        "clip_upper": clip_upper,
        "target_lower": target_lower,
        "target_upper": target_upper,
    }
    spec = ActionSpec(
        joints=names,
        kind=section.choice("kind", KINDS),
        **{key: tuple(float(v) for v in array) for key, array in fields.items()},
        last_action=section.choice("last_action", LAST_ACTIONS, "clipped"),
        low_pass=section.number("low_pass", 1.0, above=0.0),
        delay=section.integer("delay", 0, least=0),
    )
    section.finish()
    return spec
