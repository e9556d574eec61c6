"""`humanoid_rl onboard`: what systemd needs to run policy and safety monitor on a robot's own computer."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from humanoid_rl_ros.cli.files import write_text
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.ros_names import is_topic, namespace_of
from humanoid_rl_ros.nodes.graph import robot_parameters
from humanoid_rl_ros.nodes.onboard_profile import find_profile
from humanoid_rl_ros.nodes.systemd import Service, carried_environment, parameters_text, unit_texts

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class OnboardOptions:
    """What runs, and as what; the rest is as of `humanoid_rl_ros.nodes.graph.robot_parameters`.

    Attributes:
        folder: to write to.
        name: of the services.
        user: they run as; empty: who asks.
        namespace: of the nodes.
        profile: as of `humanoid_rl_ros.nodes.onboard_profile.find_profile`.
        overwrite: whether files may be there already.
    """

    robot: str
    policy: str
    folder: Path
    name: str
    user: str
    namespace: str
    profile: str
    command_type: str
    cmd_vel_type: str
    base_velocity_topic: str
    entry_blend: float | None
    limits: str
    get_up: str
    policies: Sequence[str]
    overwrite: bool


def write_onboard(options: OnboardOptions, console: Console) -> None:
    """Write units and parameters, and say what to do with them.

    Raises:
        HumanoidError: robot, policy, limits or profile cannot be used, or a file cannot be written.
    """
    if not _NAME.fullmatch(options.name):
        raise ConfigError(f"a service cannot be called '{options.name}': letters, digits, - and _ alone")
    namespace_of(options.namespace)
    topic = options.base_velocity_topic
    if topic and not is_topic(topic):
        raise ConfigError(f"no ROS topic: '{topic}'")
    profile = find_profile(options.profile)
    graph = robot_parameters(
        _whole(options.robot, folders=False),
        _whole(options.policy),
        command_type=options.command_type,
        cmd_vel_type=options.cmd_vel_type,
        base_velocity_topic=options.base_velocity_topic,
        entry_blend=options.entry_blend,
        limits=_whole(options.limits),
        get_up=_whole(options.get_up),
        policies=[_whole(policy) for policy in options.policies],
        profile=profile,
    )
    folder = options.folder.expanduser().resolve()
    parameters = folder / f"{options.name}.yaml"
    service = Service(
        name=options.name,
        user=options.user or getpass.getuser(),
        python=sys.executable,
        namespace=options.namespace,
        parameters_file=str(parameters),
        environment=carried_environment(os.environ),
    )
    units = unit_texts(service, profile)
    files = {parameters: parameters_text(graph, options.namespace)}
    files |= {folder / name: text for name, text in units.items()}
    there = next((path for path in files if path.exists()), None)
    if there is not None and not options.overwrite:
        raise ConfigError(f"{there} is there already; --overwrite replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}") from None
    for path, text in files.items():
        write_text(path, text)
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    paths = " ".join(shlex.quote(str(folder / name)) for name in units)
    names = " ".join(units)
    space = options.namespace.strip("/")
    where = f" --namespace {space}" if space else ""
    for line in (
        "",
        f"They run as {service.user}, as the robot's driver should. To install, start now and at every start:",
        f"  sudo cp {paths} /etc/systemd/system/",
        f"  sudo systemctl daemon-reload && sudo systemctl enable --now {names}",
        "To see what they say:",
        f"  journalctl -f {' '.join(f'-u {name}' for name in units)}",
        "Nothing but damping reaches the robot until somebody arms it:",
        f"  humanoid_rl safety status{where} && humanoid_rl safety arm{where}",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _whole(name: str, *, folders: bool = True) -> str:
    """A path from the root, where it is one: services begin in another folder."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name and (path.is_file() or (folders and path.is_dir())) else name
