"""Weights that say nothing of themselves but their tensors; the rest is a partial `policy.yaml`, or asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.draft import COLUMNS, KEYS, Draft
from humanoid_rl_ros.policies.importers.source import Config, Source

QUESTIONS = {
    "joints": "the driven joints, by name, in the order of the network's output",
    "joints.default": "position of each driven joint that an action of zero stands for [rad]",
    "joints.kp": "position gain of each driven joint [N·m/rad]",
    "joints.kd": "velocity gain of each driven joint [N·m·s/rad]",
    "observation.terms": "what the network sees, term by term, in order, with scales and history",
    "action.scale": "what an action of one stands for [rad]; one number, or one for each driven joint",
    "control_period": "time between two inferences [s]",
    "pd_rate": "rate of the PD law that the policy was trained with [Hz]",
}
"""What every policy needs."""


class PlainImporter:
    """Any ONNX or TorchScript file."""

    name = "plain"

    def recognises(self, source: Source) -> bool:
        """Whether every configuration is a partial `policy.yaml`."""
        return all(set(config.data) <= set(KEYS) for config in source.configs)

    def read(self, source: Source) -> Draft:
        """The tensors, and what the partial `policy.yaml` says.

        Raises:
            ConfigError: it is malformed.
        """
        draft = source.draft()
        for config in source.configs:
            lay_over(draft, config)
        for key, question in QUESTIONS.items():
            if not answered(draft, key):
                draft.ask(key, question + _size_of(key, source))
        if not draft.known("action.kind"):
            draft.infer("action.kind", "position_offset", "the usual: offset + scale · action")
        if not draft.known("command"):
            draft.leave("command", "no range is said: cmd_vel is not limited")
        if "effort" not in draft.columns:
            draft.leave("joints.effort", "no limit is said: the robot's are used")
        ask_for_parts(draft)
        ask_for_tensors(draft, source)
        if source.onnx is not None and len(source.onnx.outputs) == 1:
            draft.n_joints = source.onnx.width(next(iter(source.onnx.outputs)))
        return draft


def answered(draft: Draft, key: str) -> bool:
    """Whether the draft holds what a question of `QUESTIONS` asks for."""
    if key == "joints":
        return draft.joints is not None
    if key.startswith("joints."):
        return key.removeprefix("joints.") in draft.columns
    return draft.known(key)


def ask_for_parts(draft: Draft) -> None:
    """Ask for what the observed terms cannot do without: a gait clock, a source of the base's velocity."""
    terms = _term_names(draft.keys.get("observation", {}).get("terms", ()))
    if any(name.startswith("gait_phase") for name in terms) and not draft.known("gait"):
        draft.ask("gait", "the clock whose phase is observed: period of a stride [s], start of each leg [rad]")
    if "base_lin_vel" in terms and not draft.known("base_velocity"):
        draft.ask("base_velocity", "where base_lin_vel comes from: estimator (on a robot) or ground_truth (simulation)")


def _term_names(terms: Any) -> list[str]:
    """Of a list of terms and history blocks, as far as it is one."""
    names = []
    for item in terms if isinstance(terms, list) else ():
        if isinstance(item, Mapping):
            names += [str(item["term"])] if "term" in item else _term_names(item.get("terms", ()))
    return names


def ask_for_tensors(draft: Draft, source: Source) -> None:
    """Ask which input and output are meant where an ONNX has several; ``h_in`` and ``h_out`` are a recurrent state."""
    if source.onnx is None:
        return
    states = source.onnx.states
    if states and not draft.known("weights.recurrent"):
        draft.infer("weights.recurrent", states, "the tensors whose names differ in 'in' and 'out' alone")
    recurrent = draft.keys.get("weights", {}).get("recurrent", {})
    for what, tensors, taken in (
        ("input", source.onnx.inputs, set(recurrent)),
        ("output", source.onnx.outputs, set(recurrent.values())),
    ):
        free = [name for name in tensors if name not in taken]
        if draft.known(f"weights.{what}") or (what == "input" and draft.known("weights.inputs")):
            continue
        if len(free) == 1:
            draft.say(f"weights.{what}", free[0])
        else:
            shapes = ", ".join(f"{name} {list(tensors[name])}" for name in free)
            extra = "; state goes to 'recurrent', an observation in parts to 'inputs'" if what == "input" else ""
            draft.ask(f"weights.{what}", f"which tensor is it: {shapes}{extra}")


