"""The standing policy run as any other: bundle, PolicyBehaviour, PD law, simulated robot, safety envelope."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.simulation.balance import balance_policy
from humanoid_rl_ros.simulation.balance_plant import StandingPlant
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

CONFIG = Path(__file__).resolve().parents[2] / "config"
RATE = 500
FALLEN = 0.5  # tilt from which nothing here comes back [rad]
needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx, which writes, is not installed")
needs_mjlab = pytest.mark.skipif(
    importlib.util.find_spec("mjlab") is None, reason="the G1's model is in the Python package mjlab, not installed"
)
Controller = Callable[[RobotState], np.ndarray]


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return load_robot(CONFIG / "robots" / "reference.yaml")


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle(CONFIG / "policies" / "stand")


def policy_controller(bundle: PolicyBundle, robot: RobotSpec, first: RobotState) -> Controller:
    behaviour = PolicyBehaviour(bundle, robot, bundle.load_network())
    behaviour.enter(first)
    return lambda state: behaviour.update(state, VelocityCommand(linear_x=1.0)).effort


def pose_controller(robot: RobotSpec) -> Controller:
    def effort(state: RobotState) -> np.ndarray:
        return robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity

    return effort


def push(backend: MujocoBackend, angle: float, speed: float) -> None:
    """Change the pelvis' horizontal velocity at once [rad from straight ahead, m/s]."""
    start = backend.layout.root_dof
    backend.data.qvel[start : start + 2] += speed * np.array([np.cos(angle), np.sin(angle)])


def stands(backend: MujocoBackend, controller: Controller, seconds: float) -> bool:
    state = backend.read()
    for _ in range(round(seconds * RATE)):
        state = backend.step(controller(state))
        if not rotations.tilt(state.orientation) < FALLEN:
            return False
    # Upright and still: neither a crouch nor a slow fall counts.
    truth = backend.ground_truth()
    calm = np.abs(state.joint_velocity).max() < 0.5 and np.linalg.norm(truth.base_linear_velocity) < 0.05
    return bool(calm and rotations.tilt(state.orientation) < 0.1)


def survives_push(robot: RobotSpec, bundle: PolicyBundle | None, angle: float, speed: float) -> bool:
    backend = MujocoBackend(robot)
    controller = pose_controller(robot) if bundle is None else policy_controller(bundle, robot, backend.read())
    assert stands(backend, controller, 1.0)
    push(backend, angle, speed)
    return stands(backend, controller, 4.0)


def test_bundle_fits_the_robot(bundle: PolicyBundle, robot: RobotSpec) -> None:
    assert require_contract(bundle, robot) == []
    assert bundle.robot == robot.name
    assert (bundle.command.linear_x, bundle.command.angular_z) == ((0.0, 0.0), (0.0, 0.0))
    assert not bundle.needs_base_linear_velocity


def test_stands_quietly_with_the_envelope_idle(bundle: PolicyBundle, robot: RobotSpec) -> None:
    backend = MujocoBackend(robot)
    controller = policy_controller(bundle, robot, backend.read())
    envelope = Envelope(robot, load_safety_limits(CONFIG / "safety.yaml"))
    state, share = backend.read(), []
    for _ in range(10 * RATE):
        clamped = envelope.clamp(controller(state), state)
        assert not clamped.changed.any()
        share.append(clamped.effort / robot.effort_limit)
        state = backend.step(clamped.effort)
    assert rotations.tilt(state.orientation) < 0.02
    assert np.abs(share).max() < 0.3
    assert np.ptp(share[-2 * RATE :], axis=0).max() < 0.005  # no chatter
    assert np.abs(state.joint_velocity).max() < 0.01
    truth = backend.ground_truth()
    assert np.linalg.norm(truth.base_position[:2]) < 0.02
    assert sum(foot.force for foot in truth.feet) == pytest.approx(
        float(backend.model.body_mass.sum()) * 9.81, rel=0.01
    )


@pytest.mark.parametrize(
    ("degrees", "speed"),
    [(0, 0.35), (45, 0.41), (90, 0.40), (135, 0.40), (180, 0.30), (225, 0.40), (270, 0.40), (315, 0.41)],
)
def test_survives_pushes_that_the_pose_alone_does_not(
    bundle: PolicyBundle, robot: RobotSpec, degrees: float, speed: float
) -> None:
    angle = np.deg2rad(degrees)
    assert survives_push(robot, bundle, angle, speed)
    assert not survives_push(robot, None, angle, speed)


