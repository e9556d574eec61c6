"""holosoma: ONNX whose metadata is JSON, with the whole training configuration or, in older files, without it."""

from __future__ import annotations

import json

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers import holosoma_presets as presets
from humanoid_rl_ros.policies.importers.draft import KEYS as POLICY_KEYS
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.holosoma_terms import HolosomaTerm, lay_gait, lay_terms, read_ranges
from humanoid_rl_ros.policies.importers.holosoma_training import lay_training
from humanoid_rl_ros.policies.importers.motor_rate import lay_motor_rate
from humanoid_rl_ros.policies.importers.plain import lay_over
from humanoid_rl_ros.policies.importers.source import Source

_READ = ("dof_names", "kp", "kd", "command_ranges", "experiment_config")
_PRESET = "the file does not say; the preset of the origin's runner for this robot"


class HolosomaImporter:
    """Reads the metadata; files that lack the training configuration are completed from the runner's presets."""

    name = "holosoma"

    def recognises(self, source: Source) -> bool:
        """Whether the ONNX carries holosoma's metadata."""
        return "dof_names" in source.metadata and ("kp" in source.metadata or "kd" in source.metadata)

    def read(self, source: Source) -> Draft:
        """What the metadata says.

        Raises:
            ConfigError: it is malformed or contradicts the network, or the policy follows a motion, drives its joints
                otherwise than by position, or observes what no bundle can express.
        """
        metadata = _metadata(source)
        _refuse_motions(source, metadata)
        for config in source.configs:
            if not set(config.data) <= set(POLICY_KEYS):
                raise ConfigError(
                    f"{config.path}: holosoma's metadata says everything; only a partial policy.yaml adds"
                )
        joints = metadata.names("dof_names")
        if not joints:
            raise ConfigError(f"{metadata.where}: 'dof_names' names no joint")
        draft = source.draft()
        draft.say("origin", f"holosoma, metadata of {source.weights.name}")
        draft.drive(joints)
        for column in ("kp", "kd"):
            draft.column(column, _positive(metadata, column, len(joints)))
        draft.say("action.kind", "position_offset")
        if "command_ranges" in metadata:
            draft.say("command", read_ranges(metadata.section("command_ranges")))
        if metadata.raw("experiment_config", None) is not None:
            lay_training(draft, source, metadata.section("experiment_config"), joints)
        else:
            _lay_preset(draft, source, joints)
        draft.leave("command", "the file names no ranges: cmd_vel is not limited")
        draft.leave("imu", "gravity and rates are those of the root body: the robot's own IMU is used")
        for config in source.configs:
            lay_over(draft, config)
        return draft


def _metadata(source: Source) -> Section:
    where = f"{source.weights}: metadata"
    data = {}
    for key in _READ:
        if key in source.metadata:
            try:
                data[key] = json.loads(source.metadata[key])
            except (ValueError, RecursionError):
                raise ConfigError(f"{where}: '{key}' must be JSON, found {source.metadata[key][:80]!r}") from None
    return Section(data, where)


def _refuse_motions(source: Source, metadata: Section) -> None:
    follows = "it follows a recorded motion, no velocity command"
    if source.onnx is not None and "time_step" in source.onnx.inputs:
        raise ConfigError(f"{source.weights}: {follows} (the network takes 'time_step')")
    if "command_ranges" in metadata and metadata.raw("command_ranges") is None:
        raise ConfigError(f"{metadata.where}: {follows} ('command_ranges' is null)")


def _positive(section: Section, key: str, length: int) -> list[float]:
    """Gains: one for each joint, none below 0."""
    values = [float(value) for value in section.numbers(key, length=length)]
    for i, value in enumerate(values):
        if value < 0.0:
            raise ConfigError(f"{section.where}: '{key}[{i}]' must be at least 0, found {value:g}")
    return values


def _lay_preset(draft: Draft, source: Source, joints: tuple[str, ...]) -> None:
    """Complete a file without training configuration, when its joints and its input are those of a preset."""
    preset = presets.find_preset(joints)
    size = source.onnx.width(next(iter(source.onnx.inputs))) if source.onnx is not None else None
    if preset is None or size not in (None, presets.INPUT_SIZE):
        _ask(draft, size)
        return
    terms = [HolosomaTerm(name, name, preset.scales.get(name, 1.0)) for name in presets.TERMS]
    lay_terms(draft, source, terms, 1, len(joints), why=_PRESET)
    draft.infer("robot", preset.robot, "its joints are those of this robot")
    draft.column("default", preset.default, why=_PRESET)
    draft.column("effort", preset.effort, why="the file does not say; the limits of the published training")
    draft.infer("action.scale", presets.ACTION_SCALE, _PRESET)
    draft.infer("action.clip", presets.ACTION_CLIP, _PRESET)
    draft.infer("control_period", 1.0 / presets.CONTROL_RATE, f"{_PRESET}: {presets.CONTROL_RATE:g} Hz")
    lay_motor_rate(draft, str(source.weights), presets.PD_RATE, "as published")
    lay_gait(draft, terms, presets.GAIT_PERIOD, why=_PRESET)


def _ask(draft: Draft, size: int | None) -> None:
    known = " and ".join(preset.robot.upper() for preset in presets.PRESETS)
    numbers = f"; the input has {size} numbers" if size else ""
    draft.notes.append(
        f"The file carries no experiment_config, and joints or input are not those that the runner's presets know "
        f"({known}, {presets.INPUT_SIZE} numbers)."
    )
    order = "in the alphabetical order of holosoma's names"
    draft.ask("observation.terms", f"what the network sees, {order}, with scales and history{numbers}")
    draft.ask("joints.default", "position of each driven joint that an action of zero stands for [rad]")
    draft.ask("action.scale", "what an action of one stands for [rad]; 0.25 in the published walking policies")
    draft.ask("control_period", "time between two inferences [s]; 0.02 in the published policies")
    draft.ask(
        "pd_rate",
        "rate of the PD law [Hz]; 500 bears a delay of one joint state, which the 200 of published trainings do not",
    )
    draft.leave("joints.effort", "the file does not say the limits: the robot's are used")
