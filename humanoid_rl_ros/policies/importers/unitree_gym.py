"""The YAML files of unitree_rl_gym: of `deploy_mujoco`, of `deploy_real`, or both for one policy."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import fit_network, indices, whole
from humanoid_rl_ros.policies.importers.source import Source
from humanoid_rl_ros.policies.importers.unitree_joints import MOTOR_ORDERS, MotorOrder, imu_in_base, lacking

PERIOD = 0.8
"""Of a stride; a constant of the origin's scripts [s]."""
PD_RATE = 500.0
"""Of the PD law in `deploy_mujoco` as it is published [Hz]."""
SHORTEST = 1e-5
"""Period that is believed [s]."""
_LISTS = ("kps", "kds", "default_angles")
_NUMBERS = ("ang_vel_scale", "dof_pos_scale", "dof_vel_scale", "action_scale")
_SHARED = (*_LISTS, *_NUMBERS, "cmd_scale", "num_actions", "num_obs")
_MUJOCO, _REAL = "simulation_dt", "control_dt"
"""The keys by which the two kinds of file are told apart."""
_NO_EFFECT = {
    _MUJOCO: ("policy_path", "xml_path", "simulation_duration", "cmd_init"),
    _REAL: ("policy_path", "msg_type", "weak_motor", "lowcmd_topic", "lowstate_topic"),
}
_HELD = ("arm_waist_joint2motor_idx", "arm_waist_target", "arm_waist_kps", "arm_waist_kds")
_FOLDERS = {
    "g1": ("g1_29dof", "g1_23dof"),
    "g1_description": ("g1_29dof", "g1_23dof"),
    "h1": ("h1",),
    "h1_2": ("h1_2",),
}
"""Folders in the paths of the origin, and whose they are."""
_MOST_JOINTS, _MOST_OBSERVED = 200, 100_000


class UnitreeGymImporter:
    """Reads one or both files; joints have no names in them, and the terms stand in the origin's scripts."""

    name = "unitree_gym"

    def recognises(self, source: Source) -> bool:
        """Whether a configuration has the keys that both kinds of file share, and those of one of them."""
        return any(
            set(config.data) >= set(_SHARED) and (_MUJOCO in config.data or _REAL in config.data)
            for config in source.configs
        )

    def read(self, source: Source) -> Draft:
        """What they say; where two files contradict each other, the one given first.

        Raises:
            ConfigError: a file is malformed, of another kind, or given twice.
        """
        files = _files(source)
        draft = source.draft()
        draft.say("origin", f"unitree_rl_gym, {' and '.join(config.path.name for config in source.configs)}")
        values = _shared(draft, files)
        n = values["num_actions"]
        _say_rates(draft, files)
        held = _read_held(files[_REAL], n) if _REAL in files else {}
        order, question = _order(source, files, held, n)
        _say_joints(draft, source, order, question, held, values)
        _say_observation(draft, source, values, n)
        draft.say("action.kind", "position_offset")
        draft.say("action.scale", values["action_scale"])
        _say_command(draft, files)
        _say_imu(draft, files, order, source)
        for section in files.values():
            section.finish()
        draft.leave("joints.effort", "no file says the limits: the robot's are used")
        return draft


def _files(source: Source) -> dict[str, Section]:
    """The files by kind, in the order given."""
    found: dict[str, Section] = {}
    for config in source.configs:
        kinds = [kind for kind in (_MUJOCO, _REAL) if kind in config.data]
        if len(kinds) != 1:
            raise ConfigError(f"{config.path}: expected either '{_MUJOCO}' or '{_REAL}', found {len(kinds)} of them")
        if kinds[0] in found:
            raise ConfigError(f"{config.path}: a second file with '{kinds[0]}'; one of each kind belongs to a policy")
        found[kinds[0]] = section = Section(config.data, str(config.path))
        for key in _NO_EFFECT[kinds[0]]:
            section.raw(key, None)
    if not found:
        raise ConfigError(f"{source.weights}: expected the YAML of deploy_mujoco or deploy_real with it, found none")
    return found


