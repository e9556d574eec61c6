"""The signs of the joints against physics in the mirror, and models that are not the same on both sides."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from humanoid_rl_ros.core.action import ActionProcessor, plain_action
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ContractError, ModelError
from humanoid_rl_ros.core.gait import GaitClock, GaitSpec
from humanoid_rl_ros.core.mirror import JointMirror, mirror_action
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_mirror import mirror_observation
from humanoid_rl_ros.core.observation_spec import BlockSpec, HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput, term_names
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.symmetry import asymmetries, joint_signs, robot_mirror

Refuses = Callable[..., AbstractContextManager[None]]
needs_mjlab = pytest.mark.skipif(
    importlib.util.find_spec("mjlab") is None, reason="the G1's model is in the Python package mjlab, not installed"
)
ACROSS = np.array([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Twins:
    """A robot on both sides of the mirror, without contacts, and how far its own asymmetry may drive them apart."""

    here: MujocoBackend
    there: MujocoBackend
    mirror: JointMirror
    position: float
    velocity: float
    acceleration: float


# The reference humanoid is the same on both sides to the last digit. The G1 is not: its torso's centre of mass is
# 0.7 mm off the middle, its shoulders 0.01 mm, the inertias of knees and waist differ by 0.8 and 3 %. Within 40 ms that
# makes up to 0.5 mrad and 16 mrad/s; one wrong sign makes more than 20 mrad and 2 rad/s.
APART = {"reference": (1e-9, 1e-9, 1e-6), "g1": (1e-3, 3e-2, 3e-1)}


@pytest.fixture(scope="module", params=["reference", pytest.param("g1", marks=needs_mjlab)])
def twins(request: pytest.FixtureRequest) -> Twins:
    robot = find_robot(request.param)
    here, there = MujocoBackend(robot), MujocoBackend(robot)
    for backend in (here, there):
        backend.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    return Twins(here, there, robot_mirror(here.model, robot), *APART[request.param])


def _reflected(twins: Twins, qpos: FloatArray, qvel: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The state on the other side, from what a mirror does to places, rotations and velocities."""
    place, root, dof = twins.here.layout, twins.here.layout.root_qpos, twins.here.layout.root_dof
    position, velocity = qpos.copy(), qvel.copy()
    position[root : root + 3] *= ACROSS
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, qpos[root + 3 : root + 7])
    turned = np.diag(ACROSS) @ rotation.reshape(3, 3) @ np.diag(ACROSS)
    mujoco.mju_mat2Quat(position[root + 3 : root + 7], turned.ravel())
    if position[root + 3 : root + 7] @ (qpos[root + 3 : root + 7] * [1, -1, 1, -1]) < 0.0:
        position[root + 3 : root + 7] *= -1.0  # the same rotation
    velocity[dof : dof + 3] *= ACROSS
    velocity[dof + 3 : dof + 6] *= -ACROSS
    position[place.qpos] = twins.mirror.apply(qpos[place.qpos])
    velocity[place.dof] = twins.mirror.apply(qvel[place.dof])
    return position, velocity


def _throw(twins: Twins, rng: np.random.Generator) -> None:
    """Put both in the air, turned anyhow, moving, within the joints' limits."""
    robot, data, root = twins.here.robot, twins.here.data, twins.here.layout.root_qpos
    for backend in (twins.here, twins.there):
        backend.reset()
    data.qpos[root : root + 3] = rng.uniform(1.0, 3.0, 3)
    orientation = rng.normal(size=4)
    data.qpos[root + 3 : root + 7] = orientation / np.linalg.norm(orientation)
    share = rng.uniform(0.2, 0.8, robot.n_joints)
    data.qpos[twins.here.layout.qpos] = robot.lower + share * (robot.upper - robot.lower)
    data.qvel[:] = rng.normal(size=len(data.qvel))
    twins.there.data.qpos[:], twins.there.data.qvel[:] = _reflected(twins, data.qpos, data.qvel)
    for backend in (twins.here, twins.there):
        mujoco.mj_forward(backend.model, backend.data)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_a_mirrored_robot_moves_in_the_mirror(twins: Twins, seed: int) -> None:
    rng = np.random.default_rng(seed)
    _throw(twins, rng)
    robot = twins.here.robot
    for _ in range(20):
        effort = rng.uniform(-0.2, 0.2, robot.n_joints) * robot.effort_limit
        twins.here.step(effort)
        twins.there.step(twins.mirror.apply(effort))
    position, velocity = _reflected(twins, twins.here.data.qpos, twins.here.data.qvel)
    np.testing.assert_allclose(twins.there.data.qpos, position, rtol=0.0, atol=twins.position)
    np.testing.assert_allclose(twins.there.data.qvel, velocity, rtol=0.0, atol=twins.velocity)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_every_body_is_where_its_partner_is_in_the_mirror(twins: Twins, seed: int) -> None:
    _throw(twins, np.random.default_rng(seed))
    bodies = twins.here.model.jnt_bodyid[twins.here.layout.joint_ids]
    flip = np.diag(ACROSS)
    for body, partner in zip(bodies, bodies[twins.mirror.partner], strict=True):
        here, there = twins.here.data, twins.there.data
        # The G1's shoulders sit 0.01 mm apart from their mirror images.
        np.testing.assert_allclose(there.xpos[partner], ACROSS * here.xpos[body], rtol=0.0, atol=2e-5)
        rotation = flip @ here.xmat[body].reshape(3, 3) @ flip
        np.testing.assert_allclose(there.xmat[partner].reshape(3, 3), rotation, atol=1e-9)


