"""The URDF against the model it came from: MuJoCo reads both, and every mass, frame and axis must be the same."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from conftest import Refuses
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.description.folder import URDF_FILE, export_robot
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch
from humanoid_rl_ros.description.xml_text import roll_pitch_yaw
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.describe import describe
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.mujoco_model import prepare

WATCH = HardwareWatch(command_timeout=0.1, damping_scale=1.0)
needs_mjlab = pytest.mark.skipif(
    importlib.util.find_spec("mjlab") is None, reason="the G1's model is in the Python package mjlab, not installed"
)
# What models of others have: joints off the origin of their body, a reference angle, several joints on one body, a
# slide, inertia in a turned frame, a welded body, a frame that looks straight up, a body without a name, one
# with the name of its joint.
ODD = """
<mujoco model="odd"><compiler angle="radian"/><worldbody>
  <body name="hips" pos="0 0 1"><freejoint/>
    <inertial pos="0.01 0.02 0.03" quat="0.8 0.1 0.5 0.3" mass="5" diaginertia="0.05 0.04 0.03"/>
    <site name="imu" pos="0.02 0.03 0.05" euler="0.3 -0.4 2.0"/>
    <body name="thigh" pos="0 0.1 -0.1" quat="0.7 0.1 0.2 0.3">
      <joint name="a" axis="0 1 0" pos="0.01 -0.02 0.03" ref="0.3" range="-1 1"/>
      <joint name="b" axis="1 0 0" pos="-0.02 0.01 0.02" ref="-0.2" range="-1 1"/>
      <joint name="c" axis="0.6 0 0.8" pos="0.03 0 0" range="-1 1" damping="0.5"/>
      <geom type="capsule" fromto="0 0 0 0.1 0 -0.3" size="0.04"/>
      <body name="shank" pos="0.1 0 -0.3" euler="0 1.5707963267948966 0">
        <joint name="d" type="slide" axis="0 0.6 0.8" range="-0.1 0.1" ref="0.05"/>
        <geom type="ellipsoid" size="0.03 0.04 0.1" pos="0 0.1 0"/>
        <body pos="0.05 0 0" euler="0.4 0.5 0.6"><geom type="box" size="0.1 0.05 0.02"/></body>
        <body name="limp" pos="0.2 0 0"><joint name="limp" axis="0 1 0"/><geom type="cylinder" size="0.02 0.05"/></body>
      </body>
    </body>
  </body></worldbody>
  <actuator><motor joint="a"/><motor joint="b"/><motor joint="c"/></actuator>
</mujoco>
"""


def odd_robot(folder: Path) -> RobotSpec:
    model = folder / "odd.xml"
    model.write_text(ODD)
    return describe(model).robot


def exported(robot: RobotSpec, folder: Path, **changes: object) -> Path:
    export_robot(robot, ExportOptions(folder, **changes), WATCH)  # type: ignore[arg-type]  # keys of the options
    return folder / URDF_FILE


def loaded(urdf: Path) -> mujoco.MjModel:
    root = ElementTree.parse(urdf).getroot()
    extension = ElementTree.SubElement(root, "mujoco")
    ElementTree.SubElement(extension, "compiler", strippath="false", fusestatic="false", discardvisual="false")
    for mesh in root.iter("mesh"):
        mesh.set("filename", mesh.get("filename", "").removeprefix("file://"))
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


def turned(model: mujoco.MjModel, angles: dict[str, float]) -> mujoco.MjData:
    """A model with its joints at some positions and its root where the world's frame is."""
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        data.qpos[:7] = [0, 0, 0, 1, 0, 0, 0]
    for name, angle in angles.items():
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(model, data)
    return data


