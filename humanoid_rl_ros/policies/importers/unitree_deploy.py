"""Unitree's `deploy.yaml`, as unitree_rl_lab, unitree_rl_mjlab and their forks write it beside the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import command_ranges
from humanoid_rl_ros.policies.importers.source import Source
from humanoid_rl_ros.policies.importers.unitree_action import Action, read_action
from humanoid_rl_ros.policies.importers.unitree_body import Body, name_joints, read_body
from humanoid_rl_ros.policies.importers.unitree_metadata import compare, shows_phase
from humanoid_rl_ros.policies.importers.unitree_observation import (
    MASKED_PHASE,
    Group,
    Term,
    group_names,
    read_groups,
)

PD_RATE = 1000.0
"""The origin's runner sends targets to the motors every millisecond [Hz]."""
SHORTEST = 1e-4
"""Period that is believed [s]."""
STANDING = 0.1
"""Below this a command asks the origin's clock to stand [m/s, rad/s]."""
_KEYS = {"joint_ids_map", "step_dt", "actions", "observations"}
_AXES = {"lin_vel_x": "linear_x", "lin_vel_y": "linear_y", "ang_vel_z": "angular_z"}


class UnitreeDeployImporter:
    """Reads the file; joints have no names in it."""

    name = "unitree_deploy"

    def recognises(self, source: Source) -> bool:
        """Whether a configuration has the keys of a deploy.yaml."""
        return any(set(config.data) >= _KEYS for config in source.configs)

    def read(self, source: Source) -> Draft:
        """What it says.

        Raises:
            ConfigError: it is malformed or contradicts itself or the weights, or the policy drives wheels, walks on
                four legs, follows a recorded motion, or observes what no bundle can express.
        """
        if len(source.configs) != 1:
            found = ", ".join(str(config.path) for config in source.configs) or "none"
            raise ConfigError(f"{source.weights}: expected its deploy.yaml and no other configuration, found {found}")
        config = source.configs[0]
        top = Section(config.data, str(config.path))
        draft = source.draft()
        draft.say("origin", f"Unitree {config.path.name}")
        draft.say("control_period", top.number("step_dt", least=SHORTEST, most=1.0))
        draft.infer("pd_rate", PD_RATE, "the origin's runner sends targets every 1 ms, the motors run the PD law")
        body = read_body(draft, top)
        action, ids = read_action(top.section("actions"), len(body.motors))
        groups = _groups(draft, top.section("observations"), source, len(body.motors), len(ids))
        names = name_joints(draft, source, body, ids, top.where)
        _say_action(draft, action, body, ids)
        _say_observation(draft, groups)
        _say_gait(draft, [term for group in groups for term in group.terms], source, body)
        _say_command(draft, top.section("commands", {}))
        top.finish()
        if names is not None:
            said = {"kp": body.kp, "kd": body.kd, "default_joint_pos": body.default}
            compare(draft, source, config.path.name, names, said)
            compare(draft, source, config.path.name, [names[i] for i in ids], {"action scale": action.scale})
        draft.leave("joints.effort", "no file says the limits: the robot's are used")
        draft.leave(
            "imu", "no file says where it is: the robot's is used; most policies observe the base, not the torso"
        )
        return draft


