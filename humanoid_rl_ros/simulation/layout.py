"""Where a prepared model keeps the arrays of a robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.model_file import mujoco

# Names of what is added to a model start with this, so that they meet none of the model's own.
PREFIX = "humanoid_rl/"
STAND_KEY = f"{PREFIX}stand"
_SENSORS = {"gyro": 3, "velocimeter": 3, "accelerometer": 3, "framequat": 4}


@dataclass(frozen=True, eq=False)
class ModelLayout:
    """Where a prepared model keeps what the robot's arrays hold.

    Attributes:
        joint_ids: joints of the robot, in its order [Shape (n,)].
        qpos: their addresses in qpos [Shape (n,)].
        dof: their addresses in qvel [Shape (n,)].
        motors: where their motors stand in ctrl.
        root_body: the body that floats.
        root_qpos, root_dof: where its pose and its velocity start.
        floor: the geom the robot stands on.
        imu_site: the site the IMU sits on.
        gyro, velocimeter, accelerometer, orientation: slices of sensordata.
    """

    joint_ids: IndexArray
    qpos: IndexArray
    dof: IndexArray
    motors: slice
    root_body: int
    root_qpos: int
    root_dof: int
    floor: int
    imu_site: int
    gyro: slice
    velocimeter: slice
    accelerometer: slice
    orientation: slice


def layout(model: mujoco.MjModel, robot: RobotSpec, prefix: str = "") -> ModelLayout:
    """Find the robot's arrays in a model made by `prepare`, or by `prepare_team`.

    Args:
        model: a prepared model.
        robot: what it was prepared for.
        prefix: what the names of the robot's elements begin with, in a model of several robots.

    Raises:
        ModelError: the model was not prepared for this robot.
    """
    own = prefix + PREFIX
    names = [model.actuator(i).name for i in range(model.nu)]
    motors = [i for i, name in enumerate(names) if name.startswith(own)]
    if [names[i] for i in motors] != [own + name for name in robot.joint_names]:
        raise ModelError(
            f"the compiled model has not one motor per joint of robot '{robot.name}'; make it with prepare()"
        )
    joint_ids = np.array([model.joint(prefix + name).id for name in robot.joint_names], dtype=np.intp)
    root_body = int(model.body_rootid[model.jnt_bodyid[joint_ids[0]]])
    root_joint = int(model.body_jntadr[root_body])
    up = [g for g in range(model.ngeom) if _is_floor(model, g)]
    if not up:
        raise ModelError(f"the model of robot '{robot.name}' has planes, and none of them is a level floor")
    starts = {name: int(model.sensor(own + name).adr[0]) for name in _SENSORS}
    slices = {name: slice(start, start + _SENSORS[name]) for name, start in starts.items()}
    return ModelLayout(
        joint_ids=joint_ids,
        qpos=np.asarray(model.jnt_qposadr[joint_ids], dtype=np.intp),
        dof=np.asarray(model.jnt_dofadr[joint_ids], dtype=np.intp),
        motors=slice(motors[0], motors[-1] + 1),
        root_body=root_body,
        root_qpos=int(model.jnt_qposadr[root_joint]),
        root_dof=int(model.jnt_dofadr[root_joint]),
        floor=up[0],
        imu_site=int(model.sensor(own + "gyro").objid[0]),
        gyro=slices["gyro"],
        velocimeter=slices["velocimeter"],
        accelerometer=slices["accelerometer"],
        orientation=slices["framequat"],
    )


def _is_floor(model: mujoco.MjModel, geom: int) -> bool:
    if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE or not (
        model.geom_contype[geom] or model.geom_conaffinity[geom]
    ):
        return False
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    return bool(rotation[8] > 0.999)
