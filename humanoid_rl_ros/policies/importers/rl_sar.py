"""rl_sar, version 3.0 and later: the `base.yaml` of a robot and the `config.yaml` of one of its policies."""

from __future__ import annotations

import math
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import fit_network, indices, per_joint, whole
from humanoid_rl_ros.policies.importers.rl_sar_files import RlSarFile, is_rl_sar, read_pair
from humanoid_rl_ros.policies.importers.source import Source

PHASE_PERIOD = 0.8
"""Of ``g1_phase`` [s]; a constant of the origin's code."""
_MOST_JOINTS, _MOST_FRAMES = 200, 1000
_MOTION_TERMS = ("RoboMimic_Deploy/phase", "g1_mimic_phase", "whole_body_tracking/")
_TERMS = (
    "lin_vel", "ang_vel", "ang_vel_body", "ang_vel_world", "gravity_vec", "commands", "dof_pos", "dof_vel", "actions",
    "g1_phase",
)  # fmt: skip
_NO_EFFECT = (
    "joint_controller_names", "fixed_kp", "fixed_kd", "model_name", "num_observations", "waist_joint_indices",
    "lin_vel_scale", "ang_vel_scale", "dof_pos_scale", "dof_vel_scale", "commands_scale", "torque_limits",
    "observations_history_priority",
)  # fmt: skip
"""Known, but without effect unless something else asks for them."""


class RlSarImporter:
    """Reads the pair; the policy's file overrides the robot's key by key."""

    name = "rl_sar"

    def recognises(self, source: Source) -> bool:
        """Whether a file has rl_sar's keys, of whatever version, below the one that names robot or policy."""
        return any(is_rl_sar(config) for config in source.configs)

    def read(self, source: Source) -> Draft:
        """What both files say.

        Raises:
            ConfigError: a file is missing, of an older version, or contradicts itself, or the policy has wheels,
                follows a motion, or observes what no bundle can express.
        """
        base, config = read_pair(source)
        section = Section({**base.data, **config.data}, f"{config.path} (over {base.path.name})")
        for key in _NO_EFFECT:
            section.raw(key, None)
        _refuse_wheels_and_motions(section)
        draft = source.draft()
        draft.say("name", config.key.replace("/", "_"))
        draft.say("robot", base.key)
        draft.say("origin", f"rl_sar, {config.key} ({config.path.name} over {base.path.name})")
        _read_rates(draft, section)
        names = _drive(draft, section, base, config)
        _read_columns(draft, section)
        _hold(draft, base, names)
        _read_observation(draft, section, source)
        _read_action(draft, section)
        section.finish()
        model = section.raw("model_name", None)
        if isinstance(model, str) and model != source.weights.name:
            draft.notes.append(f"{config.path.name} is of the network '{model}'; imported is '{source.weights.name}'.")
        draft.leave("command", "no file says the ranges: cmd_vel is not limited")
        draft.leave("imu", "no file says where it is: the robot's is used")
        return draft


def _refuse_wheels_and_motions(section: Section) -> None:
    where = section.where
    if section.raw("wheel_indices", None):
        raise ConfigError(f"{where}: 'wheel_indices' is {section.raw('wheel_indices')!r}; wheels cannot be driven")
    if section.raw("motion_file", None):
        motion = section.raw("motion_file")
        raise ConfigError(f"{where}: 'motion_file' {motion!r}: it follows a recorded motion, no velocity command")
    for name in section.names("observations"):
        if name.startswith(_MOTION_TERMS):
            text = f"it follows a recorded motion, no velocity command ('observations' has '{name}')"
            raise ConfigError(f"{where}: {text}")


def _read_rates(draft: Draft, section: Section) -> None:
    dt = section.number("dt", least=1e-5, most=1.0)
    decimation = whole(section, "decimation", least=1, most=1000)
    draft.say("control_period", round(dt * decimation, 9))
    draft.say("pd_rate", round(1.0 / dt, 6))


