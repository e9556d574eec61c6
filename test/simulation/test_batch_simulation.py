"""Many robots in C against one robot stepped by hand, and bodies that differ against Newton's laws."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.controller import PDController, PDGains
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.core.rotations import from_axis_angle, projected_gravity, rotate
from humanoid_rl_ros.core.state import JointTarget
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation, BodyVariation, unvaried
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

Refuses = Callable[..., AbstractContextManager[None]]
GRAVITY = 9.81
TIMESTEP = 0.002
needs_mjlab = pytest.mark.skipif(
    importlib.util.find_spec("mjlab") is None, reason="the G1's model is in the Python package mjlab, not installed"
)

# A box on the floor; its one joint turns a wheel of no weight about the box's middle.
BLOCK = """<mujoco><option gravity="{gravity}"/><worldbody>{floor}
  <body name="block" pos="0 0 0.1"><freejoint/>
    <inertial pos="0 0 0" mass="10" diaginertia="0.2 0.2 0.3"/>
    <geom name="box" type="box" size="0.2 0.2 0.1"/>
    <body name="wheel"><joint name="wheel" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1e-6" diaginertia="0.05 0.05 0.05"/></body>
  </body></worldbody>{tail}</mujoco>"""


def gains_of(robot: RobotSpec, **changes: Any) -> PDGains:
    return PDGains(**{"kp": robot.kp, "kd": robot.kd, "effort_limit": robot.effort_limit, **changes})


@contextmanager
def simulate(robot: RobotSpec, n: int = 1, **changes: Any) -> Iterator[BatchSimulation]:
    settings: dict[str, Any] = {
        "timestep": TIMESTEP,
        "substeps": 1,
        "initial_position": robot.default_position,
        "threads": 1,
        **changes,
    }
    gains = settings.pop("gains", gains_of(robot))
    simulation = BatchSimulation(robot, gains, n, **settings)
    yield simulation
    simulation.close()


@pytest.fixture(scope="module")
def reference() -> RobotSpec:
    return find_robot("reference")


@pytest.fixture
def block(tmp_path: Path) -> Callable[..., RobotSpec]:
    def make(*, floor: str = "", tail: str = "", gravity: str = "0 0 -9.81") -> RobotSpec:
        (tmp_path / "block.xml").write_text(BLOCK.format(floor=floor, tail=tail, gravity=gravity))
        joint = JointSpec("wheel", -3.0, 3.0, 5.0, kp=1.0, kd=0.1, armature=0.01)
        return RobotSpec("block", (joint,), model=ModelSource(tmp_path / "block.xml"))

    return make


def varied(n: int, n_joints: int, **changes: Any) -> BodyVariation:
    plain = unvaried(n, n_joints)
    return BodyVariation(**{name: changes.get(name, getattr(plain, name)) for name in vars(plain)})


def flailing(robot: RobotSpec, steps: int, rng: np.random.Generator, n: int = 1) -> FloatArray:
    """Targets that wander widely around the default pose [Shape (steps, n, joints)]."""
    walk = np.cumsum(rng.uniform(-0.15, 0.15, (steps, n, robot.n_joints)), axis=0)
    return np.asarray(robot.default_position + np.clip(walk, -0.8, 0.8))


# One law, inside the physics or outside.


@pytest.mark.parametrize("name", ["reference", pytest.param("g1", marks=needs_mjlab)])
def test_a_node_that_answers_every_state_makes_the_same_run_to_the_bit(name: str) -> None:
    robot, substeps = find_robot(name), 5
    limit = 0.3 * robot.effort_limit  # so that the clip is met
    gains = gains_of(robot, effort_limit=limit)
    backend = MujocoBackend(robot, state_rate=1.0 / TIMESTEP, timestep=TIMESTEP)
    law, feedforward = PDController(gains, robot.joint_names), np.zeros(robot.n_joints)
    state, at_limit = backend.read(), 0
    with simulate(robot, substeps=substeps, gains=gains) as simulation:
        np.testing.assert_array_equal(simulation.qpos[0], backend.data.qpos)
        for target in flailing(robot, 100, np.random.default_rng(0)):
            simulation.step(target)
            for _ in range(substeps):
                effort = law.effort(JointTarget(target[0], feedforward), state)
                state = backend.step(effort)
            at_limit += int((np.abs(effort) == limit).sum())
            np.testing.assert_array_equal(simulation.sensors.effort[0], effort)
            np.testing.assert_array_equal(simulation.qpos[0], backend.data.qpos)
            np.testing.assert_array_equal(simulation.qvel[0], backend.data.qvel)
            np.testing.assert_array_equal(simulation.accelerometer[0], state.linear_acceleration)
    assert at_limit > 0


def test_company_and_threads_change_nothing(reference: RobotSpec) -> None:
    targets = flailing(reference, 40, np.random.default_rng(1), n=3)
    with simulate(reference, 3, substeps=4, threads=3) as many, simulate(reference, 1, substeps=4) as one:
        for target in targets:
            many.step(target)
            one.step(target[1:2])
            np.testing.assert_array_equal(many.qpos[1], one.qpos[0])
            np.testing.assert_array_equal(many.sensors.foot_force[1], one.sensors.foot_force[0])
        assert np.abs(many.qpos[0] - many.qpos[1]).max() > 0.1


def test_a_late_target_is_the_one_before_for_so_many_physics_steps(reference: RobotSpec) -> None:
    substeps, delay = 4, np.array([0, 1, 3, 4])
    before, after = flailing(reference, 10, np.random.default_rng(2))[[2, 9]]
    before, after = np.tile(before, (4, 1)), np.tile(after, (4, 1))
    with simulate(reference, 4, substeps=substeps) as late, simulate(reference, 4) as by_hand:
        late.step(after, previous=before, delay=delay)
        for k in range(substeps):
            by_hand.step(np.where((k < delay)[:, None], before, after))
        np.testing.assert_array_equal(late.qpos, by_hand.qpos)
        assert len(np.unique(late.qpos[:, 7])) == 4


def test_a_harness_bears_what_the_robot_does_not(reference: RobotSpec) -> None:
    """Free fall under a part of the weight: z = −½ (borne · g) t², to first order in the timestep."""
    for borne in (0.0, 0.25):
        with simulate(reference, 1) as simulation:
            qpos = simulation.initial_qpos[None].copy()
            qpos[:, 2] += 1.0
            simulation.place(np.array([0]), qpos, np.zeros((1, simulation.model.nv)))
            target = simulation.joint_position.copy()
            for _ in range(100):
                simulation.step(target, borne=borne)
            fallen, seconds = qpos[0, 2] - simulation.qpos[0, 2], 100 * TIMESTEP
            assert fallen == pytest.approx(0.5 * borne * 9.81 * seconds**2, rel=0.1, abs=0.02)


def test_a_harness_turns_the_robot_upright_from_any_side(reference: RobotSpec) -> None:
    tips = [from_axis_angle(np.array(axis), 1.0) for axis in ([1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0])]
    with simulate(reference, 4) as simulation:
        qpos = np.tile(simulation.initial_qpos, (4, 1))
        qpos[:, 2] += 1.0
        qpos[:, 3:7] = np.stack(tips)
        simulation.place(np.arange(4), qpos, np.zeros((4, simulation.model.nv)))
        target = simulation.joint_position.copy()
        for _ in range(100):
            simulation.step(target, borne=0.0)
        assert (projected_gravity(simulation.base_orientation)[:, 2] < -np.cos(1.0) - 0.02).all()


def test_without_a_harness_nothing_differs(reference: RobotSpec) -> None:
    targets = flailing(reference, 20, np.random.default_rng(5))
    with simulate(reference, 1) as aided, simulate(reference, 1) as plain:
        start = plain.qpos.copy()
        aided.step(targets[0], borne=0.5)
        aided.place(np.array([0]), start, np.zeros((1, plain.model.nv)))
        for target in targets:
            aided.step(target, borne=1.0)
            plain.step(target)
        np.testing.assert_allclose(aided.qpos, plain.qpos, atol=1e-6)


def test_a_snapshot_is_all_there_is_to_know(reference: RobotSpec) -> None:
    targets = flailing(reference, 60, np.random.default_rng(3), n=2)
    with simulate(reference, 2, substeps=2) as simulation, simulate(reference, 2, substeps=2) as other:
        for target in targets[:30]:
            simulation.step(target)
        snapshot = simulation.snapshot()
        kept = {name: value.copy() for name, value in snapshot.items()}
        for target in targets[30:]:
            simulation.step(target)
        other.restore(snapshot)
        np.testing.assert_array_equal(other.accelerometer, kept["readings"][:, other.layout.accelerometer])
        for target in targets[30:]:
            other.step(target)
        np.testing.assert_array_equal(other.qpos, simulation.qpos)
        np.testing.assert_array_equal(other.sensors.effort, simulation.sensors.effort)
        for name, value in kept.items():
            np.testing.assert_array_equal(snapshot[name], value)  # a copy, not a view


# What diverges.


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e4])
def test_one_robot_that_leaves_the_finite_disturbs_nobody(reference: RobotSpec, bad: float) -> None:
    targets = flailing(reference, 20, np.random.default_rng(4), n=3)
    with simulate(reference, 3, substeps=4) as simulation, simulate(reference, 3, substeps=4) as sound:
        for k, target in enumerate(targets):
            if k == 10:
                simulation.qvel[1, 8] = bad
            simulation.step(target)
            sound.step(target)
            diverged = simulation.diverged()
            np.testing.assert_array_equal(diverged, [False, k == 10, False])
            if diverged.any():
                simulation.place(np.array([1]), simulation.initial_qpos[None], np.zeros((1, simulation.model.nv)))
            np.testing.assert_array_equal(simulation.qpos[[0, 2]], sound.qpos[[0, 2]])
        assert np.isfinite(simulation.qpos).all()
        assert np.isfinite(simulation.sensors.foot_force).all()


# Bodies that differ.


def test_a_body_like_the_models_is_the_models_to_the_bit(reference: RobotSpec) -> None:
    targets = flailing(reference, 30, np.random.default_rng(5), n=2)
    other = varied(2, reference.n_joints, mass=np.array([1.2, 0.7]), friction=np.array([0.2, 2.0]))
    with simulate(reference, 2, varied=True) as simulation, simulate(reference, 2) as plain:
        simulation.vary(np.arange(2), other)
        simulation.vary(np.arange(2), unvaried(2, reference.n_joints))
        for target in targets:
            simulation.step(target)
            plain.step(target)
        np.testing.assert_array_equal(simulation.qpos, plain.qpos)


def test_feet_carry_the_weight_of_the_body(reference: RobotSpec) -> None:
    """At rest Σ N = m g; heavier robots press harder, and a mass on the left loads the left foot."""
    factor = np.array([0.8, 1.0, 1.2, 1.0])
    shift = np.zeros((4, 3))
    shift[3, 1] = 0.05
    with simulate(reference, 4, substeps=20, varied=True) as simulation:
        simulation.vary(np.arange(4), varied(4, reference.n_joints, mass=factor, centre_of_mass=shift))
        for _ in range(50):
            simulation.step(np.tile(reference.default_position, (4, 1)))
        force = simulation.sensors.foot_force
        weight = simulation.model.body_mass.sum() * GRAVITY
        np.testing.assert_allclose(force.sum(axis=1), factor * weight, rtol=0.01)
        np.testing.assert_allclose(force[:3, 0], force[:3, 1], rtol=1e-3)
        assert force[3, 0] > 1.1 * force[3, 1]
        assert simulation.foot_names == ("left_ankle_roll_link", "right_ankle_roll_link")


def test_all_masses_fall_alike(reference: RobotSpec) -> None:
    with simulate(reference, 3, substeps=20, varied=True) as simulation:
        simulation.vary(np.arange(3), varied(3, reference.n_joints, mass=np.array([0.5, 1.0, 2.0])))
        raised = np.tile(simulation.initial_qpos, (3, 1))
        raised[:, 2] += 2.0
        simulation.place(np.arange(3), raised, np.zeros((3, simulation.model.nv)))
        for _ in range(10):
            simulation.step(np.tile(reference.default_position, (3, 1)))
        np.testing.assert_allclose(simulation.base_linear_velocity[:, 2], -GRAVITY * 0.4, rtol=0.01)
        np.testing.assert_array_equal(simulation.sensors.foot_force, 0.0)
        np.testing.assert_allclose(simulation.accelerometer, 0.0, atol=0.05)


def test_a_body_twice_as_heavy_is_twice_as_hard_to_turn(block: Callable[..., RobotSpec]) -> None:
    """In the air a wheel turns against a box: 1/(1/(0.05 f) + 1/(0.3 f)) of inertia, and its rotor's 0.01."""
    factor, step = np.array([1.0, 2.0]), 1e-4
    with simulate(block(), 2, varied=True, timestep=step) as simulation:
        simulation.vary(np.arange(2), varied(2, 1, mass=factor))
        raised = np.tile(simulation.initial_qpos, (2, 1))
        raised[:, 2] += 1.0
        simulation.place(np.arange(2), raised, np.zeros((2, simulation.model.nv)))
        simulation.step(np.full((2, 1), 0.5))  # 0.5 N·m
        expected = 0.5 * step / (factor / (1.0 / 0.05 + 1.0 / 0.3) + 0.01)
        np.testing.assert_allclose(simulation.joint_velocity[:, 0], expected, rtol=1e-4)


