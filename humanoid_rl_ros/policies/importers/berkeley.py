"""Berkeley Humanoid Lite: the one YAML of a policy; what the network sees stands in the origin's runner."""

from __future__ import annotations

from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import fit_network, indices, per_joint, whole
from humanoid_rl_ros.policies.importers.source import Source

PHYSICS_PERIOD = 0.0005
"""Where the file is silent [s]; that of all published files but one."""
_MOST_JOINTS, _MOST_FRAMES = 200, 1000
_KEYS = ("policy_checkpoint_path", "policy_dt", "num_joints", "joint_kp", "action_indices")
_NO_EFFECT = (
    "ip_robot_addr", "ip_policy_obs_port", "ip_host_addr", "ip_policy_acs_port", "control_dt", "cutoff_freq",
    "default_base_position", "policy_checkpoint_path",
)  # fmt: skip
"""Network addresses, and what the origin's runner of today leaves alone."""
_TERMS = ("velocity_commands", "base_ang_vel", "projected_gravity", "joint_pos_rel", "joint_vel_rel", "last_action")
_RUNNER = "fixed in the origin's runner"


def _limbs(limb: str, joints: str) -> list[str]:
    return [f"{limb}_{side}_{joint}_joint" for side in ("left", "right") for joint in joints.split()]


_LEGS = _limbs("leg", "hip_roll hip_yaw hip_pitch knee_pitch ankle_pitch ankle_roll")
_ARMS = _limbs("arm", "shoulder_pitch shoulder_roll shoulder_yaw elbow_pitch elbow_roll")
_ROBOTS: dict[int, tuple[str, list[str], dict[str, list[float]]]] = {
    12: (
        "berkeley_humanoid_lite_biped",
        _LEGS,
        {"linear_x": [-0.5, 0.5], "linear_y": [-0.25, 0.25], "angular_z": [-1.0, 1.0]},
    ),
    22: (
        "berkeley_humanoid_lite",
        _ARMS + _LEGS,
        {"linear_x": [-1.0, 1.0], "linear_y": [-0.5, 0.5], "angular_z": [-1.5, 1.5]},
    ),
}
"""By number of joints: name, order of the joints, and ranges of the command in the origin's training [m/s], [rad/s]."""


class BerkeleyImporter:
    """Reads the file; `action_indices` says which of its joints are driven, and in which order."""

    name = "berkeley_humanoid_lite"

    def recognises(self, source: Source) -> bool:
        """Whether a file has the format's keys."""
        return any(set(_KEYS) <= set(config.data) for config in source.configs)

    def read(self, source: Source) -> Draft:
        """What the file says, and what its runner adds.

        Raises:
            ConfigError: there is more than one file, a key is missing, unknown or malformed, or sizes contradict each
                other.
        """
        if len(source.configs) != 1:
            raise ConfigError(f"a policy of Berkeley Humanoid Lite has one YAML, found {len(source.configs)}")
        config = source.configs[0]
        section = Section(config.data, str(config.path))
        for key in _NO_EFFECT:
            section.raw(key, None)
        draft = source.draft()
        draft.say("name", config.path.stem)
        draft.say("origin", f"Berkeley Humanoid Lite, {config.path.name}")
        period = section.number("policy_dt", least=1e-3, most=1.0)
        draft.say("control_period", period)
        _read_pd_rate(draft, section)
        _read_joints(draft, section)
        _read_observation(draft, section, source)
        _read_action(draft, section)
        section.finish()
        _note_checkpoint(draft, section, source)
        draft.leave("imu", "no file says where it is: the robot's is used")
        return draft


def _read_pd_rate(draft: Draft, section: Section) -> None:
    if "physics_dt" in section:
        draft.say("pd_rate", round(1.0 / section.number("physics_dt", least=1e-5, most=1.0), 6))
    else:
        why = "no physics_dt: the origin's simulator computes the PD law every 0.5 ms"
        draft.infer("pd_rate", round(1.0 / PHYSICS_PERIOD, 6), why)


