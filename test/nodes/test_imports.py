"""What a robot's own computer need not have is not imported there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from humanoid_rl_ros.cli.processes import node_environment

pytest.importorskip("rclpy")

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("node", ["policy_node", "safety_monitor_node", "navigator_node"])
def test_a_node_of_the_robot_needs_neither_simulator_nor_trainer(node: str) -> None:
    code = (
        f"import sys, humanoid_rl_ros.nodes.{node}; "
        "print(sorted({'mujoco', 'torch', 'gymnasium', 'matplotlib', 'rich', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=node_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_safety_monitor_needs_no_network_runtime() -> None:
    code = "import sys, humanoid_rl_ros.nodes.safety_monitor_node; print('onnxruntime' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=node_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "False", done.stdout + done.stderr
