"""mjlab, whole_body_tracking, unitree_rl_mjlab and HoloMotion: ONNX metadata with commas between the values."""

from __future__ import annotations

from collections.abc import Sequence

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.csv_deploy import KEYS as DEPLOY_KEYS
from humanoid_rl_ros.policies.importers.csv_deploy import lay_deploy
from humanoid_rl_ros.policies.importers.csv_gains import side_by_side
from humanoid_rl_ros.policies.importers.csv_joints import CsvJoints, lay_joints
from humanoid_rl_ros.policies.importers.csv_terms import UNSAID, CsvTerm, lay_terms, read_terms, says_scales
from humanoid_rl_ros.policies.importers.csv_values import CsvMetadata
from humanoid_rl_ros.policies.importers.draft import KEYS as POLICY_KEYS
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.holomotion_config import KEYS as HOLOMOTION_KEYS
from humanoid_rl_ros.policies.importers.holomotion_config import (
    STAND_THRESHOLD,
    lay_holomotion_rates,
    read_holomotion_terms,
)
from humanoid_rl_ros.policies.importers.holosoma_presets import G1
from humanoid_rl_ros.policies.importers.motor_rate import lay_motor_rate
from humanoid_rl_ros.policies.importers.plain import lay_over
from humanoid_rl_ros.policies.importers.source import Config, Source

_FAMILY = ("joint_names", "joint_stiffness", "joint_damping", "default_joint_pos", "action_scale")
_PERIODS = ("control_dt", "policy_period_s")
_SHORTEST = 1e-5
"""Period of physics that is believed [s]."""
_COMMANDS = ("twist", "base_velocity", "velocity")
_PERIOD, _PD_RATE = 0.02, 200.0
_STILL = 0.1
"""Norm of the command below which unitree_rl_mjlab's phase is 0."""


class CsvMetadataImporter:
    """Reads the metadata, and a deploy.yaml or HoloMotion's config.yaml given with it."""

    name = "csv_metadata"

    def recognises(self, source: Source) -> bool:
        """Whether the ONNX carries metadata of this family."""
        return sum(key in source.metadata for key in _FAMILY) > 2

    def read(self, source: Source) -> Draft:
        """What metadata and configurations say.

        Raises:
            ConfigError: they are malformed or contradict the network, the gains are those of a broken export, or the
                policy follows a motion or observes what no bundle can express.
        """
        metadata = CsvMetadata(source.metadata, f"{source.weights}: metadata")
        _refuse_motions(source, metadata)
        deploy, holomotion, answers = _sorted(source)
        draft = source.draft()
        driven = _lay_tensors(draft, source)
        joints = lay_joints(draft, source, metadata, driven)
        terms = _terms(metadata, holomotion)
        _lay_observation(draft, source, metadata, joints, terms)
        _lay_rates(draft, metadata, joints.names)
        for config in holomotion:
            lay_holomotion_rates(draft, config)
        for config in deploy:
            lay_deploy(draft, source, config, joints, scales_said=says_scales(metadata))
        _lay_rest(draft, source, metadata, joints.names)
        for config in answers:
            lay_over(draft, config)
        return draft


def _refuse_motions(source: Source, metadata: CsvMetadata) -> None:
    follows = "it follows a recorded motion, no velocity command"
    inputs = source.onnx.inputs if source.onnx is not None else {}
    if "time_step" in inputs:
        raise ConfigError(f"{source.weights}: {follows} (the network takes 'time_step')")
    for key in ("anchor_body_name", "body_names", "rope_max_seq_len"):
        if key in metadata:
            raise ConfigError(f"{metadata.where}: {follows} (it has '{key}')")
    for key in ("command_names", "observation_names"):
        names = metadata.texts(key) if key in metadata and source.metadata[key].strip() else ()
        for name in names:
            if name == "motion" or name.startswith("motion_"):
                raise ConfigError(f"{metadata.where}: {follows} ('{key}' has '{name}')")


def _sorted(source: Source) -> tuple[list[Config], list[Config], list[Config]]:
    """Configurations by kind: deploy.yaml, HoloMotion's, and partial `policy.yaml`."""
    deploy, holomotion, answers = [], [], []
    for config in source.configs:
        if all(key in config.data for key in DEPLOY_KEYS):
            deploy.append(config)
        elif all(key in config.data for key in HOLOMOTION_KEYS):
            holomotion.append(config)
        elif set(config.data) <= set(POLICY_KEYS):
            answers.append(config)
        else:
            found = ", ".join(list(config.data)[:5])
            raise ConfigError(
                f"{config.path}: neither a deploy.yaml ({', '.join(DEPLOY_KEYS)}) nor HoloMotion's config.yaml "
                f"({', '.join(HOLOMOTION_KEYS)}) nor a partial policy.yaml; found {found}"
            )
    if len(deploy) > 1 or len(holomotion) > 1:
        raise ConfigError(f"{(deploy + holomotion)[-1].path}: a second file of the same kind; give one")
    return deploy, holomotion, answers


