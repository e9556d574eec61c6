"""The robots that come with the package load, stand and are what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

CONFIG = Path(__file__).resolve().parents[2] / "config" / "robots"
needs_mjlab = pytest.mark.skipif(
    importlib.util.find_spec("mjlab") is None, reason="the G1's model is in the Python package mjlab, not installed"
)


@pytest.mark.parametrize("name", ["reference", pytest.param("g1", marks=needs_mjlab)])
def test_stands_on_the_floor(name: str) -> None:
    robot = load_robot(CONFIG / f"{name}.yaml")
    backend = MujocoBackend(robot)
    assert backend.foot_names == ("left_ankle_roll_link", "right_ankle_roll_link")
    state = backend.read()
    for _ in range(250):
        state = backend.step(
            robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity
        )
    weight = float(backend.model.body_mass.sum()) * 9.81
    assert sum(foot.force for foot in backend.ground_truth().feet) == pytest.approx(weight, rel=0.1)
    assert np.abs(state.joint_position - robot.default_position).max() < 0.25


@needs_mjlab
def test_g1_order_and_numbers() -> None:
    robot = load_robot(CONFIG / "g1.yaml")
    parts = ["left_hip_pitch", "right_hip_pitch", "waist_yaw", "left_shoulder_pitch", "right_shoulder_pitch"]
    assert [robot.joint_names.index(f"{p}_joint") for p in parts] == [0, 6, 12, 15, 22]
    hip = robot.joints[0]
    # Rotor, carrier and output stage of the 7520-14 seen at the output: r₁ (g₁ g₂)² + r₂ g₂² + r₃.
    gear = 1 + 48 / 22
    armature = 0.489e-4 * (4.5 * gear) ** 2 + 0.098e-4 * gear**2 + 0.533e-4
    assert hip.armature == pytest.approx(armature, rel=1e-6)
    assert hip.kp == pytest.approx(armature * (20 * np.pi) ** 2, rel=1e-6)
    assert (hip.effort_limit, hip.velocity_limit) == (88.0, 32.0)


@needs_mjlab
def test_g1_keeps_its_mass_without_its_meshes() -> None:
    robot = load_robot(CONFIG / "g1.yaml")
    bare = MujocoBackend(robot)
    full = MujocoBackend(robot, visual=True)
    assert bare.model.nmesh == 0
    assert full.model.nmesh > 0
    np.testing.assert_allclose(bare.model.body_mass, full.model.body_mass)
    rng = np.random.default_rng(0)
    for _ in range(50):
        effort = rng.uniform(-5, 5, robot.n_joints)
        left, right = bare.step(effort), full.step(effort)
    np.testing.assert_array_equal(left.joint_position, right.joint_position)
