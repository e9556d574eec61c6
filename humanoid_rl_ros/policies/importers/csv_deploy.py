"""Unitree's deploy.yaml beside an ONNX that has metadata of its own: what the metadata lacks, and contradictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.csv_joints import CsvJoints
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import command_ranges
from humanoid_rl_ros.policies.importers.source import Config, Source
from humanoid_rl_ros.policies.importers.unitree_observation import Group, group_names, read_groups

KEYS = ("step_dt", "observations")
"""By which it is known."""
_AXES = {"lin_vel_x": "linear_x", "lin_vel_y": "linear_y", "ang_vel_z": "angular_z"}
_ROUNDING = 0.03
"""By which a number of two digits may be off; of small ones, `_SMALL` times that."""
_SMALL = 0.2


def lay_deploy(draft: Draft, source: Source, config: Config, joints: CsvJoints, *, scales_said: bool) -> None:
    """Complete a draft from a deploy.yaml, and note where both differ; the ONNX is what was trained.

    Args:
        draft: takes it; what the metadata says is in it.
        source: the files.
        config: the deploy.yaml.
        joints: those of the metadata.
        scales_said: whether the metadata says scales, clips and histories.

    Raises:
        ConfigError: the deploy.yaml is malformed, or is of another policy.
    """
    section = Section(config.data, str(config.path))
    _lay_period(draft, section)
    _lay_ranges(draft, section)
    observations = section.section("observations")
    groups = read_groups(observations, group_names(observations), len(joints.names), joints.driven)
    if len(groups) != 1:
        raise ConfigError(f"{observations.where}: several groups, but the network takes one vector")
    for term in groups[0].terms:
        if term.period is not None:
            draft.say("gait.period", term.period)
    _lay_terms(draft, source, groups[0], scales_said=scales_said)
    actions = section.section("actions").section("JointPositionAction")
    if actions.raw("clip", None) is not None:
        _lay_limits(draft, actions)
    _compare(draft, section, "default_joint_pos", draft.columns.get("default"))
    _compare(draft, actions, "offset", draft.columns.get("default"))
    _compare(draft, actions, "scale", _per_joint(draft, draft.keys["action"].get("scale")))
    # Gains are in the order of the motors, which is that of the joints only where the map says so.
    if section.raw("joint_ids_map", None) == list(range(len(joints.names))):
        _compare(draft, section, "stiffness", draft.columns.get("kp"))
        _compare(draft, section, "damping", draft.columns.get("kd"))
    # Notes stay in the bundle, which goes to other computers.
    draft.notes[:] = [note.replace(str(config.path), config.path.name) for note in draft.notes]


def _lay_period(draft: Draft, section: Section) -> None:
    period, said = section.number("step_dt", above=0.0), draft.keys.get("control_period")
    if said is None or "control_period" in draft.inferred:
        draft.say("control_period", period)
    elif abs(said - period) > 1e-6:
        draft.notes.append(
            f"{section.where}: 'step_dt' is {period:g} s; the metadata says {said:g} s, which was taken."
        )


def _lay_ranges(draft: Draft, section: Section) -> None:
    commands = section.section("commands", {})
    if "base_velocity" not in commands:
        return
    ranges = commands.section("base_velocity").section("ranges")
    for axis, bounds in command_ranges(ranges, _AXES).items():
        draft.say(f"command.{axis}", bounds)


def _lay_terms(draft: Draft, source: Source, group: Group, *, scales_said: bool) -> None:
    """Take the file's scales, clips and histories where the metadata is silent about them."""
    said = draft.keys.get("observation", {}).get("terms")
    theirs = [item["term"] for term in group.terms for item in term.items]
    ours = theirs if said is None else [inner["term"] for item in said for inner in item.get("terms", [item])]
    if ours != theirs:
        taken = f"the metadata lists {', '.join(ours)}, which was taken"
        draft.notes.append(f"{group.where} lists {', '.join(theirs)}; {taken}.")
    elif not scales_said:
        if source.onnx is not None:
            tensor = draft.keys["weights"]["input"]
            group.require_width(tensor, source.onnx.width(tensor))
        items, history = group.laid_out()
        draft.say("observation.terms", items)
        if history is not None:
            draft.say("observation.history", history)


def _lay_limits(draft: Draft, actions: Section) -> None:
    """Bounds of the target, one pair for each joint, in the order of the network."""
    if draft.joints is None:
        return
    pairs = actions.raw("clip")
    if not isinstance(pairs, list) or len(pairs) != len(draft.joints):
        raise ConfigError(f"{actions.where}: 'clip' must hold a pair for each of {len(draft.joints)} joints")
    bounds = Section(dict(zip(draft.joints, pairs, strict=True)), f"{actions.where}: clip")
    by_joint = {joint: bounds.numbers(joint, length=2, infinite=True).tolist() for joint in draft.joints}
    for side, index in (("lower", 0), ("upper", 1)):
        draft.say(f"action.target_limits.{side}", {joint: pair[index] for joint, pair in by_joint.items()})


def _per_joint(draft: Draft, value: Any) -> tuple[float, ...] | None:
    if isinstance(value, dict):
        return tuple(value.values())
    return None if value is None or draft.joints is None else (value,) * len(draft.joints)


def _compare(draft: Draft, section: Section, key: str, taken: Sequence[float] | None) -> None:
    """Note where a list differs from what was taken by more than its rounding."""
    found = section.raw(key, None)
    if taken is None or draft.joints is None or not isinstance(found, list) or len(found) != len(taken):
        return
    differing = [
        f"{joint} ({theirs:g} against {ours:g})"
        for joint, theirs, ours in zip(draft.joints, section.numbers(key), taken, strict=True)
        if abs(theirs - ours) > _ROUNDING * max(abs(theirs), abs(ours), _SMALL)
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        draft.notes.append(
            f"{section.where}: '{key}' differs from the metadata, which was taken: {', '.join(differing[:3])}{more}."
        )
