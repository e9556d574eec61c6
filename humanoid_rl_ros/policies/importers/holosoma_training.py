"""``experiment_config`` of holosoma: the whole configuration of a training, of which a few paths matter."""

from __future__ import annotations

import math
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.holosoma_presets import GAIT_PERIOD
from humanoid_rl_ros.policies.importers.holosoma_terms import (
    HolosomaTerm,
    lay_gait,
    lay_terms,
    read_ranges,
    read_term,
)
from humanoid_rl_ros.policies.importers.motor_rate import lay_motor_rate
from humanoid_rl_ros.policies.importers.source import Source

_ACTION = "JointPositionActionTerm"
_MOST_FRAMES = 1000
_FASTEST = 1e5
"""Rate of physics that is believed [Hz]."""


def lay_training(draft: Draft, source: Source, config: Section, joints: tuple[str, ...]) -> None:
    """Put what a training's configuration says into the draft.

    Args:
        draft: takes it; its joints and gains are known.
        source: the files.
        config: the configuration.
        joints: in the order of the network.

    Raises:
        ConfigError: the configuration is malformed or contradicts the network, or says what no bundle can express.
    """
    robot = config.section("robot")
    efforts = _efforts(robot, joints)
    _lay_robot(draft, robot, joints, efforts)
    terms = _read_observation(draft, source, config, len(joints))
    _lay_action(draft, config, efforts)
    sim = config.section("simulator").section("config").section("sim")
    rate = sim.number("fps", above=0.0, most=_FASTEST)
    draft.say("control_period", sim.number("control_decimation", least=1.0) / rate)
    lay_motor_rate(draft, sim.where, rate, "as the file says")
    setup = config.section("command").section("setup_terms")
    _lay_ranges(draft, setup.section("locomotion_command", {}).section("params", {}))
    gait = setup.section("locomotion_gait", {}).section("params", {})
    why = "" if "gait_period" in gait else "the training names no gait_period: the default of the origin's code"
    period = gait.number("gait_period", GAIT_PERIOD, above=0.0)
    lay_gait(draft, terms, period, why=why, standing_phase=gait.number("stand_phase_value", math.pi))


def _efforts(robot: Section, joints: tuple[str, ...]) -> dict[str, float]:
    """Effort limits by joint; the robot's own order may be another than the network's."""
    names = robot.names("dof_names")
    if set(names) != set(joints):
        strangers = ", ".join(sorted(set(names) ^ set(joints)))
        raise ConfigError(f"{robot.where}: 'dof_names' has other joints than the metadata: {strangers}")
    limits = dict(zip(names, robot.numbers("dof_effort_limit_list", length=len(names)).tolist(), strict=True))
    for name, limit in limits.items():
        if not limit > 0.0:
            raise ConfigError(f"{robot.where}: the effort limit of '{name}' must be above 0, found {limit:g}")
    return limits


def _lay_robot(draft: Draft, robot: Section, joints: tuple[str, ...], efforts: dict[str, float]) -> None:
    draft.say("robot", robot.section("asset").text("robot_type").partition("_")[0])
    angles = robot.section("init_state").section("default_joint_angles")
    draft.column("default", [angles.number(name) for name in joints])
    if robot.section("control").boolean("clip_torques", True):
        draft.column("effort", efforts)
    else:
        draft.leave("joints.effort", "training limited no effort: the robot's limits are used")


def _read_observation(draft: Draft, source: Source, config: Section, joints: int) -> list[HolosomaTerm]:
    _require_one_group(config.section("algo", {}).section("config", {}))
    observation = config.section("observation")
    group = observation.section("groups").section("actor_obs")
    if not group.boolean("concatenate", True):
        raise ConfigError(f"{group.where}: 'concatenate' is false; only one flat vector is understood")
    group.raw("enable_noise", None)
    frames = group.integer("history_length", 1, least=1)
    if frames > _MOST_FRAMES:
        raise ConfigError(f"{group.where}: 'history_length' must be at most {_MOST_FRAMES}, found {frames}")
    below = group.section("terms")
    group.finish()
    # The origin puts the vector together in this order, whatever the order of the file.
    terms = [read_term(below.section(name), name, joints) for name in sorted(below.keys())]
    if not terms:
        raise ConfigError(f"{below.where}: no term")
    lay_terms(draft, source, terms, frames, joints)
    bound = observation.number("clip_observations", None, above=0.0)
    if bound is not None:
        draft.say("observation.clip", bound)
    return terms


def _require_one_group(algorithm: Section) -> None:
    """The network sees ``actor_obs`` and nothing else, as far as the algorithm says."""
    groups: Any = algorithm.raw("actor_obs_keys", None)
    if groups is None and "module_dict" in algorithm:
        groups = algorithm.section("module_dict").section("actor", {}).raw("input_dim", None)
    if groups is not None and groups != ["actor_obs"]:
        raise ConfigError(f"{algorithm.where}: the network must see ['actor_obs'] alone, found {groups!r}")


def _lay_action(draft: Draft, config: Section, efforts: dict[str, float]) -> None:
    """Scale and clip; those of the action term itself have no effect in the origin."""
    terms = config.section("action").section("terms")
    functions = [terms.section(name).text("func") for name in terms.keys()]
    if [function.rpartition(":")[2] for function in functions] != [_ACTION]:
        raise ConfigError(f"{terms.where}: expected one {_ACTION}, found {functions}")
    control = config.section("robot").section("control")
    control.choice("control_type", ["P"])
    integral = control.section("integral", {})
    if any(integral.number(name) != 0.0 for name in integral.keys()):
        raise ConfigError(f"{integral.where}: the PD law here has no integral gain")
    scale = control.number("action_scale")
    if control.boolean("action_scales_by_effort_limit_over_p_gain", False):
        gains = zip(draft.joints or (), draft.columns["kp"], strict=True)
        draft.say("action.scale", draft.by_joint([scale * efforts[name] / kp if kp else 0.0 for name, kp in gains]))
    else:
        draft.say("action.scale", scale)
    if control.boolean("clip_actions", True):
        draft.say("action.clip", control.number("action_clip_value", above=0.0))


def _lay_ranges(draft: Draft, params: Section) -> None:
    """The ranges it began with; those of the metadata are of the moment of export, after any curriculum."""
    if "command_ranges" not in params:
        return
    began = read_ranges(params.section("command_ranges"))
    taken = draft.keys.setdefault("command", began)
    if taken != began:
        draft.notes.append(f"Training began with the ranges {began}; those at the export were taken: {taken}.")