def _lay_tensors(draft: Draft, source: Source) -> int | None:
    """Name the tensors; what ends in ``_in`` and has an output ending in ``_out`` is a recurrent state.

    Returns:
        Width of the output, or None where it is free.
    """
    onnx = source.onnx
    if onnx is None:
        return None
    states = onnx.states
    inputs = [name for name in onnx.inputs if name not in states]
    outputs = [name for name in onnx.outputs if name not in states.values()]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConfigError(
            f"{source.weights}: expected one observation and one action, found inputs {inputs}, outputs {outputs}"
        )
    draft.say("weights.input", inputs[0])
    draft.say("weights.output", outputs[0])
    if states:
        draft.say("weights.recurrent", states)
    return onnx.width(outputs[0])


def _terms(metadata: CsvMetadata, holomotion: Sequence[Config]) -> list[CsvTerm]:
    """What is observed; empty where nobody says it."""
    if "observation_names" in metadata:
        if holomotion:
            raise ConfigError(
                f"{holomotion[0].path}: of HoloMotion, but the metadata names observations as it never does"
            )
        return read_terms(metadata)
    return read_holomotion_terms(holomotion[0]) if holomotion else []


def _lay_observation(
    draft: Draft, source: Source, metadata: CsvMetadata, joints: CsvJoints, terms: Sequence[CsvTerm]
) -> None:
    size = source.onnx.width(draft.keys["weights"]["input"]) if source.onnx is not None else None
    if not terms:
        numbers = f"; the input has {size} numbers" if size else ""
        draft.ask("observation.terms", f"what the network sees; HoloMotion says it in its config.yaml only{numbers}")
        return
    observed = lay_terms(draft, metadata.where, terms, size, joints.names, joints.driven)
    if "observation_names" in metadata and not says_scales(metadata):
        draft.infer("observation.terms", draft.keys["observation"]["terms"], UNSAID)
    if joints.driven != len(joints.names) and observed == len(joints.names):
        draft.say("observation.joints", list(joints.names))
        draft.say("observation.default", dict(zip(joints.names, joints.default, strict=True)))
    parts = {part for term in terms for part in term.parts}
    if "base_lin_vel" in parts:
        draft.infer("base_velocity", "ground_truth", "it observes base_lin_vel, which training takes from simulation")
    if "moving" in parts:
        why = "HoloMotion's code: norm of the command; here planar speed and turn rate are compared one by one"
        draft.infer("observation.stand_threshold", STAND_THRESHOLD, why)
    if "gait_phase_sin" in parts:
        draft.ask("gait.period", "of its gait phase [s]; 0.6 in unitree_rl_mjlab's own tasks, 0.8 in some others")
        draft.infer("gait.phases", [0.0], "unitree_rl_mjlab's code: one phase that starts at 0")
        why = f"unitree_rl_mjlab's code: 0 while the norm of the command is below {_STILL:g}"
        draft.infer("gait.when_standing", "zero", f"{why}; here planar speed and turn rate are compared one by one")
        draft.say("gait.stand_threshold", _STILL)


def _lay_rates(draft: Draft, metadata: CsvMetadata, joints: Sequence[str]) -> None:
    said = next((key for key in _PERIODS if key in metadata), None)
    if said is not None:
        draft.say("control_period", metadata.number(said, above=0.0))
    elif "sim_dt" in metadata and "decimation" in metadata:
        period = metadata.number("sim_dt", above=0.0) * metadata.number("decimation", above=0.0)
        draft.say("control_period", period)
    elif "observation_history_lengths" in metadata or ("observation_names" in metadata and side_by_side(joints)):
        draft.ask("control_period", "time between two inferences [s]; 0.02 in most tasks of Isaac Lab, 0.04 in some")
    else:
        why = "the file does not say; every published task of mjlab and HoloMotion runs at 50 Hz"
        draft.infer("control_period", _PERIOD, why)


def _lay_rest(draft: Draft, source: Source, metadata: CsvMetadata, joints: Sequence[str]) -> None:
    if "sim_dt" in metadata:
        rate = 1.0 / metadata.number("sim_dt", above=_SHORTEST)
        lay_motor_rate(draft, metadata.where, rate, "as the file says")
    else:
        lay_motor_rate(draft, metadata.where, _PD_RATE, "as in every published task")
    metadata.skip("run_path", "command_names", "sim_dt", "decimation", *_PERIODS)
    draft.say("origin", f"metadata of {source.weights.name}, separated by commas as mjlab and its kin write it")
    if set(joints) == set(G1.joints):
        draft.infer("robot", G1.robot, "its joints are those of this robot")
    draft.leave("command", "no file says the ranges: cmd_vel is not limited")
    draft.leave("imu", "no file says where it is: the robot's is used")
    if "effort" not in draft.columns:
        draft.leave("joints.effort", "no file says the limits: the robot's are used")
    if "command_names" in metadata and not set(source.metadata["command_names"].split(",")) & set(_COMMANDS):
        found = source.metadata["command_names"][:80]
        draft.notes.append(f"The command is named '{found}'; it is read as forward and left speed and turn rate.")
    draft.notes.append("The metadata is rounded to three decimals: gains, pose and scales are no finer than that.")
    unread = metadata.unread()
    if unread:
        draft.notes.append(f"Keys of the metadata that nobody here knows: {', '.join(unread)}.")
