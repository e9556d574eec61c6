"""The <ros2_control> block of a URDF, and the parameters of the controllers that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import yaml

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.description.options import IMU_SENSOR, ExportOptions
from humanoid_rl_ros.description.xml_text import child
from humanoid_rl_ros.interfaces.topics import IMU, JOINT_COMMAND
from humanoid_rl_ros.simulation.links import LinkTree

JOINT_STATES_CONTROLLER = "joint_state_broadcaster"
IMU_CONTROLLER = "imu_sensor_broadcaster"
EFFORT_CONTROLLER, _ = JOINT_COMMAND.name.split("/")
"""The controller is named after the topic: it listens on its own `commands`."""
_IMU_INTERFACES = (
    *(f"orientation.{a}" for a in "xyzw"),
    *(f"angular_velocity.{a}" for a in "xyz"),
    *(f"linear_acceleration.{a}" for a in "xyz"),
)
_JOINT_INTERFACES = ("position", "velocity", "effort")


@dataclass(frozen=True)
class HardwareWatch:
    """What the hardware component of a real robot is told about commands that stop.

    Attributes:
        command_timeout: how long the commands may stay the same to the last bit [s].
        damping_scale: it then damps with this times kd of each joint.
    """

    command_timeout: float
    damping_scale: float


def add_ros2_control(
    root: Element, tree: LinkTree, options: ExportOptions, watch: HardwareWatch, pose: FloatArray
) -> None:
    """Add the block: effort commands in, position, velocity and effort out, and the IMU.

    Args:
        root: of the URDF.
        tree: the robot.
        options: Gazebo's plugin or a robot's own.
        watch: of a robot's own plugin.
        pose: in which Gazebo puts the robot [rad; Shape (n,)].
    """
    robot = tree.robot
    block = child(root, "ros2_control", name=robot.name, type="system")
    hardware = child(block, "hardware")
    child(hardware, "plugin", options.hardware or _gazebo_plugin(options))
    if options.hardware:
        child(hardware, "param", watch.command_timeout, name="command_timeout")
    for spec, position in zip(robot.joints, pose, strict=True):
        joint = child(block, "joint", name=spec.name)
        if options.hardware:
            child(joint, "param", watch.damping_scale * spec.kd, name="damping")
        command = child(joint, "command_interface", name="effort")
        child(command, "param", -spec.effort_limit, name="min")
        child(command, "param", spec.effort_limit, name="max")
        _add_states(joint, None if options.hardware else float(position))
    for name in passive_joints(tree):
        _add_states(child(block, "joint", name=name), None)
    sensor = child(block, "sensor", name=IMU_SENSOR)
    for name in _IMU_INTERFACES:
        child(sensor, "state_interface", name=name)


def passive_joints(tree: LinkTree) -> list[str]:
    """Joints of the model that the robot reports and that nothing drives."""
    known = {joint.name for joint in tree.joints if joint.spec is not None}
    return [name for name in tree.robot.ignored_joints if name in known]


def _add_states(joint: Element, initial: float | None) -> None:
    for name in _JOINT_INTERFACES:
        state = child(joint, "state_interface", name=name)
        if name == "position" and initial is not None:
            child(state, "param", initial, name="initial_value")


def _gazebo_plugin(options: ExportOptions) -> str:
    return "ign_ros2_control/IgnitionSystem" if options.fortress else "gz_ros2_control/GazeboSimSystem"


def controllers_text(robot: RobotSpec, options: ExportOptions, passive: Sequence[str] = ()) -> str:
    """The parameter file of controller manager and controllers, for Gazebo and for a robot alike.

    Args:
        robot: its joints and IMU.
        options: rate, namespace, distribution.
        passive: joints that are reported besides those of the robot.
    """
    joints = list(robot.joint_names)
    manager = {
        "update_rate": int(options.state_rate),
        "enforce_command_limits": True,
        JOINT_STATES_CONTROLLER: {"type": "joint_state_broadcaster/JointStateBroadcaster"},
        IMU_CONTROLLER: {
            "type": "imu_sensor_broadcaster/IMUSensorBroadcaster",
            "node_options_args": ["--ros-args", "--remap", f"~/imu:={IMU.name}"],
        },
        EFFORT_CONTROLLER: {"type": effort_controller(options.distribution)},
    }
    nodes: dict[str, dict[str, Any]] = {
        "controller_manager": manager,
        JOINT_STATES_CONTROLLER: {"joints": [*joints, *passive], "interfaces": list(_JOINT_INTERFACES)},
        IMU_CONTROLLER: {"sensor_name": IMU_SENSOR, "frame_id": robot.imu.frame},
        EFFORT_CONTROLLER: {"joints": joints, "interface_name": "effort"},
    }
    head = (
        f"# Written by `humanoid_rl robot export` for robot '{robot.name}'.\n"
        "# enforce_command_limits (from Jazzy on): effort, speed and stops of the URDF, below the safety monitor.\n"
        f"# {EFFORT_CONTROLLER} holds its last command for ever: the hardware component must have a time-out.\n"
    )
    body = {options.node(name): {"ros__parameters": parameters} for name, parameters in nodes.items()}
    return head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)


def effort_controller(distribution: str) -> str:
    """The plugin that passes efforts on: the one that lets go of the joints when it is stopped, while there is one."""
    if distribution in ("humble", "jazzy", "kilted"):
        return "effort_controllers/JointGroupEffortController"
    return "forward_command_controller/ForwardCommandController"