def in_world(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> np.ndarray:
    axes = data.ximat[body].reshape(3, 3)
    return axes @ np.diag(model.body_inertia[body]) @ axes.T


def assert_same_mechanism(robot: RobotSpec, urdf: Path, seed: int = 0) -> None:
    original, model = prepare(robot, timestep=0.002), loaded(urdf)
    rng = np.random.default_rng(seed)
    joints = [original.joint(j).name for j in range(original.njnt) if original.joint(j).type[0] >= 2]
    assert {model.joint(j).name for j in range(model.njnt)} == set(joints)
    bodies = [b for b in range(1, original.nbody) if original.body_mass[b] > 0.0]
    for _ in range(5):
        angles = {name: float(rng.uniform(-1.0, 1.0)) for name in joints}
        want, got = turned(original, angles), turned(model, angles)
        for body in bodies:
            name = original.body(body).name or f"body_{body}"
            other = model.body(f"{name}_link" if name in joints else name).id
            assert model.body_mass[other] == pytest.approx(original.body_mass[body], rel=1e-9)
            np.testing.assert_allclose(got.xipos[other], want.xipos[body], atol=1e-9)
            tensor = in_world(original, want, body)
            np.testing.assert_allclose(in_world(model, got, other), tensor, atol=1e-7 * np.trace(tensor))
        for name in joints:
            if original.joint(name).type[0] == mujoco.mjtJoint.mjJNT_HINGE:  # a slide has no place
                np.testing.assert_allclose(got.joint(name).xanchor, want.joint(name).xanchor, atol=1e-9)
            np.testing.assert_allclose(got.joint(name).xaxis, want.joint(name).xaxis, atol=1e-9)
        imu, site = model.body(robot.imu.frame).id, layout(original, robot).imu_site
        np.testing.assert_allclose(got.xpos[imu], want.site_xpos[site], atol=1e-9)
        np.testing.assert_allclose(got.xmat[imu], want.site_xmat[site], atol=1e-9)


@pytest.mark.parametrize("name", ["reference", pytest.param("g1", marks=needs_mjlab)])
def test_masses_frames_and_axes_are_those_of_the_model(name: str, tmp_path: Path) -> None:
    robot = find_robot(name)
    assert_same_mechanism(robot, exported(robot, tmp_path))


def test_odd_models_too(tmp_path: Path) -> None:
    robot = odd_robot(tmp_path)
    assert_same_mechanism(robot, exported(robot, tmp_path / "out"))


def test_a_robot_whose_model_is_a_urdf(tmp_path: Path) -> None:
    first = exported(odd_robot(tmp_path), tmp_path / "first")
    robot = describe(first, imu="imu").robot
    assert_same_mechanism(robot, exported(robot, tmp_path / "second"))


def test_what_collides_fills_the_same_space(tmp_path: Path) -> None:
    """Of a mesh the hull, of a capsule a cylinder and two spheres: the lowest points are the same at any pose."""
    robot = find_robot("reference")
    original, model = prepare(robot, timestep=0.002), loaded(exported(robot, tmp_path))
    rng = np.random.default_rng(1)
    for _ in range(5):
        angles = {name: float(rng.uniform(-1.0, 1.0)) for name in robot.joint_names}
        assert lowest(model, turned(model, angles)) == pytest.approx(lowest(original, turned(original, angles)), 1e-6)


def lowest(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Height of the lowest point of what collides, from a small ball far below [m]."""
    spec = [g for g in range(model.ngeom) if model.geom_contype[g] and model.geom_bodyid[g] > 0]
    heights = []
    for geom in spec:
        size, kind = model.geom_size[geom], model.geom_type[geom]
        down = np.abs(data.geom_xmat[geom].reshape(3, 3)[2])
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            reach = float(down @ size)
        elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            reach = float(size[0] * np.sqrt(1.0 - min(1.0, down[2]) ** 2) + size[1] * down[2])
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            reach = float(size[0] + size[1] * down[2])
        else:
            assert kind == mujoco.mjtGeom.mjGEOM_SPHERE
            reach = float(size[0])
        heights.append(data.geom_xpos[geom][2] - reach)
    return min(heights)


def test_limits_damping_and_friction_are_the_robots(tmp_path: Path) -> None:
    robot = find_robot("reference")
    root = ElementTree.parse(exported(robot, tmp_path)).getroot()
    for spec in robot.joints:
        (joint,) = (j for j in root.findall("joint") if j.get("name") == spec.name)
        limit, dynamics = joint.find("limit"), joint.find("dynamics")
        assert limit is not None
        assert dynamics is not None
        assert {key: float(value) for key, value in (limit.attrib | dynamics.attrib).items()} == {
            "effort": spec.effort_limit,
            "velocity": spec.velocity_limit,
            "lower": spec.lower,
            "upper": spec.upper,
            "damping": spec.damping,
            "friction": spec.friction,
        }


def test_rotors_in_the_links_give_every_joint_the_inertia_it_has(tmp_path: Path) -> None:
    """Along the axis of each joint alone, with the others locked, a push must find link and rotor together."""
    robot = find_robot("reference")
    original, model = prepare(robot, timestep=0.002), loaded(exported(robot, tmp_path, fold_rotors=True))
    for name in robot.joint_names:
        want = own_inertia(original, name) + original.dof_armature[original.joint(name).dofadr[0]]
        assert own_inertia(model, name) == pytest.approx(want, rel=1e-3)
    assert model.body_mass.sum() == pytest.approx(35.0)


def own_inertia(model: mujoco.MjModel, joint: str) -> float:
    """Of the link that a joint carries, about its axis [kg·m²]."""
    data = turned(model, {})
    body = int(model.joint(joint).bodyid[0])
    axis, arm = data.joint(joint).xaxis, data.xipos[body] - data.joint(joint).xanchor
    return float(axis @ in_world(model, data, body) @ axis + model.body_mass[body] * np.sum(np.cross(axis, arm) ** 2))


@pytest.mark.parametrize(
    ("joint", "found"),
    [
        ('<joint name="x" type="ball"/>', "is a ball joint"),
        ('<joint name="x" type="slide"/>', "slides and has no limit"),
    ],
)
def test_joints_that_urdf_has_not_are_refused(joint: str, found: str, tmp_path: Path, refuses: Refuses) -> None:
    model = tmp_path / "odd.xml"
    model.write_text(ODD.replace('<joint name="limp" axis="0 1 0"/>', joint))
    with refuses(ModelError, found):
        exported(describe(model).robot, tmp_path / "out")


def test_files_that_are_there_stay(tmp_path: Path, refuses: Refuses) -> None:
    robot = odd_robot(tmp_path)
    exported(robot, tmp_path / "out")
    with refuses(ConfigError, "--overwrite"):
        exported(robot, tmp_path / "out")


def test_what_an_earlier_export_left_is_named(tmp_path: Path) -> None:
    robot, real = find_robot("reference"), ExportOptions(tmp_path, hardware="my_robot/System")
    assert not any("earlier" in note for note in export_robot(robot, ExportOptions(tmp_path), WATCH).notes)
    (tmp_path / "meshes").mkdir(exist_ok=True)
    (tmp_path / "meshes" / "old.stl").touch()
    found = export_robot(robot, real, WATCH, overwrite=True)
    assert found.notes[-1] == "not of this export, from an earlier one: world.sdf, bridge.yaml, meshes/old.stl"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hardware": "my robot"}, "'my robot' is no plugin of ros2_control"),
        ({"hardware": "a/B", "substeps": 2}, "--substeps is for Gazebo"),
        ({"substeps": 1_000_000}, "1000 ns is the least"),
        ({"namespace": "a b"}, "'a b' is no ROS namespace"),
    ],
)
def test_options_that_no_file_can_have_are_refused(
    options: dict[str, Any], words: str, tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(ConfigError, words):
        ExportOptions(tmp_path, **options)


UNIT = st.floats(-1.0, 1.0)


@given(st.tuples(UNIT, UNIT, UNIT, UNIT).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_angles_turn_as_the_quaternion_does(quaternion: tuple[float, ...]) -> None:
    assert_angles_turn_as(np.array(quaternion) / np.linalg.norm(quaternion))


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
@pytest.mark.parametrize("roll", [0.0, 0.7, 3.0])
def test_angles_of_a_frame_that_looks_straight_up_or_down(roll: float, pitch: float) -> None:
    about_x = np.array([np.cos(roll / 2), np.sin(roll / 2), 0.0, 0.0])
    about_y = np.array([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0])
    mujoco.mju_mulQuat(quaternion := np.empty(4), about_y, about_x)
    assert_angles_turn_as(quaternion)


def assert_angles_turn_as(quaternion: np.ndarray) -> None:
    mujoco.mju_quat2Mat(want := np.empty(9), quaternion)
    total = np.eye(3)
    for angle, axis in zip(roll_pitch_yaw(quaternion), np.eye(3), strict=True):
        mujoco.mju_axisAngle2Quat(turn := np.empty(4), axis, angle)
        mujoco.mju_quat2Mat(matrix := np.empty(9), turn)
        total = matrix.reshape(3, 3) @ total
    np.testing.assert_allclose(total.ravel(), want, atol=1e-8)