def _shared(draft: Draft, files: dict[str, Section]) -> dict[str, Any]:
    """What both kinds of file say, of the first; a note where the second says otherwise."""
    all_values: dict[str, dict[str, Any]] = {}
    for section in files.values():
        values: dict[str, Any] = {"num_actions": whole(section, "num_actions", least=1, most=_MOST_JOINTS)}
        values["num_obs"] = whole(section, "num_obs", least=1, most=_MOST_OBSERVED)
        values |= {key: section.numbers(key, length=values["num_actions"]).tolist() for key in _LISTS}
        for key in ("kps", "kds"):
            if min(values[key]) < 0.0:
                raise ConfigError(f"{section.where}: '{key}' must not be below 0, found {min(values[key]):g}")
        values |= {key: section.number(key) for key in _NUMBERS}
        values["cmd_scale"] = section.numbers("cmd_scale", length=3).tolist()
        all_values[section.where] = values
    (first, values), *others = all_values.items()
    for second, other in others:
        for key in _SHARED:
            if other[key] != values[key]:
                draft.notes.append(
                    f"'{key}' is {values[key]} in {first} and {other[key]} in {second}: the former is taken; the file "
                    "given first has the last word."
                )
    return values


def _say_rates(draft: Draft, files: dict[str, Section]) -> None:
    periods = {}
    for kind, section in files.items():
        periods[section.where] = section.number(kind, least=SHORTEST, most=1.0)
        if kind == _MUJOCO:
            draft.say("pd_rate", round(1.0 / periods[section.where], 6))
            periods[section.where] *= whole(section, "control_decimation", least=1, most=10_000)
        elif _MUJOCO not in files:
            draft.infer("pd_rate", PD_RATE, "deploy_mujoco of the origin runs the PD law every 2 ms")
    (first, period), *others = ((where, round(value, 9)) for where, value in periods.items())
    draft.say("control_period", period)
    for second, other in others:
        if other != period:
            draft.notes.append(
                f"The control period is {period:g} s by {first} and {other:g} s by {second}: the former."
            )


def _read_held(section: Section, n: int) -> dict[str, list[Any]]:
    """The motors of the legs, in the network's order, and those that are held, with pose and gains."""
    legs = indices(section, "leg_joint2motor_idx", n, _MOST_JOINTS)
    listed = section.raw(_HELD[0], [])
    motors = indices(section, _HELD[0], len(listed) if isinstance(listed, list) else 0, _MOST_JOINTS) if listed else []
    both = sorted(set(legs) & set(motors))
    if both:
        raise ConfigError(f"{section.where}: motor {both[0]} is both in 'leg_joint2motor_idx' and in '{_HELD[0]}'")
    columns = {key: section.numbers(key, [], length=len(motors)).tolist() for key in _HELD[1:]}
    for key in _HELD[2:]:
        if min(columns[key], default=0.0) < 0.0:
            raise ConfigError(f"{section.where}: '{key}' must not be below 0, found {min(columns[key]):g}")
    return {"legs": legs, "motors": motors, **columns}


def _order(
    source: Source, files: dict[str, Section], held: dict[str, list[Any]], n: int
) -> tuple[MotorOrder | None, str]:
    """Whose legs these are: the order of motors and why, or None and a question."""
    orders, why = [order for order in MOTOR_ORDERS if len(order.legs) == n], "the number of joints"
    if held:
        known = {*held["legs"], *held["motors"]}
        orders = [order for order in orders if set(order.legs) == set(held["legs"]) and known <= order.used]
        exact = [order for order in orders if order.used == known]
        orders, why = exact or orders, "the numbers of the motors"
    robots = {robot for folder in _folders(files) for robot in _FOLDERS.get(folder, ())}
    named = [order for order in orders if order.robot in robots]
    if named and len(named) < len(orders):
        orders, why = named, "the folders in policy_path and xml_path"
    if source.robot is not None and orders:
        fitting = [order for order in orders if not lacking(order.names(order.legs), source.robot)]
        if not fitting:
            absent = lacking(orders[0].names(orders[0].legs), source.robot)[0]
            return None, f"those of the {orders[0].family} do not fit, robot '{source.robot.name}' lacks '{absent}'"
        orders = sorted(fitting, key=lambda order: len(lacking(order.names(held.get("motors", [])), source.robot)))
        alike = [order for order in orders if _in_order(order.names(order.legs), source.robot)]
        if not held and len({order.family for order in orders}) > len({order.family for order in alike}) > 0:
            orders, why = alike, f"the order of the legs of robot '{source.robot.name}'"
    families = list(dict.fromkeys(order.family for order in orders))
    if len(families) == 1:
        return orders[0], why
    hint = f"they can be those of {' or '.join(families)}" if orders else "no Unitree robot that is known fits"
    return None, f"{hint}; the origin takes them in the order of its model"


def _folders(files: dict[str, Section]) -> set[str]:
    """In the paths of the origin."""
    paths = [str(section.raw(key, "")) for section in files.values() for key in ("policy_path", "xml_path")]
    return {part for path in paths for part in PurePosixPath(path).parts}