def test_a_sliding_block_is_braked_by_friction_times_g(block: Callable[..., RobotSpec]) -> None:
    friction = np.array([0.1, 0.2, 0.4])
    with simulate(block(), 3, substeps=50, varied=True) as simulation:
        simulation.vary(np.arange(3), varied(3, 1, friction=friction))
        assert simulation.foot_names == ("block",)
        velocity = np.zeros((3, simulation.model.nv))
        velocity[:, 0] = 1.0
        simulation.place(np.arange(3), np.tile(simulation.initial_qpos, (3, 1)), velocity)
        for _ in range(2):
            simulation.step(np.zeros((3, 1)))
        np.testing.assert_allclose(simulation.base_linear_velocity[:, 0], 1.0 - friction * GRAVITY * 0.2, atol=0.02)


def test_friction_reaches_contacts_that_the_model_names(block: Callable[..., RobotSpec]) -> None:
    """On a floor that meets nothing but by name, and slopes by 0.3: tan is 0.31, between the two frictions."""
    floor = '<geom name="floor" type="plane" size="0 0 1" contype="2" conaffinity="0"/>'
    pair = '<contact><pair geom1="floor" geom2="box" friction="0.5 0.5 0.005 0.0001 0.0001"/></contact>'
    slope = f"{GRAVITY * np.sin(0.3)} 0 {-GRAVITY * np.cos(0.3)}"
    with simulate(block(floor=floor, tail=pair, gravity=slope), 3, substeps=100, varied=True) as simulation:
        simulation.vary(np.arange(3), varied(3, 1, friction=np.array([0.25, 0.4, np.nan])))
        for _ in range(2):
            simulation.step(np.zeros((3, 1)))
        speed = simulation.base_linear_velocity[:, 0]
        assert speed[0] == pytest.approx(0.4 * GRAVITY * (np.sin(0.3) - 0.25 * np.cos(0.3)), rel=0.05)
        np.testing.assert_allclose(speed[1:], 0.0, atol=0.01)


