"""A recording of the policy's own code against a bundle, number by number."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zoo
from rich.console import Console
from small_network import save_linear

from humanoid_rl_ros.cli.policy_compare import compare_policy, read_recording
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.resources import find_robot

Refuses = Callable[..., AbstractContextManager[None]]
JOINTS = ("arm", "hip", "knee", "ankle")
COUNT = 4


@pytest.fixture
def bundle(tmp_path: Path, bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]) -> Path:
    """The small bundle with a network of action = the first two numbers of its observation."""
    weights = np.zeros((17, 2))
    weights[0, 0] = weights[1, 1] = 1.0
    save_linear(tmp_path / "policy.onnx", weights)
    write_bundle(bundle_data)
    return tmp_path


def _recording() -> dict[str, Any]:
    """Upright, turning at (0.4, 0.8, 0) rad/s in joints of another order; by hand what the bundle makes of it."""
    gyro = np.tile([0.4, 0.8, 0.0], (COUNT, 1))
    position = np.tile([0.5, 0.9, 1.3, 0.7], (COUNT, 1))  # arm, hip, knee, ankle
    obs = np.zeros((COUNT, 17))
    obs[:, :3] = 0.25 * gyro
    obs[:, 5] = -1.0
    obs[:, 9:12] = [0.9, 1.0, 1.0]  # ankle 0.7 + 0.2, hip 0.9 + 0.1, knee 1.3 − 0.3
    obs[1:, 15:] = [0.1, 0.2]  # last action, knee then hip
    return {
        "joint_names": np.array(JOINTS),
        "q": position,
        "qd": np.zeros((COUNT, 4)),
        "quat_wxyz": np.tile([1.0, 0.0, 0.0, 0.0], (COUNT, 1)),
        "gyro": gyro,
        "cmd": np.zeros((COUNT, 3)),
        "obs": obs,
        "raw": np.tile([0.1, 0.2], (COUNT, 1)),
        "target": np.tile([0.3 + 0.05, -0.1 + 0.1], (COUNT, 1)),  # knee, hip
    }


def _compare(bundle: Path, recorded: dict[str, Any], robot: str = "", **options: Any) -> tuple[bool, str]:
    np.savez(bundle / "r.npz", **recorded)
    console = Console(record=True, width=200)
    same = compare_policy(str(bundle), bundle / "r.npz", robot, console, **options)
    return same, console.export_text()


def test_what_is_the_same_is_said_to_be(bundle: Path) -> None:
    same, text = _compare(bundle, _recording())
    assert same, text
    assert "the same to 1e-05" in text


def test_targets_may_be_of_all_joints_in_the_order_of_the_recording(bundle: Path) -> None:
    recorded = _recording()
    recorded["target"] = np.tile([0.0, 0.0, 0.35, -0.2], (COUNT, 1))  # arm held, hip, knee, ankle held
    assert _compare(bundle, recorded)[0]
    recorded["target"][2, 0] = 0.5
    same, text = _compare(bundle, recorded)
    assert not same
    assert "target[0] arm: recorded 0.5, here 0 at inference 2; differs from inference 2 on" in text


def test_a_wrong_scale_is_named_by_term_and_step(bundle: Path) -> None:
    text = (bundle / "policy.yaml").read_text()
    (bundle / "policy.yaml").write_text(text.replace("scale: 0.25", "scale: 0.2"))
    same, said = _compare(bundle, _recording(), json_file=bundle / "r.json")
    assert not same
    assert "obs[0] base_ang_vel[0]: recorded 0.1, here 0.08 at inference 0; differs from inference 0 on" in said
    data = json.loads((bundle / "r.json").read_text())
    assert data["same"] is False
    # Two rates, the action and the target that follow from each, and each as last action.
    assert [(d["what"], d["index"]) for d in data["differences"]] == [
        *[("obs", i) for i in (0, 1, 15, 16)],
        *[("raw", i) for i in (0, 1)],
        *[("target", i) for i in (0, 1)],
    ]


def test_a_robot_gives_the_joint_limits(bundle: Path, robot: RobotSpec) -> None:
    from humanoid_rl_ros.core.robot import dump_robot

    data = yaml.safe_load((bundle / "policy.yaml").read_text())
    data["action"]["target_limits"] = "joint_limits"
    (bundle / "policy.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    recorded = _recording()
    assert _compare(bundle, recorded)[0]
    narrow = dump_robot(robot).replace("limits: [-0.1, 2.0]", "limits: [-0.1, 0.32]")
    (bundle / "robot.yaml").write_text(narrow)
    same, text = _compare(bundle, recorded, str(bundle / "robot.yaml"))
    assert not same
    assert "target[0] knee: recorded 0.35, here 0.32" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.pop("gyro"), ["lacks 'gyro'", "quat_wxyz"]),
        (lambda r: [r.pop(name) for name in ("obs", "raw", "target")], ["none of obs, raw, target"]),
        (lambda r: r.update(q=np.zeros((COUNT, 3))), ["'q'", "(4, 3)", "(4, 4)"]),
        (lambda r: r.update(cmd=np.full((COUNT, 3), np.nan)), ["'cmd'", "finite"]),
        (lambda r: r.update(qd=np.array([["x"] * 4] * COUNT)), ["'qd'", "finite"]),
        (lambda r: r.update(obs=np.zeros((COUNT, 5))), ["'obs' has 5 numbers", "17"]),
        (lambda r: r.update(q=np.zeros((0, 4))), ["'q'"]),
    ],
)
def test_a_malformed_recording_is_refused(
    change: Callable[[dict[str, Any]], Any], words: list[str], bundle: Path, refuses: Refuses
) -> None:
    recorded = _recording()
    change(recorded)
    with refuses(ConfigError, *words):
        _compare(bundle, recorded)


def test_a_recording_that_is_a_pickle_is_not_read(tmp_path: Path, refuses: Refuses) -> None:
    victim = tmp_path / "run"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (victim,))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Malicious()))
    with refuses(ConfigError, "a.npz", "no .npz"):
        read_recording(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", q=np.array([Malicious()], dtype=object))
    with refuses(ConfigError, "b.npz", "cannot be read"):
        read_recording(tmp_path / "b.npz")
    assert not victim.exists()


def test_a_joint_that_was_not_recorded_is_named(bundle: Path, refuses: Refuses) -> None:
    recorded = _recording()
    recorded["joint_names"] = np.array(["arm", "hip", "knee", "toe"])
    with refuses(ContractError, "'ankle'"):
        _compare(bundle, recorded)


@zoo.needs_zoo
@pytest.mark.parametrize("name", ["holosoma_g1_ppo", "limx_oli_walk"])
def test_a_published_policy_is_what_its_own_code_recorded(name: str, tmp_path: Path) -> None:
    robot = zoo.model(name)
    zoo.write_bundle(name, tmp_path / name, find_robot(str(robot)).joint_names)
    console = Console(record=True, width=200)
    assert compare_policy(str(tmp_path / name), zoo.ZOO / "golden" / f"{name}.npz", str(robot), console)
