"""The chain from the root to the IMU against MuJoCo's own sensors, for many robots at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.imu_kinematics import ImuKinematics
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_model import prepare

Refuses = Callable[..., AbstractContextManager[None]]

# Everything a chain may have: a rigid turned body, a hinge about a slanted axis that is zero at 40°, a turned site.
NECK = """<mujoco><compiler angle="degree"/><worldbody><body name="trunk"><freejoint/>
  <geom type="box" size="0.2 0.1 0.1" mass="5"/>
  <body name="plate" pos="0.1 0.2 0.3" euler="10 20 30"><inertial pos="0 0 0" mass="1" diaginertia="0.1 0.1 0.1"/>
    <body name="head" pos="0 -0.1 0.2" euler="-40 0 15"><joint name="neck" axis="1 2 3" ref="40" {anchor}/>
      <inertial pos="0 0 0" mass="1" diaginertia="0.1 0.1 0.1"/>
      <site name="imu" pos="0.05 0.02 -0.1" euler="90 5 0"/></body></body></body></worldbody></mujoco>"""


def neck(folder: Path, anchor: str = "") -> RobotSpec:
    (folder / "neck.xml").write_text(NECK.format(anchor=anchor))
    joint = JointSpec("neck", -2.0, 2.0, 5.0)
    return RobotSpec("neck", (joint,), ImuSpec(attachment="imu"), ModelSource(folder / "neck.xml"))


def states(model: mujoco.MjModel, n: int) -> tuple[FloatArray, FloatArray]:
    """Robots turned anyhow, bent anyhow and moving."""
    rng = np.random.default_rng(0)
    qpos = rng.uniform(-1.0, 1.0, (n, model.nq))
    qpos[:, 3:7] = rng.normal(size=(n, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return qpos, rng.normal(size=(n, model.nv))


def compare(robot: RobotSpec) -> None:
    model = prepare(robot, timestep=0.002)
    place, data = layout(model, robot), mujoco.MjData(model)
    qpos, qvel = states(model, 12)
    motion = ImuKinematics(model, place).motion(qpos, qvel)
    for i in range(len(qpos)):
        data.qpos[:], data.qvel[:] = qpos[i], qvel[i]
        mujoco.mj_forward(model, data)
        orientation = data.sensordata[place.orientation]
        np.testing.assert_allclose(motion.angular_velocity[i], data.sensordata[place.gyro], atol=1e-12)
        np.testing.assert_allclose(motion.linear_velocity[i], data.sensordata[place.velocimeter], atol=1e-12)
        sign = np.sign(motion.orientation[i] @ orientation)  # both signs are the same rotation
        np.testing.assert_allclose(sign * motion.orientation[i], orientation, atol=1e-12)


@pytest.mark.parametrize("attachment", ["imu", "", "torso_link", "left_elbow_link", "right_ankle_roll_link"])
def test_anywhere_on_the_reference_humanoid(attachment: str) -> None:
    compare(replace(find_robot("reference"), imu=ImuSpec(attachment=attachment)))


def test_through_turned_bodies_and_a_slanted_hinge_with_a_reference(tmp_path: Path) -> None:
    compare(neck(tmp_path))


def test_a_running_backend_measures_the_same() -> None:
    """An IMU above the waist, while the robot moves: the sensors of the backend are the law's of its state."""
    backend = MujocoBackend(replace(find_robot("reference"), imu=ImuSpec(attachment="torso_link")))
    kinematics, rng = ImuKinematics(backend.model, backend.layout), np.random.default_rng(1)
    for _ in range(100):
        state = backend.step(rng.uniform(-30.0, 30.0, backend.robot.n_joints))
        motion = kinematics.motion(backend.data.qpos[None].copy(), backend.data.qvel[None].copy())
        np.testing.assert_allclose(motion.angular_velocity[0], state.angular_velocity, atol=1e-12)
        np.testing.assert_allclose(motion.linear_velocity[0], state.base_linear_velocity, atol=1e-12)
        np.testing.assert_allclose(motion.orientation[0], state.orientation, atol=1e-12)
    assert abs(state.joint_velocity[backend.robot.joint_names.index("waist_yaw_joint")]) > 0.1


def test_an_imu_beside_the_robot_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    beside = NECK.replace("<worldbody>", '<worldbody><site name="ceiling" pos="0 0 3"/>').format(anchor="")
    (tmp_path / "beside.xml").write_text(beside)
    robot = replace(neck(tmp_path), imu=ImuSpec(attachment="ceiling"), model=ModelSource(tmp_path / "beside.xml"))
    model = prepare(robot, timestep=0.002)
    with refuses(ModelError, "site 'ceiling'", "does not hang on the robot"):
        ImuKinematics(model, layout(model, robot))


def test_a_hinge_beside_its_body_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    robot = neck(tmp_path, 'pos="0 0 0.1"')
    model = prepare(robot, timestep=0.002)
    with refuses(ModelError, "joint 'neck'", "put the IMU on the root body"):
        ImuKinematics(model, layout(model, robot))