def _drive(draft: Draft, section: Section, base: RlSarFile, config: RlSarFile) -> tuple[str, ...]:
    """Index i of the policy is joint ``joint_mapping[i]`` of the robot; gives the robot's names."""
    names = base.section().names("joint_names")
    n = whole(section, "num_of_dofs", least=1, most=_MOST_JOINTS)
    joints = [names[i] for i in indices(section, "joint_mapping", n, len(names))]
    listed = section.names("joint_names")
    # Versions 3.0 and 3.0.x repeat the robot's names, all or the first of them, in the policy's file.
    if listed != names[: len(listed)]:
        raise ConfigError(f"{config.path}: 'joint_names' are others than those of {base.path}; one robot has one order")
    draft.drive(joints)
    return names


def _read_columns(draft: Draft, section: Section) -> None:
    n = len(draft.joints or ())
    draft.column("default", per_joint(section, "default_dof_pos", n))
    draft.column("kp", per_joint(section, "rl_kp", n, least=0.0))
    draft.column("kd", per_joint(section, "rl_kd", n, least=0.0))
    why = (
        "'torque_limits' are only what the origin's runner logs by"
        if "torque_limits" in section
        else "no file says them"
    )
    draft.leave("joints.effort", f"{why}: the robot's are used")


def _hold(draft: Draft, base: RlSarFile, names: tuple[str, ...]) -> None:
    """Joints of the robot that the policy does not drive stay where getting up has left them."""
    idle = [name for name in names if name not in (draft.joints or ())]
    if not idle:
        return
    section = base.section()
    n = whole(section, "num_of_dofs", least=1, most=_MOST_JOINTS)
    place = {names[index]: i for i, index in enumerate(indices(section, "joint_mapping", n, len(names)))}
    pose = per_joint(section, "default_dof_pos", n)
    kp, kd = (per_joint(section, key, n, least=0.0) for key in ("fixed_kp", "fixed_kd"))
    for name in idle:
        if name not in place:
            raise ConfigError(f"{base.path}: joint '{name}' stands in no 'joint_mapping': neither driven nor held")
        i = place[name]
        draft.hold(name, pose[i], kp[i], kd[i])
    why = f"not driven: the origin's runner leaves them at the pose and gains of {base.path.name}"
    draft.infer("held", draft.keys["held"], why)


def _read_observation(draft: Draft, section: Section, source: Source) -> None:
    n = len(draft.joints or ())
    terms: list[dict[str, Any]] = []
    widths: list[tuple[str, int]] = []
    for name in section.names("observations"):
        found, width = _terms_of(name, section, n)
        terms += found
        widths.append((name, width))
    draft.say("observation.terms", terms)
    named = [name for name, _ in widths]
    if "lin_vel" in named:
        why = "lin_vel: the origin's runners have no velocity of the base and feed zeros"
        draft.infer("observation.terms", terms, why)
    if "g1_phase" in named:
        # The first frame is built after the first period has been counted.
        start = 2.0 * math.pi * math.fmod(draft.keys["control_period"] / PHASE_PERIOD, 1.0)
        why = "g1_phase: its period and its start are constants of the origin's code"
        draft.infer("gait", {"period": PHASE_PERIOD, "phases": [start], "when_standing": "run"}, why)
    draft.say("observation.clip", section.number("clip_obs", above=0.0))
    frames = _read_history(draft, section)
    fit_network(draft, source, widths, frames, n)
    _compare_size(draft, section, source, widths)


def _terms_of(name: str, section: Section, n: int) -> tuple[list[dict[str, Any]], int]:
    """A name of ``observations``: what it is here, and how many numbers it has."""
    if name == "lin_vel":
        return [{"term": "constant", "value": [0.0, 0.0, 0.0]}], 3
    if name in ("ang_vel", "ang_vel_body", "ang_vel_world"):  # all of them in the body's frame when they are observed
        return [_scaled("base_ang_vel", section.number("ang_vel_scale"))], 3
    if name == "gravity_vec":
        return [{"term": "projected_gravity"}], 3
    if name == "commands":
        scale = [float(value) for value in section.numbers("commands_scale", length=3)]
        return [_scaled("velocity_commands", scale)], 3
    if name == "dof_pos":
        return [_scaled("joint_pos_rel", section.number("dof_pos_scale"))], n
    if name == "dof_vel":
        return [_scaled("joint_vel_rel", section.number("dof_vel_scale"))], n
    if name == "actions":
        return [{"term": "last_action"}], n
    if name == "g1_phase":
        return [{"term": "gait_phase_sin"}, {"term": "gait_phase_cos"}], 2
    hint = "a clock of three frequencies, a bundle's has one" if name == "phase" else did_you_mean(name, _TERMS)
    raise ConfigError(f"{section.where}: 'observations' has '{name}', which no bundle can express; {hint}")