def test_the_loop_of_policy_and_robot_runs_in_the_mirror(twins: Twins) -> None:
    """What the mirrored robot is seen to do is the mirrored sight, with every term, a history, and a mirrored clock."""
    rng = np.random.default_rng(7)
    robot, mirror = twins.here.robot, twins.mirror
    driven = tuple(robot.joint_names[i] for i in rng.permutation(robot.n_joints))
    default = {joint.name: joint.default_position for joint in robot.joints}
    action = plain_action(driven, tuple(default[name] for name in driven), 0.25)
    seen = tuple(rng.permutation([name for name in robot.joint_names if "wrist" not in name]))
    # Rounding in float32 apart, a term is off by no more than what it is made of.
    limits = {"base_lin_acc": twins.acceleration}
    terms = tuple(
        TermSpec(name, value=(2.0,) if name == "constant" else ()) for name in term_names() if name != "last_action"
    )
    spec = ObservationSpec(
        seen,
        tuple(default[name] for name in seen),
        (BlockSpec(terms, HistorySpec(2)), BlockSpec((TermSpec("last_action"),), HistorySpec(3, "time_major"))),
    )
    gait = GaitSpec(1.25, phases=(0.0, math.pi))
    clocks = [GaitClock(gait, 0.02), GaitClock(dataclasses.replace(gait, phases=(math.pi, 0.0)), 0.02)]
    sight, act = mirror_observation(spec, mirror, driven=driven, gait=gait), mirror_action(action, mirror)
    builders = [ObservationBuilder(spec, robot.joint_names, n_actions=len(driven), n_phases=2) for _ in clocks]
    processors = [ActionProcessor(action) for _ in clocks]
    at = [robot.joint_names.index(name) for name in driven]
    atol = np.array([limits.get(label.split("[")[0], twins.velocity) for label in builders[0].labels()]) + 3e-6
    _throw(twins, rng)
    states = [twins.here.step(np.zeros(robot.n_joints)), twins.there.step(np.zeros(robot.n_joints))]
    for _ in range(5):
        command, raw = rng.uniform(-1, 1, 3), rng.normal(size=len(driven))
        commands, raws = (command, command * [1, -1, -1]), (raw, act.apply(raw))
        hands = rng.uniform(-1, 1, (2, 3))
        targets = (hands.reshape(6), (hands[::-1] * [1, -1, 1]).reshape(6))
        vectors = []
        for i, backend in enumerate((twins.here, twins.there)):
            phases = clocks[i].sine_cosine(commands[i])
            clocks[i].advance(commands[i])
            inputs = ObservationInput(states[i], commands[i], processors[i].last_action, *phases, targets[i])
            vectors.append(builders[i].build(inputs))
            target = np.empty(robot.n_joints)
            target[at] = processors[i].apply(raws[i])
            states[i] = backend.step(_pd(robot, target, states[i]))
        image = sight.apply(vectors[0])
        assert (np.abs(image - vectors[1]) <= atol * np.maximum(1.0, np.abs(image))).all()


def _pd(robot: RobotSpec, target: FloatArray, state: RobotState) -> FloatArray:
    effort = robot.kp * (target - state.joint_position) - robot.kd * state.joint_velocity
    return np.clip(effort, -robot.effort_limit, robot.effort_limit)


