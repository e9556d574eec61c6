"""Policy node and safety monitor as systemd services: unit files made from what the nodes are told.

Text in, text out. systemd takes the place of `ros2 launch` on a robot's computer, with the same consequences: a monitor
that dies is started again, DISARMED; a policy that dies is not, for what made it die is to be looked at first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.interfaces.discovery import discovery_additions
from humanoid_rl_ros.nodes.graph import GraphParameters
from humanoid_rl_ros.nodes.onboard_profile import MachineProfile, OnboardProfile

MONITOR, POLICY = "safety-monitor", "policy"
CARRIED = (
    *("AMENT_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "ROS_DISTRO", "ROS_VERSION", "ROS_PYTHON_VERSION"),
    *("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", "ROS_LOCALHOST_ONLY", "RMW_IMPLEMENTATION"),
    *("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "RMW_FASTRTPS_USE_QOS_FROM_XML"),
    *("CYCLONEDDS_URI", "ROS_SECURITY_KEYSTORE", "ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY"),
)
"""Variables of the environment in which the units are made that the services get too."""
_BOOTSTRAPPED = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
"""Set where ROS came as wheels, which find their libraries by themselves, anew in each process."""
ENCLAVES = "humanoid"
"""Head of the enclaves of a robot without a namespace, as in policy.xml; that of another is its namespace."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Service:
    """What both services have in common.

    Attributes:
        name: the services are called NAME-safety-monitor and NAME-policy.
        user: whose they run as.
        python: the interpreter.
        namespace: of the nodes; empty for none.
        parameters_file: absolute path of the file with the nodes' parameters.
        environment: variables they get.
    """

    name: str
    user: str
    python: str
    namespace: str
    parameters_file: str
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        if not _USER.fullmatch(self.user):
            raise ConfigError(f"{self.user!r} is no name of a user: letters, digits, _, . and - alone")


def carried_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What services need of the environment in which their units are made; discovery stays on the machine by itself."""
    kept = {name: environment[name] for name in CARRIED if environment.get(name)}
    if _BOOTSTRAPPED in environment:
        kept.pop("LD_LIBRARY_PATH", None)
    kept |= discovery_additions(kept)
    return {**kept, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0"}


def parameters_text(graph: GraphParameters, namespace: str) -> str:
    """The parameters of both nodes as a ROS parameter file."""
    space = namespace.strip("/")
    head = f"/{space}/" if space else "/"
    nodes = {"safety_monitor": graph.safety_monitor, "policy_node": graph.policy_node}
    document = {f"{head}{name}": {"ros__parameters": _plain(values)} for name, values in nodes.items()}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def unit_texts(service: Service, profile: OnboardProfile | None) -> dict[str, str]:
    """The units by file name.

    Args:
        service: what both have in common.
        profile: what the nodes ask of the machine, which the units allow; None: nothing.
    """
    profile = profile or OnboardProfile()
    monitor, policy = f"{service.name}-{MONITOR}.service", f"{service.name}-{POLICY}.service"
    again = [
        "# Started again, it is DISARMED: damping until somebody arms it.",
        "Restart=always",
        "RestartSec=0.5",
        "OOMScoreAdjust=-900",
    ]
    once = ["# Not started again: what made it die is to be looked at first; the monitor damps the robot meanwhile."]
    return {
        monitor: _unit(
            service,
            "safety_monitor",
            [f"Description=Safety monitor of {service.name}", "StartLimitIntervalSec=60", "StartLimitBurst=20"],
            [*again, *_allowances(profile.safety_monitor)],
        ),
        policy: _unit(
            service,
            "policy_node",
            # Stopped in reverse order: the monitor damps when the policy has gone.
            [f"Description=Policy of {service.name}", f"Wants={monitor}", f"After={monitor}"],
            [*once, "Restart=no", *_allowances(profile.policy_node)],
        ),
    }


def _unit(service: Service, node: str, head: list[str], rest: list[str]) -> str:
    module = f"humanoid_rl_ros.nodes.{node.removesuffix('_node')}_node"
    words = [service.python, "-m", module, "--ros-args"]
    if service.namespace.strip("/"):
        words += ["-r", f"__ns:=/{service.namespace.strip('/')}"]
    if service.environment.get("ROS_SECURITY_ENABLE") == "true":
        words += ["--enclave", f"/{service.namespace.strip('/') or ENCLAVES}/{node}"]
    words += ["--params-file", service.parameters_file]
    lines = [
        "[Unit]",
        *head,
        "After=network.target",
        "",
        "[Service]",
        "Type=exec",
        f"User={service.user}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(service.environment.items())),
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in words)}",
        "# SIGINT: damping, then zero effort, then the end.",
        "KillSignal=SIGINT",
        "TimeoutStopSec=5",
        *rest,
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _allowances(machine: MachineProfile) -> list[str]:
    lines = []
    if machine.realtime_priority:
        lines.append(f"LimitRTPRIO={machine.realtime_priority}")
    if machine.lock_memory:
        lines.append("LimitMEMLOCK=infinity")
    return lines


def _quoted(word: str) -> str:
    """A word of a unit file, in which systemd expands %, and a line ends where a line ends."""
    escaped = word.replace("%", "%%")
    if escaped and escaped.isprintable() and not set(escaped) & set(" \"'\\$;"):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"')
    escaped = _CONTROL.sub(lambda found: "\\x" + format(ord(found[0]), "02x"), escaped)
    return f'"{escaped}"'
