"""What the standard nodes of joystick and keyboard are told. Nothing of ROS is imported."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, did_you_mean
from humanoid_rl_ros.resources import find_policy, share_folder

FRAME = "base_link"
CAREFUL = (0.5, 0.2, 0.5)
"""Full speed where no bundle says which: linear x, y [m/s], angular z [rad/s]."""
HALF = 0.5


@dataclass(frozen=True)
class TeleopNode:
    """One node to start.

    Attributes:
        package, executable, name: of the node.
        parameters: of the node.
        prefix: command before its own, such as a terminal; empty for none.
        on_loss: what its end means.
    """

    package: str
    executable: str
    name: str
    parameters: Mapping[str, Any]
    prefix: str = ""
    on_loss: str = "the policy stands still 0.5 s after the last command"


JOYSTICK = {
    "game_controller_node": ("joy", "game_controller_node"),
    "teleop_twist_joy_node": ("teleop_twist_joy", "teleop_node"),
    "joy_teleop": ("joy_teleop", "joy_teleop"),
}
"""Package and executable of each node of the joystick, by node name."""
KEYBOARD = "teleop_twist_keyboard"


def full_speed(policy: str) -> tuple[float, float, float]:
    """The largest commands of a bundle forward, to the left and turning to the left, or `CAREFUL`.

    Args:
        policy: a shipped bundle's name, or a folder; empty for none.

    Returns:
        Linear x, y [m/s], angular z [rad/s].
    """
    command = find_policy(policy).command if policy else CommandSpec()
    highest = [getattr(command, axis)[1] for axis in AXES]
    x, y, yaw = (high if math.isfinite(high) else careful for high, careful in zip(highest, CAREFUL, strict=True))
    return x, y, yaw


def teleop_nodes(
    kind: str,
    *,
    policy: str,
    cmd_vel_type: str,
    config: str,
    terminal: str,
    namespace: str,
    found: Callable[[str], bool],
) -> list[TeleopNode]:
    """The nodes of a kind of teleoperation.

    Args:
        kind: ``none``, ``joystick`` or ``keyboard``.
        policy: the bundle whose command range full speed is; empty: `CAREFUL`.
        cmd_vel_type: ``twist_stamped`` or ``twist``.
        config: YAML for the joystick; empty for the shipped one.
        terminal: command that opens one for the keyboard.
        namespace: of the robot, for the message.
        found: whether a ROS package is installed.

    Raises:
        HumanoidError: a package, the terminal or a file is not there, or the file is malformed.
    """
    if kind == "none":
        return []
    speed = full_speed(policy)
    stamped = cmd_vel_type != "twist"
    if kind == "keyboard":
        _require([KEYBOARD], kind, found)
        keyboard: dict[str, bool | float | str] = {
            "stamped": stamped,
            "speed": HALF * speed[0],
            "turn": HALF * speed[2],
        }
        if stamped:
            keyboard["frame_id"] = FRAME
        return [TeleopNode(KEYBOARD, KEYBOARD, KEYBOARD, keyboard, prefix=_terminal(terminal, keyboard, namespace))]
    _require([package for package, _ in JOYSTICK.values()], kind, found)
    own = joystick_config(Path(config).expanduser() if config else share_folder() / "config/teleop/joystick.yaml")
    scales = {
        "teleop_twist_joy_node": {
            "publish_stamped_twist": stamped,
            "frame": FRAME,
            **_scales("", [HALF * value for value in speed]),
            **_scales("_turbo", list(speed)),
        }
    }
    return [
        TeleopNode(package, executable, name, {**scales.get(name, {}), **own.get(name, {})})
        for name, (package, executable) in JOYSTICK.items()
    ]


def _scales(suffix: str, speed: list[float]) -> dict[str, float]:
    x, y, yaw = speed
    return {f"scale_linear{suffix}.x": x, f"scale_linear{suffix}.y": y, f"scale_angular{suffix}.yaw": yaw}


def joystick_config(path: Path) -> dict[str, dict[str, Any]]:
    """Parameters of each node in a ROS parameter file, nested names with dots.

    Raises:
        ConfigError: it cannot be read, is no parameter file, or names another node.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no ROS parameter file: expected a mapping of {', '.join(JOYSTICK)}")
    found = {}
    for name, section in document.items():
        if name not in JOYSTICK:
            raise ConfigError(f"{path}: no node '{name}' here; {did_you_mean(str(name), tuple(JOYSTICK))}")
        if not isinstance(section, dict) or not isinstance(section.get("ros__parameters"), dict):
            raise ConfigError(f"{path}: '{name}' has no mapping 'ros__parameters'")
        found[name] = dict(_flat(section["ros__parameters"]))
    return found


def _flat(parameters: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in parameters.items():
        pairs += _flat(value, f"{above}{key}.") if isinstance(value, dict) else [(f"{above}{key}", value)]
    return pairs


def _require(packages: list[str], kind: str, found: Callable[[str], bool]) -> None:
    missing = [package for package in packages if not found(package)]
    if missing:
        distro = os.environ.get("ROS_DISTRO", "$ROS_DISTRO")
        debian = " ".join(f"ros-{distro}-{package.replace('_', '-')}" for package in missing)
        raise MissingDependencyError(
            f"teleop:={kind} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"sudo apt install {debian}"
        )


def _terminal(terminal: str, parameters: Mapping[str, Any], namespace: str) -> str:
    """The terminal's command, if it can be run here."""
    program = (shlex.split(terminal) or [""])[0]
    if program and shutil.which(program) is not None:
        return terminal
    words = [
        f"-p {name}:={str(value).lower() if isinstance(value, bool) else value}" for name, value in parameters.items()
    ]
    words += [f"-r __ns:=/{namespace.strip('/')}"] if namespace.strip("/") else []
    raise MissingDependencyError(
        f"teleop:=keyboard opens a terminal of its own with '{terminal}', and there is no '{program}' here: name "
        f"another with teleop_terminal:=..., or run in a terminal you have: ros2 run {KEYBOARD} {KEYBOARD} --ros-args "
        + " ".join(words)
    )
