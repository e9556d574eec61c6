"""The benches of the safety monitor, each as short as it can be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from demo_runs import run_command

from humanoid_rl_ros.resources import share_folder

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")


@pytest.mark.slow
def test_the_safety_bench_counts_what_it_gave_and_what_came_of_it(tmp_path: Path) -> None:
    out = tmp_path / "safety.json"
    done = run_command("bench", "safety", "--count", 1000, "--hours", 0.005, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert result["inputs"] >= 1000
    assert result["broken"] == {}
    assert result["walked"] == pytest.approx(18.0, abs=0.01)
    assert result["pushes"] == 3
    assert result["trips"] == []


def test_the_falls_bench_says_which_falls_were_recovered(tmp_path: Path) -> None:
    out = tmp_path / "falls.json"
    done = run_command("bench", "falls", "--count", 2, "--json", out)
    assert done.returncode == 0, done.stdout + done.stderr
    falls = json.loads(out.read_text())
    assert [fall["direction"] for fall in falls] == [0.0, 45.0]
    assert all(fall["recovered"] and fall["walked_on"] and fall["tries"] == 1 for fall in falls)
    assert all(0.0 < fall["warning"] < 1.0 for fall in falls)


def test_the_falls_bench_names_what_is_missing(tmp_path: Path) -> None:
    robot = tmp_path / "robot.yaml"
    text = (share_folder() / "config" / "robots" / "reference.yaml").read_text()
    robot.write_text(text.replace("name: reference_humanoid", "name: somebody"))
    done = run_command("bench", "falls", "--robot", robot, "--count", 1)
    assert done.returncode == 2
    assert "nothing is shipped that gets robot 'somebody' up" in done.stderr


@pytest.mark.slow
@pytest.mark.ros
def test_the_faults_bench_injects_detects_names_and_survives(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    out = tmp_path / "faults.json"
    options = ["--only", "NaN in the IMU", "--trials", 3, "--state-trials", 1, "--json", out]
    done = run_command("bench", "faults", *options, timeout=300.0)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text())["faults"]
    assert {r["state"]: r["injected"] for r in results}["ACTIVE"] == 3
    assert len(results) == 8
    for r in results:
        assert r["injected"] == r["detected"] == r["named"] == r["survived"]
    reactions = next(r["reactions"] for r in results if r["state"] == "ACTIVE")
    assert len(reactions) == 3
    assert all(0.0 < seconds < 0.5 for seconds in reactions)


def test_a_fault_that_is_none_is_named() -> None:
    done = run_command("bench", "faults", "--only", "earthquake")
    assert done.returncode == 2
    assert "no fault has 'earthquake' in its name" in done.stderr
