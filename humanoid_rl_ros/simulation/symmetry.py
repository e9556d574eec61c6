"""Whether a model is the same in the left-right mirror, and with which signs its joints change places."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.mirror import JointMirror, joint_mirror, partners
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.layout import ModelLayout, layout
from humanoid_rl_ros.simulation.model_file import mujoco

# Room for rounding: exported models write their numbers with four to six digits.
AXIS_TOLERANCE = 1e-3
# Joint axes may be this far from where they belong [m].
ANCHOR_TOLERANCE = 0.01
# The mirror is the x-z plane: y turns round of positions and slides, x and z of rotation axes.
POLAR: FloatArray = np.array([1.0, -1.0, 1.0])
AXIAL: FloatArray = -POLAR


def robot_mirror(model: mujoco.MjModel, robot: RobotSpec) -> JointMirror:
    """The mirror of all joints of a robot whose model is the same on both sides, its IMU included.

    Args:
        model: from `prepare`.
        robot: its robot.

    Raises:
        ContractError: a joint has no partner, by name.
        ModelError: two joints, or the frame of the IMU, are no mirror images.
    """
    signs = joint_signs(model, robot)
    place = layout(model, robot)
    rotation = _zero_pose(model, place).site_xmat[place.imu_site].reshape(3, 3)
    if np.abs(np.outer(POLAR, POLAR) * rotation - rotation).max() > AXIS_TOLERANCE:
        raise ModelError(f"the IMU of robot '{robot.name}' is turned to one side: what it measures has no mirror image")
    return joint_mirror(robot.joint_names, signs)


def joint_signs(model: mujoco.MjModel, robot: RobotSpec) -> dict[str, float]:
    """The sign of each joint in the mirror: the partner's angle is the sign times the joint's.

    In the zero pose, axis a of a hinge turns into (−a_x, a_y, −a_z), for rotations are axial vectors. The partner's
    axis is that, or its negative; if all are, and meet the same points in the same order from the base out, every
    pose has a mirror image.

    Args:
        model: from `prepare`.
        robot: its robot.

    Returns:
        +1 or −1 by joint name.

    Raises:
        ContractError: a joint has no partner, by name.
        ModelError: two partners are no mirror images of each other; names both.
    """
    place = layout(model, robot)
    data = _zero_pose(model, place)
    partner = partners(robot.joint_names)
    above = _joints_above(model, place)
    signs = {}
    for i, (name, k) in enumerate(zip(robot.joint_names, partner, strict=True)):
        here, there = place.joint_ids[i], place.joint_ids[k]
        both = _both(name, robot.joint_names[k])
        slides = model.jnt_type[here] == mujoco.mjtJoint.mjJNT_SLIDE
        image, axis = (POLAR if slides else AXIAL) * data.xaxis[here], data.xaxis[there]
        sign = 1.0 if image @ axis > 0.0 else -1.0
        if model.jnt_type[here] != model.jnt_type[there] or np.abs(image - sign * axis).max() > AXIS_TOLERANCE:
            raise ModelError(f"{both}: axes ({_text(data.xaxis[here])}) and ({_text(axis)}) in the zero pose")
        miss = POLAR * data.xanchor[here] - data.xanchor[there]
        miss -= (miss @ axis) * axis  # a hinge may be put anywhere on its axis
        if not slides and np.linalg.norm(miss) > ANCHOR_TOLERANCE:
            raise ModelError(f"{both}: their axes miss each other by {1e3 * np.linalg.norm(miss):.0f} mm")
        if above[k] != (-1 if above[i] < 0 else partner[above[i]]):
            raise ModelError(f"{both}: the joints they hang on are none")
        signs[name] = sign
    return signs


def asymmetries(model: mujoco.MjModel, robot: RobotSpec) -> tuple[str, ...]:
    """What is not quite the same on both sides, one line each: joint properties, and where mass and IMU are.

    Args:
        model: from `prepare`.
        robot: its robot.

    Raises:
        ContractError, ModelError: see `robot_mirror`.
    """
    mirror = robot_mirror(model, robot)
    place = layout(model, robot)
    data = _zero_pose(model, place)
    turned = mirror.sign < 0.0
    images = {
        "lower": np.where(turned, -robot.upper[mirror.partner], robot.lower[mirror.partner]),
        "upper": np.where(turned, -robot.lower[mirror.partner], robot.upper[mirror.partner]),
        "default_position": mirror.apply(robot.default_position),
    }
    for name in ("effort_limit", "velocity_limit", "kp", "kd", "armature", "damping", "friction"):
        images[name] = np.array([getattr(robot.joints[k], name) for k in mirror.partner])
    notes = []
    for name, image in images.items():
        own = np.array([getattr(joint, name) for joint in robot.joints])
        for i in np.flatnonzero(~np.isclose(own, image, rtol=0.01, atol=AXIS_TOLERANCE)):
            if i > mirror.partner[i]:
                continue  # said of its partner
            partner = robot.joint_names[mirror.partner[i]]
            notes.append(f"{name} of joint '{robot.joint_names[i]}' is {own[i]:g}, '{partner}' asks for {image[i]:g}")
    for what, y in (
        ("centre of mass", data.subtree_com[place.root_body, 1]),
        ("IMU", data.site_xpos[place.imu_site, 1]),
    ):
        if abs(y) > 1e-3:
            notes.append(f"the {what} is {1e3 * abs(y):.0f} mm to the {'left' if y > 0.0 else 'right'} of the middle")
    return tuple(notes)


def _zero_pose(model: mujoco.MjModel, place: ModelLayout) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[place.root_qpos : place.root_qpos + 7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    data.qpos[place.qpos] = 0.0
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    return data


def _joints_above(model: mujoco.MjModel, place: ModelLayout) -> list[int]:
    """For each joint of the robot the next one towards the root, −1 for none."""
    of_robot = {int(joint): i for i, joint in enumerate(place.joint_ids)}

    def above(joint: int) -> int:
        body = int(model.jnt_bodyid[joint])
        before = range(joint - 1, int(model.body_jntadr[body]) - 1, -1)
        while True:
            for other in before:
                if other in of_robot:
                    return of_robot[other]
            body = int(model.body_parentid[body])
            if body == 0:
                return -1
            first = int(model.body_jntadr[body])
            before = range(first + int(model.body_jntnum[body]) - 1, first - 1, -1)

    return [above(int(joint)) for joint in place.joint_ids]


def _both(name: str, partner: str) -> str:
    if name == partner:
        return f"joint '{name}' is no mirror image of itself"
    return f"joints '{name}' and '{partner}' are no mirror images of each other"


def _text(vector: FloatArray) -> str:
    return ", ".join(f"{value:.4g}" for value in vector)
