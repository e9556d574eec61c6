"""`humanoid_rl policy stand`: a policy bundle that keeps a robot standing, worked out from its model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.bundle import FILE_NAME, FORMAT, PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.balance import OBSERVATION, BalancePolicy, balance_policy
from humanoid_rl_ros.simulation.gains import PD_PERIOD

WEIGHTS = "policy.onnx"
DEFAULT_PERIOD = 0.02
# ONNX of mid-2022: every onnxruntime that the package accepts reads it.
_IR_VERSION, _OPSET = 8, 17
_DIGITS = 4


def stand(robot: str, out: Path, *, period: float = DEFAULT_PERIOD) -> PolicyBundle:
    """Write a standing policy for a robot.

    Args:
        robot: as `humanoid_rl_ros.resources.find_robot` takes it: a shipped robot, a robot YAML, or a model file.
        out: folder to write `policy.yaml` and `policy.onnx` to; made if it is not there.
        period: between two inferences, a whole multiple of the PD law's 2 ms [s].

    Returns:
        The bundle, as read back.

    Raises:
        MissingDependencyError: the package onnx is not installed.
        ConfigError: the robot cannot be found, the period does not fit, or the folder cannot be written.
        ModelError: the robot's model cannot be used, or no linear law makes it stand.
    """
    spec = find_robot(robot)
    policy = balance_policy(spec, period=period)
    network = _network(policy)
    text = _yaml(spec, policy, hashlib.sha256(network).hexdigest(), command=_command(robot, out, period))
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / WEIGHTS).write_bytes(network)
        (out / FILE_NAME).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"policy folder {out}: {error.strerror or error}") from None
    return load_bundle(out)


def _command(robot: str, out: Path, period: float) -> str:
    extra = "" if period == DEFAULT_PERIOD else f" --period {period:g}"
    return f"humanoid_rl policy stand --robot {robot} -o {out}{extra}"


def _network(policy: BalancePolicy) -> bytes:
    """action = observation · (−gain)ᵀ + gain · rest, as one ONNX node."""
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ModuleNotFoundError:
        raise MissingDependencyError("writing a policy needs onnx, which is not installed; pip install onnx") from None
    n_actions, n_observed = policy.gain.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["observation", "weight", "bias"], ["action"], transB=1)],
        "stand",
        [helper.make_tensor_value_info("observation", onnx.TensorProto.FLOAT, [1, n_observed])],
        [helper.make_tensor_value_info("action", onnx.TensorProto.FLOAT, [1, n_actions])],
        [
            numpy_helper.from_array(np.asarray(-policy.gain, dtype=np.float32), "weight"),
            numpy_helper.from_array(np.asarray(policy.gain @ policy.rest, dtype=np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, producer_name="humanoid_rl_ros", opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _yaml(robot: RobotSpec, policy: BalancePolicy, sha256: str, *, command: str) -> str:
    names = robot.joint_names
    head: dict[str, Any] = {
        "format": FORMAT,
        "name": f"{robot.name}_stand",
        "robot": robot.name,
        "origin": "linear-quadratic regulator on the robot's MuJoCo model and PD law, linearised standing; no training",
        "licence": "Apache-2.0",
        "weights": {"file": WEIGHTS, "sha256": sha256},
        "control_period": policy.period,
        "pd_rate": round(1.0 / PD_PERIOD),
    }
    joints = [
        (joint.name, {"default": _number(pose), "kp": joint.kp, "kd": joint.kd, "effort": joint.effort_limit})
        for joint, pose in zip(robot.joints, policy.pose, strict=True)
    ]
    pose = np.array([_number(value) for value in policy.pose])
    offset, bound = pose + policy.holding_offset, policy.bound
    return "".join([
        f"# Stands, whatever the velocity command. Made by: {command}\n",
        "# The action moves the PD targets about 'offset', where the PD law carries the weight in the default pose.\n",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120),
        "command: {linear_x: [0.0, 0.0], linear_y: [0.0, 0.0], angular_z: [0.0, 0.0]}\n",
        "joints:\n",
        *(f"  {_flow(name)}: {_flow(entry)}\n" for name, entry in joints),
        "observation:\n  terms:\n",
        *(f"    - {{term: {term}}}\n" for term in OBSERVATION),
        "action:\n  kind: position_offset\n",
        f"  offset: {_flow(_by_name(names, offset))}\n",
        f"  clip:\n    lower: {_flow(_by_name(names, -bound))}\n    upper: {_flow(_by_name(names, bound))}\n",
    ])  # fmt: skip


def _number(value: float) -> float:
    return round(float(value), _DIGITS) + 0.0  # no −0.0


def _by_name(names: Iterable[str], values: FloatArray) -> dict[str, float]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _flow(value: object) -> str:
    """On one line, as YAML."""
    return (
        str(yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)).removesuffix("...\n").strip()
    )
