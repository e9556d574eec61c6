"""Published policies as test data: bundles written from the facts, when the folder that holds them is there.

The folder is named by the environment variable HUMANOID_RL_ZOO, or is `shared/zoo` beside the checkout.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

ZOO = Path(os.environ.get("HUMANOID_RL_ZOO", Path(__file__).resolve().parents[2] / "shared" / "zoo"))
NAMES = (
    "asap_dec_loco_g1",
    "holosoma_g1_fastsac",
    "holosoma_g1_ppo",
    "legged_ros2_g1",
    "limx_oli_walk",
    "playground_t1",
    "unitree_rl_lab_g1",
    "unitree_rl_mjlab_g1",
)
needs_zoo = pytest.mark.skipif(not ZOO.is_dir(), reason=f"no published policies at {ZOO} (set HUMANOID_RL_ZOO)")

_TERMS: dict[str, list[str]] = {
    "command": ["velocity_commands"],
    "command_lin": ["velocity_commands_linear"],
    "command_ang": ["velocity_commands_angular"],
    "joint_pos": ["joint_pos_rel"],
    "joint_vel": ["joint_vel_rel"],
    "cos_phase": ["gait_phase_cos"],
    "sin_phase": ["gait_phase_sin"],
    "cos_sin_phase": ["gait_phase_cos", "gait_phase_sin"],
    "not_standing": ["moving"],
    "const": ["constant"],
}


def facts(name: str) -> dict[str, Any]:
    """The facts of one policy."""
    return json.loads((ZOO / "policies" / f"{name}.json").read_text())


def model(name: str) -> Path:
    """The robot model it runs on."""
    return ZOO / facts(name)["mjcf"]


def write_bundle(name: str, folder: Path, robot_joints: tuple[str, ...] | None = None) -> Path:
    """Write the bundle of one policy.

    Args:
        name: one of NAMES.
        folder: where to write it; made if missing. The weights are linked, not copied.
        robot_joints: joints of the robot, to leave out held joints that it lacks.

    Returns:
        The folder.
    """
    f = facts(name)
    folder.mkdir(parents=True, exist_ok=True)
    weights = ZOO / f["model"]["file"]
    files = [weights]
    if "external_data" in f["model"]:
        files.append(weights.parent / f["model"]["external_data"])
    sha = hashlib.sha256()
    for file in files:
        # onnxruntime refuses external data behind a link that leaves the folder, so these are copies.
        (folder / file.name).write_bytes(file.read_bytes())
        sha.update(file.read_bytes())
    joints = {
        joint: {"default": f["default_pos"][i], "kp": f["kp"][i], "kd": f["kd"][i], "effort": f["effort"][i]}
        for i, joint in enumerate(f["joints"])
    }
    bundle: dict[str, Any] = {
        "format": 1,
        "name": name,
        "origin": f["origin"],
        "licence": f["license"],
        "weights": {
            "file": weights.name,
            "sha256": sha.hexdigest(),
            "external_data": [file.name for file in files[1:]],
            **{key: f["model"][key] for key in ("input", "output") if key in f["model"]},
        },
        "control_period": f["control_dt"],
        "pd_rate": 1.0 / f["physics_dt"],
        "imu": f.get("imu_site", f.get("imu_body", "")),
        "joints": joints,
        "held": {
            joint: {"position": h["q"], "kp": h["kp"], "kd": h["kd"], "effort": h["eff"]}
            for joint, h in f.get("held_joints", {}).items()
            if robot_joints is None or joint in robot_joints
        },
        "observation": _observation(f),
        "action": _action(f),
        "command": _command(f),
    }
    if "soft_torque_limit" in f:
        bundle["soft_effort_limit"] = f["soft_torque_limit"]
    if f["needs_base_lin_vel"]:
        bundle["base_velocity"] = "ground_truth"
    if "phase" in f:
        bundle["gait"] = _gait(f["phase"])
    (folder / "policy.yaml").write_text(yaml.safe_dump(bundle, sort_keys=False))
    return folder


def _observation(f: dict[str, Any]) -> dict[str, Any]:
    joints = f.get("obs_joints", f["joints"])
    out: dict[str, Any] = {"joints": joints}
    if "obs_default_pos" in f:
        out["default"] = dict(zip(joints, f["obs_default_pos"], strict=True))
    out["terms"] = [term for item in f["obs"] for term in _terms(item, joints)]
    if "history" in f:
        out["history"] = _history(f["history"])
    return out


def _terms(item: dict[str, Any], joints: list[str]) -> list[dict[str, Any]]:
    if item["term"] == "history":
        return [{"history": _history(item), "terms": [t for inner in item["terms"] for t in _terms(inner, joints)]}]
    extra = {key: item[key] for key in ("scale", "clip", "value") if key in item}
    if "mask_zero" in item:
        extra["masked_joints"] = [joints[i] for i in item["mask_zero"]]
    return [{"term": term, **extra} for term in _TERMS.get(item["term"], [item["term"]])]


def _history(h: dict[str, Any]) -> dict[str, Any]:
    out = {key: h[key] for key in ("length", "layout", "order", "include_current") if key in h}
    out["first_fill"] = {"fill": "first_frame"}.get(h.get("init", "zeros"), h.get("init", "zeros"))
    return out


def _action(f: dict[str, Any]) -> dict[str, Any]:
    action = f["action"]
    out: dict[str, Any] = {"kind": "position_offset", "scale": action["scale"]}
    if isinstance(action["scale"], list):
        out["scale"] = dict(zip(f["joints"], action["scale"], strict=True))
    if "clip" in action:
        out["clip"] = action["clip"]
    if action.get("target_limits") == "joint_range":
        out["target_limits"] = "joint_limits"
    if action.get("last_action") == "after_soft_clip":
        out["last_action"] = "after_effort_clip"
    return out


def _command(f: dict[str, Any]) -> dict[str, Any]:
    names = {"lin_vel_x": "linear_x", "lin_vel_y": "linear_y", "ang_vel_z": "angular_z", "ang_vel_yaw": "angular_z"}
    return {names[key]: value for key, value in f.get("command_ranges", {}).items() if key in names}


def _gait(phase: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {key: phase[key] for key in ("period", "stand_threshold") if key in phase}
    if "freq" in phase:
        out["frequency"] = phase["freq"]
    out["phases"] = phase.get("init", [0.0])
    if phase.get("freeze_when_standing") == "hold_pi":
        out |= {"when_standing": "hold", "standing_phase": math.pi}
    elif "override_when_standing" in phase:
        out |= {"when_standing": "show", "standing_phase": phase["override_when_standing"]}
    elif phase.get("zero_when_standing"):
        out["when_standing"] = "zero"
    return out