def _scaled(term: str, scale: float | list[float]) -> dict[str, Any]:
    neutral = scale == 1.0 or scale == [1.0, 1.0, 1.0]
    return {"term": term} if neutral else {"term": term, "scale": scale}


def _read_history(draft: Draft, section: Section) -> int:
    """Ages of the frames in the order they are fed, 0 the newest; gives their number."""
    found = section.raw("observations_history", None)
    ages = [] if found is None else [float(age) for age in section.numbers("observations_history")]
    if len(ages) > _MOST_FRAMES:
        raise ConfigError(f"{section.where}: 'observations_history' has {len(ages)} frames, at most {_MOST_FRAMES}")
    orders = {"newest_first": list(range(len(ages))), "oldest_first": list(range(len(ages)))[::-1]}
    order = next((name for name, expected in orders.items() if ages == expected), None)
    if order is None:
        text = f"must be 0 to H - 1 upwards or downwards to be a history without gaps, found {ages}"
        raise ConfigError(f"{section.where}: 'observations_history' {text}")
    if len(ages) < 2:  # this frame alone
        return 1
    draft.say("observation.history", {"length": len(ages), "order": order, "first_fill": "zeros"})
    if section.raw("observations_history_priority", None) is None:
        why = "no observations_history_priority: versions without it stack frame after frame"
        draft.infer("observation.history.layout", "time_major", why)
    else:
        layout = section.choice("observations_history_priority", ("time", "term"))
        draft.say("observation.history.layout", f"{layout}_major")
    return len(ages)


def _compare_size(draft: Draft, section: Section, source: Source, widths: list[tuple[str, int]]) -> None:
    """``num_observations`` is of one frame; the origin's runner does not use it, so that it may be out of date."""
    size = sum(width for _, width in widths)
    if section.raw("num_observations", None) is None:
        return
    said = whole(section, "num_observations", least=1, most=10**6)
    if said == size:
        return
    listed = ", ".join(f"{name} {width}" for name, width in widths)
    text = f"'num_observations' is {said}, but the observations have {size} numbers: {listed}"
    if source.onnx is None:
        raise ConfigError(f"{section.where}: {text}")
    draft.notes.append(f"{text}; the network takes the latter.")


def _read_action(draft: Draft, section: Section) -> None:
    n = len(draft.joints or ())
    draft.say("action.kind", "position_offset")
    draft.say("action.scale", draft.by_joint(per_joint(section, "action_scale", n)))
    lower, upper = (_clip(section, f"clip_actions_{side}", n) for side in ("lower", "upper"))
    if lower is not None and upper is not None:
        for joint, low, high in zip(draft.joints or (), lower, upper, strict=True):
            if not low < high:
                text = f"'clip_actions_lower' and 'clip_actions_upper' of joint '{joint}' contradict each other"
                raise ConfigError(f"{section.where}: {text}: [{low:g}, {high:g}]")
        draft.say("action.clip", {"lower": draft.by_joint(lower), "upper": draft.by_joint(upper)})
    draft.say("action.last_action", "clipped")


def _clip(section: Section, key: str, n: int) -> list[float] | None:
    """One number for each joint, or a single one for all; none where the list is empty."""
    values = section.raw(key, None)
    if values is None or values == []:
        return None
    if isinstance(values, list) and len(values) == 1:
        return [float(section.numbers(key)[0])] * n
    return per_joint(section, key, n)
