"""The arguments of the launch files, and their texts made into values. Nothing of launch is imported."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.nodes.choices import CMD_VEL_TYPES, COMMAND_TYPES, MODES, TELEOPERATIONS


@dataclass(frozen=True)
class LaunchArgument:
    """One argument.

    Attributes:
        name: as in ``name:=value``.
        description: shown by ``ros2 launch --show-args``.
        default: its text when it is not given; None: it must be given.
        choices: texts allowed; empty for any.
    """

    name: str
    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()


_ROBOT_TEXT = "Robot: name of a shipped robot, a robot YAML, or a model file (MJCF, URDF)."
_POLICY_TEXT = "Policy bundle: a folder with policy.yaml, or the name of a shipped bundle."
_CMD_VEL_TYPE = LaunchArgument("cmd_vel_type", "Message type of cmd_vel.", CMD_VEL_TYPES[0], CMD_VEL_TYPES)
_TELEOP_FILES = (
    LaunchArgument("teleop_config", "Parameters of the joystick's nodes, a YAML; empty for the shipped one.", ""),
    LaunchArgument("teleop_terminal", "Command that opens a terminal for the keyboard.", "xterm -e"),
)
_SHARED = (
    LaunchArgument(
        "policies", "Further bundles, apart by spaces, each with a service policy/switch_to/NAME; empty for none.", ""
    ),
    _CMD_VEL_TYPE,
    LaunchArgument(
        "base_velocity_topic",
        "Odometry topic of an estimator, for policies that observe the base's velocity; empty: what the robot's YAML "
        "names, in simulation the truth.",
        "",
    ),
    LaunchArgument(
        "entry_blend",
        "Time over which the policy takes over from the measured pose [s]; empty: the profile's, or without one "
        "the bundle's own.",
        "",
    ),
    LaunchArgument("limits", "Safety YAML; empty for the shipped one.", ""),
    LaunchArgument("namespace", "Namespace of every node and topic, the clock's too; /diagnostics stays global.", ""),
    LaunchArgument("record", "Whether to record a bag: true, false, or the folder to make.", "false"),
    LaunchArgument("teleop", "What steers: a game controller, a keyboard, or neither.", "none", TELEOPERATIONS),
    *_TELEOP_FILES,
)

SIMULATION_ARGUMENTS = (
    LaunchArgument("robot", _ROBOT_TEXT, "reference"),
    LaunchArgument("policy", f"{_POLICY_TEXT} Empty: the one that is shipped for the robot.", ""),
    LaunchArgument("mode", "Step by the wall clock, or wait for each command.", MODES[0], MODES),
    LaunchArgument(
        "command", "Velocity to follow all the time, 'x y yaw' [m/s m/s rad/s]; empty: listen to cmd_vel.", ""
    ),
    LaunchArgument(
        "get_up",
        "Policy bundle that gets the robot up after a fall; empty: the one that is shipped for the robot; none: none.",
        "",
    ),
    LaunchArgument(
        "pushes", "Shoves of the base, four numbers each: time after release [s], x y z [m/s]; empty for none.", ""
    ),
    LaunchArgument("arm", "Whether the safety monitor arms itself when it is ready.", "true", ("true", "false")),
    LaunchArgument(
        "navigation", "Navigation bundle that steers the robot by cmd_vel: a folder, or a shipped one; empty: none.", ""
    ),
    LaunchArgument(
        "map",
        "Map of the floor whose obstacles stand in the world: a shipped one, or its YAML; empty: the navigation "
        "bundle's, if any.",
        "",
    ),
    LaunchArgument("start", "Where the robot stands at reset, 'x y yaw' [m m rad]; empty: at the origin.", ""),
    LaunchArgument("terrain", "Height of hills around the place where the robot starts [m].", "0"),
    LaunchArgument("payload", "Load, as a share of the robot's mass.", "0"),
    LaunchArgument("weak_joint", "Joint that gives a share of its effort alone, 'JOINT SHARE'; empty: none.", ""),
    *_SHARED,
)
TEAM_ARGUMENTS = (
    LaunchArgument("robots", "Names of the robots, apart by commas; each is the namespace of one.", "left,right"),
    LaunchArgument(
        "robot",
        "What they are, one for all or one each, apart by commas: shipped robot, YAML, or model file.",
        "reference",
    ),
    LaunchArgument(
        "policy",
        "Policy bundles, one for all or one each, apart by commas; empty: those that are shipped for the robots.",
        "",
    ),
    LaunchArgument("spacing", "Distance of the robots, which start side by side [m].", "1.5"),
    LaunchArgument("poses", "Where they start instead, 'x y yaw' for each [m m rad]; empty: side by side.", ""),
    LaunchArgument("respawn", "Whether a policy or a monitor that dies is started again.", "false", ("true", "false")),
    LaunchArgument(
        "formation",
        "Shape that the robots keep: line, column, wedge or ring, at `spacing`; command, and /team/cmd_vel, are the "
        "formation's then. Empty: each for itself.",
        "",
    ),
    LaunchArgument("team", "Team bundle that decides in the formation, or law: no policy.", "formation"),
    LaunchArgument(
        "on_silence",
        "What the others do while a robot of the formation lies or is silent: stop, or go on without it.",
        "stop",
        ("stop", "go_on"),
    ),
    *(a for a in SIMULATION_ARGUMENTS if a.name in ("mode", "command", "get_up", "arm", "policies", "entry_blend")),
    *(a for a in SIMULATION_ARGUMENTS if a.name in ("cmd_vel_type", "limits")),
    LaunchArgument(
        "record", "Whether to record a bag of each robot: true, false, or the folder that they are made in.", "false"
    ),
)
NAVIGATION_ARGUMENTS = (
    LaunchArgument("navigation", "Navigation bundle: a folder with navigation.yaml, or the name of a shipped one."),
    LaunchArgument("odometry_topic", "nav_msgs/Odometry topic of the robot's pose.", "odom"),
    LaunchArgument("odometry_in_map", "Pose of the odometry's frame in the map's, 'x y yaw' [m m rad].", "0 0 0"),
    _CMD_VEL_TYPE,
    LaunchArgument("use_sim_time", "Whether time is the simulation's.", "false", ("true", "false")),
    LaunchArgument("namespace", "Namespace of the robot.", ""),
)
GAZEBO_ARGUMENTS = (
    *(a for a in SIMULATION_ARGUMENTS if a.name in ("robot", "policy", "command", "get_up", "arm")),
    LaunchArgument(
        "folder", "Folder that `humanoid_rl robot export` wrote; empty: its files are written for this launch.", ""
    ),
    LaunchArgument(
        "train",
        "Whether to start Gazebo and its effort controller alone, for an environment that steps it.",
        "false",
        ("true", "false"),
    ),
    LaunchArgument("gui", "Whether Gazebo shows its window.", "true", ("true", "false")),
    LaunchArgument(
        "real_time_factor",
        "How fast Gazebo may run, 0: as fast as it can; of files that are written for this launch.",
        "1.0",
    ),
    *(
        replace(a, description="Odometry topic of an estimator, for policies that observe the base's velocity.")
        if a.name == "base_velocity_topic"
        else a
        for a in _SHARED
    ),
)
ROBOT_ARGUMENTS = (
    LaunchArgument("robot", _ROBOT_TEXT),
    LaunchArgument("policy", _POLICY_TEXT),
    LaunchArgument(
        "command_type",
        "Message type of the joint commands that the robot's driver takes.",
        COMMAND_TYPES[0],
        COMMAND_TYPES,
    ),
    LaunchArgument("get_up", "Policy bundle that gets the robot up after a fall; empty: it stays where it lies.", ""),
    LaunchArgument(
        "profile",
        "Profile YAML: real-time priority, locked memory and CPUs of the nodes, and how a policy begins; empty: the "
        "shipped one; none: none.",
        "",
    ),
    *_SHARED,
)
TELEOPERATION_ARGUMENTS = (
    LaunchArgument("teleop", "What steers: a game controller or a keyboard.", TELEOPERATIONS[1], TELEOPERATIONS[1:]),
    LaunchArgument(
        "policy",
        "Policy bundle whose command range is full speed, as for the robot; empty: 0.5 m/s, 0.2 m/s, 0.5 rad/s.",
        "",
    ),
    _CMD_VEL_TYPE,
    LaunchArgument("namespace", "Namespace of the robot.", ""),
    *_TELEOP_FILES,
)
REPLAY_ARGUMENTS = (
    LaunchArgument("bag", "Bag folder, or one .mcap or .db3."),
    LaunchArgument("policy", f"{_POLICY_TEXT} Empty: the one that was recorded.", ""),
    LaunchArgument("robot", f"{_ROBOT_TEXT} Empty: the one that was recorded, or the policy's own.", ""),
    LaunchArgument("get_up", "Policy bundle that gets the robot up after a fall; empty: the recorded one, if any.", ""),
    LaunchArgument("limits", "Safety YAML; empty for the recorded limits, or the shipped ones.", ""),
    LaunchArgument("rate", "How fast; 2 is twice as fast as recorded.", "1.0"),
    LaunchArgument("namespace", "Namespace of the robot in the bag; empty: the only one there is.", ""),
    LaunchArgument(
        "base_velocity_topic",
        "Odometry topic in the bag, for policies that observe the base's velocity; empty: as recorded.",
        "",
    ),
    LaunchArgument(
        "actuators",
        "Whether the safety monitor's commands go to joint_effort_controller/commands, where a driver may listen; "
        "otherwise to replay/joint_effort_controller/commands.",
        "false",
        ("true", "false"),
    ),
    LaunchArgument("record", "Whether to record a bag: true, false, or the folder to make.", "false"),
)


def rate(text: str) -> float:
    """The argument ``rate``: one number above zero.

    Raises:
        ConfigError: it is something else.
    """
    found = numbers(text, "rate")
    if len(found) != 1 or found[0] <= 0.0:
        raise ConfigError(f"argument 'rate' must be one number above 0, found '{text}'")
    return found[0]


def words(text: str, name: str) -> list[str]:
    """The words of a text, apart by commas or spaces.

    Args:
        text: such as ``left,right``.
        name: of the argument, for the message.

    Raises:
        ConfigError: there is none.
    """
    found = text.replace(",", " ").split()
    if not found:
        raise ConfigError(f"argument '{name}' must be names apart by commas, found '{text}'")
    return found


def one_each(text: str, name: str, robots: Sequence[str]) -> list[str]:
    """What is said for each robot: one word for all, or one each; no word at all is an empty one for all.

    Args:
        text: words apart by commas or spaces.
        name: of the argument, for the message.
        robots: their names.

    Raises:
        ConfigError: there are more words than one, and not as many as robots.
    """
    found = text.replace(",", " ").split() or [""]
    if len(found) not in (1, len(robots)):
        raise ConfigError(
            f"argument '{name}' must be one for all or one for each of {len(robots)} robots, found '{text}'"
        )
    return found * len(robots) if len(found) == 1 else found


def numbers(text: str, name: str) -> list[float]:
    """The numbers of a text, apart by spaces or commas, brackets around them or not.

    Args:
        text: such as ``0.5 0 0`` or ``[0.5, 0, 0]``.
        name: of the argument, for the message.

    Raises:
        ConfigError: a word is not a finite number.
    """
    words = text.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise ConfigError(f"argument '{name}' must be finite numbers, found '{text}'")
    return found


def speed(text: str) -> float:
    """The argument ``real_time_factor``: one number from zero.

    Raises:
        ConfigError: it is something else.
    """
    return _from_zero(text, "real_time_factor")


def velocity_command(text: str) -> list[float] | None:
    """The argument ``command``: three numbers, or None to listen.

    Raises:
        ConfigError: it is something else.
    """
    found = numbers(text, "command")
    if len(found) not in (0, 3):
        raise ConfigError(f"argument 'command' must be three numbers, 'x y yaw', found '{text}'")
    return found or None


def place(text: str, name: str) -> list[float]:
    """A place on the floor: two or three numbers, or none.

    Raises:
        ConfigError: it is something else.
    """
    found = numbers(text, name)
    if len(found) not in (0, 2, 3):
        raise ConfigError(f"argument '{name}' must be two or three numbers, 'x y yaw', found '{text}'")
    return found


def get_up(text: str) -> str | None:
    """The argument ``get_up`` of the simulation: a bundle, empty for none, or None for the one that is shipped."""
    return None if not text.strip() else "" if text.strip() == "none" else text.strip()


def pushes(text: str) -> list[float]:
    """The argument ``pushes``: four numbers for each.

    Raises:
        ConfigError: it is something else.
    """
    found = numbers(text, "pushes")
    if len(found) % 4 != 0:
        raise ConfigError(f"argument 'pushes' must be four numbers for each push, 'time x y z', found '{text}'")
    return found


def hardship(terrain: str, payload: str, weak: str) -> dict[str, Any]:
    """The arguments ``terrain``, ``payload`` and ``weak_joint``: the simulation's parameters that they change.

    Raises:
        ConfigError: the first two are no number from 0, or the last one no name and share.
    """
    return borne(_from_zero(terrain, "terrain", 0.0), _from_zero(payload, "payload", 0.0), weak)


def borne(terrain: float, payload: float, weak: str) -> dict[str, Any]:
    """Hills [m], load and ``JOINT SHARE`` as parameters of the simulation; 0 and empty for none.

    Raises:
        ConfigError: the text is not a name and a share.
    """
    loads = {"terrain": terrain, "payload": payload}
    found: dict[str, Any] = {name: value for name, value in loads.items() if value > 0.0}
    if not weak.strip():
        return found
    joint, _, share = weak.strip().partition(" ")
    try:
        return found | {"weak_joint": joint, "weak_share": float(share)}
    except ValueError:
        raise ConfigError(f"a weak joint is its name and a share, 'left_knee_joint 0.5', found '{weak}'") from None


def _from_zero(text: str, name: str, empty: float | None = None) -> float:
    """One number from 0; `empty` for no text at all, where that is allowed."""
    found = numbers(text, name)
    if empty is not None and not found:
        return empty
    if len(found) != 1 or found[0] < 0.0:
        raise ConfigError(f"argument '{name}' must be one number from 0, found '{text}'")
    return found[0]


def entry_blend(text: str) -> float | None:
    """The argument ``entry_blend``: seconds, or None for the bundle's own.

    Raises:
        ConfigError: it is something else.
    """
    found = numbers(text, "entry_blend")
    if len(found) > 1 or (found and not 0.0 <= found[0] <= 60.0):
        raise ConfigError(f"argument 'entry_blend' must be a time from 0 to 60 s, found '{text}'")
    return found[0] if found else None


def recorder_parameters(text: str) -> dict[str, str] | None:
    """The argument ``record``: parameters of the recorder, or None for no recorder.

    Args:
        text: ``true``, ``false`` or a folder.

    Raises:
        MissingDependencyError: the libraries that write bags are not installed.
    """
    if text.strip().lower() in ("", "false"):
        return None
    missing = [name for name in ("mcap", "rosbags") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"recording needs {' and '.join(missing)}: pip install 'humanoid_rl_ros[bags]', or leave record:=false"
        )
    return {} if text.strip().lower() == "true" else {"output": text.strip()}


def team_record(text: str, robot: str, now: datetime) -> str:
    """The argument ``record`` of a team, as it is for one of its robots: each has a bag of its own in one folder.

    Args:
        text: ``true``, ``false`` or a folder.
        robot: its name.
        now: when the launch began.
    """
    word = text.strip()
    if word.lower() in ("", "false"):
        return "false"
    folder = Path(f"bags_{now:%Y%m%d_%H%M%S}") if word.lower() == "true" else Path(word)
    return str(folder / robot)
