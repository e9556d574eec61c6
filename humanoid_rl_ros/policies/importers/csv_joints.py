"""Joints, pose, gains and action of the formats whose metadata is separated by commas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.csv_gains import refuse_broken_exports
from humanoid_rl_ros.policies.importers.csv_values import CsvMetadata
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.source import Source


@dataclass(frozen=True)
class CsvJoints:
    """The joints of a file.

    Attributes:
        names: all that it lists, driven or not.
        default: pose of each [rad].
        driven: number of driven ones.
    """

    names: tuple[str, ...]
    default: tuple[float, ...]
    driven: int


def lay_joints(draft: Draft, source: Source, metadata: CsvMetadata, outputs: int | None) -> CsvJoints:
    """Put joints, gains and action into the draft.

    Args:
        draft: takes them.
        source: the files; a robot among them may tell which joints are driven.
        metadata: of the ONNX.
        outputs: width of the network's output; None where it is free.

    Raises:
        ConfigError: the lists do not fit each other or the network, or the gains are those of a broken export.
    """
    names, default = metadata.texts("joint_names"), metadata.numbers("default_joint_pos")
    scale = metadata.numbers("action_scale")
    driven = len(names) if outputs is None else outputs
    if driven > len(names):
        raise ConfigError(f"{metadata.where}: {len(names)} 'joint_names', but the network gives {driven} numbers")
    _require(metadata, "default_joint_pos", default, (len(names),))
    _require(metadata, "action_scale", scale, (driven, 1))
    actuated, why = _driven(source, metadata, names, driven)
    kp, kd = (_gains(metadata, key, names, driven) for key in ("joint_stiffness", "joint_damping"))
    known = _named(kp, names, actuated), _named(kd, names, actuated)
    refuse_broken_exports(metadata.where, *known)
    draft.say("action.kind", "position_offset")
    if "action_clip_lower" in metadata or "action_clip_upper" in metadata:
        metadata.skip("action_clip_lower", "action_clip_upper")
        draft.ask(
            "action.clip", "the metadata bounds actions; bounds of the raw action, or .inf if it means the target"
        )
    if actuated is None:
        listed = ", ".join(names)
        draft.ask("joints", f"which {driven} of these joints are driven, in this order: {listed}")
        for column, unit in (("default", "rad"), ("kp", "N·m/rad"), ("kd", "N·m·s/rad")):
            draft.ask(f"joints.{column}", f"of the driven joints [{unit}]")
        draft.ask("action.scale", f"of the driven joints [rad]; in their order: {', '.join(f'{v:g}' for v in scale)}")
        return CsvJoints(names, tuple(default), driven)
    draft.drive(actuated, why=why)
    draft.column("default", dict(zip(names, default, strict=True)))
    draft.column("kp", known[0])
    draft.column("kd", known[1])
    if "joint_effort_limit" in metadata:
        limits = metadata.numbers("joint_effort_limit")
        _require(metadata, "joint_effort_limit", limits, (driven, len(names)))
        draft.column("effort", _named(limits, names, actuated))
    draft.say("action.scale", scale[0] if len(scale) == 1 else draft.by_joint(scale))
    _note_passive(draft, metadata)
    return CsvJoints(names, tuple(default), driven)


def _driven(
    source: Source, metadata: CsvMetadata, names: tuple[str, ...], driven: int
) -> tuple[tuple[str, ...] | None, str]:
    """The driven joints in the network's order and, where no file says so, why; None where nobody knows."""
    if "action_joint_names" in metadata:
        found = metadata.texts("action_joint_names")
        strangers = [name for name in found if name not in names]
        if strangers or len(found) != driven:
            what = f"'{strangers[0]}' is none of 'joint_names'" if strangers else f"{len(found)} of {driven} outputs"
            raise ConfigError(f"{metadata.where}: 'action_joint_names': {what}")
        return found, ""
    if driven == len(names):
        return names, ""
    if source.robot is not None:
        found = tuple(name for name in names if name in source.robot.joint_names)
        if len(found) == driven:
            return found, f"the joints of the metadata that robot '{source.robot.name}' drives, in the metadata's order"
    return None, ""


def _gains(metadata: CsvMetadata, key: str, names: Sequence[str], driven: int) -> list[float]:
    values = metadata.numbers(key)
    _require(metadata, key, values, (len(names), driven))
    # Three decimals of a tiny negative number read -0.000.
    for value in values:
        if value < 0.0:
            raise ConfigError(f"{metadata.where}: '{key}' must be at least 0, found {value:g}")
    return [abs(value) for value in values]


def _require(metadata: CsvMetadata, key: str, values: Sequence[float], lengths: Sequence[int]) -> None:
    if len(values) not in lengths:
        expected = " or ".join(str(length) for length in dict.fromkeys(lengths))
        raise ConfigError(f"{metadata.where}: '{key}' has {len(values)} values, expected {expected}")


def _named(values: Sequence[float], names: Sequence[str], actuated: Sequence[str] | None) -> dict[str, float]:
    """Values by joint: the list is of all joints, or of the driven ones alone."""
    of = names if len(values) == len(names) else actuated
    if of is None:
        return {}
    return dict(zip(of, values, strict=True))


def _note_passive(draft: Draft, metadata: CsvMetadata) -> None:
    kp = dict(zip(draft.joints or (), draft.columns["kp"], strict=True))
    passive = [name for name, value in kp.items() if value == 0.0]
    if passive:
        draft.notes.append(
            f"The position gain of {', '.join(passive)} reads 0 in the metadata: passive joints, or gains below the "
            "three decimals that it keeps."
        )
