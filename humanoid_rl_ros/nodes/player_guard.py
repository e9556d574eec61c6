"""Nobody moves a robot by playing a bag by accident: who is on the graph already, and what that forbids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from humanoid_rl_ros.core.errors import HumanoidError

ONLOOKERS = ("recorder", "rosbag2_recorder", "humanoid_rl_doctor")
"""Nodes that listen and move nothing; those of the ros2 command begin with `_ONLOOKING`."""
_ONLOOKING = ("_ros2cli", "ros2cli", "rqt_", "foxglove_")


class PlayRefusedError(HumanoidError):
    """Playing now would mix two sources, or move motors that nobody asked to move."""


@dataclass(frozen=True)
class Guard:
    """What is looked for.

    Attributes:
        sources: topics of which the bag must be the only source.
        commands: topics that move motors.
        plays_commands: whether the player publishes those too.
        answers_may_move: whether driven nodes may command somebody who listens.
    """

    sources: Sequence[str]
    commands: Sequence[str]
    plays_commands: bool
    answers_may_move: bool

    def objection(self, node: Node, own: Collection[str]) -> str:
        """Why nothing must be played; empty where nothing speaks against it.

        Args:
            node: whose view of the graph counts.
            own: topics that it publishes itself, once each.
        """
        for name in self.sources:
            if speakers := _speakers(node, name, own):
                return (
                    f"{name} is published by {speakers[0]} already: a robot or a simulation is running, and a bag "
                    "would be mixed with it; end it, use another ROS_DOMAIN_ID, or --force"
                )
        for name in self.commands:
            listeners, speakers = _listeners(node, name), _speakers(node, name, own)
            if self.plays_commands and listeners:
                return f"{listeners[0]} listens to {name}: recorded commands would move it; --force if that is meant"
            if self.plays_commands and speakers:
                return f"{name} is published by {speakers[0]} already; end it, or --force"
            if listeners and speakers and not self.answers_may_move:
                return (
                    f"{listeners[0]} listens to {name}, where {speakers[0]} would say what it answers to the bag: "
                    "remap that topic as replay.launch.py does, or --force if that is meant"
                )
        return ""


def _speakers(node: Node, topic: str, own: Collection[str]) -> list[str]:
    """Full names of the other nodes that publish; another one may have the same name."""
    found = sorted(_full_name(endpoint) for endpoint in node.get_publishers_info_by_topic(topic))
    if topic in own and node.get_fully_qualified_name() in found:
        found.remove(node.get_fully_qualified_name())
    return found


def _listeners(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that listen and may move something."""
    return sorted(
        _full_name(endpoint)
        for endpoint in node.get_subscriptions_info_by_topic(topic)
        if endpoint.node_name not in ONLOOKERS and not endpoint.node_name.startswith(_ONLOOKING)
    )


def _full_name(endpoint: Any) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
