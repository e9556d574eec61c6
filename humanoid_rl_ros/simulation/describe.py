"""A RobotSpec worked out from a model file, and a plain account of what had to be inferred."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.simulation import urdf
from humanoid_rl_ros.simulation.actuators import Actuation, actuated_joints, actuation, armature
from humanoid_rl_ros.simulation.gains import PD_PERIOD, hold_gains, joint_inertia, most_damping
from humanoid_rl_ros.simulation.imu import find_imu
from humanoid_rl_ros.simulation.model_file import compile_spec, mujoco, read_spec
from humanoid_rl_ros.simulation.mujoco_model import prepare

# Rotor inertia assumed per effort where the model has none. Published ones of geared humanoid joints lie between
# 0.9e-4 and 1.8e-4; without any, light links make the explicit PD law unstable [kg·m² per N·m].
ARMATURE_PER_EFFORT = 1e-4
# Effort assumed where nothing limits it, as a part of weight times height: 90 N·m for 35 kg and 1.3 m.
EFFORT_PER_WEIGHT_HEIGHT = 0.2
POSE_KEYS = ("stand", "home", "default")
MAX_KEY_TILT = 0.5


@dataclass(frozen=True)
class Description:
    """A robot, and what was inferred because the model does not say it.

    Attributes:
        robot: ready to be simulated.
        notes: one sentence each, for the person who will check the YAML.
    """

    robot: RobotSpec
    notes: tuple[str, ...]


def describe(
    model_path: str | Path, *, name: str | None = None, imu: str | None = None, package: str | None = None
) -> Description:
    """Read joints, limits, pose, gains and IMU from an MJCF or a URDF.

    Args:
        model_path: the file, or the path inside `package`.
        name: of the robot; by default the model's.
        imu: site or body the IMU sits on; by default what the model's own sensors or names suggest.
        package: installed Python package that holds the file.

    Returns:
        The robot and the notes.

    Raises:
        ConfigError: the file cannot be found.
        ModelError: MuJoCo refuses it, it has no joint to drive, or `imu` is not in it.
    """
    source = ModelSource(Path(model_path) if package else Path(model_path).absolute(), package or "")
    path = source.locate()
    is_urdf = urdf.root_tag(path) == "robot"
    facts = urdf.joint_facts(path) if is_urdf else urdf.UrdfJointFacts({}, {})
    spec = read_spec(path, visual=False)
    model = compile_spec(spec, path)
    notes: list[str] = []
    driven = _driven_joints(model, path, facts, notes)
    actuations = [actuation(model, j) for j in driven]
    pose = _default_pose(model, notes)
    efforts = _efforts(model, pose, driven, actuations, notes)
    joints = [_joint(model, j, a, e, pose, facts) for j, a, e in zip(driven, actuations, efforts, strict=True)]
    robot = RobotSpec(
        name=name or "_".join(spec.modelname.split()).lower() or path.stem,
        joints=tuple(_with_armature(joints, notes)),
        imu=ImuSpec(attachment=find_imu(model, int(model.jnt_bodyid[driven[0]]), imu, path, notes)),
        model=source,
        ignored_joints=_passive(model, driven, notes),
        source=str(path),
    )
    robot = _with_gains(robot, actuations, notes)
    return Description(robot, tuple(notes))


def _driven_joints(model: mujoco.MjModel, path: Path, facts: urdf.UrdfJointFacts, notes: list[str]) -> list[int]:
    joints = actuated_joints(model)
    if not joints:
        hinges = [j for j in range(model.njnt) if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE]
        joints = [j for j in hinges if model.joint(j).name not in facts.mimics]
        notes.append(f"the model has no actuators on joints; all {len(joints)} hinges are driven, in tree order")
    if not joints:
        raise ModelError(f"model {path}: no hinge joint to drive")
    # Another robot or a door in the same scene has roots of its own; the largest group is the robot.
    roots = [int(model.body_rootid[model.jnt_bodyid[j]]) for j in joints]
    root = max(roots, key=roots.count)
    others = [model.joint(j).name for j, r in zip(joints, roots, strict=True) if r != root]
    if others:
        notes.append(
            f"joint '{others[0]}' and {len(others) - 1} more hang on another body than the robot and are left out"
        )
    joints = [j for j, r in zip(joints, roots, strict=True) if r == root]
    for joint in joints:
        if not model.joint(joint).name:
            body = model.body(int(model.jnt_bodyid[joint])).name
            raise ModelError(
                f"model {path}: a joint of body '{body}' has no name; joints are matched by name, so give it one"
            )
    return joints


def _default_pose(model: mujoco.MjModel, notes: list[str]) -> FloatArray:
    """qpos of the keyframe that stands, or zero; the first of `POSE_KEYS`, else the first that is upright."""
    # A model may reserve unnamed keyframes that nobody filled; they hold the reference pose.
    keys = [k for k in map(model.key, range(model.nkey)) if k.name or not np.array_equal(k.qpos, model.qpos0)]
    keys.sort(key=lambda k: POSE_KEYS.index(k.name) if k.name in POSE_KEYS else len(POSE_KEYS))  # stable
    for key in keys:
        if _upright(model, key.qpos):
            notes.append(f"default pose: keyframe '{key.name or key.id}'")
            return np.array(key.qpos)
    notes.append("default pose: zero, moved into the joint limits, for no keyframe stands")
    qpos = np.array(model.qpos0)
    hinges = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    qpos[model.jnt_qposadr[hinges]] = 0.0
    return qpos


def _upright(model: mujoco.MjModel, qpos: FloatArray) -> bool:
    if not np.isfinite(qpos).all():
        return False
    free = [j for j in range(model.njnt) if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE]
    if not free:
        return True
    rotation = np.empty(9)
    start = int(model.jnt_qposadr[free[0]]) + 3
    mujoco.mju_quat2Mat(rotation, qpos[start : start + 4])
    return math.acos(max(-1.0, min(1.0, float(rotation[8])))) < MAX_KEY_TILT


def _efforts(
    model: mujoco.MjModel, pose: FloatArray, driven: list[int], actuations: list[Actuation], notes: list[str]
) -> list[float]:
    unlimited = [model.joint(j).name for j, a in zip(driven, actuations, strict=True) if a.effort is None]
    fallback = 0.0
    if unlimited:
        data = mujoco.MjData(model)
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        root = int(model.body_rootid[model.jnt_bodyid[driven[0]]])
        heights = data.xpos[model.body_rootid == root][:, 2]
        weight = float(model.body_subtreemass[root]) * float(np.linalg.norm(model.opt.gravity))
        fallback = float(f"{max(1.0, EFFORT_PER_WEIGHT_HEIGHT * weight * float(np.ptp(heights))):.2g}")
        notes.append(
            f"no effort limit for {_some(unlimited)}: {fallback:g} N·m assumed "
            f"({EFFORT_PER_WEIGHT_HEIGHT:g} × weight × height); set the real one"
        )
    return [fallback if a.effort is None else a.effort for a in actuations]


def _joint(
    model: mujoco.MjModel, joint: int, given: Actuation, effort: float, pose: FloatArray, facts: urdf.UrdfJointFacts
) -> JointSpec:
    name = str(model.joint(joint).name)
    dof = int(model.jnt_dofadr[joint])
    limited = bool(model.jnt_limited[joint])
    lower, upper = (float(v) for v in model.jnt_range[joint]) if limited else (-math.inf, math.inf)
    damping = float(model.dof_damping[dof])
    return JointSpec(
        name=name,
        lower=lower,
        upper=upper,
        effort_limit=effort,
        velocity_limit=facts.velocity.get(name, math.inf),
        default_position=min(max(float(pose[model.jnt_qposadr[joint]]), lower), upper),
        kp=given.kp or 0.0,
        # A position actuator without kv takes its damping from the joint; kept in both places it would count twice.
        kd=given.kd or (damping if given.kp else 0.0),
        armature=armature(model, joint),
        damping=0.0 if given.kp and not given.kd else damping,
        friction=float(model.dof_frictionloss[dof]),
    )


def _with_armature(joints: list[JointSpec], notes: list[str]) -> list[JointSpec]:
    without = [j.name for j in joints if j.armature == 0.0]
    if without:
        notes.append(
            f"no rotor inertia (armature) for {_some(without)}: {ARMATURE_PER_EFFORT:g} kg·m² per N·m of effort assumed"
        )
    return [replace(j, armature=ARMATURE_PER_EFFORT * j.effort_limit) if j.armature == 0.0 else j for j in joints]


def _with_gains(robot: RobotSpec, actuations: list[Actuation], notes: list[str]) -> RobotSpec:
    model = prepare(robot, timestep=PD_PERIOD, visual=False)
    kp, kd = hold_gains(model, robot)
    most = most_damping(joint_inertia(model, robot))
    joints: list[JointSpec] = []
    inferred, lowered = [], []
    for i, (joint, given) in enumerate(zip(robot.joints, actuations, strict=True)):
        if given.kp is None:
            inferred.append(joint.name)
            joints.append(replace(joint, kp=_rounded(kp[i]), kd=_rounded(kd[i])))
        elif joint.kd > most[i]:
            lowered.append(joint.name)
            joints.append(replace(joint, kd=_rounded(most[i])))
        else:
            joints.append(joint)
    if inferred:
        notes.append(
            f"no gains for {_some(inferred)}: worked out from the load each joint holds and the inertia it moves"
        )
    if lowered:
        notes.append(f"kd of {_some(lowered)} lowered to what is stable when the PD law runs at {1 / PD_PERIOD:.0f} Hz")
    damped = [j.name for j in joints if j.damping > 0.0]
    if damped:
        notes.append(
            f"viscous friction of the model kept for {_some(damped)}; "
            "where it stands for a controller's kd, set it to 0"
        )
    return replace(robot, joints=tuple(joints))


def _passive(model: mujoco.MjModel, driven: list[int], notes: list[str]) -> tuple[str, ...]:
    kinds = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    root = model.body_rootid[model.jnt_bodyid[driven[0]]]
    passive = [
        str(model.joint(j).name)
        for j in range(model.njnt)
        if j not in driven
        and int(model.jnt_type[j]) in kinds
        and model.joint(j).name
        and model.body_rootid[model.jnt_bodyid[j]] == root
    ]
    if passive:
        notes.append(f"not driven, left to swing: {_some(passive)}")
    return tuple(passive)


def _some(names: list[str]) -> str:
    return f"joint '{names[0]}'" if len(names) == 1 else f"{len(names)} joints ('{names[0]}' …)"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
