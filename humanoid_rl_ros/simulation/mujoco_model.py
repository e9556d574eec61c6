"""Any humanoid model made fit to be driven by efforts, whatever its author set it up for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.errors import ModelError, did_you_mean
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.simulation.layout import PREFIX, STAND_KEY, ModelLayout, layout
from humanoid_rl_ros.simulation.model_file import compile_spec, mujoco, read_spec
from humanoid_rl_ros.simulation.standing import standing_qpos

FLOOR_RGB = (0.75, 0.76, 0.78), (0.66, 0.68, 0.71)


def prepare(
    robot: RobotSpec,
    *,
    timestep: float,
    visual: bool = True,
    welded: Mapping[str, float] | None = None,
    extend: Callable[[mujoco.MjSpec], None] | None = None,
) -> mujoco.MjModel:
    """Compile the robot's model for effort control.

    One motor per joint, in the order of the robot, takes the place of all actuators; the robot's armature, damping,
    friction, effort limits and (where finite) position limits take the place of the model's. An IMU is added, and a
    floor, a free root and lights where they are missing. Sensors and keyframes of the model go, for they refer to the
    actuators that went; keyframe `STAND_KEY` is the robot's default pose on the floor. Solver settings are MuJoCo's
    defaults: models made for a GPU carry one to three iterations, with which a robot crawls.

    Args:
        robot: must have a model.
        timestep: of the physics [s].
        visual: keep geometry that only serves pictures.
        welded: joints of the model to do away with, each rigid at an angle [rad]; none of the robot's.
        extend: adds to the specification what the caller needs besides, before it is compiled.

    Raises:
        ConfigError: the robot's model cannot be found.
        ModelError: MuJoCo refuses the model, or it lacks a joint or the IMU's site.
    """
    spec, _ = fit(robot, visual=visual, welded=welded)
    add_surroundings(spec, pictures=visual)
    set_options(spec, timestep)
    spec.add_key(name=STAND_KEY)
    if extend is not None:
        extend(spec)
    model = compile_spec(spec, model_path(robot))
    place = layout(model, robot)
    set_limits(model, place, robot)
    model.key_qpos[0] = standing_qpos(model, place, robot.default_position)
    return model


def fit(robot: RobotSpec, *, visual: bool, welded: Mapping[str, float] | None) -> tuple[mujoco.MjSpec, mujoco.MjsBody]:
    """The robot's model with motors, IMU and a free root, and its root; what is around it and options are the file's.

    Args:
        robot, visual, welded: as of `prepare`.

    Raises:
        ConfigError, ModelError: as of `prepare`.
    """
    path = model_path(robot)
    spec = read_spec(path, visual=visual)
    if welded:
        weld(spec, welded, path)
    joints = {joint.name: joint for joint in spec.joints}
    roots = {root_of(_joint_in(joints, j.name, robot, path)).name for j in robot.joints}
    if len(roots) > 1:
        raise ModelError(
            f"model {path}: the joints of robot '{robot.name}' hang on several bodies: {', '.join(sorted(roots))}"
        )
    root = root_of(joints[robot.joints[0].name])
    for kind in (spec.actuators, spec.sensors, spec.keys):
        for element in list(kind):
            spec.delete(element)
    for joint in robot.joints:
        _drive(spec, joints[joint.name], joint)
    free_root(root, path)
    _add_imu(spec, root, robot, path)
    return spec, root


def set_limits(model: mujoco.MjModel, place: ModelLayout, robot: RobotSpec) -> None:
    """The robot's finite position limits, on the compiled model: in the specification the unit is the author's choice.

    Args:
        model: changed in place.
        place: where it keeps the robot.
        robot: whose limits.
    """
    bounded = np.isfinite(robot.lower) & np.isfinite(robot.upper)
    model.jnt_range[place.joint_ids[bounded]] = np.stack([robot.lower, robot.upper], axis=1)[bounded]
    model.jnt_limited[place.joint_ids[bounded]] = 1


def model_path(robot: RobotSpec) -> Path:
    """The robot's model file.

    Raises:
        ConfigError: it cannot be found.
        ModelError: the robot has none.
    """
    if robot.model is None:
        raise ModelError(
            f"robot '{robot.name}' has no physics model; give it one under 'model' in {robot.source or 'its YAML'}"
        )
    return robot.model.locate()


def weld(spec: mujoco.MjSpec, angles: Mapping[str, float], path: Path) -> None:
    """Make joints rigid at given angles.

    Args:
        spec: changed in place.
        angles: by joint [rad].
        path: of the model, for errors.

    Raises:
        ModelError: the model has no such hinge.
    """
    joints = {joint.name: joint for joint in spec.joints}
    model = compile_spec(spec, path)
    for name, angle in angles.items():
        if name not in joints:
            raise ModelError(f"model {path}: no joint '{name}' to weld; {did_you_mean(name, [n for n in joints if n])}")
        if joints[name].type != mujoco.mjtJoint.mjJNT_HINGE:
            raise ModelError(f"model {path}: joint '{name}' is no hinge and cannot be welded")
        # Compiled numbers: in the specification angles, frames and defaults are the author's choice.
        joint = model.joint(name)
        body = int(joint.bodyid[0])
        if model.body_jntnum[body] != 1:
            raise ModelError(f"model {path}: joint '{name}' shares its body with another and cannot be welded")
        turn, orientation, offset = np.empty(4), np.empty(4), np.empty(3)
        mujoco.mju_axisAngle2Quat(turn, joint.axis, angle - float(joint.qpos0[0]))
        mujoco.mju_rotVecQuat(offset, joint.pos, turn)
        mujoco.mju_rotVecQuat(offset, joint.pos - offset, model.body_quat[body])
        mujoco.mju_mulQuat(orientation, model.body_quat[body], turn)
        welded = joints[name].parent
        welded.pos, welded.quat = model.body_pos[body] + offset, orientation
        welded.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        spec.delete(joints[name])


def root_of(joint: mujoco.MjsJoint) -> mujoco.MjsBody:
    """The body under the world that a joint hangs on."""
    body = joint.parent
    while body.parent is not None and body.parent.name != "world":
        body = body.parent
    return body


def free_root(root: mujoco.MjsBody, path: Path) -> None:
    """Let the root float, where it does not yet.

    Raises:
        ModelError: the root has joints that tie it to the world.
    """
    kinds = [joint.type for joint in root.joints]
    if mujoco.mjtJoint.mjJNT_FREE in kinds:
        return
    if kinds:
        raise ModelError(
            f"model {path}: root body '{root.name}' is tied to the world by joint '{root.joints[0].name}'; "
            "it must float"
        )
    root.add_freejoint(name=f"{PREFIX}root")


def _joint_in(joints: dict[str, mujoco.MjsJoint], name: str, robot: RobotSpec, path: Path) -> mujoco.MjsJoint:
    joint = joints.get(name)
    if joint is None:
        named = [n for n in joints if n]
        raise ModelError(
            f"model {path}: no joint '{name}', which robot '{robot.name}' drives; {did_you_mean(name, named)}"
        )
    if joint.type not in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
        raise ModelError(f"model {path}: joint '{name}' has more than one degree of freedom; one motor cannot drive it")
    return joint


def _drive(spec: mujoco.MjSpec, model_joint: mujoco.MjsJoint, joint: JointSpec) -> None:
    model_joint.armature = joint.armature
    # Later versions hold a polynomial in the speed here; its first term is the linear one.
    model_joint.damping = [joint.damping, 0.0, 0.0] if np.ndim(model_joint.damping) else joint.damping
    model_joint.springdamper = [0.0, 0.0]  # would compute stiffness and damping anew at compile time
    model_joint.frictionloss = joint.friction
    model_joint.actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE
    motor = spec.add_actuator(name=PREFIX + joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.set_to_motor()
    motor.gear = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    # What the model's default class may say of its own actuators.
    motor.forcelimited = motor.actlimited = mujoco.mjtLimited.mjLIMITED_FALSE
    motor.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
    motor.ctrlrange = [-joint.effort_limit, joint.effort_limit]


def _add_imu(spec: mujoco.MjSpec, root: mujoco.MjsBody, robot: RobotSpec, path: Path) -> None:
    wanted = robot.imu.attachment
    site = spec.site(wanted) if wanted else None
    if site is None:
        body = spec.body(wanted) if wanted else root
        if body is None:
            known = [e.name for e in (*spec.sites, *spec.bodies) if e.name]
            raise ModelError(f"model {path}: no site or body '{wanted}' for the IMU; {did_you_mean(wanted, known)}")
        site = body.add_site(name=f"{PREFIX}imu")
    for name, kind in (
        ("gyro", mujoco.mjtSensor.mjSENS_GYRO),
        ("velocimeter", mujoco.mjtSensor.mjSENS_VELOCIMETER),
        ("accelerometer", mujoco.mjtSensor.mjSENS_ACCELEROMETER),
        ("framequat", mujoco.mjtSensor.mjSENS_FRAMEQUAT),
    ):
        spec.add_sensor(name=PREFIX + name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site.name)


def is_floor(geom: mujoco.MjsGeom) -> bool:
    """Whether something can stand on a geom of a specification: a plane that touches."""
    return bool(geom.type == mujoco.mjtGeom.mjGEOM_PLANE and (geom.contype or geom.conaffinity))


def add_surroundings(spec: mujoco.MjSpec, *, pictures: bool) -> None:
    """Add a floor and, for pictures, light and sky, where the model has none."""
    has_floor = any(map(is_floor, spec.geoms))
    if not has_floor:
        bits = 0
        for geom in spec.geoms:
            bits |= geom.contype | geom.conaffinity
        floor = spec.worldbody.add_geom(name=f"{PREFIX}floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 0.05])
        floor.contype = floor.conaffinity = bits or 1  # meets every geom that meets anything
        floor.condim, floor.friction = 3, [1.0, 0.005, 0.0001]  # the model's default class may have none
        if pictures:
            floor.material = _floor_material(spec)
    if not pictures:
        return
    if not (has_floor and spec.lights):  # without a floor the model was no scene, and its lights serve close-ups
        # Straight down: a slanted light over an endless floor draws moiré at the border of its shadow map.
        sun = spec.worldbody.add_light(name=f"{PREFIX}sun", pos=[0.0, 0.0, 3.0], dir=[0.0, 0.0, -1.0])
        sun.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        sun.diffuse = [0.4, 0.4, 0.4]
    if not any(t.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX for t in spec.textures):
        sky = spec.add_texture(name=f"{PREFIX}sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=64, height=384)
        sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
        sky.rgb1, sky.rgb2 = [0.93, 0.95, 0.98], [0.70, 0.78, 0.88]
    spec.visual.quality.shadowsize = max(spec.visual.quality.shadowsize, 4096)
    view = spec.visual.global_
    view.offwidth, view.offheight = max(view.offwidth, 1920), max(view.offheight, 1080)


def _floor_material(spec: mujoco.MjSpec) -> str:
    texture = spec.add_texture(name=f"{PREFIX}checker", type=mujoco.mjtTexture.mjTEXTURE_2D, width=256, height=256)
    texture.builtin = mujoco.mjtBuiltin.mjBUILTIN_CHECKER
    texture.rgb1, texture.rgb2 = (list(c) for c in FLOOR_RGB)
    material = spec.add_material(name=f"{PREFIX}floor", texrepeat=[1.0, 1.0], texuniform=True)
    textures = list(material.textures)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
    material.textures = textures
    return str(material.name)


def set_options(spec: mujoco.MjSpec, timestep: float) -> None:
    """How the physics is solved.

    Args:
        spec: changed in place.
        timestep: of the physics [s].
    """
    option, default = spec.option, mujoco.MjSpec().option
    option.timestep = timestep
    # Euler integrates joint damping implicitly, as implicitfast does; the PD law is explicit either way, for a motor's
    # effort is held over the step. It needs no velocity derivatives, and splits into mj_step1 and mj_step2.
    option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    option.solver = default.solver
    for name in ("iterations", "ls_iterations", "ccd_iterations"):
        setattr(option, name, max(getattr(option, name), getattr(default, name)))
    option.tolerance, option.ls_tolerance = default.tolerance, default.ls_tolerance
    option.enableflags = 0
    option.disableactuator = 0
    # A diverged state must be seen, not replaced by the initial pose. Without warm starts the next state follows from
    # the present one and the effort alone, to the bit: whoever is given a state continues as the one who left it.
    option.disableflags = int(mujoco.mjtDisableBit.mjDSBL_AUTORESET) | int(mujoco.mjtDisableBit.mjDSBL_WARMSTART)
