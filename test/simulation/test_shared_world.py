"""Robots that share a world: each moves as if alone until they touch, and then by Newton's third law."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError, ModelError, StateError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.shared_world import SharedWorld
from humanoid_rl_ros.simulation.team_model import Member, StartPlace


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return find_robot("reference")


@pytest.fixture(scope="module")
def pair(robot: RobotSpec) -> SharedWorld:
    """Two, three metres apart."""
    return SharedWorld([Member("left", robot, StartPlace(y=1.5)), Member("right", robot, StartPlace(y=-1.5))])


def pose_effort(robot: RobotSpec, state: RobotState) -> np.ndarray:
    return robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity


def numbers(state: RobotState) -> np.ndarray:
    parts = [state.joint_position, state.joint_velocity, state.orientation, state.angular_velocity]
    assert state.base_linear_velocity is not None
    return np.concatenate([*parts, state.linear_acceleration, state.base_linear_velocity])


@pytest.mark.parametrize(("rate", "timestep"), [(500.0, None), (200.0, 0.0025)])
def test_alone_it_moves_to_the_bit_as_in_a_simulation_of_its_own(
    robot: RobotSpec, rate: float, timestep: float | None
) -> None:
    single = MujocoBackend(robot, state_rate=rate, timestep=timestep)
    world = SharedWorld([Member("only", robot)], state_rate=rate, timestep=timestep)
    here, there = single.reset(np.random.default_rng(3)), world.reset(np.random.default_rng(3))["only"]
    rng = np.random.default_rng(4)
    for period in range(300):
        if period < 5:
            here, there = single.hold(), world.step()["only"]
        else:
            effort = pose_effort(robot, here) + rng.uniform(-20, 20, robot.n_joints)
            here, there = single.step(effort), world.step({"only": effort})["only"]
        if period == 100:
            single.push(np.array([0.4, 0.0, 0.0]))
            world.robots["only"].push(np.array([0.4, 0.0, 0.0]))
        assert here.stamp_ns == there.stamp_ns
        np.testing.assert_array_equal(numbers(here), numbers(there))
    mine, other = single.ground_truth(), world.robots["only"].ground_truth()
    np.testing.assert_array_equal(mine.base_position, other.base_position)
    assert [foot.force for foot in mine.feet] == [foot.force for foot in other.feet]
    assert sum(foot.force for foot in mine.feet) > 0.0


def test_robots_apart_do_not_change_each_other_by_a_bit(pair: SharedWorld, robot: RobotSpec) -> None:
    """The left one does the same both times; the right one stands, then thrashes about, then hangs on its gantry."""
    runs = []
    for right in ("stands", "thrashes", "hangs"):
        states, rng = pair.reset(), np.random.default_rng(5)
        seen = []
        for _ in range(250):
            efforts = {"left": pose_effort(robot, states["left"])}
            if right != "hangs":
                noise = 0.0 if right == "stands" else rng.uniform(-60, 60, robot.n_joints)
                efforts["right"] = pose_effort(robot, states["right"]) + noise
            states = pair.step(efforts)
            seen.append(numbers(states["left"]))
        runs.append((np.array(seen), numbers(states["right"])))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][0], runs[2][0])
    assert np.abs(runs[0][1] - runs[1][1]).max() > 0.1


def test_robots_that_run_into_each_other_exchange_momentum(pair: SharedWorld) -> None:
    """High in the air: the total momentum along the line between them stays, that of each does not."""
    pair.reset()
    for name, side in (("left", 1.0), ("right", -1.0)):
        pair.robots[name].place(
            Placement(
                base_position=np.array([0.0, 0.35 * side, 5.0]),
                base_linear_velocity=np.array([0.0, -side * 2.0 if name == "left" else 0.0, 0.0]),
            )
        )
        pair.robots[name].give(np.zeros(pair.robots[name].robot.n_joints))

    def momentum() -> np.ndarray:
        mujoco.mj_comVel(pair.model, pair.data)
        total = {"left": np.zeros(3), "right": np.zeros(3)}
        velocity = np.zeros(6)
        for body in range(1, pair.model.nbody):
            name = pair.model.body(body).name.split("/")[0]
            mujoco.mj_objectVelocity(pair.model, pair.data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
            total[name] += pair.model.body_mass[body] * velocity[3:]
        return np.array([total["left"][1], total["right"][1]])

    before = momentum()
    assert before[0] == pytest.approx(-70.0, rel=0.05)
    assert before[1] == pytest.approx(0.0, abs=1e-9)
    for _ in range(150):
        pair.step()
    after = momentum()
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    assert after[1] < -10.0


def test_a_held_robot_stays_and_the_other_falls(pair: SharedWorld, robot: RobotSpec) -> None:
    pair.reset()
    start = pair.robots["left"].ground_truth().base_position
    for _ in range(400):
        states = pair.step({"right": np.zeros(robot.n_joints)})
    np.testing.assert_array_equal(pair.robots["left"].ground_truth().base_position, start)
    np.testing.assert_allclose(states["left"].linear_acceleration, [0, 0, 9.81], atol=1e-9)
    assert not states["left"].joint_velocity.any()
    assert all(foot.force == 0.0 for foot in pair.robots["left"].ground_truth().feet)
    assert pair.robots["right"].ground_truth().base_height < 0.5
    assert states["left"].stamp_ns == states["right"].stamp_ns == 800_000_000


def test_one_robot_stands_at_its_start_again_while_time_goes_on(pair: SharedWorld, robot: RobotSpec) -> None:
    first = pair.reset()["right"]
    for _ in range(100):
        states = pair.step({"left": np.zeros(robot.n_joints), "right": np.zeros(robot.n_joints)})
    fallen = numbers(states["left"])
    again = pair.robots["right"].stand()
    np.testing.assert_array_equal(numbers(again), numbers(first))
    assert again.stamp_ns == 200_000_000
    assert pair.robots["right"].held
    np.testing.assert_array_equal(pair.robots["right"].ground_truth().base_position[:2], [0.0, -1.5])
    left = pair.robots["left"].measure(200_000_000)
    np.testing.assert_array_equal(numbers(left), fallen)  # untouched, its accelerometer too
    pair.step()


def test_it_starts_where_it_looks_in_the_pose_it_is_given(robot: RobotSpec) -> None:
    pose = robot.default_position + 0.05
    world = SharedWorld(
        [Member("a", robot, StartPlace(1.0, 2.0, math.pi)), Member("b", robot)], initial_position={"a": pose}
    )
    np.testing.assert_array_equal(world.robots["a"].read().joint_position, pose)
    np.testing.assert_array_equal(world.robots["b"].read().joint_position, robot.default_position)
    truth = world.robots["a"].ground_truth()
    np.testing.assert_allclose(truth.base_position[:2], [1.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(truth.base_orientation, [0, 0, 0, 1], atol=1e-12)


def test_what_cannot_be_is_refused(pair: SharedWorld, robot: RobotSpec, refuses: Refuses) -> None:
    pair.reset()
    with refuses(ConfigError, "'middle'", "left"):
        pair.step({"middle": np.zeros(robot.n_joints)})
    with refuses(StateError, "(3,)", "21 joints"):
        pair.step({"left": np.zeros(3)})
    with refuses(StateError, "friction"):
        pair.robots["left"].place(Placement(mass=np.array([1.2])))
    with refuses(ConfigError, "'middle'"):
        SharedWorld([Member("left", robot)], initial_position={"middle": robot.default_position})
    pair.robots["right"].place(Placement(joint_velocity=np.full(robot.n_joints, 2e4)))
    with refuses(ModelError, "'right'", "diverged"):
        pair.step({"right": np.zeros(robot.n_joints), "left": np.zeros(robot.n_joints)})
    pair.reset()
