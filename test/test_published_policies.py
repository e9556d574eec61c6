"""Policies that other labs published walk through the real graph: three processes, DDS, lock-step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zoo
from demo_runs import demo_result

from humanoid_rl_ros.core.errors import ContractError
from humanoid_rl_ros.nodes.graph import robot_parameters
from humanoid_rl_ros.resources import find_robot

pytestmark = [pytest.mark.ros, zoo.needs_zoo]

SECONDS = 20.0


def _demo(name: str, folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    robot = zoo.model(name)
    bundle = zoo.write_bundle(name, folder / name, find_robot(str(robot)).joint_names)
    options = ["--robot", robot, "--policy", bundle, "--command", 0.5, 0, 0, "--seconds", seconds]
    return demo_result(folder, *options, timeout=300)


def _check(result: dict[str, Any]) -> None:
    assert not result["fell"]
    assert result["stood"]
    assert result["seconds"] == pytest.approx(SECONDS)
    assert result["mean_speed"] >= 0.35
    assert result["max_tilt_deg"] < 15.0
    assert result["clamped_fraction"] == 0.0
    assert result["safety_state"] == "ACTIVE"
    assert result["faults"] == 0
    assert result["mode"] == "lockstep"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["holosoma_g1_ppo"])
def test_a_published_policy_walks(name: str, tmp_path: Path) -> None:
    _check(_demo(name, tmp_path))


@pytest.mark.slow
def test_a_policy_that_needs_what_no_sensor_gives_walks_by_the_truth_of_the_simulation(tmp_path: Path) -> None:
    result = _demo("playground_t1", tmp_path, 4.0)
    assert result["stood"]
    assert result["mean_speed"] > 0.25


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "holosoma_g1_fastsac",
        "unitree_rl_lab_g1",
        "asap_dec_loco_g1",
        "legged_ros2_g1",
        "limx_oli_walk",
        "playground_t1",
        "unitree_rl_mjlab_g1",
    ],
)
def test_the_rest_of_the_gallery_walks(name: str, tmp_path: Path) -> None:
    _check(_demo(name, tmp_path))


def test_a_policy_that_needs_what_no_sensor_gives_is_refused_on_a_robot(tmp_path: Path, refuses: Any) -> None:
    robot = zoo.model("playground_t1")
    bundle = zoo.write_bundle("playground_t1", tmp_path / "t1", find_robot(str(robot)).joint_names)
    with refuses(ContractError, "base_lin_vel", "ground truth", "simulated"):
        robot_parameters(str(robot), str(bundle))
    with refuses(ContractError, "base_lin_vel", "ground truth", "base_velocity: estimator"):
        robot_parameters(str(robot), str(bundle), base_velocity_topic="odometry/filtered")
