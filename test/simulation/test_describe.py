"""Robots worked out from model files: MJCF of several labs, and URDFs as exporters write them."""

from __future__ import annotations

import importlib.util
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from zoo import ZOO

from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot, load_robot
from humanoid_rl_ros.simulation.describe import Description, describe
from humanoid_rl_ros.simulation.gains import PD_PERIOD, joint_inertia
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_model import prepare

ZOO_MODELS = sorted(ZOO.glob("models/*/robot.xml"))


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"the model is in the Python package {package}, which is not installed")


def stands_and_simulates(robot: RobotSpec) -> MujocoBackend:
    """Two seconds of PD: feet on the floor at the start, finite to the end."""
    backend = MujocoBackend(robot)
    assert len(backend.foot_names) == 2
    assert len({n.lower().replace("left", "").replace("right", "") for n in backend.foot_names}) == 1
    state = backend.read()
    for _ in range(1000):  # a NaN would raise
        state = backend.step(
            robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity
        )
    inertia = joint_inertia(prepare(robot, timestep=0.002, visual=False), robot)
    assert (robot.kd * PD_PERIOD < inertia).all()
    assert (robot.kp > 0).all()
    return backend


def survives_a_file(robot: RobotSpec, folder: Path) -> None:
    path = folder / "described.yaml"
    path.write_text(dump_robot(robot))
    again = load_robot(path)
    assert again.joints == robot.joints
    assert again.imu == robot.imu
    assert again.model == robot.model


@pytest.mark.skipif(not ZOO_MODELS, reason=f"no robot models at {ZOO} (set HUMANOID_RL_ZOO)")
@pytest.mark.parametrize("path", ZOO_MODELS or [Path("none")], ids=lambda p: p.parent.name)
def test_published_models(path: Path, tmp_path: Path) -> None:
    found = describe(path.resolve())
    assert 23 <= found.robot.n_joints <= 31
    assert "imu" in found.robot.imu.attachment
    stands_and_simulates(found.robot)
    survives_a_file(found.robot, tmp_path)


@needs("gymnasium")
def test_gymnasium_humanoid(tmp_path: Path) -> None:
    """Several hinges per body, gears, degrees, a knee that cannot reach zero."""
    found = describe("envs/mujoco/assets/humanoid.xml", package="gymnasium")
    robot = found.robot
    assert robot.joint_names[:3] == ("abdomen_y", "abdomen_z", "abdomen_x")  # order of the actuators
    effort = dict(zip(robot.joint_names, robot.effort_limit, strict=True))
    # 0.4 of the gear, as the file has them.
    assert (effort["abdomen_x"], effort["right_hip_y"], effort["left_knee"], effort["left_elbow"]) == (40, 120, 80, 10)
    pose = dict(zip(robot.joint_names, robot.default_position, strict=True))
    assert pose["left_knee"] == pytest.approx(np.deg2rad(-2))
    backend = stands_and_simulates(robot)
    assert set(backend.foot_names) == {"left_foot", "right_foot"}
    survives_a_file(robot, tmp_path)


@needs("mjlab")
def test_unitree_g1_of_mjlab(tmp_path: Path) -> None:
    """No actuators, no efforts, no rotor inertia: all of it is inferred, and said."""
    found = describe("asset_zoo/robots/unitree_g1/xmls/g1.xml", package="mjlab")
    assert found.robot.n_joints == 29
    assert found.robot.imu.attachment == "imu_in_pelvis"
    said = " ".join(found.notes)
    for word in ("no actuators", "no effort limit", "no rotor inertia", "no gains", "imu_in_pelvis"):
        assert word in said
    stands_and_simulates(found.robot)
    survives_a_file(found.robot, tmp_path)


def test_reference_humanoid() -> None:
    robot = describe("simulation/models/reference_humanoid.xml", package="humanoid_rl_ros").robot
    assert robot.n_joints == 21
    backend = stands_and_simulates(robot)
    assert backend.ground_truth().base_height > 0.6


def link(name: str, mass: float, shape: str, *, visual: str = "") -> str:
    inertia = f'<inertia ixx="{mass / 50}" iyy="{mass / 50}" izz="{mass / 50}" ixy="0" ixz="0" iyz="0"/>'
    collision = f"<collision><geometry>{shape}</geometry></collision>" if shape else ""
    drawn = f"<visual><geometry>{visual}</geometry></visual>" if visual else ""
    return f'<link name="{name}"><inertial><mass value="{mass}"/>{inertia}</inertial>{collision}{drawn}</link>'


def joint(name: str, parent: str, child: str, xyz: str, *, kind: str = "revolute", more: str = "") -> str:
    limit = '<limit lower="-0.6" upper="1.2" effort="60" velocity="12"/>' if kind == "revolute" else ""
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}"/><axis xyz="0 1 0"/>{limit}{more}</joint>'
    )