def test_a_thrown_block_turns_about_its_centre_of_mass(block: Callable[..., RobotSpec]) -> None:
    """Half a turn takes the origin to the other side of the centre of mass, by 2c, which flies straight on by ω×c·t."""
    with simulate(block(), 1, substeps=500, varied=True) as simulation:
        simulation.vary(np.array([0]), varied(1, 1, centre_of_mass=np.array([[0.1, 0.0, 0.0]])))
        start, velocity = simulation.initial_qpos.copy(), np.zeros((1, simulation.model.nv))
        start[2], velocity[0, 5] = 50.0, np.pi
        simulation.place(np.array([0]), start[None], velocity)
        simulation.step(np.zeros((1, 1)))
        moved = simulation.base_position[0] - start[:3]
        np.testing.assert_allclose(moved, [0.2, 0.1 * np.pi, -GRAVITY / 2.0], atol=0.02)


def test_gains_differ_by_their_factors(reference: RobotSpec) -> None:
    """At rest the first effort is kp times the distance to the target; at the target it is −kd times the velocity."""
    n = reference.n_joints
    factor = np.array([[0.9], [1.1]]) * np.linspace(0.9, 1.1, n)
    with simulate(reference, 2, varied=True) as simulation:
        simulation.vary(np.arange(2), varied(2, n, kp=factor))
        simulation.step(np.tile(reference.default_position + 0.01, (2, 1)))
        np.testing.assert_allclose(simulation.sensors.effort, 0.01 * factor * reference.kp, rtol=1e-9)
        simulation.vary(np.arange(2), varied(2, n, kd=factor))
        velocity = np.zeros((2, simulation.model.nv))
        velocity[:, simulation.layout.dof] = 0.1
        simulation.place(np.arange(2), np.tile(simulation.initial_qpos, (2, 1)), velocity)
        simulation.step(np.tile(reference.default_position, (2, 1)))
        np.testing.assert_allclose(simulation.sensors.effort, -0.1 * factor * reference.kd, rtol=1e-9)


