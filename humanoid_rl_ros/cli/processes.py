"""The ROS domain of the demo and the benchmarks, and their node processes."""

from __future__ import annotations

import fcntl
import os
import random
from pathlib import Path
from tempfile import gettempdir

from humanoid_rl_ros.interfaces.discovery import keep_discovery_local
from humanoid_rl_ros.node_processes import (
    NodeProcess,
    ProcessError,
    ProcessGroup,
    node_environment,
    parameter_arguments,
)

__all__ = [
    "NodeProcess",
    "ProcessError",
    "ProcessGroup",
    "busy_domains",
    "domains_to_take",
    "isolate",
    "node_environment",
    "parameter_arguments",
]

DOMAINS = range(1, 101)  # beyond, the ports of DDS meet those that Linux hands out by itself
FIRST_PORT, PORTS = 7400, 250
"""Of DDS: the first of domain 0, and how many each domain has."""


def isolate() -> int:
    """Settle on a ROS domain for this process and its children before rclpy starts.

    Without ROS_DOMAIN_ID a random one is taken: a demonstration must never reach the motors of a robot that happens
    to listen on this machine.

    Returns:
        The domain.
    """
    keep_discovery_local()
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(_free_domain())
    return int(os.environ["ROS_DOMAIN_ID"])


def busy_domains() -> set[int]:
    """Domains in which somebody on this machine is, as far as its ports tell."""
    busy = set()
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        if table.exists():
            ports = (int(line.split()[1].rsplit(":", 1)[1], 16) for line in table.read_text().splitlines()[1:])
            busy |= {(port - FIRST_PORT) // PORTS for port in ports}
    return busy.intersection(DOMAINS)


def domains_to_take() -> list[int]:
    """Domains in random order, those first in which nobody is."""
    return sorted(random.SystemRandom().sample(DOMAINS, len(DOMAINS)), key=busy_domains().__contains__)


def _free_domain() -> int:
    """A random domain that no other process of this package has taken in this way; kept until this process ends."""
    for domain in domains_to_take():
        path = Path(gettempdir()) / f"humanoid_rl_ros_domain_{domain}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            continue  # another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return domain
    raise ProcessError(f"all ROS domains from {DOMAINS[0]} to {DOMAINS[-1]} are taken; set ROS_DOMAIN_ID")
