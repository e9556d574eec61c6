"""What runs with Gazebo, worked out once from a robot and a policy. Nothing of ROS is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.description.folder import BRIDGE_FILE, URDF_FILE, WORLD_FILE, export_robot
from humanoid_rl_ros.description.gazebo_tags import CONTROLLERS_FILE
from humanoid_rl_ros.description.options import ExportOptions, sourced_distribution
from humanoid_rl_ros.description.ros2_control import EFFORT_CONTROLLER, HardwareWatch
from humanoid_rl_ros.nodes.graph import TRUE_VELOCITY, graph_parameters
from humanoid_rl_ros.resources import find_robot, safety_file
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.simulation.link_tree import link_tree

# Package to look for, and what to install for it, after ros-DISTRIBUTION-.
_NEEDED = (
    ("ros_gz_sim", "ros-gz"),
    ("ros_gz_bridge", "ros-gz"),
    ("gz_ros2_control", "gz-ros2-control"),
    ("robot_state_publisher", "robot-state-publisher"),
    ("controller_manager", "ros2-control"),
    ("joint_state_broadcaster", "ros2-controllers"),
)


@dataclass(frozen=True, eq=False)
class GazeboGraph:
    """What is started beside Gazebo, and with which files.

    Attributes:
        robot_name: of the model in Gazebo.
        folder: with `robot.urdf`, `world.sdf`, `controllers.yaml` and `bridge.yaml`.
        stand: where the root link is put [m; Shape (3,)].
        policy_node, safety_monitor: parameters of the nodes.
    """

    robot_name: str
    folder: Path
    stand: tuple[float, ...]
    policy_node: Mapping[str, Any]
    safety_monitor: Mapping[str, Any]

    def file(self, name: str) -> str:
        """A file of the folder."""
        return str(self.folder / name)


def gazebo_graph(
    robot: str,
    policy: str,
    scratch: Callable[[], Path],
    *,
    folder: str = "",
    namespace: str = "",
    real_time_factor: float = 1.0,
    **changes: Any,
) -> GazeboGraph:
    """The policy and the monitor for a robot in Gazebo, whose files are written where none are given.

    Args:
        robot: as `find_robot` takes it.
        policy: as `find_policy` takes it; empty: the one shipped for the robot.
        scratch: makes a folder that lives as long as the nodes.
        folder: with the files that `humanoid_rl robot export` wrote; empty: they are written now.
        namespace: of the robot's nodes and topics.
        real_time_factor: how fast Gazebo may run; of files that are written now.
        changes: further arguments of `graph_parameters`.

    Raises:
        HumanoidError: something is not there or does not fit, such as files of another rate.
    """
    graph = graph_parameters(robot, policy, **changes)
    if graph.policy_node["base_velocity_topic"] == TRUE_VELOCITY:
        raise ConfigError(
            f"policy '{graph.policy_node['policy']}' observes the velocity of the base, which Gazebo does not publish "
            "in the IMU's frame; name an estimator's odometry with base_velocity_topic"
        )
    spec = find_robot(robot)
    bridge = graph.simulation_bridge
    rate, pose = float(bridge["state_rate"]), np.array(bridge["initial_position"])
    if folder:
        files = Path(folder).expanduser().resolve()
        _check_folder(files, spec, rate, namespace.strip("/"))
        stand = link_tree(spec, pose=pose).stand
    else:
        limits = load_safety_limits(safety_file(str(graph.safety_monitor["limits"])))
        options = ExportOptions(
            scratch(),
            state_rate=rate,
            real_time_factor=real_time_factor,
            namespace=namespace.strip("/"),
            distribution=sourced_distribution(),
            fold_rotors=True,
        )
        written = export_robot(spec, options, HardwareWatch(limits.command_timeout, limits.damping_scale), pose)
        assert written.stand is not None  # it has a model, or there would have been an error
        files, stand = options.folder, written.stand
    return GazeboGraph(
        spec.name, files, tuple(float(p) for p in stand.position), graph.policy_node, graph.safety_monitor
    )


def require_packages(is_installed: Callable[[str], bool], distribution: str) -> None:
    """Look whether what Gazebo needs is installed.

    Args:
        is_installed: whether there is a ROS package of that name.
        distribution: of ROS.

    Raises:
        MissingDependencyError: something is missing; says what to install.
    """
    fortress = distribution == "humble"
    needed = [
        ("ign_ros2_control", "ign-ros2-control") if fortress and p == "gz_ros2_control" else (p, apt)
        for p, apt in _NEEDED
    ]
    missing = [(package, apt) for package, apt in needed if not is_installed(package)]
    if missing:
        names = ", ".join(package for package, _ in missing)
        packages = " ".join(dict.fromkeys(f"ros-{distribution}-{apt}" for _, apt in missing))
        raise MissingDependencyError(f"Gazebo needs {names}, not installed here; sudo apt install {packages}")


def _check_folder(folder: Path, robot: RobotSpec, rate: float, namespace: str) -> None:
    """The files are there, for this rate, robot and namespace."""
    for name in (URDF_FILE, WORLD_FILE, CONTROLLERS_FILE, BRIDGE_FILE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder / name}: no such file; write it: humanoid_rl robot export ROBOT -o {folder}")
    where = folder / CONTROLLERS_FILE
    prefix = f"/{namespace}/" if namespace else ""
    try:
        data = yaml.safe_load(where.read_text(encoding="utf-8"))
        manager = data[f"{prefix}controller_manager"]["ros__parameters"]
        joints = data[f"{prefix}{EFFORT_CONTROLLER}"]["ros__parameters"]["joints"]
        found = float(manager["update_rate"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{where}: no parameters of {prefix}controller_manager and {prefix}{EFFORT_CONTROLLER}; "
            f"was it written with --namespace '{namespace}'?"
        ) from None
    if found != rate:
        raise ConfigError(
            f"{where}: update_rate is {found:g} Hz, and the policy's PD law runs at {rate:g} Hz; "
            f"write the files with --state-rate {rate:g}"
        )
    if joints != list(robot.joint_names):
        raise ConfigError(f"{where}: the joints are not those of robot '{robot.name}' in its order")