# What is seen of a robot.


TILTED_FOOT = """<mujoco><compiler angle="degree"/><worldbody><body name="trunk" pos="0 0 1"><freejoint/>
  <geom type="box" size="0.1 0.15 0.15" mass="10"/>
  <body name="leg" pos="0 0 -0.2" euler="0 0 30"><joint name="hip" axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.04" mass="2"/>
    <body name="sole" pos="0 0 -0.4" euler="0 90 0"><geom type="box" size="0.02 0.08 0.1" mass="1"/></body>
  </body></body></worldbody></mujoco>"""


def test_a_sole_is_level_whatever_the_frame_of_its_body(tmp_path: Path) -> None:
    (tmp_path / "tilted.xml").write_text(TILTED_FOOT)
    hip = JointSpec("hip", -1.0, 1.0, 50.0, kp=50.0, kd=5.0, armature=0.01)
    with simulate(RobotSpec("hopper", (hip,), model=ModelSource(tmp_path / "tilted.xml"))) as simulation:
        np.testing.assert_allclose(simulation.sensors.foot_up[0], [[0.0, 0.0, 1.0]], atol=1e-12)
        bent = simulation.initial_qpos.copy()
        bent[simulation.layout.qpos] = 0.3
        simulation.place(np.array([0]), bent[None], np.zeros((1, simulation.model.nv)))
        assert simulation.sensors.foot_up[0, 0, 2] == pytest.approx(np.cos(0.3))