@zoo.needs_zoo
@pytest.mark.parametrize("name", ["asap_dec_loco_g1", "holosoma_g1_fastsac", "holosoma_g1_ppo"])
def test_policies_that_learned_the_mirror_answer_in_it(name: str, tmp_path: Path) -> None:
    """Published networks that walk alike on both sides know the signs, orders and phases, and nothing of this code."""
    robot = find_robot(str(zoo.model(name)))
    bundle = load_bundle(zoo.write_bundle(name, tmp_path / name, robot.joint_names))
    mirror = robot_mirror(prepare(robot, timestep=0.002, visual=False), robot)
    act = mirror_action(bundle.action, mirror)
    sight = mirror_observation(bundle.observation, mirror, driven=bundle.action.joints, gait=bundle.gait)
    network = bundle.load_network()
    with np.load(zoo.ZOO / "golden" / f"{name}.npz") as recorded:
        pairs = list(zip(recorded["obs"].astype(np.float32), recorded["raw"], strict=True))
    apart = [
        np.linalg.norm(network.infer(sight.apply(seen)) - act.apply(said)) / np.linalg.norm(said)
        for seen, said in pairs
    ]
    assert np.median(apart) < 0.12


def _joint(name: str, kind: str = "hinge", axis: str = "0 1 0", at: str = "0 0 0") -> str:
    return f'<joint name="{name}" type="{kind}" axis="{axis}" pos="{at}"/>'


def _model(left: str, right: str, *, middle: str = _joint("waist", axis="0 0 1"), imu: str = "", y: float = 0.1) -> str:
    limb = '<body pos="0 {y} -0.1">{joints}<geom type="capsule" fromto="0 0 0 0 0 -.3" size=".04" mass="2"/></body>'
    return f"""<mujoco><worldbody><body name="trunk" pos="0 0 1"><freejoint/>
      <geom type="box" size=".1 .1 .1" mass="10"/><site name="imu" {imu}/>
      <body pos="0 0 .2">{middle}<geom type="sphere" size=".1" mass="3"/></body>
      {limb.format(y=0.1, joints=left)}{limb.format(y=-y, joints=right)}
    </body></worldbody></mujoco>"""


def _robot(folder: Path, text: str, *names: str) -> RobotSpec:
    path = folder / "robot.xml"
    path.write_text(text)
    joints = tuple(JointSpec(name, -1.0, 1.0, 50.0) for name in (*names, "waist"))
    return RobotSpec("sided", joints, ImuSpec(attachment="imu"), ModelSource(path))


@pytest.mark.parametrize(
    ("kind", "left", "right", "sign"),
    [
        ("hinge", "0 1 0", "0 1 0", 1.0),  # both knees bend backwards
        ("hinge", "0 1 0", "0 -1 0", -1.0),
        ("hinge", "1 0 0", "1 0 0", -1.0),  # one leg opens and the other closes
        ("hinge", "1 0 0", "-1 0 0", 1.0),  # both open
        ("hinge", "0 0 1", "0 0 1", -1.0),
        ("hinge", "0 .6 .8", "0 .6 -.8", 1.0),
        ("hinge", ".6 0 .8", ".6 0 .8", -1.0),
        ("slide", "0 1 0", "0 1 0", -1.0),
        ("slide", "0 1 0", "0 -1 0", 1.0),
        ("slide", ".6 0 .8", ".6 0 .8", 1.0),
    ],
)
def test_signs_by_hand(tmp_path: Path, kind: str, left: str, right: str, sign: float) -> None:
    text = _model(_joint("a_left", kind, left), _joint("a_right", kind, right))
    robot = _robot(tmp_path, text, "a_left", "a_right")
    signs = joint_signs(prepare(robot, timestep=0.002), robot)
    assert signs == {"a_left": sign, "a_right": sign, "waist": -1.0}


@pytest.mark.parametrize(("kind", "at", "sign"), [("hinge", "0 .05 0", 1.0), ("slide", ".05 .05 .05", -1.0)])
def test_an_anchor_may_be_anywhere_on_its_axis_and_of_a_slide_anywhere(
    tmp_path: Path, kind: str, at: str, sign: float
) -> None:
    robot = _robot(tmp_path, _model(_joint("a_l", kind), _joint("a_r", kind, at=at)), "a_l", "a_r")
    assert joint_signs(prepare(robot, timestep=0.002), robot)["a_l"] == sign


