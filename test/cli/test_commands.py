"""The smaller commands, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.cli.observer import Recording
from humanoid_rl_ros.cli.processes import parameter_arguments
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.resources import find_policy, find_robot, model_folder, policy_names, robot_names

RUNNER = CliRunner()
REFERENCE = model_folder() / "reference_humanoid.xml"


def test_describe_writes_a_robot_that_loads(tmp_path: Path) -> None:
    file = tmp_path / "robot.yaml"
    done = RUNNER.invoke(app, ["robot", "describe", str(REFERENCE), "-o", str(file), "--name", "mine"])
    assert done.exit_code == 0, done.output
    robot = load_robot(file)
    assert (robot.name, robot.n_joints) == ("mine", 21)
    assert robot.model is not None
    assert robot.model.locate() == REFERENCE


def test_describe_without_a_file_prints_the_yaml() -> None:
    done = RUNNER.invoke(app, ["robot", "describe", str(REFERENCE)])
    assert done.exit_code == 0
    assert "joints:" in done.stdout
    assert "left_knee_joint:" in done.stdout


def test_check_stands_a_robot_on_the_floor() -> None:
    done = RUNNER.invoke(app, ["robot", "check", "reference"])
    assert done.exit_code == 0, done.output
    assert "21 joints" in done.stdout
    assert "stands at 0.67" in done.stdout


def test_export_writes_a_robot_that_can_be_described_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = RUNNER.invoke(app, ["robot", "export", "reference", "-o", str(folder), "--policy", "walk"])
    assert done.exit_code == 0, done.output
    assert "a joint state is 4 steps of 1.25 ms" in done.stdout
    assert "armature" in done.stderr
    again = RUNNER.invoke(app, ["robot", "describe", str(folder / "robot.urdf"), "-o", str(tmp_path / "again.yaml")])
    assert again.exit_code == 0, again.output
    assert load_robot(tmp_path / "again.yaml").joint_names == find_robot("reference").joint_names
    refused = RUNNER.invoke(app, ["robot", "export", "reference", "-o", str(folder)])
    assert "--overwrite" in str(refused.exception)


def test_policy_check_tells_fit_from_misfit() -> None:
    fit = RUNNER.invoke(app, ["policy", "check", "stand", "--robot", "reference", "--seconds", "3"])
    assert fit.exit_code == 0, fit.output
    assert "upright for 3 s" in fit.stdout
    misfit = RUNNER.invoke(app, ["policy", "check", "stand", "--robot", "g1"])
    assert misfit.exit_code == 1
    said = " ".join(misfit.stdout.split())
    assert "does not fit robot 'unitree_g1': robot joint 'waist_roll_joint' is neither" in said


def test_the_version_is_the_package_s() -> None:
    done = RUNNER.invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.startswith("humanoid_rl_ros ")


def test_everything_shipped_loads() -> None:
    assert {"reference", "g1"} <= set(robot_names())
    assert "stand" in policy_names()
    for name in robot_names():
        assert find_robot(name).n_joints > 0
    for name in policy_names():
        find_policy(name).load_network()


def test_parameters_keep_their_types_on_the_command_line() -> None:
    arguments = parameter_arguments({"a": True, "b": 2.0, "c": "1", "d": (0.5, 1.0), "e": 3, "f": "it's"})
    assert arguments[1::2] == ["a:=true", "b:=2.0", "c:='1'", "d:=[0.5, 1.0]", "e:=3", "f:='it''s'"]


def test_a_recording_is_cut_to_the_run() -> None:
    record = Recording()
    for time, wall in ((0.0, 1.0), (0.0, 5.0), (0.5, 6.0), (1.0, 7.0), (1.5, 8.0)):
        record.time.append(time)
        record.wall.append(wall)
        record.height.append(time)
        record.tilt.append(0.0)
        record.velocity.append(np.zeros(3))
    cut = record.between(0.0, 1.0)
    assert cut.time == [0.0, 0.5, 1.0]
    assert cut.wall == [5.0, 6.0, 7.0]


@pytest.mark.slow
@pytest.mark.ros
def test_the_latency_bench_reports_both_chains(tmp_path: Path) -> None:
    file = tmp_path / "latency.json"
    options = ["--rate", "100", "--seconds", "1", "--rounds", "1", "--json", str(file)]
    command = [sys.executable, "-m", "humanoid_rl_ros", "bench", "latency", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "policy + safety" in done.stdout
    echo, chain = json.loads(file.read_text())
    assert (echo["chain"], chain["chain"]) == ("echo", "policy + safety")
    for row in (echo, chain):
        assert row["joints"] == 29
        assert row["sent"] > 50
        assert len(row["latencies_us"]) + row["lost"] == row["sent"]
        found = row["latency_us"]
        assert 0.0 < found["p50"] <= found["p99"] <= found["p99.9"] <= found["max"]
    assert set(chain["cpu"]) == {"policy_node", "safety_monitor_node"}
    assert chain["ratio_to_echo"] > 0.0


def test_a_robot_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    model = str(model_folder() / "reference_humanoid.xml")
    out = tmp_path / "mine.yaml"
    out.write_text("edited by hand")
    refused = RUNNER.invoke(app, ["robot", "describe", model, "-o", str(out)])
    assert "--overwrite" in str(refused.exception)
    assert out.read_text() == "edited by hand"
    assert RUNNER.invoke(app, ["robot", "describe", model, "-o", str(out), "--overwrite"]).exit_code == 0
