"""Any model made fit for effort control: what an author may have set that would spoil it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, ModelError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.standing import find_feet

LEG = """
<body name="{side}_thigh" pos="0 {y} -0.1">
  <joint name="{side}_hip" axis="0 1 0" range="-90 90"/>
  <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.04" mass="2"/>
  <body name="{side}_shin" pos="0 0 -0.35">
    <joint name="{side}_knee" axis="0 1 0" range="0 120"/>
    <geom type="capsule" fromto="0 0 0 0 0 -0.25" size="0.035" mass="1"/>
    <body name="{side}_sole" pos="0 0 -0.32">{foot}</body>
  </body>
</body>"""
FOOT = '<geom type="box" size="0.1 0.04 0.02" pos="0.03 0 0" mass="0.5"/>'
NAMES = ("left_hip", "left_knee", "right_hip", "right_knee")


def mjcf(*, head: str = "", world: str = "", root: str = "<freejoint/>", tail: str = "", foot: str = FOOT) -> str:
    legs = "".join(LEG.format(side=s, y=y, foot=foot) for s, y in (("left", 0.1), ("right", -0.1)))
    return f"""<mujoco model="walker"><compiler angle="degree"/>{head}
      <worldbody>{world}<body name="trunk" pos="0 0 1">{root}
        <geom type="box" size="0.1 0.15 0.15" mass="10"/>
        <body name="chest" pos="0 0 0.2"><geom type="sphere" size="0.1" mass="3"/>
          <site name="imu_chest" euler="0 90 0"/></body>
        {legs}</body></worldbody>{tail}</mujoco>"""


def robot_of(folder: Path, text: str, *, joints: tuple[JointSpec, ...] | None = None, imu: str = "") -> RobotSpec:
    path = folder / "robot.xml"
    path.write_text(text)
    specs = tuple(
        JointSpec(n, -1.0, 1.5, 50.0, default_position=0.1, armature=0.02, damping=0.3, friction=0.1) for n in NAMES
    )
    return RobotSpec("walker", joints or specs, ImuSpec(attachment=imu), ModelSource(path))


def lowest(model: mujoco.MjModel, qpos: np.ndarray) -> float:
    """Distance of the deepest contact from touching, by the collision code, with the base lowered by 1 mm."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    data.qpos[2] -= 1e-3
    mujoco.mj_forward(model, data)
    return float(data.contact.dist.min()) + 1e-3


def test_one_motor_per_joint_in_the_order_of_the_robot(tmp_path: Path) -> None:
    joints = tuple(JointSpec(n, -1.0, 1.5, 10.0 + i) for i, n in enumerate(reversed(NAMES)))
    tail = '<actuator><position name="p" joint="left_knee" kp="500"/><motor joint="left_hip" gear="70"/></actuator>'
    model = prepare(robot_of(tmp_path, mjcf(tail=tail), joints=joints), timestep=0.002)
    assert [model.joint(j).name for j in model.actuator_trnid[:, 0]] == list(reversed(NAMES))
    np.testing.assert_array_equal(model.actuator_gear[:, 0], 1.0)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:, 1], [10, 11, 12, 13])


def test_what_the_author_set_does_not_survive(tmp_path: Path) -> None:
    head = """<option timestep="0.01" iterations="1" ls_iterations="2" tolerance="0.1" solver="PGS" integrator="RK4">
        <flag contact="disable" gravity="disable" eulerdamp="disable" refsafe="disable" actuation="disable"
          override="enable"/>
      </option>
      <default><motor forcelimited="true" forcerange="-1 1"/><joint armature="1" damping="9" frictionloss="3"
        actuatorfrclimited="true" actuatorfrcrange="-2 2" springdamper="0.1 1"/></default>"""
    tail = """<actuator><motor name="m" joint="left_hip"/></actuator>
      <sensor><actuatorpos actuator="m"/></sensor>
      <keyframe><key name="stand" qpos="0 0 5 1 0 0 0 0 0 0 0" ctrl="3"/></keyframe>"""
    robot = robot_of(tmp_path, mjcf(head=head, tail=tail))
    model = prepare(robot, timestep=0.002)
    assert model.opt.timestep == 0.002
    assert model.opt.iterations >= 100
    assert model.opt.ls_iterations >= 50
    assert model.opt.tolerance <= 1e-8
    assert model.opt.disableflags == mujoco.mjtDisableBit.mjDSBL_AUTORESET | mujoco.mjtDisableBit.mjDSBL_WARMSTART
    assert model.opt.enableflags == 0
    dof = layout(model, robot).dof
    np.testing.assert_array_equal(model.dof_armature[dof], 0.02)
    np.testing.assert_array_equal(model.dof_damping[dof], 0.3)
    np.testing.assert_array_equal(model.dof_frictionloss[dof], 0.1)
    # The motor gives what the robot says: 30 N·m reach the joint.
    backend = MujocoBackend(robot)
    backend.step(np.full(4, 30.0))
    np.testing.assert_allclose(backend.data.qfrc_actuator[dof], 30.0)


