"""The graph as launch actions: what the launch files share. This and `gazebo_launching` import launch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessIO
from launch.events import Shutdown
from launch.substitutions import EnvironmentVariable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.interfaces.discovery import LOCALHOST_ONLY, RANGE, discovery_additions
from humanoid_rl_ros.nodes.launch_arguments import LaunchArgument, recorder_parameters
from humanoid_rl_ros.nodes.teleoperation import teleop_nodes

PACKAGE = "humanoid_rl_ros"
RESPAWN_DELAY_S = 0.5
_SCRATCH: list[TemporaryDirectory[str]] = []
_COULD_NOT_START = re.compile(rb"cannot (start|configure|activate): ")


class NodeEndedError(HumanoidError):
    """A node ended without which the others are of no use."""


def declared(arguments: Sequence[LaunchArgument]) -> list[Any]:
    """The arguments as launch actions."""
    return [
        DeclareLaunchArgument(a.name, description=a.description, default_value=a.default, choices=a.choices or None)
        for a in arguments
    ]


def values(context: LaunchContext, arguments: Sequence[LaunchArgument]) -> dict[str, str]:
    """What the arguments are in this launch."""
    return {a.name: context.launch_configurations[a.name] for a in arguments}


def local_discovery() -> Any:
    """Keep discovery on this machine unless the user says otherwise: strangers must not reach the motors."""
    added = discovery_additions(os.environ)
    name = LOCALHOST_ONLY if LOCALHOST_ONLY in added else RANGE
    return SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=added.get(name, "LOCALHOST")))


def node_actions(
    name: str,
    executable: str,
    parameters: Mapping[str, Any],
    *,
    namespace: str,
    remappings: Sequence[tuple[str, str]],
    required: bool,
    respawn: bool = False,
    on_loss: str = "",
    last: bool = False,
    package: str = PACKAGE,
    prefix: str = "",
) -> list[Any]:
    """A node that ends the launch, with exit status 1, when it cannot start.

    Args:
        name, executable: of the node.
        parameters: of the node.
        namespace, remappings: as in `launch_ros.actions.Node`.
        required: whether its death at any time ends the launch.
        respawn: whether it is started again after its death.
        on_loss: what to tell the user when it dies and the launch goes on.
        last: whether its end without a failure ends the launch, and that is no failure.
        package: of the executable.
        prefix: command before the executable's, such as a terminal.

    Returns:
        The process and what watches over it.
    """
    # A death on the way and a refusal to start may have the same status; the line in the log tells them apart. Output
    # and exit may be seen in either order.
    seen = {"refused": False, "status": 0}

    def judge() -> None:
        if seen["refused"] and seen["status"] == 1:
            raise NodeEndedError(f"{name} could not start: its last line says why")

    def on_output(event: Any) -> None:
        if _COULD_NOT_START.search(event.text):
            seen["refused"] = True
            judge()

    def on_exit(event: Any, context: LaunchContext) -> list[Any]:
        if context.is_shutdown:
            return []
        seen["status"] = event.returncode
        judge()
        if last and event.returncode == 0:
            text = f"{name} has finished"
            return [LogInfo(msg=text), EmitEvent(event=Shutdown(reason=text))]
        if required:
            raise NodeEndedError(f"{name} ended with status {event.returncode}")
        return [LogInfo(msg=f"{name} ended with status {event.returncode}: {on_loss}")]

    node = Node(
        package=package,
        executable=executable,
        prefix=prefix or None,
        name=name,
        namespace=namespace,
        parameters=[{key: _typed(value) for key, value in parameters.items()}],
        remappings=list(remappings),
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=on_exit,
    )
    return [RegisterEventHandler(OnProcessIO(target_action=node, on_stdout=on_output, on_stderr=on_output)), node]


def scratch_folder() -> Path:
    """A folder for files that are of use while the launch lives."""
    folder = TemporaryDirectory(prefix=f"{PACKAGE}_")
    _SCRATCH.append(folder)  # removed when the interpreter ends
    return Path(folder.name)


def recorder(record: str, namespace: str, topics: Sequence[str] = ()) -> list[Any]:
    """The node that records, if any; the launch goes on without it.

    Args:
        record: the launch argument.
        namespace: of the nodes.
        topics: beside those of the table.

    Raises:
        MissingDependencyError: the libraries that write bags are not installed.
    """
    parameters = recorder_parameters(record)
    if parameters is None:
        return []
    return node_actions(
        "recorder",
        "recorder_node",
        {**parameters, **({"topics": list(topics)} if topics else {})},
        namespace=namespace,
        remappings=(),
        required=False,
        on_loss="nothing is recorded any more",
    )


def teleoperation(given: Mapping[str, str], policy: str = "") -> list[Any]:
    """The nodes that make a joystick or a keyboard steer; the launch goes on without them.

    Args:
        given: the launch arguments ``teleop``, ``cmd_vel_type``, ``namespace``, ``teleop_config``, ``teleop_terminal``,
            and ``command`` where there is one.
        policy: the bundle whose command range is full speed; empty: a careful one.

    Raises:
        HumanoidError: something that it needs is not there, or the command is fixed.
    """
    if given["teleop"] != "none" and given.get("navigation"):
        raise ConfigError(f"teleop:={given['teleop']} and navigation:={given['navigation']} would both steer")
    if given["teleop"] != "none" and given.get("command"):
        raise ConfigError(f"teleop:={given['teleop']} steers by cmd_vel, which command:='{given['command']}' overrules")
    nodes = teleop_nodes(
        given["teleop"],
        policy=policy,
        cmd_vel_type=given["cmd_vel_type"],
        config=given["teleop_config"],
        terminal=given["teleop_terminal"],
        namespace=given["namespace"],
        found=is_installed,
    )
    actions: list[Any] = []
    for node in nodes:
        actions += node_actions(
            node.name,
            node.executable,
            node.parameters,
            namespace=given["namespace"],
            remappings=(),
            required=False,
            on_loss=node.on_loss,
            package=node.package,
            prefix=node.prefix,
        )
    return actions


def navigator(
    parameters: Mapping[str, Any], *, namespace: str, remappings: Sequence[tuple[str, str]] = ()
) -> list[Any]:
    """The node that steers the robot over a floor, if any; the launch goes on without it.

    Args:
        parameters: of the node; empty for none.
        namespace, remappings: as in `node_actions`.
    """
    if not parameters:
        return []
    return node_actions(
        "navigator",
        "navigator_node",
        parameters,
        namespace=namespace,
        remappings=remappings,
        required=False,
        on_loss="the policy stands still 0.5 s after the last command",
    )


def is_installed(package: str) -> bool:
    """Whether there is a ROS package of this name."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def _typed(value: Any) -> Any:
    """Texts stay texts: launch_ros would read 'true' or '1' as YAML."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
