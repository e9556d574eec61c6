"""gazebo.launch.py where Gazebo is not installed: what it would start, with packages that are there in name only."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import MissingDependencyError
from humanoid_rl_ros.nodes.launch_arguments import GAZEBO_ARGUMENTS
from humanoid_rl_ros.resources import share_folder

pytest.importorskip("launch_ros", reason="launch_ros is not installed; it comes with ROS, not with the wheels")

from launch import LaunchContext
from launch.actions import IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
from launch.events.process import ProcessStderr
from launch.substitutions import TextSubstitution
from launch_ros.actions import Node

pytestmark = pytest.mark.ros
PACKAGES = (
    "ros_gz_sim",
    "ros_gz_bridge",
    "gz_ros2_control",
    "robot_state_publisher",
    "controller_manager",
    "joint_state_broadcaster",
)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that holds the names of the packages, and a launch file that starts nothing."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    for name in PACKAGES:
        (index / name).touch()
    file = tmp_path / "share/ros_gz_sim/launch/gz_sim.launch.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "from launch import LaunchDescription\ndef generate_launch_description():\n    return LaunchDescription([])\n"
    )
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    return index


def started(**given: str) -> tuple[list[Any], LaunchContext]:
    context = LaunchContext()
    context.launch_configurations.update({a.name: a.default for a in GAZEBO_ARGUMENTS if a.default is not None})
    context.launch_configurations.update(given)
    file = share_folder() / "launch" / "gazebo.launch.py"
    description = runpy.run_path(str(file))["generate_launch_description"]()
    (start,) = (entity for entity in description.entities if isinstance(entity, OpaqueFunction))
    return start.execute(context), context


def nodes(actions: list[Any]) -> dict[str, Node]:
    return {action.node_executable: action for action in actions if isinstance(action, Node)}


def words(node: Node) -> list[str]:
    """The arguments of a node that are plain text."""
    return [part.text for parts in node.cmd[1:] for part in parts if isinstance(part, TextSubstitution)]


def test_gazebo_gets_world_and_robot_and_ros_the_bridge(packages: Path) -> None:
    actions, _ = started(gui="false")
    (gazebo,) = (action for action in actions if isinstance(action, IncludeLaunchDescription))
    (gz_args,) = (value for name, value in gazebo.launch_arguments if name == "gz_args")
    assert gz_args.startswith("-r -s")
    assert Path(gz_args.split()[-1]).read_text().startswith("<?xml")
    found = nodes(actions)
    assert set(found) == {
        "robot_state_publisher",
        "create",
        "parameter_bridge",
        "spawner",
        "safety_monitor_node",
        "policy_node",
    }
    place = words(found["create"])
    assert Path(place[place.index("-file") + 1]).name == "robot.urdf"
    assert float(place[place.index("-z") + 1]) == pytest.approx(0.675, abs=0.01)  # as the reference humanoid stands
    assert "/world/humanoid/control@ros_gz_interfaces/srv/ControlWorld" in words(found["parameter_bridge"])


def test_no_effort_passes_before_the_monitor_is_active(packages: Path) -> None:
    actions, context = started(namespace="a/b")
    assert "joint_state_broadcaster" in words(nodes(actions)["spawner"])
    monitor = nodes(actions)["safety_monitor_node"]
    handlers = [a.event_handler for a in actions if isinstance(a, RegisterEventHandler)]

    def said(text: bytes) -> list[Node]:
        event = ProcessStderr(text=text, action=monitor, name="monitor", cmd=["monitor"], cwd=None, env=None, pid=1)
        answers = [handler.handle(event, context) for handler in handlers if handler.matches(event)]
        return [node for answer in answers for node in answer or [] if isinstance(node, Node)]

    assert said(b"[INFO] [1.0] [a.b.safety_monitor]: READY\n") == []
    (spawner,) = said(b"[INFO] [1.0] [a.b.safety_monitor]: ACTIVE\n")
    assert "joint_effort_controller" in words(spawner)
    assert "/a/b/controller_manager" in words(spawner)
    assert said(b"[INFO] [2.0] [a.b.safety_monitor]: ACTIVE\n") == []


def test_for_an_environment_efforts_pass_at_once_and_nobody_else_commands(packages: Path) -> None:
    actions, _ = started(train="true")
    executables = [action.node_executable for action in actions if isinstance(action, Node)]
    assert "policy_node" not in executables
    assert "safety_monitor_node" not in executables
    spawned = [word for a in actions if isinstance(a, Node) and a.node_executable == "spawner" for word in words(a)]
    assert {"joint_state_broadcaster", "joint_effort_controller"} <= set(spawned)


def test_what_is_missing_is_named_with_what_to_install(packages: Path, refuses: Refuses) -> None:
    (packages / "ros_gz_bridge").unlink()
    (packages / "gz_ros2_control").unlink()
    with refuses(
        MissingDependencyError,
        "needs ros_gz_bridge, gz_ros2_control",
        "sudo apt install ros-jazzy-ros-gz ros-jazzy-gz-ros2-control",
    ):
        started()
