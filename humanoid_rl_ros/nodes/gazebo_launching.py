"""Gazebo, ros2_control and the bridge between them and ROS, as launch actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from humanoid_rl_ros.description.bridge_file import control_argument
from humanoid_rl_ros.description.folder import BRIDGE_FILE, URDF_FILE, WORLD_FILE
from humanoid_rl_ros.description.options import WORLD
from humanoid_rl_ros.description.ros2_control import EFFORT_CONTROLLER, JOINT_STATES_CONTROLLER
from humanoid_rl_ros.nodes.gazebo_graph import GazeboGraph
from humanoid_rl_ros.nodes.launching import NodeEndedError

MANAGER_TIMEOUT_S = 120
"""For Gazebo to start, which takes its time the first time."""


def gazebo_actions(graph: GazeboGraph, namespace: str, *, gui: bool) -> list[Any]:
    """Gazebo with the robot in it, its joint states, its IMU and the clock; no effort reaches it yet.

    The launch ends with Gazebo.
    """
    flags = "-r -v 2" if gui else "-r -s -v 2"
    source = Path(get_package_share_directory("ros_gz_sim")) / "launch" / "gz_sim.launch.py"
    arguments = {"gz_args": f"{flags} {graph.file(WORLD_FILE)}", "on_exit_shutdown": "true"}
    x, y, z = (str(value) for value in graph.stand)
    description = Path(graph.file(URDF_FILE)).read_text(encoding="utf-8")
    place = ["-world", WORLD, "-file", graph.file(URDF_FILE), "-name", graph.robot_name, "-x", x, "-y", y, "-z", z]
    return [
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(source)), launch_arguments=arguments.items()),
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=namespace,
            parameters=[{"robot_description": ParameterValue(description, value_type=str), "use_sim_time": True}],
            remappings=[("/tf", "tf"), ("/tf_static", "tf_static")],
            output="screen",
        ),
        Node(
            package="ros_gz_sim",
            executable="create",
            arguments=place,
            output="screen",
            on_exit=_must_succeed("putting the robot into Gazebo"),
        ),
        Node(
            package="ros_gz_bridge",
            executable="parameter_bridge",
            name="gazebo_bridge",
            namespace=namespace,
            arguments=[control_argument()],
            parameters=[{"config_file": graph.file(BRIDGE_FILE), "use_sim_time": True}],
            output="screen",
        ),
        _spawner(JOINT_STATES_CONTROLLER, namespace),
    ]


def effort_when_active(monitor: Any, namespace: str) -> Any:
    """Let efforts reach the robot once the safety monitor is ACTIVE.

    Until then Gazebo holds its joints where they are; without an effort controller that gets efforts it would fall.

    Args:
        monitor: the action that starts the safety monitor.
        namespace: of its nodes.
    """
    done: list[bool] = []

    def on_output(event: Any) -> list[Any]:
        if done or b"]: ACTIVE" not in event.text:
            return []
        done.append(True)
        return [_spawner(EFFORT_CONTROLLER, namespace)]

    return RegisterEventHandler(OnProcessIO(target_action=monitor, on_stdout=on_output, on_stderr=on_output))


def effort_at_once(namespace: str) -> Any:
    """Let efforts reach the robot without a monitor: of an environment that learns."""
    return _spawner(EFFORT_CONTROLLER, namespace)


def _spawner(controller: str, namespace: str) -> Any:
    manager = f"/{namespace.strip('/')}/controller_manager" if namespace.strip("/") else "/controller_manager"
    timeout = ["--controller-manager-timeout", str(MANAGER_TIMEOUT_S)]
    return Node(
        package="controller_manager",
        executable="spawner",
        arguments=[controller, "--controller-manager", manager, *timeout],
        output="screen",
        on_exit=_must_succeed(f"starting {controller}"),
    )


def _must_succeed(what: str) -> Any:
    """What ends the launch where a step fails without which the rest is of no use."""

    def on_exit(event: Any, context: LaunchContext) -> None:
        if event.returncode != 0 and not context.is_shutdown:
            raise NodeEndedError(f"{what} failed with status {event.returncode}: its last lines say why")

    return on_exit
