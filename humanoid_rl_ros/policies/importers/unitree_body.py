"""The joints of Unitree's deploy.yaml, which knows them by the numbers of their motors."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import indices
from humanoid_rl_ros.policies.importers.source import Source
from humanoid_rl_ros.policies.importers.unitree_joints import FOUR_LEGGED, imu_in_base, lacking, possible_orders
from humanoid_rl_ros.policies.importers.unitree_metadata import joint_names

_MOST_MOTORS = 200


@dataclass(frozen=True)
class Body:
    """The joints in the network's order, by the numbers of their motors.

    Attributes:
        motors: motor of each joint.
        slots: number of motors that the file counts.
        default, kp, kd: of each joint [rad], [N·m/rad], [N·m·s/rad].
    """

    motors: list[int]
    slots: int
    default: list[float]
    kp: list[float]
    kd: list[float]


def read_body(draft: Draft, top: Section) -> Body:
    """Read motors, pose and gains.

    Raises:
        ConfigError: they are malformed, or the gains are in no order that can be told.
    """
    listed = top.raw("joint_ids_map")
    n = len(listed) if isinstance(listed, list) else 0
    motors = indices(top, "joint_ids_map", n, _MOST_MOTORS)
    if not motors:
        raise ConfigError(f"{top.where}: 'joint_ids_map' names no motor")
    kp = top.numbers("stiffness").tolist()
    kd = top.numbers("damping", length=len(kp)).tolist()
    for key, gains in (("stiffness", kp), ("damping", kd)):
        if min(gains, default=0.0) < 0.0:
            raise ConfigError(f"{top.where}: '{key}' must not be below 0, found {min(gains):g}")
    slots = len(kp)
    if slots > max(motors):
        kp, kd = [kp[i] for i in motors], [kd[i] for i in motors]
    elif slots == n:
        draft.notes.append(
            f"stiffness and damping have {n} values for motors numbered up to {max(motors)}: they are read in the "
            "order of the network; the origin's runner gives them to the first motors, some of them to wrong ones."
        )
    else:
        raise ConfigError(
            f"{top.where}: 'stiffness' has {slots} values: neither one for each motor up to {max(motors)} nor one for "
            f"each of the {n} joints"
        )
    limp = [motor for motor, gain in zip(motors, kp, strict=True) if gain == 0.0]
    if limp:
        draft.notes.append(
            f"There is no stiffness for motors {limp} of joint_ids_map: nothing would hold their joints."
        )
    return Body(motors, slots, top.numbers("default_joint_pos", length=n).tolist(), kp, kd)


def name_joints(draft: Draft, source: Source, body: Body, ids: list[int], where: str) -> list[str] | None:
    """Name the joints, drive those that have an action and hold the others.

    Args:
        draft: takes them, or the question for their names.
        source: its metadata may have the names, and its robot must have them.
        body: the joints.
        ids: which of them each output of the network drives.
        where: the file.

    Returns:
        The names in the order of the body; None where nothing says them.

    Raises:
        ConfigError: the robot has four legs, or a choice among nameless joints is driven.
    """
    for column, values in (("default", body.default), ("kp", body.kp), ("kd", body.kd)):
        draft.column(column, [values[i] for i in ids])
    by_motor, why = _names_of_motors(draft, source, body, where)
    names = joint_names(draft, source, len(body.motors))
    if names is None:
        names = by_motor
    elif by_motor is not None and by_motor != names:
        said, other = next(pair for pair in zip(names, by_motor, strict=True) if pair[0] != pair[1])
        draft.notes.append(
            f"The metadata of the weights names '{said}' where the motors of joint_ids_map have '{other}': the "
            "metadata is followed."
        )
    if names is None:
        if ids != list(range(len(body.motors))):
            raise ConfigError(f"{where}: the actions' 'joint_ids' choose among joints of which nothing says the names")
        draft.ask("joints", why)
        return None
    draft.drive([names[i] for i in ids], why=why if names is by_motor else "")
    if ids != list(range(len(names))):
        _hold_idle(draft, body, names, ids)
    return names


def _hold_idle(draft: Draft, body: Body, names: list[str], ids: list[int]) -> None:
    """All joints are observed, in their own order; those without an action are held."""
    idle = [i for i in range(len(names)) if i not in ids]
    for i in idle:
        draft.hold(names[i], body.default[i], body.kp[i], body.kd[i])
    draft.say("observation.joints", names)
    if idle:
        draft.infer("held", draft.keys["held"], "joints without an action: held at default_joint_pos")
        draft.say("observation.default", {names[i]: body.default[i] for i in idle})
    draft.notes.append("The origin's runner passes over joint_ids and sends the actions to the first motors.")


def _names_of_motors(draft: Draft, source: Source, body: Body, where: str) -> tuple[list[str] | None, str]:
    """Names by the SDK's order of motors and why, or None and a question."""
    motors, robot = body.motors, source.robot
    if robot is None and len(motors) in FOUR_LEGGED and len(motors) == body.slots == max(motors) + 1:
        raise ConfigError(
            f"{where}: 'joint_ids_map' has the {body.slots} motors of a four-legged robot; only humanoids walk here "
            "(if it is one, name it with --robot)"
        )
    found = possible_orders(motors, slots=body.slots, robot=robot)
    if len(found) == 1:
        draft.infer("robot", found[0].robot, f"the motors of joint_ids_map are those of the {found[0].robot}")
        if site := imu_in_base(found[0], robot):
            draft.infer("imu", site, f"no file says where; the {found[0].robot} has one in its base, of this name")
        elif not found[0].imu:
            draft.notes.append(
                f"The {found[0].robot} has its IMU in the torso, and the origin's runner does not turn it into the "
                "base: find out which of the two the policy was trained with."
            )
    if len({order.names(motors) for order in found}) == 1:
        robots = " or ".join(order.robot for order in found)
        names = list(found[0].names(motors))
        return names, f"the joints behind these motors of the {robots}, in the order of Unitree's SDK"
    others = possible_orders(motors, slots=body.slots) if robot is not None else []
    hint = f"the names of no Unitree robot that is known fit its {body.slots} motors"
    if found:
        hint = f"its motors can be those of {' or '.join(order.robot for order in found)}"
    elif robot is not None and others:
        absent = lacking(others[0].names(motors), robot)[0]
        hint = f"its motors are those of {others[0].robot}, but robot '{robot.name}' lacks '{absent}'"
    listed = " ".join(map(str, motors))
    return None, f"the joints by name, in the network's order, which is that of the motors {listed}; {hint}"
