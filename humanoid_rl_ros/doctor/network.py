"""Judges who can find the graph, and who can speak in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.interfaces.discovery import STAYS

LARGEST_DOMAIN = 232
"""Beyond, there are no ports."""
LAST_DOMAIN = 101
"""Beyond, the ports of DDS meet those that Linux hands out by itself."""
RANGES = ("OFF", "LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")


def judge_network(environment: Mapping[str, str], distribution: str, *, wheels: bool = False) -> list[Finding]:
    """Domain, discovery and security as the environment says them.

    Args:
        environment: variables by name, as the user has set them.
        distribution: of ROS; empty: not known.
        wheels: whether it is the one of the wheels on PyPI.
    """
    return [*_domain(environment), *_discovery(environment, distribution), *_security(environment, wheels=wheels)]


def _domain(environment: Mapping[str, str]) -> Iterable[Finding]:
    text = environment.get("ROS_DOMAIN_ID", "")
    if text and (not text.isdigit() or int(text) > LARGEST_DOMAIN):
        yield error("network.domain", f"ROS_DOMAIN_ID is '{text}'", f"set a number from 0 to {LAST_DOMAIN}")
    elif text and int(text) > LAST_DOMAIN:
        todo = f"take one from 0 to {LAST_DOMAIN}: its ports are those that Linux hands out by itself"
        yield warning("network.domain", text, todo)
    else:
        yield ok("network.domain", text or "0 (ROS_DOMAIN_ID is not set)")


def _discovery(environment: Mapping[str, str], distribution: str) -> Iterable[Finding]:
    chosen = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    only = environment.get("ROS_LOCALHOST_ONLY", "")
    peers = environment.get("ROS_STATIC_PEERS", "")
    name = "network.discovery"
    if distribution == "humble" and chosen and only != "1":
        alone = chosen in STAYS and not only  # what this package starts is told so in Humble's words
        who = "programs that this package does not start" if alone else "the robot"
        found = f"Humble knows no ROS_AUTOMATIC_DISCOVERY_RANGE: everybody on the network can find {who}"
        yield warning(name, found, "set ROS_LOCALHOST_ONLY=1")
    elif chosen and chosen not in RANGES:
        found = f"ROS_AUTOMATIC_DISCOVERY_RANGE is '{chosen}', which ROS takes for LOCALHOST"
        yield warning(name, found, f"set one of {', '.join(RANGES)}")
    elif only == "1" and distribution != "humble":
        found = "this machine alone, by ROS_LOCALHOST_ONLY, which is out of date and overrides the range"
        yield note(name, found, "set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST instead")
    elif only == "1" or chosen == "LOCALHOST":
        yield ok(name, "this machine alone")
    elif chosen == "OFF":
        found = "OFF: two programs on this machine do not find each other either"
        yield warning(name, found, "set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST")
    elif chosen or only:
        found = f"everybody on the network ({chosen or 'ROS_LOCALHOST_ONLY=' + only})"
        todo = "a network of the robot's own, or SROS2 (docs/security.md); LOCALHOST where nobody else must speak"
        safe = environment.get("ROS_SECURITY_ENABLE") == "true"
        yield ok(name, found) if safe else warning(name, found, todo)
    else:
        found = "this machine alone, for what this package starts; other programs look on the whole network"
        yield note(
            name, found, "set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST in the shell's profile, for the driver too"
        )
    if peers:
        yield note("network.peers", f"beside the range, found and heard: {peers}")


def _security(environment: Mapping[str, str], *, wheels: bool) -> Iterable[Finding]:
    name = "network.security"
    enable = environment.get("ROS_SECURITY_ENABLE", "")
    if enable not in ("", "true", "false"):
        found = f"off: ROS_SECURITY_ENABLE is '{enable}', and ROS knows 'true' alone; nodes run without keys"
        yield error(name, found, "set ROS_SECURITY_ENABLE=true, or unset it")
    elif enable != "true":
        found = "off: whoever finds the graph may command the robot"
        yield note(name, found, "SROS2, where the network is shared: docs/security.md")
    elif wheels:
        found = "on, and the middleware of the wheels is built without it: no node with a key starts"
        yield error(name, found, "ROS from its packages (apt), or unset ROS_SECURITY_ENABLE")
    elif environment.get("ROS_SECURITY_STRATEGY", "") != "Enforce":
        found = "on, but a program without a key speaks all the same"
        yield warning(name, found, "set ROS_SECURITY_STRATEGY=Enforce")
    elif not environment.get("ROS_SECURITY_KEYSTORE"):
        yield error(name, "on, without a keystore: no node starts", "set ROS_SECURITY_KEYSTORE; docs/security.md")
    else:
        yield ok(name, f"on, keys from {environment['ROS_SECURITY_KEYSTORE']}")
