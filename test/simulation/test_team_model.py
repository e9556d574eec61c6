"""Several robots in one model: each as it is alone, one floor, and nobody walks through anybody."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import numpy as np
import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.layout import STAND_KEY, layout
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.team_model import Member, StartPlace, in_a_row, own_dof, own_qpos, prepare_team

# A box on a leg; the author lets it touch the floor by a named pair alone, with a friction of its own.
PAIRED = """<mujoco><worldbody><geom name="ground" type="plane" size="0 0 1" contype="1" conaffinity="1"/>
<light pos="0 0 3"/><body name="trunk" pos="0 0 1"><freejoint/><geom type="box" size="0.1 0.1 0.1" mass="5"/>
<body name="shin" pos="0 0 -0.2"><joint name="knee" axis="0 1 0"/>
<geom name="sole" type="box" size="0.1 0.1 0.02" pos="0 0 -0.2" mass="1" contype="0" conaffinity="0"/></body></body>
<body name="crate" pos="3 0 0.5"><geom type="box" size="0.2 0.2 0.2"/></body></worldbody>
<contact><pair geom1="ground" geom2="sole" friction="0.33 0.33 0.005 0.0001 0.0001"/></contact></mujoco>"""


@pytest.fixture(scope="module")
def reference() -> RobotSpec:
    return find_robot("reference")


@pytest.fixture
def paired(tmp_path: Path) -> RobotSpec:
    (tmp_path / "paired.xml").write_text(PAIRED)
    joint = JointSpec("knee", -1.0, 1.0, 50.0, armature=0.02)
    return RobotSpec("paired", (joint,), model=ModelSource(tmp_path / "paired.xml"))


def contacts(model: mujoco.MjModel, qpos: np.ndarray) -> set[frozenset[str]]:
    """Which robots and what else touch, by the first part of their bodies' names."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    bodies = model.geom_bodyid[data.contact.geom[data.contact.dist < 0.0]]
    return {frozenset(model.body(int(body)).name.split("/")[0] for body in pair) for pair in bodies}


def lowered(model: mujoco.MjModel, members: list[Member]) -> np.ndarray:
    """The start with every robot 1 mm in the floor: contacts exist below zero only."""
    qpos = model.key(STAND_KEY).qpos.copy()
    for member in members:
        qpos[layout(model, member.robot, member.prefix).root_qpos + 2] -= 1e-3
    return qpos


def test_a_robot_alone_is_the_single_robots_model_but_for_contact_bits(reference: RobotSpec) -> None:
    single = prepare(reference, timestep=0.002, visual=False)
    team = prepare_team([Member("left", reference)], timestep=0.002)
    for name in ("body_mass", "body_inertia", "geom_size", "geom_friction", "geom_solref", "jnt_range", "dof_armature"):
        np.testing.assert_array_equal(getattr(team, name), getattr(single, name), err_msg=name)
    np.testing.assert_array_equal(team.key_qpos, single.key_qpos)
    assert [team.actuator(i).name for i in range(team.nu)] == [
        f"left/{single.actuator(i).name}" for i in range(single.nu)
    ]
    for name in ("gravity", "timestep", "integrator", "solver", "iterations", "cone", "impratio", "disableflags"):
        assert np.array_equal(getattr(team.opt, name), getattr(single.opt, name)), name


def test_robots_of_two_kinds_stand_on_one_floor_where_they_were_put(reference: RobotSpec, paired: RobotSpec) -> None:
    members = [Member("a", reference, StartPlace(0.0, 1.0)), Member("b", paired, StartPlace(2.0, -1.0, math.pi / 2))]
    model = prepare_team(members, timestep=0.002)
    assert [model.geom(g).type[0] for g in range(model.ngeom)].count(mujoco.mjtGeom.mjGEOM_PLANE) == 1
    assert not any("crate" in model.body(b).name for b in range(model.nbody))  # what stood around the second
    qpos = model.key(STAND_KEY).qpos
    at = layout(model, paired, "b/").root_qpos
    np.testing.assert_allclose(qpos[at : at + 2], [2.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(qpos[at + 3 : at + 7], [math.sqrt(0.5), 0, 0, math.sqrt(0.5)], atol=1e-12)
    assert contacts(model, lowered(model, members)) == {frozenset({"a", "world"}), frozenset({"b", "world"})}
    indices = np.concatenate([own_qpos(model, layout(model, m.robot, m.prefix)) for m in members])
    assert sorted(indices) == list(range(model.nq))
    indices = np.concatenate([own_dof(model, layout(model, m.robot, m.prefix)) for m in members])
    assert sorted(indices) == list(range(model.nv))


def test_a_contact_pair_of_the_author_holds_on_the_shared_floor(reference: RobotSpec, paired: RobotSpec) -> None:
    members = [Member("a", reference), Member("b", paired, StartPlace(3.0))]
    model = prepare_team(members, timestep=0.002)
    data = mujoco.MjData(model)
    data.qpos[:] = lowered(model, members)
    mujoco.mj_forward(model, data)
    sole = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, "b/sole")
    frictions = [c.friction[0] for c in data.contact if sole in c.geom]
    assert frictions
    assert set(frictions) == {0.33}


def test_robots_touch_each_other_whatever_bits_their_files_use(tmp_path: Path) -> None:
    """Bits that keep a robot's parts apart keep no two robots apart."""
    text = PAIRED.replace('size="0.1 0.1 0.1" mass="5"', 'size="0.1 0.1 0.1" mass="5" contype="2" conaffinity="0"')
    text = text.replace('contype="1" conaffinity="1"/>', 'contype="0" conaffinity="2"/>', 1)
    (tmp_path / "shy.xml").write_text(text)
    robot = RobotSpec("shy", (JointSpec("knee", -1.0, 1.0, 50.0),), model=ModelSource(tmp_path / "shy.xml"))
    members = [Member("a", robot), Member("b", robot, StartPlace(0.15))]
    model = prepare_team(members, timestep=0.002)
    assert frozenset({"a", "b"}) in contacts(model, model.key(STAND_KEY).qpos)
    far = prepare_team([members[0], Member("b", robot, StartPlace(0.35))], timestep=0.002)
    assert frozenset({"a", "b"}) not in contacts(far, far.key(STAND_KEY).qpos)


def test_eight_robots_stand_in_a_row(reference: RobotSpec) -> None:
    places = in_a_row(8, 1.5)
    assert [place.y for place in places] == [5.25, 3.75, 2.25, 0.75, -0.75, -2.25, -3.75, -5.25]
    members = [Member(f"r{i}", reference, place) for i, place in enumerate(places)]
    model = prepare_team(members, timestep=0.002)
    assert model.nu == 8 * reference.n_joints
    assert contacts(model, lowered(model, members)) == {frozenset({f"r{i}", "world"}) for i in range(8)}


def test_what_is_no_team_is_refused(reference: RobotSpec, refuses: Refuses) -> None:
    with refuses(ConfigError, "2 robots", "'left'"):
        prepare_team([Member("left", reference), Member("left", reference)], timestep=0.002)
    with refuses(ConfigError, "1 to 8", "0"):
        prepare_team([], timestep=0.002)
    with refuses(ConfigError, "1 to 8", "9"):
        prepare_team([Member(f"r{i}", reference) for i in range(9)], timestep=0.002)
    with refuses(ConfigError, "'left/right'", "letters"):
        Member("left/right", reference)
    with refuses(ConfigError, "spacing", "0"):
        in_a_row(2, 0.0)
    with refuses(ConfigError, "finite", "nan"):
        StartPlace(math.nan)