def test_the_pose_that_a_model_is_drawn_in_does_not_matter(tmp_path: Path) -> None:
    below = _joint("b_{}", axis="1 0 0")
    text = _model(_joint("a_l").replace("/>", ' ref="30"/>') + below.format("l"), _joint("a_r") + below.format("r"))
    text = text.replace('<body pos="0 0.1 -0.1">', '<body pos="0 0.1 -0.1" euler="0 30 0">')
    text = text.replace('name="trunk" pos="0 0 1"', 'name="trunk" pos="2 1 1" euler="20 0 50"')
    robot = _robot(tmp_path, text, "a_l", "b_l", "a_r", "b_r")
    assert list(joint_signs(prepare(robot, timestep=0.002), robot).values()) == [1.0, -1.0, 1.0, -1.0, -1.0]


TWO = (_joint("a_l") + _joint("b_l", axis="1 0 0"), _joint("b_r", axis="1 0 0") + _joint("a_r"))


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        (_model(_joint("a_l"), _joint("a_r", axis="0 1 .01")), ["a_l", "a_r"], ["'a_l' and 'a_r'", "axes"]),
        (_model(_joint("a_l"), _joint("a_r", axis="0 0 1")), ["a_l", "a_r"], ["'a_l' and 'a_r'", "0, 0, 1"]),
        (_model(_joint("a_l"), _joint("a_r", "slide")), ["a_l", "a_r"], ["'a_l' and 'a_r'"]),
        (_model(_joint("a_l"), _joint("a_r", at=".02 0 0")), ["a_l", "a_r"], ["'a_l' and 'a_r'", "20 mm"]),
        (_model(*TWO), ["a_l", "b_l", "a_r", "b_r"], ["'a_l' and 'a_r'", "hang on"]),
        (_model("", "", middle=_joint("waist", axis="0 .1 1")), [], ["'waist' is no mirror image of itself"]),
        (_model("", "", middle=_joint("waist", axis="0 0 1", at="0 .03 0")), [], ["'waist'", "itself", "60 mm"]),
        (_model("", "", imu='euler="10 0 0"'), [], ["IMU", "turned"]),
        (_model("", "", imu='euler="0 0 90"'), [], ["IMU", "turned"]),
    ],
)
def test_what_is_no_mirror_image_is_refused(
    tmp_path: Path, text: str, names: list[str], words: list[str], refuses: Refuses
) -> None:
    robot = _robot(tmp_path, text, *names)
    with refuses(ModelError, *words):
        robot_mirror(prepare(robot, timestep=0.002), robot)


@pytest.mark.parametrize("imu", ['euler="0 37 0"', 'euler="180 0 0"', 'euler="0 0 180"', 'pos=".1 0 .1"'])
def test_an_imu_may_be_turned_in_the_middle_plane(tmp_path: Path, imu: str) -> None:
    robot = _robot(tmp_path, _model("", "", imu=imu))
    robot_mirror(prepare(robot, timestep=0.002), robot)


def test_a_joint_without_a_partner_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    robot = _robot(tmp_path, _model(_joint("a_l"), _joint("b_r")), "a_l", "b_r")
    with refuses(ContractError, "'a_l'", "'a_r' is missing"):
        joint_signs(prepare(robot, timestep=0.002), robot)


def test_what_is_not_quite_the_same_is_noted(tmp_path: Path, twins: Twins) -> None:
    assert asymmetries(twins.here.model, twins.here.robot) == ()
    robot = _robot(tmp_path, _model(_joint("a_l"), _joint("a_r"), imu='pos="0 -.02 0"', y=0.105), "a_l", "a_r")
    joints: Any = (dataclasses.replace(robot.joints[0], kp=5.0), robot.joints[1])
    waist = dataclasses.replace(robot.joints[2], lower=-0.5)
    robot = dataclasses.replace(robot, joints=(*joints, waist))
    notes = asymmetries(prepare(robot, timestep=0.002), robot)
    # The right limb of 2 kg, one of 17, hangs 5 mm further out: 0.6 mm, which is not worth a word.
    assert notes == (
        "lower of joint 'waist' is -0.5, 'waist' asks for -1",
        "upper of joint 'waist' is 1, 'waist' asks for 0.5",
        "kp of joint 'a_l' is 5, 'a_r' asks for 0",
        "the IMU is 20 mm to the right of the middle",
    )