def test_limits_are_the_robots_and_in_radians(tmp_path: Path) -> None:
    joints = (JointSpec("left_hip", -0.5, 0.7, 9.0), *(JointSpec(n, -np.inf, np.inf, 9.0) for n in NAMES[1:]))
    robot = robot_of(tmp_path, mjcf(), joints=joints)
    model = prepare(robot, timestep=0.002)
    ranges = model.jnt_range[layout(model, robot).joint_ids]
    np.testing.assert_allclose(ranges[0], [-0.5, 0.7])
    np.testing.assert_allclose(ranges[1], np.deg2rad([0, 120]))  # where the robot gives none, the model's stay
    assert model.jnt_limited[layout(model, robot).joint_ids].all()


@pytest.mark.parametrize("root", ["<freejoint/>", ""])
@pytest.mark.parametrize(
    "foot",
    [
        FOOT,
        '<geom type="sphere" size="0.05"/>',
        '<geom type="capsule" size="0.03 0.1" euler="20 70 0"/>',
        '<geom type="cylinder" size="0.03 0.1" euler="20 70 0"/>',
        '<geom type="ellipsoid" size="0.1 0.05 0.03" euler="20 30 0"/>',
        '<geom type="mesh" mesh="wedge"/>',
    ],
)
def test_the_lowest_point_touches_the_floor(tmp_path: Path, root: str, foot: str) -> None:
    head = '<asset><mesh name="wedge" vertex="0 0 0  .2 0 0  0 .1 0  .2 .1 0  0 0 .07  .1 .1 .05"/></asset>'
    model = prepare(robot_of(tmp_path, mjcf(head=head, root=root, foot=foot)), timestep=0.002)
    assert lowest(model, model.key_qpos[0]) == pytest.approx(0.0, abs=1e-6)


def test_a_floor_of_the_model_is_used_at_its_height(tmp_path: Path) -> None:
    wall = '<geom name="wall" type="plane" size="5 5 1" euler="0 90 0" pos="-9 0 0"/>'
    world = wall + '<geom type="plane" size="5 5 1" pos="0 0 0.3"/>'
    robot = robot_of(tmp_path, mjcf(world=world))
    backend = MujocoBackend(robot)
    assert int((backend.model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE).sum()) == 2
    truth = backend.ground_truth()
    assert truth.base_height == pytest.approx(truth.base_position[2] - 0.3)
    assert lowest(backend.model, backend.data.qpos) == pytest.approx(0.0, abs=1e-6)


def test_an_added_floor_meets_feet_with_bits_of_their_own(tmp_path: Path) -> None:
    head = '<default><geom condim="1" contype="4" conaffinity="4"/></default>'
    backend = MujocoBackend(robot_of(tmp_path, mjcf(head=head)))
    backend.data.qpos[2] -= 1e-3
    mujoco.mj_forward(backend.model, backend.data)
    assert backend.data.ncon > 0
    assert backend.data.contact.dim.min() == 3  # a floor without friction holds nobody up


def test_feet_are_found_with_their_toes_and_pads(tmp_path: Path) -> None:
    toes = (
        '<geom type="box" size="0.05 0.04 0.02"/>'
        '<body name="toe_{n}" pos="0.1 0 0"><joint axis="0 1 0"/><geom type="box" size="0.04 0.04 0.02"/></body>'
    )
    text = mjcf(foot="FOOT")
    for side in ("l", "r"):
        text = text.replace("FOOT", toes.replace("{n}", side), 1)
    straight = tuple(JointSpec(n, -1.0, 1.5, 50.0) for n in NAMES)
    robot = robot_of(tmp_path, text, joints=straight)
    model = prepare(robot, timestep=0.002)
    feet = find_feet(model, layout(model, robot))
    assert feet.names == ("left_sole", "right_sole")
    toe = int(model.body("toe_r").geomadr[0])
    assert feet.names[feet.of_geom[toe]] == "right_sole"
    assert feet.of_geom[model.body("trunk").geomadr[0]] == -1


@pytest.mark.parametrize(("imu", "body"), [("", "trunk"), ("chest", "chest"), ("imu_chest", "chest")])
def test_the_imu_sits_where_the_robot_says(tmp_path: Path, imu: str, body: str) -> None:
    robot = robot_of(tmp_path, mjcf(), imu=imu)
    model = prepare(robot, timestep=0.002)
    site = layout(model, robot).imu_site
    assert model.body(model.site_bodyid[site]).name == body
    turned = imu == "imu_chest"  # a site has an orientation of its own, a body's frame is taken as it is
    np.testing.assert_allclose(
        model.site_quat[site], [np.sqrt(0.5), 0, np.sqrt(0.5), 0] if turned else [1, 0, 0, 0], atol=1e-12
    )


