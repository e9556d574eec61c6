"""`humanoid_rl bag play` as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mcap")
pytest.importorskip("rosbags")

from demo_runs import run_command
from played_bags import Swaying

from humanoid_rl_ros.cli.processes import domains_to_take, node_environment
from humanoid_rl_ros.core.robot import RobotSpec

pytestmark = pytest.mark.ros


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domains_to_take()[0]))


def test_the_summary_says_what_was_played_and_how_late(tmp_path: Path, robot: RobotSpec) -> None:
    bag = Swaying(robot).bag(tmp_path / "bag", 2.0)
    words = ("--rate", 4, "--start", 0.5, "--seconds", 1, "--wait", 0, "--json", "result.json")
    done = run_command("bag", "play", bag, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not played: /joint_effort_controller/commands, /policy/joint_effort" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result["counts"]) == {"/clock", "/imu/data", "/joint_states"}
    assert result["counts"]["/joint_states"] == pytest.approx(200, abs=2)
    assert result["bag_seconds"] == pytest.approx(1.0, abs=0.01)
    assert 0.25 <= result["seconds"] < 1.0
    assert set(result["late_ms"]) == {"p50", "p99", "max"}
    assert (result["ended"], result["rounds"], result["failure"]) == ("end", 1, None)


def test_ctrl_c_ends_a_loop_with_a_summary(tmp_path: Path, robot: RobotSpec) -> None:
    bag = Swaying(robot).bag(tmp_path / "bag", 0.2)
    command = [sys.executable, "-m", "humanoid_rl_ros", "bag", "play", str(bag), "--loop", "--wait", "0"]
    with subprocess.Popen(
        command, env=node_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("not played")
            time.sleep(2.5)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=10.0)
        finally:
            process.kill()
    assert process.returncode == 0, output
    assert output.rstrip().endswith("interrupted")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--topic", "/joint_effort_controller/commands"], "--with-actuators"),
        (["--start", "9"], "nothing to play from 9 s on"),
        (["--namespace", "b"], "no robot in namespace 'b'"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    words: list[str], expected: str, tmp_path: Path, robot: RobotSpec
) -> None:
    done = run_command("bag", "play", Swaying(robot).bag(tmp_path / "bag", 0.2), *words, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
