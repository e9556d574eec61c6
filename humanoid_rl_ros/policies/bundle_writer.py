"""`PolicyBundle` → the text of a `policy.yaml`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.action import ActionSpec
from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import GaitSpec
from humanoid_rl_ros.core.hand_targets import HandTargetSpec, hand_targets_mapping
from humanoid_rl_ros.core.observation_spec import BlockSpec, HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import find_term
from humanoid_rl_ros.policies.bundle import FORMAT, DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.normaliser import NormaliserSpec


def dump_bundle(bundle: PolicyBundle, *, comment: str = "") -> str:
    """The `policy.yaml` that `load_bundle` reads back as this bundle, in the folder of this bundle.

    Numbers are written in full, what has its default value is left out. Neighbouring blocks without a history, which
    make the same vector as one, are read back as one. What `load_bundle` refuses is not looked for.

    Args:
        bundle: the bundle.
        comment: written above it.

    Raises:
        ConfigError: the weights lie elsewhere, the targets have two limits, or an observation term is unknown.
    """
    data = {
        "format": FORMAT,
        "name": bundle.name,
        **_given(robot=bundle.robot),
        **_changed(bundle, "origin", "licence"),
        "weights": _weights(bundle.weights, bundle.folder),
        "control_period": bundle.control_period,
        "pd_rate": bundle.pd_rate,
        **_changed(
            bundle,
            "imu",
            "base_velocity",
            "entry_blend",
            "target_low_pass",
            "effort_low_pass",
            "soft_effort_limit",
            "hold_remaining",
        ),
        **_given(command=_Flow(_changed(bundle.command, *AXES, "dead_band", "slew_rate"))),
        **_given(hand_targets=bundle.hand_targets and _hand_targets(bundle.hand_targets)),
        **_given(gait=bundle.gait and _gait(bundle.gait)),
        "joints": {name: _joint("default", joint.default_position, joint) for name, joint in bundle.joints.items()},
        **_given(held={name: _joint("position", joint.position, joint) for name, joint in bundle.held.items()}),
        "observation": _observation(bundle),
        "action": _action(bundle),
        **_given(inferred=dict(bundle.inferred)),
    }
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    return "".join(f"# {_printable(line)}".rstrip() + "\n" for line in comment.splitlines()) + text


class _Flow(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line and without anchors, items indented; NumPy's numbers are numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def flow(self, data: _Flow) -> yaml.Node:
        return self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)

    def sequence(self, data: Sequence[Any]) -> yaml.Node:
        nested = any(isinstance(value, Mapping) for value in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=not nested)

    def text(self, data: str) -> yaml.Node:
        # Escaped in double quotes: PyYAML reads some line breaks back as others.
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')

    def number(self, data: np.generic) -> yaml.Node:
        return self.represent_data(data.item())


_Dumper.add_representer(_Flow, _Dumper.flow)
_Dumper.add_representer(list, _Dumper.sequence)
_Dumper.add_representer(tuple, _Dumper.sequence)
_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_multi_representer(np.generic, _Dumper.number)  # type: ignore[type-abstract]  # looked up, never called


def _given(**values: Any) -> dict[str, Any]:
    """Those that are not empty."""
    return {key: value for key, value in values.items() if value}


def _changed(spec: object, *keys: str) -> dict[str, Any]:
    """The attributes that have not the default value of their dataclass."""
    return {key: getattr(spec, key) for key in keys if getattr(spec, key) != getattr(type(spec), key)}


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)


def _weights(weights: WeightsSpec, folder: Path) -> dict[str, Any]:
    return {
        "file": _beside(weights.path, folder),
        **_given(
            sha256=weights.sha256,
            external_data=[_beside(path, folder) for path in weights.external_data],
            input=weights.input_name,
            output=weights.output_name,
            inputs=_Flow(weights.inputs),
            recurrent=_Flow(weights.recurrent),
            normaliser=weights.normaliser and _normaliser(weights.normaliser),
        ),
    }


def _normaliser(spec: NormaliserSpec) -> dict[str, Any]:
    return {"mean": spec.mean, "std": spec.std, **_changed(spec, "clip")}


def _beside(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        if path.is_absolute():
            return path.as_posix()
        raise ConfigError(f"weights {path}: not in the bundle's folder {folder}") from None


def _joint(pose: str, position: float, joint: DrivenJoint | HeldJoint) -> _Flow:
    effort = {} if joint.effort_limit == math.inf else {"effort": joint.effort_limit}
    return _Flow({pose: position, "kp": joint.kp, "kd": joint.kd, **effort})


def _hand_targets(spec: HandTargetSpec) -> dict[str, Any]:
    mapping = hand_targets_mapping(spec)
    return {key: _Flow(value) if isinstance(value, Mapping) else value for key, value in mapping.items()}


def _gait(gait: GaitSpec) -> _Flow:
    keys = ("frequency_per_speed", "phases", "when_standing", "standing_phase", "stand_threshold")
    return _Flow({"frequency": gait.frequency, **_changed(gait, *keys)})


def _observation(bundle: PolicyBundle) -> dict[str, Any]:
    spec = bundle.observation
    driven = {name: joint.default_position for name, joint in bundle.joints.items()}
    poses = zip(spec.joints, spec.default_position, strict=True)
    threshold = bundle.gait.stand_threshold if bundle.gait else ObservationSpec.stand_threshold
    history = spec.blocks[0].history if len(spec.blocks) == 1 else None
    blocks = [BlockSpec(block.terms) for block in spec.blocks] if history else spec.blocks
    over = {"observed": spec.joints, "driven": tuple(driven)}
    return {
        **({} if spec.joints == tuple(driven) else {"joints": spec.joints}),
        **_given(default=_Flow({name: pose for name, pose in poses if driven.get(name) != pose})),
        **_bounds("clip", spec.clip),
        **({} if spec.stand_threshold == threshold else {"stand_threshold": spec.stand_threshold}),
        **_given(history=history and _history(history)),
        "terms": [item for block in blocks for item in _items(block, over)],
    }


def _items(block: BlockSpec, over: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    terms = [_term(term, over) for term in block.terms]
    if block.history is None:
        return [*terms]
    history = _history(block.history)
    return [_Flow({**terms[0], "history": history}) if len(terms) == 1 else {"history": history, "terms": terms}]


def _history(spec: HistorySpec) -> _Flow:
    required = {"length": spec.length, "layout": spec.layout, "order": spec.order}
    return _Flow({**required, **_changed(spec, "first_fill", "include_current")})


def _term(spec: TermSpec, over: Mapping[str, tuple[str, ...]]) -> _Flow:
    scale: Any = spec.scale
    joints = over.get(find_term(spec.term).over, ())
    if len(scale) == 1:
        scale = scale[0]
    elif len(scale) == len(joints) and not spec.elements:
        scale = dict(zip(joints, scale, strict=True))
    return _Flow({
        "term": spec.term,
        **({} if spec.scale == TermSpec.scale else {"scale": scale}),
        **({"value": spec.value} if spec.value or spec.term == "constant" else {}),
        **_bounds("clip", spec.clip),
        **_bounds("clip_scaled", spec.clip_scaled),
        **_changed(spec, "elements", "masked_joints", "zero_when_standing"),
    })  # fmt: skip


def _bounds(key: str, pair: tuple[float, float] | None) -> dict[str, Any]:
    if pair is None:
        return {}
    low, high = pair
    return {key: high if low == -high and math.isfinite(high) else [low, high]}


def _action(bundle: PolicyBundle) -> dict[str, Any]:
    spec = bundle.action
    default = tuple(joint.default_position for joint in bundle.joints.values())
    limits = _joint_bounds("target_limits", spec, spec.target_lower, spec.target_upper)
    if bundle.clamp_target_to_joint_limits:
        if limits:
            raise ConfigError(f"policy '{bundle.name}': targets have limits of their own beside the joint limits")
        limits = {"target_limits": "joint_limits"}
    return {
        "kind": spec.kind,
        **({} if all(scale == 1.0 for scale in spec.scale) else {"scale": _per_joint(spec, spec.scale)}),
        **({} if spec.offset == default else {"offset": _per_joint(spec, spec.offset)}),
        **_joint_bounds("clip", spec, spec.clip_lower, spec.clip_upper),
        **limits,
        **_changed(spec, "last_action", "low_pass", "delay"),
    }


def _per_joint(spec: ActionSpec, values: tuple[float, ...]) -> float | _Flow:
    return values[0] if len(set(values)) == 1 else _Flow(zip(spec.joints, values, strict=True))


def _joint_bounds(key: str, spec: ActionSpec, lower: tuple[float, ...], upper: tuple[float, ...]) -> dict[str, Any]:
    pairs = set(zip(lower, upper, strict=True))
    if pairs <= {(-math.inf, math.inf)}:
        return {}
    if len(pairs) == 1:
        return _bounds(key, pairs.pop())
    bounds = {"lower": lower, "upper": upper}
    return {key: {side: _Flow(zip(spec.joints, values, strict=True)) for side, values in bounds.items()}}
