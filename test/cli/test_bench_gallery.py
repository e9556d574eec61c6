"""A folder of bundles walks one after the other; the policy node is timed from message to effort."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.resources import robot_of, share_folder

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros
POLICIES = share_folder() / "config" / "policies"


@pytest.mark.slow
def test_every_bundle_of_a_folder_walks_and_what_cannot_takes_no_other_along(tmp_path: Path) -> None:
    for name in ("stand", "walk"):
        shutil.copytree(POLICIES / name, tmp_path / "gallery" / name)
    (tmp_path / "gallery" / "stand" / "policy.onnx").write_bytes(b"no network")
    (tmp_path / "gallery" / "notes").mkdir()
    arguments = [tmp_path / "gallery", "--seconds", 3, "--json", tmp_path / "r.json", "--pictures", tmp_path / "p"]
    done = CliRunner().invoke(app, ["bench", "gallery", *map(str, arguments)])
    assert done.exit_code == 1  # one of them did not stand
    results: list[dict[str, Any]] = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [result["bundle"] for result in results] == ["stand", "walk"]
    assert "policy.onnx" in results[0]["error"]
    assert results[1]["stood"]
    assert results[1]["seconds_upright"] == pytest.approx(3.0)
    assert results[1]["mean_speed"] > 0.2
    assert 0.0 <= results[1]["effort_at_limit"] < 0.5
    assert 0.0 < results[1]["inference_ms"]["p50"] <= results[1]["inference_ms"]["p99"]
    assert (tmp_path / "p" / "walk.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_bundles_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "gallery", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "no bundle in it" in str(done.exception)


def test_a_policy_s_robot_is_the_file_beside_it_or_the_shipped_one_it_names(
    tmp_path: Path, bundle_data: dict[str, Any], write_bundle: Any, refuses: Any
) -> None:
    from humanoid_rl_ros.policies.bundle_file import load_bundle

    assert robot_of(load_bundle(POLICIES / "walk")) == "reference"
    assert robot_of(load_bundle(POLICIES / "walk_g1")) == "g1"
    walk = load_bundle(POLICIES / "walk")
    assert robot_of(replace(walk, robot="somebody_s")) == "reference"  # by its joints
    stranger = load_bundle(write_bundle(bundle_data))
    with refuses(ConfigError, "'biped'", "not shipped", "--robot", "robot.yaml"):
        robot_of(stranger)
    del bundle_data["robot"]
    with refuses(ConfigError, "says no robot"):
        robot_of(load_bundle(write_bundle(bundle_data)))
    (tmp_path / "robot.yaml").write_text("")
    assert robot_of(stranger) == str(tmp_path / "robot.yaml")


def test_the_policy_node_is_timed_with_an_inference_for_every_state(tmp_path: Path) -> None:
    arguments = ["--inferences", 100, "--rounds", 1, "--json", tmp_path / "r.json"]
    command = [sys.executable, "-m", "humanoid_rl_ros", "bench", "tick", "walk", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "r.json").read_text())
    assert (result["policy"], result["observation"], result["joints"]) == ("reference_humanoid_walk", 52, 13)
    assert result["inferences"] == 100
    assert 0.0 < result["p50"] <= result["p99"] <= result["max"]
