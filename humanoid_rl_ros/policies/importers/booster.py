"""booster_gym: the deploy YAML of the Booster T1; what the network sees stands in the origin's runner."""

from __future__ import annotations

from typing import Any

from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import fit_network, indices, per_joint, whole
from humanoid_rl_ros.policies.importers.source import Config, Source

TARGET_LOW_PASS = 0.2
SLEW_RATE = 1.0
"""[m/s²], [rad/s²]."""
STAND_THRESHOLD = 1e-5
"""[m/s], [rad/s]."""
COMMAND_LIMIT = 0.5
"""[m/s], [rad/s]."""
_RUNNER = "fixed in the origin's runner"


def _pairs(joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for side in ("Left", "Right") for joint in joints.split())


UPPER = ("AAHead_yaw", "Head_pitch", *_pairs("Shoulder_Pitch Shoulder_Roll Elbow_Pitch Elbow_Yaw"), "Waist")
LEGS = _pairs("Hip_Pitch Hip_Roll Hip_Yaw Knee_Pitch Ankle_Pitch Ankle_Roll")
"""Of the T1, in the order of the vendor's interface; the policy drives the legs."""


class BoosterImporter:
    """Reads the file; its lists carry no names and have the order of the robot's interface."""

    name = "booster_gym"

    def recognises(self, source: Source) -> bool:
        """Whether a file has the format's keys."""
        return any(_is_of_format(config) for config in source.configs)

    def read(self, source: Source) -> Draft:
        """What the file says, and what its runner adds.

        Raises:
            ConfigError: there is more than one file, a key is missing, unknown or malformed, or it is of another robot.
        """
        if len(source.configs) != 1:
            raise ConfigError(f"a policy of booster_gym has one deploy YAML, found {len(source.configs)} files")
        config = source.configs[0]
        top = Section(config.data, str(config.path))
        common, policy = top.section("common"), top.section("policy")
        normalization, control = policy.section("normalization"), policy.section("control")
        draft = source.draft()
        draft.say("origin", f"booster_gym, {config.path.name}")
        draft.infer("robot", "booster_t1", "the only robot of 23 joints with such a file")
        dt = common.number("dt", least=1e-5, most=1.0)
        decimation = whole(control, "decimation", least=1, most=1000)
        draft.say("control_period", round(dt * decimation, 9))
        draft.infer("pd_rate", round(1.0 / dt, 6), "the origin's runner sends its targets every 'dt'")
        _read_joints(draft, common)
        _read_observation(draft, policy, normalization, source)
        _read_action(draft, control, normalization)
        _read_runner(draft, policy)
        _note_ankles(draft, top)
        model = policy.text("policy_path", "")
        if model and model.rpartition("/")[2] != source.weights.name:
            draft.notes.append(f"{config.path.name} is of the network '{model}'; imported is '{source.weights.name}'.")
        top.raw("prepare", None)  # how the origin stands up before
        for section in (normalization, control, common, policy, top):
            section.finish()
        draft.leave("imu", "no file says where it is: the robot's is used")
        return draft


def _is_of_format(config: Config) -> bool:
    common, policy = config.data.get("common"), config.data.get("policy")
    return (
        isinstance(common, dict)
        and isinstance(policy, dict)
        and {"stiffness", "damping", "default_qpos"} <= set(common)
        and {"gait_frequency", "normalization", "control"} <= set(policy)
    )


def _read_joints(draft: Draft, common: Section) -> None:
    names = UPPER + LEGS
    n, first = len(names), len(UPPER)
    found = common.raw("default_qpos")
    if isinstance(found, list) and len(found) != n:
        raise ConfigError(f"{common.where}: 'default_qpos' has {len(found)} joints; only the T1's {n} are known")
    pose = per_joint(common, "default_qpos", n)
    kp, kd = (per_joint(common, key, n, least=0.0) for key in ("stiffness", "damping"))
    effort = per_joint(common, "torque_limit", n, above=0.0)
    draft.drive(LEGS, why="the file has no names: the last 12 of the T1, in the order of the vendor's interface")
    for column, values in (("default", pose), ("kp", kp), ("kd", kd)):
        draft.column(column, values[first:])
    draft.column("effort", effort[first:], why="torque_limit; the origin's runner applies it to the ankles alone")
    for i, name in enumerate(UPPER):
        draft.hold(name, pose[i], kp[i], kd[i], effort[i])
    why = "the file has no names: the first 11 of the T1, which the origin's runner holds at default_qpos"
    draft.infer("held", draft.keys["held"], why)


