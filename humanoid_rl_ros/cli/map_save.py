"""`humanoid_rl map save`: a published map as a file."""

from __future__ import annotations

import time
from pathlib import Path

import rclpy
from nav_msgs.msg import OccupancyGrid
from rclpy.signals import SignalHandlerOptions
from rich.console import Console

from humanoid_rl_ros.cli.operator import operator_node
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.ros_names import is_topic, namespace_of
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.discovery import keep_discovery_local
from humanoid_rl_ros.interfaces.floor_messages import occupancy_map
from humanoid_rl_ros.navigation.map_file import SUFFIXES, save_map
from humanoid_rl_ros.nodes.quality import qos


def save_published_map(
    output: Path, topic: str, namespace: str, seconds: float, console: Console, *, overwrite: bool
) -> None:
    """Wait for a map and write it.

    Args:
        output: the YAML.
        topic: of the map.
        namespace: of the robot.
        seconds: how long to wait [s].
        console: where to say what was written.
        overwrite: whether files may be replaced.

    Raises:
        HumanoidError: none came, it is malformed, or the file cannot be written.
    """
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"{output}: a map is written as {' or '.join(SUFFIXES)}")
    for path in (output, output.with_suffix(".pgm")):
        if path.exists() and not overwrite:
            raise HumanoidError(f"{path} is there already; --overwrite replaces it")
    message = _published(topic, namespace, seconds)
    found = occupancy_map(message)
    image = save_map(found, output)
    width, height = found.size
    console.print(f"{output} and {image.name}: {width:g} × {height:g} m, squares of {found.resolution:g} m")


def _published(topic: str, namespace: str, seconds: float) -> OccupancyGrid:
    space = namespace_of(namespace)
    name = topic if topic.startswith("/") else f"/{space}/{topic}" if space else f"/{topic}"
    if not is_topic(name):
        raise ConfigError(f"'{topic}' cannot be a topic's name")
    keep_discovery_local()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = operator_node()
        heard: list[OccupancyGrid] = []
        node.create_subscription(OccupancyGrid, name, heard.append, qos(topics.MAP))
        until = time.monotonic() + seconds
        while not heard and time.monotonic() < until:
            rclpy.spin_once(node, timeout_sec=0.1)
        speakers = node.count_publishers(name)
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    if not heard:
        who = "nobody publishes it" if not speakers else "its publisher sends to those alone who were there before"
        raise HumanoidError(f"no map on {name} within {seconds:g} s: {who}")
    return heard[-1]
