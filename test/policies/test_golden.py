"""Eight published policies: observation, network output and targets against what their own code computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zoo

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.contract import require_contract

TOLERANCE = 1e-5


def _robot(name: str, joints: tuple[str, ...], imu: str) -> RobotSpec:
    """The robot of the policy's model; the model gives the joint range that one policy clamps its targets to."""
    mujoco = pytest.importorskip("mujoco", reason="mujoco reads the joint ranges of the models")
    model = mujoco.MjModel.from_xml_path(str(zoo.model(name)))
    ranges = {joint: model.joint(joint).range for joint in joints if model.joint(joint).limited[0]}
    limits = {joint: tuple(map(float, ranges.get(joint, (-10.0, 10.0)))) for joint in joints}
    return RobotSpec(name, tuple(JointSpec(joint, *limits[joint], 1e3) for joint in joints), ImuSpec("imu", imu))


def _recording(name: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    with np.load(zoo.ZOO / "golden" / f"{name}.npz") as file:
        recorded = {key: file[key] for key in file.files}
    return recorded, tuple(str(joint) for joint in recorded["joint_names"])


def _bundle(name: str, folder: Path, joints: tuple[str, ...]) -> PolicyBundle:
    return load_bundle(zoo.write_bundle(name, folder / name, joints))


@zoo.needs_zoo
@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_published_policy_sees_says_and_wants_what_it_did(name: str, tmp_path: Path) -> None:
    recorded, joints = _recording(name)
    bundle = _bundle(name, tmp_path, joints)
    robot = _robot(name, joints, bundle.imu)
    require_contract(bundle, robot, base_velocity="ground_truth")
    behaviour = PolicyBehaviour(bundle, robot, bundle.load_network())
    period_ns = round(bundle.control_period * 1e9)
    assert len(recorded["q"]) * period_ns == 10**9  # the recordings last one second
    for k in range(len(recorded["q"])):
        state = RobotState(
            k * period_ns,
            recorded["q"][k],
            recorded["qd"][k],
            recorded["quat_wxyz"][k],
            recorded["gyro"][k],
            base_linear_velocity=recorded["base_lin_vel"][k],
        )
        if k == 0:
            behaviour.enter(state)
        behaviour.update(state, VelocityCommand(*map(float, recorded["cmd"][k])))
        step = behaviour.last_step
        assert step is not None
        for what, found in (("obs", step.observation), ("raw", step.action), ("target", step.target.position)):
            np.testing.assert_allclose(found, recorded[what][k], rtol=0.0, atol=TOLERANCE, err_msg=f"{what}, step {k}")
    assert behaviour.steps == len(recorded["q"])
    assert behaviour.late_steps == 0


@zoo.needs_zoo
def test_only_the_policy_with_base_velocity_needs_an_estimator(tmp_path: Path) -> None:
    needing = [name for name in zoo.NAMES if _bundle(name, tmp_path, _recording(name)[1]).needs_base_linear_velocity]
    assert needing == ["playground_t1"]
