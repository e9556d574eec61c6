"""Who may find our nodes: this machine alone, unless the user says otherwise. Nothing of ROS is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
LOCALHOST_ONLY = "ROS_LOCALHOST_ONLY"
BEFORE_RANGES = ("foxy", "galactic", "humble")
"""Distributions that do not know `RANGE`; the others follow `LOCALHOST_ONLY` too, but call it out of date."""
STAYS = ("LOCALHOST", "OFF")
"""Values of `RANGE` that nobody else on the network may find us by."""


def discovery_additions(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment so that discovery stays on this machine.

    Args:
        environment: variables by name.

    Returns:
        Variables by name; none where the user has chosen in a way that the distribution follows.
    """
    old = environment.get("ROS_DISTRO", "") in BEFORE_RANGES
    if environment.get(LOCALHOST_ONLY):
        return {}
    if chosen := environment.get(RANGE):
        return {LOCALHOST_ONLY: "1"} if old and chosen in STAYS else {}
    return {RANGE: "LOCALHOST", **({LOCALHOST_ONLY: "1"} if old else {})}


def keep_discovery_local() -> bool:
    """Do so for this process and its children; to be called before rclpy starts.

    Returns:
        Whether it was our choice.
    """
    added = discovery_additions(os.environ)
    os.environ.update(added)
    return bool(added)