def lay_over(draft: Draft, config: Config) -> None:
    """Let a partial `policy.yaml` have the last word.

    Raises:
        ConfigError: a joint's entry is malformed.
    """
    for key, value in config.data.items():
        if key == "format" or value is None:
            continue
        if key == "joints":
            _lay_over_joints(draft, value, str(config.path))
        elif key == "inferred" and isinstance(value, Mapping):
            draft.inferred.update({str(name): str(why) for name, why in value.items()})
        else:
            for path, leaf in _leaves(key, value):
                draft.say(path, leaf)
    for key in ("scale", "offset"):
        values = draft.keys.get("action", {}).get(key)
        if isinstance(values, list) and draft.joints is not None:
            numbers = Section({key: values}, f"{config.path}: action").numbers(key, length=len(draft.joints))
            draft.say(f"action.{key}", draft.by_joint([float(number) for number in numbers]))


def _leaves(key: str, value: Any) -> list[tuple[str, Any]]:
    """Whole values of sections that are closed; single keys of those that are filled from several sides."""
    if key in ("weights", "observation", "action") and isinstance(value, Mapping):
        return [(f"{key}.{name}", below) for name, below in value.items()]
    return [(key, value)]


def _lay_over_joints(draft: Draft, joints: Any, where: str) -> None:
    if isinstance(joints, list):
        draft.drive([str(name) for name in joints])
        return
    if isinstance(joints, Mapping) and "names" in joints and set(joints) <= {"names", *COLUMNS}:
        _lay_over_lists(draft, Section(joints, f"{where}: joints"))
        return
    if not isinstance(joints, Mapping):
        raise ConfigError(f"{where}: 'joints' must be a list of names or a mapping, found {joints!r}")
    draft.columns.clear()
    draft.drive([str(name) for name in joints])
    for name, entry in joints.items():
        strange = [key for key in entry if key not in COLUMNS] if isinstance(entry, Mapping) else []
        if strange:
            raise ConfigError(
                f"{where}: joints: {name}: no key '{strange[0]}'; {did_you_mean(str(strange[0]), COLUMNS)}"
            )
    for column in COLUMNS:
        values = []
        for name, entry in joints.items():
            value = entry.get(column) if isinstance(entry, Mapping) else None
            if isinstance(value, bool) or not isinstance(value, int | float):
                if value is not None:
                    raise ConfigError(f"{where}: joints: {name}: '{column}' must be a number, found {value!r}")
                continue
            values.append(float(value))
        if values and len(values) != len(joints):
            raise ConfigError(f"{where}: joints: only {len(values)} of {len(joints)} have '{column}'")
        if values:
            draft.column(column, values)


def _numbers(section: Section) -> dict[str, float]:
    return {name: section.number(name) for name in section.keys()}


def _lay_over_lists(draft: Draft, joints: Section) -> None:
    """Names and numbers in lists of the same order, as other projects keep them."""
    draft.columns.clear()
    draft.drive(joints.names("names"))
    for column in COLUMNS:
        if column in joints and isinstance(joints.raw(column), Mapping):
            draft.column(column, _numbers(joints.section(column)))
        elif column in joints and isinstance(joints.raw(column), list):
            draft.column(column, [float(value) for value in joints.numbers(column, length=len(joints.names("names")))])
        elif column in joints:
            draft.column(column, joints.number(column))


def _size_of(key: str, source: Source) -> str:
    """What the tensors tell about the answer."""
    if source.onnx is None:
        return ""
    tensors = {"joints": source.onnx.outputs, "observation.terms": source.onnx.inputs}.get(key, {})
    if len(tensors) != 1:
        return ""
    width = source.onnx.width(next(iter(tensors)))
    return f"; the network has {width} numbers" if width else ""