def refusal(make: object) -> str:
    with pytest.raises(HumanoidError) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals_name_the_thing(tmp_path: Path) -> None:
    def text_of(text: str, **more: object) -> str:
        return refusal(lambda: prepare(robot_of(tmp_path, text, **more), timestep=0.002))  # type: ignore[arg-type]

    unknown = (JointSpec("left_kne", -1, 1, 9),)
    assert "no joint 'left_kne'" in text_of(mjcf(), joints=unknown)
    assert "did you mean 'left_knee'?" in text_of(mjcf(), joints=unknown)
    assert "no site or body 'imu_chst'" in text_of(mjcf(), imu="imu_chst")
    assert "did you mean 'imu_chest'?" in text_of(mjcf(), imu="imu_chst")
    ball = mjcf().replace('name="left_hip" axis="0 1 0" range="-90 90"', 'name="left_hip" type="ball"')
    assert "joint 'left_hip' has more than one degree of freedom" in text_of(ball)
    assert "tied to the world by joint 'rail'" in text_of(mjcf(root='<joint name="rail" type="slide" axis="1 0 0"/>'))
    two = mjcf().replace(
        "</worldbody>",
        '<body name="b"><freejoint/><geom size=".1"/><body><joint name="x"/><geom size=".1"/></body></body>'
        "</worldbody>",
    )
    other = (JointSpec("left_hip", -1, 1, 9), JointSpec("x", -1, 1, 9))
    assert "hang on several bodies: b, trunk" in text_of(two, joints=other)
    bare = '<default><geom contype="0" conaffinity="0"/></default>'
    assert "no geom of body 'trunk' and what hangs on it can touch the floor" in text_of(mjcf(head=bare))
    tilted = '<geom type="plane" size="1 1 1" euler="0 20 0"/>'
    assert "none of them is a level floor" in text_of(mjcf(world=tilted))
    malformed = text_of(mjcf()[:-9])
    assert "robot.xml" in malformed
    bogus = text_of(mjcf(world='<geom bogus="1" size="1"/>'))
    assert "bogus" in bogus
    assert "robot.xml" in bogus
    missing_mesh = text_of(
        mjcf(head='<asset><mesh name="m" file="gone.stl"/></asset>', foot='<geom type="mesh" mesh="m"/>')
    )
    assert "gone.stl" in missing_mesh


def test_a_robot_without_a_model_or_with_a_lost_one(tmp_path: Path) -> None:
    joints = (JointSpec("a", -1, 1, 9),)
    assert "has no physics model" in refusal(lambda: prepare(RobotSpec("r", joints), timestep=0.002))
    with pytest.raises(ConfigError, match=r"nowhere\.xml: no such file"):
        prepare(RobotSpec("r", joints, model=ModelSource(tmp_path / "nowhere.xml")), timestep=0.002)
    with pytest.raises(ConfigError, match="'no_such_package', which is not installed"):
        prepare(RobotSpec("r", joints, model=ModelSource(Path("x.xml"), "no_such_package")), timestep=0.002)


def test_a_model_that_was_not_prepared_is_refused(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, mjcf())
    with pytest.raises(ModelError, match="make it with prepare"):
        layout(mujoco.MjModel.from_xml_string(mjcf()), robot)


def test_geometry_for_pictures_changes_no_mass(tmp_path: Path) -> None:
    foot = FOOT + '<geom type="sphere" size="0.1" contype="0" conaffinity="0" group="2" mass="0.7"/>'
    robot = robot_of(tmp_path, mjcf(foot=foot))
    full, bare = prepare(robot, timestep=0.002), prepare(robot, timestep=0.002, visual=False)
    assert bare.ngeom == full.ngeom - 2
    np.testing.assert_allclose(bare.body_mass, full.body_mass)
    np.testing.assert_allclose(bare.body_inertia, full.body_inertia)


# Joints made rigid.

SLANTED = (
    mjcf()
    .replace('_knee" axis="0 1 0"', '_knee" axis="0.3 1 0.2" pos="0.02 0.01 -0.05" ref="20"')
    .replace('_shin" pos="0 0 -0.35"', '_shin" pos="0 0 -0.35" euler="10 20 30"')
)