def test_the_lowest_point_is_found_by_its_contacts(reference: RobotSpec) -> None:
    with simulate(reference) as simulation:
        rng, data = np.random.default_rng(0), mujoco.MjData(simulation.model)
        qpos = np.tile(simulation.initial_qpos, (5, 1))
        qpos[:, simulation.layout.qpos] += rng.uniform(-0.1, 0.1, (5, reference.n_joints))
        qpos[:, 2] += 0.05 - simulation.lowest_point(qpos)
        np.testing.assert_allclose(simulation.lowest_point(qpos), 0.05, atol=1e-9)
        for state in qpos:
            data.qpos[:] = state
            data.qpos[2] -= 0.051
            mujoco.mj_forward(simulation.model, data)
            floor = (data.contact.geom == simulation.layout.floor).any(axis=1)
            assert data.contact.dist[floor].min() == pytest.approx(-0.001, abs=1e-6)


def test_a_robot_that_was_put_somewhere_knows_where_its_feet_are(reference: RobotSpec) -> None:
    """Upright and raised, rolled by an angle, and turned about the vertical."""
    angle = 0.4
    with simulate(reference, 3) as simulation:
        standing = simulation.sensors.foot_position[0].copy()
        height = np.tile(simulation.sensors.standing_height, (3, 1))
        np.testing.assert_allclose(simulation.sensors.foot_position[:, :, 2], height)
        np.testing.assert_allclose(standing[:, 1], [0.085, -0.085], atol=1e-9)  # hip centres are 0.17 m apart
        qpos = np.tile(simulation.initial_qpos, (3, 1))
        qpos[0, 2] += 0.1
        qpos[1, 3:7] = from_axis_angle(np.array([1.0, 0.0, 0.0]), angle)
        qpos[2, 3:7] = from_axis_angle(np.array([0.0, 0.0, 1.0]), angle)
        simulation.place(np.arange(3), qpos, np.zeros((3, simulation.model.nv)))
        feet = simulation.sensors
        np.testing.assert_allclose(feet.foot_position[0], standing + np.array([0.0, 0.0, 0.1]), atol=1e-12)
        np.testing.assert_allclose(feet.foot_up[0], [[0.0, 0.0, 1.0]] * 2, atol=1e-9)
        np.testing.assert_allclose(feet.foot_up[1], [[0.0, -np.sin(angle), np.cos(angle)]] * 2, atol=1e-9)
        base = simulation.initial_qpos[:3]
        about_z = from_axis_angle(np.array([0.0, 0.0, 1.0]), angle)
        np.testing.assert_allclose(feet.foot_position[2], base + rotate(about_z, standing - base), atol=1e-9)
        np.testing.assert_array_equal(feet.foot_force, 0.0)
        np.testing.assert_allclose(
            simulation.accelerometer[1], [0.0, GRAVITY * np.sin(angle), GRAVITY * np.cos(angle)], atol=1e-9
        )
        np.testing.assert_allclose(simulation.base_height - simulation.initial_qpos[2], [0.1, 0.0, 0.0], atol=1e-12)


