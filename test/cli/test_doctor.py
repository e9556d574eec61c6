"""`humanoid_rl doctor`, as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tiny_policy import write_robot

from humanoid_rl_ros.cli.processes import node_environment
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.interfaces import topics


def start(folder: Path, *arguments: str, before: str = "", **variables: str) -> subprocess.Popen[str]:
    """The command in a process of its own, which writes ``found.json``."""
    code = f"{before}\nfrom humanoid_rl_ros.cli.main import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "doctor", "--json", str(folder / "found.json"), *arguments],
        env=node_environment() | {"COLUMNS": "200"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def findings(folder: Path) -> dict[str, dict[str, Any]]:
    listed = json.loads((folder / "found.json").read_text())["findings"]
    assert all(f["todo"] for f in listed if f["level"] in ("warning", "error"))
    return {f["name"]: f for f in listed}


def test_without_ros_the_machine_is_looked_at(tmp_path: Path) -> None:
    done = start(tmp_path, "--robot", "reference", before="import sys; sys.modules['rclpy'] = None")
    output, _ = done.communicate(timeout=120)
    found = findings(tmp_path)
    assert found["ros.rclpy"]["level"] == "warning"
    assert found["graph"]["level"] == "note"
    assert found["machine.cores"]["found"]
    assert found["robot.file"]["level"] == "ok"
    assert done.returncode == (1 if any(f["level"] == "error" for f in found.values()) else 0), output


def test_the_first_error_is_said_last_and_is_the_exit_status(tmp_path: Path) -> None:
    done = start(tmp_path, "--robot", "nobody", ROS_DOMAIN_ID="x")
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 1
    assert output.strip().splitlines()[-1].startswith("network.domain: ROS_DOMAIN_ID is 'x': set a number")
    assert findings(tmp_path)["robot.file"]["level"] == "error"
    assert findings(tmp_path)["graph"]["level"] == "note"


@pytest.mark.ros
def test_a_graph_in_disorder_is_told_by_name(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from rclpy._rclpy_pybind11 import NodeNameNonExistentError
    from rclpy.qos import QoSProfile
    from ros_graph import FakeRobot, open_graph
    from std_msgs.msg import String

    from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode

    file = write_robot(tmp_path)
    with open_graph(tmp_path) as graph:
        graph.active(SafetyMonitorNode, robot=str(file))
        robot = FakeRobot(graph, load_robot(file), stamped=False)
        stranger = graph.stranger()
        stranger.create_publisher(String, topics.JOINT_COMMAND.name, 1)
        # It speaks best effort where the monitor, as the table says, listens for reliable efforts.
        stranger.create_publisher(
            topics.POLICY_EFFORT.type, topics.POLICY_EFFORT.name, QoSProfile(depth=1, reliability=2)
        )
        robot.heard_by(1)
        doctor = start(tmp_path, "--robot", str(file), "--seconds", "3", ROS_DOMAIN_ID=str(graph.domain))

        said: set[str] = set()

        def ended() -> bool:
            if "humanoid_rl_doctor" in graph.tester.get_node_names():
                with suppress(NodeNameNonExistentError):  # it has gone meanwhile
                    listed = graph.tester.get_publisher_names_and_types_by_node("humanoid_rl_doctor", "/")
                    said.update(name for name, _ in listed)
            return doctor.poll() is not None

        # A joint more than the robot has, and an IMU that says w x y z in the order of x y z w.
        def pump() -> None:
            stamp = graph.tester.get_clock().now().nanoseconds
            states = robot.joint_state(stamp, name=["hip", "knee", "tail"], position=[0.1] * 3, velocity=[0.1] * 3)
            imu = robot.imu(stamp)
            imu.orientation.x, imu.orientation.w = 1.0, 0.0
            imu.linear_acceleration.z = 9.81
            robot.send(states, imu)

        graph.until(ended, "the doctor", 120.0, pump)
    output = doctor.communicate()[0]
    assert said == {"/parameter_events"}
    found = findings(tmp_path)
    assert doctor.returncode == 1, output
    levels = {name.removeprefix("graph."): f["level"] for name, f in found.items() if f["level"] != "ok"}
    for name, level in {
        "joint_effort_controller.commands.publishers": "error",
        "joint_effort_controller.commands.type": "error",
        "policy.joint_effort.qos": "error",
        "joint_states.joints": "error",
        "imu.data.orientation": "error",
        "safety": "warning",
    }.items():
        assert levels.get(name) == level, output
    assert "/safety_monitor, /stranger" in found["graph.joint_effort_controller.commands.publishers"]["found"]
    deaf = "/safety_monitor does not hear /stranger: best effort publisher and reliable subscription"
    assert deaf in found["graph.policy.joint_effort.qos"]["found"]
    assert found["graph.joint_states.joints"]["found"] == "not of robot 'two': tail"
    assert found["graph.lifecycle.safety_monitor"]["found"] == "active"
    assert found["graph.joint_states.publishers"]["found"] == "/tester"
