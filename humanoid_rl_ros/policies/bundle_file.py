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
from humanoid_rl_ros.core.observation import (
    FIRST_FILLS,
    LAYOUTS,
    ORDERS,
    BlockSpec,
    HistorySpec,
    ObservationSpec,
    TermSpec,
)
from humanoid_rl_ros.core.observation_terms import find_term
from humanoid_rl_ros.policies.bundle import FILE_NAME, FORMAT, DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.term_plugins import load_term_plugins


def load_bundle(path: str | Path) -> PolicyBundle:
    """Read a policy bundle; the weights are not opened.

    Args:
        path: the folder, or the `policy.yaml` in it.

    Returns:
        The bundle.

    Raises:
        ConfigError: a file is missing, a key is missing, unknown or malformed, or two of them contradict each other.
    """
    load_term_plugins()
    file = Path(path)
    if file.is_dir():
        file = file / FILE_NAME
    top = read_yaml(file)
    try:
        return _bundle(top, file.parent)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(top.where) else f"{top.where}: {text}") from None


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
        observation=_observation(top.section("observation"), defaults, gait.stand_threshold if gait else None),
        action=_action(action, names, np.array([defaults[n] for n in names]), clamp),
        control_period=top.number("control_period", above=0.0),
        pd_rate=top.number("pd_rate", above=0.0),
        effort_low_pass=top.number("effort_low_pass", 1.0, above=0.0, most=1.0),
        soft_effort_limit=top.number("soft_effort_limit", 1.0, above=0.0, most=1.0),
        clamp_target_to_joint_limits=clamp,
        imu=top.text("imu", ""),
        command=command,
        gait=gait,
        entry_blend=top.number("entry_blend", 0.0, least=0.0),
        origin=top.text("origin", ""),
        licence=top.text("licence", ""),
        folder=folder,
    )
    top.finish()
    if clamp and bundle.action.kind == "effort":
        raise ConfigError("action: 'target_limits' joint_limits are positions, but the action is an effort")
    try:
        bundle.observation_size()
    except ContractError as error:
        raise ConfigError(str(error)) from None
    return bundle


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
    recurrent = section.section("recurrent", {})
    spec = WeightsSpec(
        path=folder / section.text("file"),
        sha256=section.text("sha256", ""),
        external_data=tuple(folder / name for name in section.names("external_data", ())),
        input_name=section.text("input", ""),
        output_name=section.text("output", ""),
        recurrent={name: recurrent.text(name) for name in recurrent.keys()},
    )
    section.finish()
    return spec


def _observation(section: Section, defaults: dict[str, float], gait_threshold: float | None) -> ObservationSpec:
    driven = tuple(defaults)
    joints = section.names("joints", driven)
    overrides = section.section("default", {})
    reference = dict(defaults)
    for name in overrides.keys():
        if name not in joints:
            raise ConfigError(f"{overrides.where}: '{name}' is not an observed joint")
        reference[name] = overrides.number(name)
    missing = [name for name in joints if name not in reference]
    if missing:
        raise ConfigError(
            f"{section.where}: observed joint '{missing[0]}' is not driven; give its default position under 'default'"
        )
    history = _history(section.section("history")) if "history" in section else None
    blocks: list[BlockSpec] = []
    plain: list[TermSpec] = []
    for item in section.sections("terms"):
        if "history" not in item:
            plain.append(_term(item, joints, driven))
            continue
        if history is not None:
            raise ConfigError(f"{item.where}: a history block cannot stand inside a history of the whole vector")
        if plain:
            blocks.append(BlockSpec(tuple(plain)))
            plain = []
        blocks.append(_block(item, joints, driven))
    if plain:
        blocks.append(BlockSpec(tuple(plain), history))
    spec = ObservationSpec(
        joints=joints,
        default_position=tuple(reference[name] for name in joints),
        blocks=tuple(blocks),
        clip=_bounds(section, "clip"),
        stand_threshold=section.number(
            "stand_threshold", 0.01 if gait_threshold is None else gait_threshold, least=0.0
        ),
    )
    section.finish()
    return spec


def _block(section: Section, joints: tuple[str, ...], driven: tuple[str, ...]) -> BlockSpec:
    """A history block of its own: ``history`` and the ``terms`` in it, or one term with its own ``history``."""
    history = _history(section.section("history"))
    if "terms" in section:
        if not section.raw("terms"):
            raise ConfigError(f"{section.where}: 'terms' names no term")
        terms = tuple(_term(item, joints, driven) for item in section.sections("terms"))
        section.finish()
        return BlockSpec(terms, history)
    return BlockSpec((_term(section, joints, driven),), history)


def _history(section: Section) -> HistorySpec:
    spec = HistorySpec(
        length=section.integer("length", least=1),
        layout=section.choice("layout", LAYOUTS),
        order=section.choice("order", ORDERS),
        first_fill=section.choice("first_fill", FIRST_FILLS, "first_frame"),
        include_current=section.boolean("include_current", True),
    )
    section.finish()
    return spec


def _term(section: Section, joints: tuple[str, ...], driven: tuple[str, ...]) -> TermSpec:
    name = section.text("term")
    try:
        find_term(name)
    except ConfigError as error:
        raise ConfigError(f"{section.where}: {error}") from None
    scale = section.raw("scale", 1.0)
    if isinstance(scale, dict):
        over = {"observed": joints, "driven": driven}.get(find_term(name).over)
        if over is None:
            raise ConfigError(
                f"{section.where}: term '{name}' has no number per joint; give 'scale' as a number or a list"
            )
        values = section.per_name("scale", over)
    elif isinstance(scale, list):
        values = section.numbers("scale")
    else:
        values = np.array([section.number("scale", 1.0)])
    if name == "constant" and "value" not in section:
        raise ConfigError(f"{section.where}: a constant needs 'value'")
    spec = TermSpec(
        term=name,
        scale=tuple(float(v) for v in values),
        clip=_bounds(section, "clip"),
        clip_scaled=_bounds(section, "clip_scaled"),
        masked_joints=section.names("masked_joints", ()),
        zero_when_standing=section.boolean("zero_when_standing", False),
        value=tuple(float(v) for v in section.numbers("value", [])),
        elements=_elements(section),
    )
    section.finish()
    return spec


def _elements(section: Section) -> tuple[int, ...]:
    found = section.numbers("elements", [])
    if any(value != int(value) for value in found):
        raise ConfigError(f"{section.where}: 'elements' must be whole numbers, found {found.tolist()}")
    return tuple(int(value) for value in found)


def _bounds(section: Section, key: str) -> tuple[float, float] | None:
    """A pair of bounds, or one number for ±number."""
    value = section.raw(key, None)
    if value is None:
        return None
    if isinstance(value, list):
        low, high = (float(v) for v in section.numbers(key, length=2, infinite=True))
    else:
        high = section.number(key, above=0.0)
        low = -high
    if not low < high:
        raise ConfigError(f"{section.where}: '{key}' contradicts itself: [{low:g}, {high:g}]")
    return low, high


def _joint_bounds(section: Section, key: str, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """No bounds, one number for ±number, a pair for all, or ``lower`` and ``upper`` by joint."""
    value = section.raw(key, None)
    if isinstance(value, dict):
        nested = section.section(key)
        low = nested.per_name("lower", names, infinite=True)
        high = nested.per_name("upper", names, infinite=True)
        nested.finish()
        return low, high
    pair = _bounds(section, key) or (-math.inf, math.inf)
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
