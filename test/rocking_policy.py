"""A policy that rocks from foot to foot and does not fall: the balance regulator on a task's contract, and a swing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.bundle import FILE_NAME, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_writer import dump_bundle
from humanoid_rl_ros.simulation.balance import OBSERVATION, balance_policy

# Of the leg, for a swing of 1: a knee that bends twice as much as hip and ankle leaves the sole level.
_SWING = {"hip_pitch": -0.5, "knee": 1.0, "ankle_pitch": -0.5}


def rocking_law(robot: RobotSpec, contract: PolicyBundle, swing: float) -> tuple[Float32Array, Float32Array]:
    """action = weight · observation + bias.

    Args:
        robot: the robot.
        contract: of the task; observes what `balance_policy` needs of the driven joints and, for a swing, the clock.
        swing: amplitude of the knee [rad].

    Returns:
        weight [Shape (actions, observations)], bias [Shape (actions,)].
    """
    pose, gains = pose_and_gains(contract, robot)
    joints = tuple(replace(j, kp=float(gains.kp[i]), kd=float(gains.kd[i])) for i, j in enumerate(robot.joints))
    balance = balance_policy(replace(robot, joints=joints), period=contract.control_period)
    driven = [robot.joint_names.index(name) for name in contract.joints]
    scale, offset = np.array(contract.action.scale), np.array(contract.action.offset)

    # The regulator's measurement, by the names of the observation: joints of the robot there, driven ones here.
    n = robot.n_joints
    column = {f"{OBSERVATION[0]}[{i}]": i for i in range(3)} | {f"{OBSERVATION[1]}[{i}]": 3 + i for i in range(3)}
    for i, joint in enumerate(driven):
        column |= {f"{OBSERVATION[2]}[{i}]": 6 + joint, f"{OBSERVATION[3]}[{i}]": 6 + n + joint}
    terms = {term.term: term for block in contract.observation.blocks for term in block.terms}
    labels = contract.observation_builder(robot.joint_names).labels()
    weight = np.zeros((len(driven), len(labels)))
    for k, label in enumerate(labels):
        if label in column:
            weight[:, k] = -balance.gain[driven, column[label]] / terms[label.partition("[")[0]].scale[0]
        elif label.startswith("gait_phase_sin"):
            side = "left" if label.endswith("[0]") else "right"
            weight[:, k] = [swing * _SWING.get(_part(name, side), 0.0) for name in contract.joints]
    resting = balance.gain @ balance.rest + balance.gain[:, 6 : 6 + n] @ (balance.pose - pose)
    bias = (balance.pose + balance.holding_offset + resting)[driven] - offset
    return (weight / scale[:, None]).astype(np.float32), (bias / scale).astype(np.float32)


def _part(joint: str, side: str) -> str:
    return joint.removeprefix(f"{side}_").removesuffix("_joint")


def write_rocking_policy(folder: Path, robot: RobotSpec, contract: PolicyBundle, swing: float) -> Path:
    """Write the law as a bundle; gives the folder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight, bias = rocking_law(robot, contract, swing)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["observation", "weight", "bias"], ["action"], transB=1)],
        "rocking",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, [1, weight.shape[1]])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, weight.shape[0]])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    weights = WeightsSpec(folder / "policy.onnx", hashlib.sha256(content).hexdigest())
    weights.path.write_bytes(content)
    (folder / FILE_NAME).write_text(dump_bundle(replace(contract, weights=weights, folder=folder)))
    return folder