def _read_joints(draft: Draft, section: Section) -> None:
    """Lists are in the order of the robot's joints; the network has the order of `action_indices`."""
    n = whole(section, "num_joints", least=1, most=_MOST_JOINTS)
    robot, standard, ranges = _ROBOTS.get(n, ("", [], {}))
    if "joints" in section:
        names, why = section.names("joints"), ""
    elif standard:
        names, why = tuple(standard), f"no 'joints': the order of the origin's robot of {n} joints"
    else:
        sizes = " and ".join(str(size) for size in _ROBOTS)
        raise ConfigError(f"{section.where}: 'joints' is missing; without it only robots of {sizes} joints are known")
    if len(names) != n:
        raise ConfigError(f"{section.where}: 'num_joints' is {n}, but 'joints' has {len(names)} names")
    driven = indices(section, "action_indices", whole(section, "num_actions", least=1, most=n), n)
    pose = per_joint(section, "default_joint_positions", n)
    kp, kd = (per_joint(section, key, n, least=0.0) for key in ("joint_kp", "joint_kd"))
    effort = per_joint(section, "effort_limits", n, above=0.0)
    draft.drive([names[i] for i in driven], why=why)
    for column, values in (("default", pose), ("kp", kp), ("kd", kd), ("effort", effort)):
        draft.column(column, [values[i] for i in driven])
    idle = [i for i in range(n) if i not in driven]
    for i in idle:
        draft.hold(names[i], 0.0, kp[i], kd[i], effort[i])
    if idle:
        draft.infer("held", draft.keys["held"], "not in action_indices: the origin's runner holds them at 0 rad")
    known = bool(robot) and set(names) == set(standard)
    if known:
        draft.infer("robot", robot, "by the names of its joints")
    sample = section.numbers("command_velocity", [0.0, 0.0, 0.0], length=3)
    if known and all(low <= value <= high for value, (low, high) in zip(sample, ranges.values(), strict=True)):
        draft.infer("command", ranges, "the ranges of the origin's training for this robot; the file has but a sample")
    else:
        draft.leave("command", "no file says the ranges: cmd_vel is not limited")


def _read_observation(draft: Draft, section: Section, source: Source) -> None:
    n = len(draft.joints or ())
    widths = [(term, 3) for term in _TERMS[:3]] + [(term, n) for term in _TERMS[3:]]
    size = whole(section, "num_observations", least=1, most=10**6)
    if size != 9 + 3 * n:
        text = f"'num_observations' is {size}, but the runner's frame has {9 + 3 * n} numbers: 9 and three for each of"
        raise ConfigError(f"{section.where}: {text} {n} driven joints")
    terms: list[dict[str, Any]] = [{"term": term} for term in _TERMS]
    draft.infer("observation.terms", terms, f"{_RUNNER}; the file says only how many numbers")
    frames = 1 + whole(section, "history_length", 0, least=0, most=_MOST_FRAMES - 1)
    if frames > 1:
        history = {"length": frames, "layout": "time_major", "order": "oldest_first", "first_fill": "zeros"}
        draft.infer("observation.history", history, f"history_length frames before this one; their order is {_RUNNER}")
    fit_network(draft, source, widths, frames, n)


def _read_action(draft: Draft, section: Section) -> None:
    low, high = (section.number(f"action_limit_{side}") for side in ("lower", "upper"))
    if not low < high:
        text = "'action_limit_lower' and 'action_limit_upper' contradict each other"
        raise ConfigError(f"{section.where}: {text}: [{low:g}, {high:g}]")
    draft.infer("action.kind", "position_offset", _RUNNER)
    draft.say("action.scale", section.number("action_scale"))
    draft.say("action.clip", [low, high])
    draft.infer("action.last_action", "clipped", _RUNNER)


def _note_checkpoint(draft: Draft, section: Section, source: Source) -> None:
    path = section.text("policy_checkpoint_path", "")
    if path and path.rpartition("/")[2] != source.weights.name:
        draft.notes.append(f"{section.where} is of the network '{path}'; imported is '{source.weights.name}'.")
    if "cutoff_freq" in section:
        draft.notes.append("cutoff_freq is left out: the origin's runner of today does not filter the torque.")