def _read_observation(draft: Draft, policy: Section, normalization: Section, source: Source) -> None:
    n = len(LEGS)
    if whole(policy, "num_actions", least=1, most=1000) != n:
        raise ConfigError(f"{policy.where}: 'num_actions' must be {n}, the legs, found {policy.raw('num_actions')}")
    gravity, linear, angular, position, velocity = (
        normalization.number(key) for key in ("gravity", "lin_vel", "ang_vel", "dof_pos", "dof_vel")
    )
    standing = {"zero_when_standing": True}
    frame: list[tuple[dict[str, Any], int]] = [
        ({"term": "projected_gravity", "scale": gravity}, 3),
        ({"term": "base_ang_vel", "scale": angular}, 3),
        ({"term": "velocity_commands", "scale": [linear, linear, angular], **standing}, 3),
        ({"term": "gait_phase_cos"}, 1),
        ({"term": "gait_phase_sin"}, 1),
        ({"term": "joint_pos_rel", "scale": position}, n),
        ({"term": "joint_vel_rel", "scale": velocity}, n),
        ({"term": "last_action"}, n),
    ]
    widths = [(term["term"], width) for term, width in frame]
    size = sum(width for _, width in widths)
    said = whole(policy, "num_observations", least=1, most=10**6)
    if said != size:
        listed = ", ".join(f"{term} {width}" for term, width in widths)
        raise ConfigError(f"{policy.where}: 'num_observations' is {said}, the runner's {size}: {listed}")
    draft.infer(
        "observation.terms", [term for term, _ in frame], f"their order is {_RUNNER}; the scales are the file's"
    )
    fit_network(draft, source, widths, 1, n)


def _read_action(draft: Draft, control: Section, normalization: Section) -> None:
    draft.infer("action.kind", "position_offset", _RUNNER)
    draft.say("action.scale", control.number("action_scale"))
    draft.say("action.clip", normalization.number("clip_actions", above=0.0))
    draft.infer("action.last_action", "clipped", _RUNNER)


def _read_runner(draft: Draft, policy: Section) -> None:
    """What the origin does around the network, whatever the file says."""
    draft.say("gait.frequency", policy.number("gait_frequency", above=0.0))
    draft.say("gait.phases", [0.0])
    draft.infer("gait.when_standing", "zero", _RUNNER)
    draft.infer("gait.stand_threshold", STAND_THRESHOLD, f"{_RUNNER}, of the length of the command")
    limits = {axis: [-COMMAND_LIMIT, COMMAND_LIMIT] for axis in AXES}
    why = f"limits and slew rate are {_RUNNER}; it was trained up to 1 m/s and 1 rad/s"
    draft.infer("command", {**limits, "slew_rate": [SLEW_RATE] * 3}, why)
    draft.infer("target_low_pass", TARGET_LOW_PASS, f"{_RUNNER}: 0.8 of the old and 0.2 of the new target")
    text = "the origin's phase is the time of day times the frequency, and jumps when walking begins; here it runs on."
    draft.notes.append(f"gait: {text}")


def _note_ankles(draft: Draft, top: Section) -> None:
    mech = top.section("mech", {})
    if "parallel_mech_indexes" in mech:
        found = mech.numbers("parallel_mech_indexes")
        ankles = indices(mech, "parallel_mech_indexes", len(found), len(UPPER + LEGS))
        names = ", ".join((UPPER + LEGS)[i] for i in ankles)
        text = "the origin sends kp·(target − q), within torque_limit, as effort; here that is the PD law's own limit."
        draft.notes.append(f"{names}: {text}")
    mech.finish()