def _groups(draft: Draft, section: Section, source: Source, joints: int, actions: int) -> list[Group]:
    """The observation, in the order of the network's inputs, of their widths."""
    names = group_names(section)
    if source.onnx is None:
        if len(names) > 1:
            raise ConfigError(f"{section.where}: groups {names} for one TorchScript input; only ONNX names its inputs")
        return read_groups(section, names, joints, actions)
    inputs, outputs = list(source.onnx.inputs), list(source.onnx.outputs)
    if "time_step" in inputs:
        raise ConfigError(
            f"{source.weights}: its input 'time_step' counts through a recorded motion: it follows that and not a "
            "velocity command"
        )
    strangers = [name for name in inputs if name not in names]
    if names and strangers:
        raise ConfigError(f"{section.where}: no group for the network's input '{strangers[0]}', found {names}")
    if not names and len(inputs) > 1:
        raise ConfigError(f"{section.where}: the terms are one group, but the network has the inputs {inputs}")
    unused = [name for name in names if name not in inputs]
    if unused:
        draft.notes.append(f"The network has no input for the observation groups {unused}: they are left out.")
    groups = read_groups(section, inputs if names else [], joints, actions)
    for group, tensor in zip(groups, inputs, strict=True):
        group.require_width(tensor, source.onnx.width(tensor))
    width = source.onnx.width(outputs[0])
    if width is not None and width != actions:
        raise ConfigError(
            f"{source.weights}: its output '{outputs[0]}' has {width} numbers, {section.where} has {actions} actions"
        )
    if len(groups) > 1:
        draft.say("weights.inputs", {tensor: group.width for tensor, group in zip(inputs, groups, strict=True)})
    else:
        draft.say("weights.input", inputs[0])
    if len(outputs) > 1:
        draft.infer("weights.output", outputs[0], "the origin's runner takes the first output")
    else:
        draft.say("weights.output", outputs[0])
    return groups


def _say_action(draft: Draft, action: Action, body: Body, ids: Sequence[int]) -> None:
    draft.say("action.kind", "position_offset")
    _say_each(draft, "action.scale", action.scale, "what an action of one stands for [rad]")
    if action.offset != [body.default[i] for i in ids]:
        _say_each(draft, "action.offset", action.offset, "what is added to the scaled action [rad]")
    for side, bounds in (("lower", action.lower), ("upper", action.upper)):
        if bounds:
            _say_each(draft, f"action.target_limits.{side}", bounds, f"{side} bound of each target [rad]")


def _say_each(draft: Draft, key: str, values: list[float], what: str) -> None:
    """Say numbers per joint; as a question that holds them, while the joints have no names."""
    if draft.joints is not None or len(set(values)) == 1:
        draft.say(key, values[0] if len(set(values)) == 1 else draft.by_joint(values))
    else:
        draft.ask(key, f"{what}; the file says, in the network's order: {' '.join(f'{value:g}' for value in values)}")


def _say_observation(draft: Draft, groups: Sequence[Group]) -> None:
    items: list[dict[str, Any]] = []
    for group in groups:
        terms, history = group.laid_out()
        if history is None:
            items += terms
        elif len(groups) == 1:
            draft.say("observation.history", history)
            items += terms
        else:
            items.append({"history": history, "terms": terms})
    draft.say("observation.terms", items)


def _say_gait(draft: Draft, terms: Sequence[Term], source: Source, body: Body) -> None:
    """The clock; whether it shows while standing is in no key of the file."""
    phases = [term for term in terms if term.period is not None]
    if not phases:
        return
    if len(phases) > 1:
        raise ConfigError(
            f"{source.configs[0].path}: 'observations' has {len(phases)} gait phases, which the origin's runner would "
            "advance together"
        )
    draft.say("gait.period", phases[0].period)
    masked = phases[0].name == MASKED_PHASE
    why = f"'{MASKED_PHASE}' is zero below a command of {STANDING:g}, by the code of its origin"
    if not masked and shows_phase(source) and body.motors == list(range(len(body.motors))):
        masked = True
        why = (
            "the metadata of the weights names 'phase', as unitree_rl_mjlab does since March 2026, whose runner shows "
            f"zeros below a command of {STANDING:g}"
        )
    if masked:
        draft.infer("gait.when_standing", "zero", why)
        draft.infer("gait.stand_threshold", STANDING, f"{why}; there of the three axes' norm")
    else:
        draft.infer(
            "gait.when_standing", "run", "nothing says that standing hides the phase; in unitree_rl_lab it never does"
        )


def _say_command(draft: Draft, section: Section) -> None:
    velocity = section.section("base_velocity", {})
    if "ranges" not in velocity:
        draft.leave("command", "no file says the ranges: cmd_vel is not limited")
        return
    ranges = velocity.section("ranges")
    for axis, bounds in command_ranges(ranges, _AXES).items():
        draft.say(f"command.{axis}", bounds)