def walker_urdf(*, trunk: str = '<box size="0.2 0.3 0.4"/>', visual: str = "", more: str = "") -> str:
    """A base link without mass, a trunk with an IMU link fixed to it, two legs and feet."""
    parts = [
        '<link name="base_link"/><link name="imu_link"/>',
        link("trunk", 12, trunk, visual=visual),
        joint("base_fixed", "base_link", "trunk", "0 0 0", kind="fixed"),
        joint("imu_fixed", "trunk", "imu_link", "0 0 0.1", kind="fixed"),
    ]
    for side, y in (("left", 0.12), ("right", -0.12)):
        parts += [
            link(f"{side}_thigh", 3, '<cylinder radius="0.05" length="0.3"/>'),
            link(f"{side}_shin", 2, ""),
            link(f"{side}_foot", 0.8, '<box size="0.22 0.09 0.04"/>'),
            joint(
                f"{side}_hip", "trunk", f"{side}_thigh", f"0 {y} -0.4", more='<dynamics damping="0.4" friction="0.2"/>'
            ),
            joint(f"{side}_knee", f"{side}_thigh", f"{side}_shin", "0 0 -0.3"),
            joint(f"{side}_ankle", f"{side}_shin", f"{side}_foot", "0 0 -0.3"),
        ]
    return f'<robot name="walker">{"".join(parts)}{more}</robot>'


def describe_text(folder: Path, text: str, name: str = "walker.urdf") -> Description:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return describe(path)


def test_urdf_limits_pose_and_imu(tmp_path: Path) -> None:
    found = describe_text(tmp_path, walker_urdf())
    robot = found.robot
    assert robot.joint_names == ("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle")
    np.testing.assert_allclose(robot.lower, -0.6)
    np.testing.assert_allclose(robot.upper, 1.2)
    np.testing.assert_allclose(robot.effort_limit, 60.0)
    np.testing.assert_allclose(robot.velocity_limit, 12.0)
    assert (robot.joints[0].damping, robot.joints[0].friction) == (0.4, 0.2)
    assert robot.imu.attachment == "imu_link"
    backend = stands_and_simulates(robot)
    np.testing.assert_array_equal(backend.foot_names, ["left_foot", "right_foot"])
    survives_a_file(robot, tmp_path)


def test_urdf_zero_is_the_standing_height_of_its_geometry(tmp_path: Path) -> None:
    backend = MujocoBackend(describe_text(tmp_path, walker_urdf()).robot)
    # Hip 0.4 below the base, legs 0.6, half a sole 0.02.
    assert backend.ground_truth().base_height == pytest.approx(1.02, abs=1e-6)


def test_urdf_with_lost_meshes_loads_and_says_what_was_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost = '<mesh filename="package://walker_description/meshes/trunk.{}" scale="0.001 0.001 0.001"/>'
    with caplog.at_level(logging.WARNING):
        found = describe_text(tmp_path, walker_urdf(trunk=lost.format("stl"), visual=lost.format("dae")))
    assert found.robot.n_joints == 6
    assert "package://walker_description/meshes/trunk.stl of link 'trunk'" in caplog.text
    assert "dae" not in caplog.text
    stands_and_simulates(found.robot)


def test_urdf_finds_meshes_of_a_package_above_it(tmp_path: Path) -> None:
    text = walker_urdf(trunk='<mesh filename="package://walker_description/meshes/trunk.stl"/>')
    meshes = tmp_path / "clone" / "meshes"
    meshes.mkdir(parents=True)
    (meshes / "trunk.stl").write_bytes(tetrahedron())
    found = describe_text(tmp_path, text, "clone/urdf/walker.urdf")
    model = prepare(found.robot, timestep=0.002, visual=False)
    assert model.nmesh == 1


def tetrahedron() -> bytes:
    corners = np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.2, 0], [0, 0, 0.2]], dtype=np.float32)
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *corners[list(f)].ravel(), 0) for f in faces)
    return b"\0" * 80 + struct.pack("<I", len(faces)) + body


def test_a_joint_that_follows_another_is_not_driven(tmp_path: Path) -> None:
    toe = link("toe", 0.1, "") + joint("toe", "left_foot", "toe", "0.1 0 0", more='<mimic joint="left_ankle"/>')
    found = describe_text(tmp_path, walker_urdf(more=toe))
    assert "toe" not in found.robot.joint_names
    assert found.robot.ignored_joints == ("toe",)
    assert "'toe'" in " ".join(found.notes)


def test_unreadable_files(tmp_path: Path) -> None:
    def says(text: str) -> str:
        with pytest.raises(ModelError) as caught:
            describe_text(tmp_path, text)
        assert "\n" not in str(caught.value)
        assert "walker.urdf" in str(caught.value)
        return str(caught.value)

    assert "not a readable URDF" in says(walker_urdf()[:-20])
    xacro = '<robot name="w" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:include filename="x"/></robot>'
    assert "ros2 run xacro xacro" in says(xacro)
    assert "no hinge joint to drive" in says('<robot name="w"><link name="a"/></robot>')
    assert "is not a number" in says(walker_urdf().replace('velocity="12"', 'velocity="fast"'))
    says("this is no XML")
    says("")
    with pytest.raises(ConfigError, match=r"gone\.urdf: no such file"):
        describe(tmp_path / "gone.urdf")
    path = tmp_path / "walker.urdf"
    path.write_text(walker_urdf())
    with pytest.raises(ModelError, match=r"no site or body 'imu_lnk'.*did you mean 'imu_link'"):
        describe(path, imu="imu_lnk")