def _in_order(joints: tuple[str, ...], robot: RobotSpec) -> bool:
    return tuple(joint for joint in robot.joint_names if joint in joints) == joints


def _say_joints(
    draft: Draft,
    source: Source,
    order: MotorOrder | None,
    question: str,
    held: dict[str, list[Any]],
    values: dict[str, Any],
) -> None:
    for column, key in (("default", "default_angles"), ("kp", "kps"), ("kd", "kds")):
        draft.column(column, values[key])
    if order is None:
        draft.ask("joints", f"the {values['num_actions']} driven joints by name, in the network's order; {question}")
        draft.infer("hold_remaining", True, "the origin holds the joints that the policy does not drive")
        if held.get("motors"):
            draft.notes.append("The file's pose and gains of the held joints are left out: nothing says their names.")
        return
    draft.infer("robot", order.family, f"by {question}")
    draft.drive(order.names(held.get("legs") or order.legs), why=f"the legs of Unitree's {order.family}, by {question}")
    if not held:
        why = "the origin's model has no other joints; deploy_real has gains for them"
        draft.infer("hold_remaining", True, why)
        return
    names = order.names(held["motors"])
    absent = lacking(names, source.robot)
    if absent and source.robot is not None:
        draft.notes.append(f"Robot '{source.robot.name}' lacks {', '.join(absent)}, which the file holds: left out.")
    for name, *hold in zip(names, *(held[key] for key in _HELD[1:]), strict=True):
        if name not in absent:
            draft.hold(name, *hold)


def _say_observation(draft: Draft, source: Source, values: dict[str, Any], n: int) -> None:
    """The vector is assembled in the origin's scripts; the files have its scales and its length."""
    terms: list[tuple[str, Any, int]] = [
        ("base_ang_vel", values["ang_vel_scale"], 3),
        ("projected_gravity", 1.0, 3),
        ("velocity_commands", values["cmd_scale"], 3),
        ("joint_pos_rel", values["dof_pos_scale"], n),
        ("joint_vel_rel", values["dof_vel_scale"], n),
        ("last_action", 1.0, n),
        ("gait_phase_sin", 1.0, 1),
        ("gait_phase_cos", 1.0, 1),
    ]
    listed = ", ".join(f"{name} {width}" for name, _, width in terms)
    size = sum(width for _, _, width in terms)
    if values["num_obs"] != size:
        fit_network(draft, source, [("num_obs", values["num_obs"])], 1, n)
        draft.ask(
            "observation.terms",
            f"what the network sees, in order: num_obs is {values['num_obs']}, the origin's scripts make {size} "
            f"numbers ({listed})",
        )
        return
    fit_network(draft, source, [(name, width) for name, _, width in terms], 1, n)
    items = [{"term": name, **({} if scale == 1.0 else {"scale": scale})} for name, scale, _ in terms]
    draft.infer("observation.terms", items, "as the origin's scripts assemble it; the files have scales and length")
    # The first observation is assembled when the first period has passed.
    start = 2.0 * math.pi * math.fmod(draft.keys["control_period"] / PERIOD, 1.0)
    gait = {"period": PERIOD, "phases": [start], "when_standing": "run"}
    draft.infer("gait", gait, "period and start are constants of the origin's scripts, whose clock never stops")


def _say_command(draft: Draft, files: dict[str, Section]) -> None:
    if _REAL not in files or "max_cmd" not in files[_REAL]:
        draft.leave("command", "no file says the ranges: cmd_vel is not limited")
        return
    bounds = np.abs(files[_REAL].numbers("max_cmd", length=3)).tolist()
    ranges = {axis: [-bound, bound] for axis, bound in zip(AXES, bounds, strict=True)}
    draft.infer("command", ranges, "max_cmd: what the joystick of deploy_real can ask for")


def _say_imu(draft: Draft, files: dict[str, Section], order: MotorOrder | None, source: Source) -> None:
    """The policy observes the pelvis, wherever the sensor is."""
    site = "" if order is None else imu_in_base(order, source.robot)
    if site:
        draft.infer("imu", site, "the origin's policies observe the pelvis; the site's name in Unitree's models")
    else:
        draft.leave("imu", "the origin's policies observe the pelvis: the robot's IMU is taken to be there")
    if _REAL in files and files[_REAL].choice("imu_type", ("pelvis", "torso"), "pelvis") == "torso":
        draft.notes.append(
            "The robot's own IMU is in the torso, and the origin's runner turns what it says back into the pelvis by "
            "the angle of the waist: give the robot YAML an IMU in the pelvis, or readings that are turned back."
        )
