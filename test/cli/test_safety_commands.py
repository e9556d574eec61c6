"""An operator's commands, to a monitor in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import Refuses
from ros_graph import FakeRobot, Graph
from tiny_policy import write_robot

from humanoid_rl_ros.cli import operator
from humanoid_rl_ros.cli.processes import node_environment
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import load_robot

pytestmark = pytest.mark.ros


def asked(graph: Graph, robot: FakeRobot, word: str) -> tuple[int, str]:
    """Exit status and output of a command, while the robot goes on measuring."""
    environment = node_environment() | {"ROS_DOMAIN_ID": str(graph.domain), "COLUMNS": "120"}
    command = [sys.executable, "-m", "humanoid_rl_ros.cli.main", "safety", word]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        graph.until(lambda: process.poll() is not None, f"the end of '{word}'", 40.0, pump=robot.stream)
        said, _ = process.communicate()
        return process.returncode, said
    finally:
        process.kill()


def test_the_gate_is_shown_arming_is_refused_with_what_is_missing_and_the_stop_stops(
    tmp_path: Path, graph: Graph
) -> None:
    file = write_robot(tmp_path)
    graph.process("safety_monitor_node", robot=file, autostart=True, command_type="joint_state")
    robot = FakeRobot(graph, load_robot(file))
    robot.velocity = np.zeros(2)  # it stands
    graph.until(lambda: robot.status, "the monitor", 20.0)
    missing = "no policy effort has arrived"
    expected = {**dict.fromkeys(("sensors", "upright", "joints", "graph", "start pose"), "ok"), "policy": missing}
    for _ in range(5):  # on a busy machine the robot may fall silent for a moment
        status, said = asked(graph, robot, "status")
        assert status == 1
        rows = dict([cell.strip() for cell in line.split("│")[1:3]] for line in said.splitlines() if "│" in line)
        if rows == expected and f"two: DISARMED: {missing}" in said:
            break
    assert rows == expected
    assert f"two: DISARMED: {missing}" in said
    refusal = (1, f"refused in DISARMED: {missing}\n")
    assert any(asked(graph, robot, "arm") == refusal for _ in range(5))
    assert asked(graph, robot, "stop") == (0, "emergency stop\n")
    graph.until(lambda: robot.state == "ESTOP", "ESTOP", pump=robot.stream)


def test_where_no_monitor_runs_it_says_where_it_looked(
    graph: Graph, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    monkeypatch.setattr(operator, "PATIENCE_S", 0.1)
    with refuses(HumanoidError, "/left/safety/arm", f"ROS_DOMAIN_ID={graph.domain}"), operator.Operator("left") as it:
        it.arm(True)
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_namespace_that_ros_has_not_is_refused_at_once(refuses: Refuses) -> None:
    with refuses(ConfigError, "'a b' is no ROS namespace"):
        operator.Operator("a b")
