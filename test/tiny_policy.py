"""A tiny policy with a real ONNX network, for any robot; and a robot of two joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.robot import RobotSpec

VELOCITY_COMMAND_AT = 6
"""Where the velocity command stands in the newest frame of the observation."""


def write_robot(folder: Path) -> Path:
    """A robot YAML: hip and knee driven, thumb ignored; nothing to simulate."""
    file = folder / "robot.yaml"
    file.write_text(
        "format: 1\n"
        "name: two\n"
        "ignored_joints: [thumb]\n"
        "joints:\n"
        "  hip: {limits: [-1.0, 1.0], effort: 10.0, kp: 20.0, kd: 2.0, default: 0.1}\n"
        "  knee: {limits: [-1.0, 1.0], effort: 5.0, kp: 10.0, kd: 0.5, default: -0.2}\n"
    )
    return file


def write_policy(
    folder: Path, robot: RobotSpec, *, history: int = 2, gain: float = 0.05, pd_rate: float = 500.0, **changes: Any
) -> Path:
    """A bundle that drives every joint of a robot, in reverse order, around its default pose.

    action = tanh(gain · W · observation) with a fixed W; observed are gyro, gravity, command, joints and last action,
    with a history of the whole vector, oldest first.

    Args:
        folder: made if missing.
        robot: the robot.
        history: frames.
        gain: 0 for a policy that stands still.
        pd_rate: rate of joint states [Hz].
        changes: keys of policy.yaml to set instead.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    joints = list(robot.joints)[::-1]
    n = len(joints)
    write_network(folder / "policy.onnx", (9 + 3 * n) * history, n, gain)
    data: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "robot": robot.name,
        "weights": {"file": "policy.onnx"},
        "control_period": 0.02,
        "pd_rate": pd_rate,
        "joints": {j.name: {"default": j.default_position, "kp": j.kp, "kd": j.kd} for j in joints},
        "observation": {
            "terms": [
                {"term": "base_ang_vel"},
                {"term": "projected_gravity"},
                {"term": "velocity_commands"},
                {"term": "joint_pos_rel"},
                {"term": "joint_vel_rel", "scale": 0.05},
                {"term": "last_action"},
            ],
            "history": {"length": history, "layout": "time_major", "order": "oldest_first"},
        },
        "action": {"kind": "position_offset", "scale": 0.25},
    }
    data.update(changes)
    (folder / "policy.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def write_network(file: Path, observations: int, actions: int, gain: float) -> None:
    """tanh(gain · observation · W) as ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = (gain * np.random.default_rng(1).standard_normal((observations, actions))).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["obs", "weights"], ["linear"]),
            helper.make_node("Tanh", ["linear"], ["actions"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, observations])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, actions])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    file.write_bytes(model.SerializeToString())