def poses(model: mujoco.MjModel, angles: dict[str, float]) -> tuple[mujoco.MjData, dict[str, np.ndarray]]:
    """Where every body is, with the base turned anyhow [Shape (12,) by name]."""
    data = mujoco.MjData(model)
    data.qpos[:7] = 0.3, -0.2, 1.0, 0.5, -0.5, 0.7, 0.1
    data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
    for name, angle in angles.items():
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(model, data)
    return data, {model.body(b).name: np.concatenate([data.xpos[b], data.xmat[b]]) for b in range(1, model.nbody)}


@pytest.mark.parametrize("text", [mjcf(), SLANTED], ids=["plain", "slanted"])
def test_a_welded_robot_is_the_robot_with_those_joints_held(tmp_path: Path, text: str) -> None:
    robot = robot_of(tmp_path, text)
    held, moved = {"left_knee": 0.9, "right_hip": -0.4}, {"left_hip": 0.3, "right_knee": 0.7}
    joints = tuple(joint for joint in robot.joints if joint.name in moved)
    full = prepare(robot, timestep=0.002)
    welded = prepare(replace(robot, joints=joints), timestep=0.002, welded=held)
    assert [welded.joint(j).name for j in welded.actuator_trnid[:, 0]] == ["left_hip", "right_knee"]
    assert welded.nv == full.nv - 2
    one, here = poses(full, held | moved)
    other, there = poses(welded, moved)
    assert here.keys() == there.keys()
    for body in here:
        np.testing.assert_allclose(there[body], here[body], atol=1e-12)
    # The whole as one rigid body: mass, centre and inertia stand in the root's block of the mass matrix.
    inertia = []
    for model, data in ((full, one), (welded, other)):
        matrix = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, matrix, data.qM) if hasattr(data, "qM") else mujoco.mj_fullM(model, data, matrix)
        inertia.append(matrix[:6, :6])
    np.testing.assert_allclose(inertia[1], inertia[0], atol=1e-9)


def test_welded_arms_leave_hands_and_feet_where_they_are() -> None:
    robot = find_robot("reference")
    rng = np.random.default_rng(0)
    angle = {name: float(rng.uniform(-0.4, 0.0)) for name in robot.joint_names}
    arms = {name: angle[name] for name in robot.joint_names if "shoulder" in name or "elbow" in name}
    legs = {name: angle[name] for name in robot.joint_names if name not in arms}
    rest = replace(robot, joints=tuple(joint for joint in robot.joints if joint.name in legs))
    _, here = poses(prepare(robot, timestep=0.002, visual=False), angle)
    _, there = poses(prepare(rest, timestep=0.002, visual=False, welded=arms), legs)
    for body in ("left_elbow_link", "right_elbow_link", "left_ankle_roll_link", "right_ankle_roll_link"):
        np.testing.assert_allclose(there[body], here[body], atol=1e-12)


def test_what_cannot_be_welded_is_refused(tmp_path: Path) -> None:
    hip = (JointSpec("left_hip", -1, 1, 9),)

    def text_of(text: str, name: str) -> str:
        robot = robot_of(tmp_path, text, joints=hip)
        return refusal(lambda: prepare(robot, timestep=0.002, welded={name: 0.1}))

    assert "no joint 'left_kne' to weld; did you mean 'left_knee'?" in text_of(mjcf(), "left_kne")
    slide = mjcf().replace('name="left_knee" axis="0 1 0"', 'name="left_knee" type="slide" axis="0 1 0"')
    assert "joint 'left_knee' is no hinge" in text_of(slide, "left_knee")
    two = mjcf().replace('<joint name="left_knee"', '<joint name="twist" axis="0 0 1"/><joint name="left_knee"')
    assert "joint 'left_knee' shares its body" in text_of(two, "left_knee")


def test_the_caller_may_add_what_it_needs(tmp_path: Path) -> None:
    model = prepare(
        robot_of(tmp_path, mjcf()), timestep=0.002, extend=lambda spec: spec.body("chest").add_site(name="here")
    )
    assert model.body(model.site("here").bodyid[0]).name == "chest"


def test_the_next_state_follows_from_the_present_one_alone() -> None:
    """Feet on the floor, where a solver that started from its last solution would round otherwise."""
    robot = find_robot("reference")
    first, second = MujocoBackend(robot), MujocoBackend(robot)
    rng = np.random.default_rng(0)
    for _ in range(100):
        first.step(rng.uniform(-20.0, 20.0, robot.n_joints))
    second.show(first.data.qpos)
    second.data.qvel[:] = first.data.qvel
    mujoco.mj_step1(second.model, second.data)
    for _ in range(50):
        effort = rng.uniform(-20.0, 20.0, robot.n_joints)
        first.step(effort)
        second.step(effort)
        np.testing.assert_array_equal(second.data.qpos, first.data.qpos)
    assert first.data.ncon > 0