@pytest.mark.parametrize("mass", [0.9, 1.1])
def test_stands_with_another_mass_and_noisy_sensors(bundle: PolicyBundle, robot: RobotSpec, mass: float) -> None:
    backend = MujocoBackend(robot)
    backend.model.body_mass *= mass
    backend.model.body_inertia *= mass
    controller = policy_controller(bundle, robot, backend.read())
    rng = np.random.default_rng(7)

    def noisy(state: RobotState) -> np.ndarray:
        turn = np.concatenate([[1.0], rng.normal(0.0, 0.005, 3)])
        measured = replace(
            state,
            joint_position=state.joint_position + rng.normal(0.0, 0.005, robot.n_joints),
            joint_velocity=state.joint_velocity + rng.normal(0.0, 0.1, robot.n_joints),
            angular_velocity=state.angular_velocity + rng.normal(0.0, 0.05, 3),
            orientation=rotations.unit(rotations.multiply(state.orientation, turn)),
        )
        return controller(measured)

    state = backend.read()
    for step in range(5 * RATE):
        if step == RATE:
            push(backend, np.deg2rad(60.0), 0.25)
        state = backend.step(noisy(state))
    assert rotations.tilt(state.orientation) < 0.1


@needs_onnx
def test_the_shipped_weights_are_those_the_command_makes(bundle: PolicyBundle, tmp_path: Path) -> None:
    from onnx import load, numpy_helper

    from humanoid_rl_ros.cli.policy_stand import stand

    made = stand("reference", tmp_path / "again")
    assert replace(made, weights=bundle.weights, folder=bundle.folder) == bundle
    pairs = zip(load(made.weights.path).graph.initializer, load(bundle.weights.path).graph.initializer, strict=True)
    for new, shipped in pairs:
        np.testing.assert_allclose(numpy_helper.to_array(new), numpy_helper.to_array(shipped), rtol=1e-3, atol=1e-4)


@needs_onnx
@needs_mjlab
def test_holds_up_a_robot_that_its_gains_let_fall(tmp_path: Path) -> None:
    from humanoid_rl_ros.cli.policy_stand import stand

    robot = load_robot(CONFIG / "robots" / "g1.yaml")
    assert not stands(MujocoBackend(robot), pose_controller(robot), 4.0)
    backend = MujocoBackend(robot)
    assert stands(backend, policy_controller(stand("g1", tmp_path), robot, backend.read()), 10.0)


def test_a_mirrored_robot_gets_a_mirrored_law(robot: RobotSpec) -> None:
    """A roll rate asks the same of the roll joints of both legs, and opposites of their pitch joints."""
    gain = balance_policy(robot).gain
    row = {name: gain[i] for i, name in enumerate(robot.joint_names)}
    largest = np.abs(gain[:, 0]).max()
    for part, sign in (("hip_roll", 1.0), ("ankle_roll", 1.0), ("hip_pitch", -1.0), ("knee", -1.0)):
        left, right = row[f"left_{part}_joint"][0], row[f"right_{part}_joint"][0]
        assert left == pytest.approx(sign * right, abs=0.01 * largest)


def test_the_pose_rests_on_the_middle_of_the_soles(robot: RobotSpec) -> None:
    """A statue with that pose, and the efforts that hold it, accelerate nowhere."""
    plant = StandingPlant(robot)
    assert np.abs(plant.data.qacc).max() < 0.05
    assert np.abs(plant.pose - robot.default_position).max() < 0.1
    soles = plant.data.contact.pos[:, :2]
    middle = 0.5 * (soles.min(axis=0) + soles.max(axis=0))
    np.testing.assert_allclose(plant.data.subtree_com[plant.place.root_body][:2], middle, atol=0.002)


def test_refuses_what_cannot_stand(robot: RobotSpec, refuses: Callable[..., object]) -> None:
    with refuses(ConfigError, "period 0.003"):
        balance_policy(robot, period=0.003)
    limp = replace(robot, joints=(replace(robot.joints[0], kp=0.0), *robot.joints[1:]))
    with refuses(ModelError, "left_hip_pitch_joint", "kp"):
        balance_policy(limp)
    tiptoe = [replace(j, default_position=0.5) if "ankle_pitch" in j.name else j for j in robot.joints]
    with refuses(ModelError, "flat feet"):
        balance_policy(replace(robot, joints=tuple(tiptoe)))