def test_foot_velocity_is_the_change_of_its_position(reference: RobotSpec) -> None:
    step = 0.0005
    with simulate(reference, 1, timestep=step) as simulation:
        raised = simulation.initial_qpos.copy()
        raised[2] += 1.0
        velocity = np.zeros(simulation.model.nv)
        velocity[:6] = [0.3, -0.2, 0.1, 0.5, -0.8, 0.7]
        simulation.place(np.array([0]), raised[None], velocity[None])
        seen = []
        for _ in range(20):
            simulation.step(reference.default_position[None] + 0.2)
            seen.append((simulation.sensors.foot_position[0].copy(), simulation.sensors.foot_velocity[0].copy()))
    for (before, _), (_, speed), (after, _) in zip(seen[:-2], seen[1:-1], seen[2:], strict=True):
        np.testing.assert_allclose((after - before) / (2.0 * step), speed, atol=0.03)
    assert np.abs(seen[-1][1]).max() > 0.4


def test_height_is_above_the_floor_of_the_model(block: Callable[..., RobotSpec]) -> None:
    with simulate(block(floor='<geom type="plane" size="0 0 1" pos="0 0 -0.7"/>')) as simulation:
        assert simulation.base_position[0, 2] == pytest.approx(-0.6)
        assert simulation.base_height[0] == pytest.approx(0.1)


# Refusals.


def test_what_cannot_be_simulated_is_refused(
    reference: RobotSpec, block: Callable[..., RobotSpec], refuses: Refuses
) -> None:
    with refuses(ConfigError, "number of robots", "at least 1", "found 0"), simulate(reference, 0):
        pass
    filtered = gains_of(reference, low_pass=0.5)
    with refuses(ConfigError, "filter on the effort"), simulate(reference, gains=filtered):
        pass
    with refuses(ModelError, "robot 'block'", "no physics model"), simulate(RobotSpec("block", block().joints)):
        pass
    floating = block(floor='<geom type="plane" size="0 0 1" contype="2" conaffinity="2"/>')
    with refuses(ModelError, "body 'block'", "can touch the floor"), simulate(floating):
        pass


def test_closing_twice_does_no_harm(reference: RobotSpec) -> None:
    with simulate(reference) as simulation:
        simulation.close()