BODY = """<mujoco><compiler angle="radian"/><worldbody>
<body name="trunk" pos="0 0 1"><freejoint/><geom type="box" size=".1 .1 .1" mass="9"/>
  <body name="a" pos="0 .1 0"><joint name="a" axis="0 1 0" damping="2" armature=".01" range="-1 1"/>
    <geom type="capsule" fromto="0 0 0 0 0 -.4" size=".03" mass="2"/></body>
  <body name="b" pos="0 -.1 0"><joint {b} axis="0 1 0" damping="2" armature=".01" range="0.2 1"/>
    <geom type="capsule" fromto="0 0 0 0 0 -.4" size=".03" mass="2"/></body>
</body></worldbody>{tail}</mujoco>"""


def test_gains_of_position_actuators_with_gear_and_damping_once(tmp_path: Path) -> None:
    tail = """<actuator><position name="pb" joint="b" kp="30" kv="0.7" forcerange="-9 9" gear="2"/>
      <position name="pa" joint="a" kp="50" forcerange="-20 20"/></actuator>"""
    robot = describe_text(tmp_path, BODY.format(b='name="b"', tail=tail), "r.xml").robot
    b, a = robot.joints
    assert (b.name, a.name) == ("b", "a")
    # At the joint: torque = gear · force, force = kp (u − gear · q).
    assert (b.kp, b.effort_limit) == (120.0, 18.0)
    assert (b.kd, b.damping) == (pytest.approx(2.8), 2.0)
    assert (a.kp, a.kd, a.damping, a.effort_limit) == (50.0, 2.0, 0.0, 20.0)


def test_the_smallest_of_several_effort_limits_holds(tmp_path: Path) -> None:
    motors = "".join(f'<motor joint="{name}" gear="10" ctrlrange="-3 3"/>' for name in "ab")
    tail = f"<actuator>{motors}</actuator>"
    text = BODY.format(b='name="b" actuatorfrcrange="-12 12"', tail=tail)
    robot = describe_text(tmp_path, text, "r.xml").robot
    np.testing.assert_array_equal(robot.effort_limit, [30.0, 12.0])


def test_pose_from_a_keyframe_that_stands_within_limits(tmp_path: Path) -> None:
    tail = """<keyframe><key name="lying" qpos="0 0 .2 .7 0 .7 0 .5 .5"/><key name="other" qpos="0 0 1 1 0 0 0 .1 .3"/>
      <key name="home" qpos="0 0 1 1 0 0 0 -.4 0"/></keyframe>"""
    found = describe_text(tmp_path, BODY.format(b='name="b"', tail=tail), "r.xml")
    np.testing.assert_allclose(found.robot.default_position, [-0.4, 0.2])  # the second is moved into its range
    assert any("keyframe 'home'" in note for note in found.notes)
    lying = tail.replace('name="home" qpos="0 0 1 1 0 0 0', 'name="home" qpos="0 0 1 0 1 0 0')
    found = describe_text(tmp_path, BODY.format(b='name="b"', tail=lying), "r.xml")
    np.testing.assert_allclose(found.robot.default_position, [0.1, 0.3])


def test_a_joint_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a joint of body 'b' has no name"):
        describe_text(tmp_path, BODY.format(b="", tail=""), "r.xml")


def test_the_gyroscope_decides_where_the_imu_is(tmp_path: Path) -> None:
    text = BODY.format(b='name="b"', tail='<sensor><gyro site="box"/></sensor>')
    text = text.replace("<freejoint/>", '<freejoint/><site name="imu"/><site name="box"/>')
    assert describe_text(tmp_path, text, "r.xml").robot.imu.attachment == "box"
    assert describe(tmp_path / "r.xml", imu="a", name="other").robot.imu.attachment == "a"
    assert describe(tmp_path / "r.xml", name="other").robot.name == "other"


def test_of_several_gyroscopes_the_nearest_to_the_root_is_the_imu(tmp_path: Path) -> None:
    model = tmp_path / "two.xml"
    model.write_text(
        '<mujoco><worldbody><geom type="plane" size="5 5 1"/><body name="pelvis" pos="0 0 0.5"><freejoint/>'
        '<geom type="sphere" size="0.1" mass="3"/><site name="low"/>'
        '<body name="torso" pos="0 0 0.3"><joint name="waist" axis="0 0 1" range="-1 1" actuatorfrcrange="-9 9"/>'
        '<geom type="sphere" size="0.1" mass="1"/><site name="high"/></body></body></worldbody>'
        '<sensor><gyro site="high"/><gyro site="low"/><framequat objtype="site" objname="high"/></sensor></mujoco>'
    )
    found = describe(model)
    assert found.robot.imu.attachment == "low"
    assert any("'low'" in note and "others: high" in note for note in found.notes)
