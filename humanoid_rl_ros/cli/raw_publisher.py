"""Publishes serialised messages at a rate: what a recorder is measured with.

``python -m humanoid_rl_ros.cli.raw_publisher TOPICS RATE SECONDS [BYTES]`` waits until every topic is listened to,
publishes, and prints how many messages of each it sent in which time. Their content is noise, which no compression
makes smaller.
"""

from __future__ import annotations

import random
import sys
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION

SIZES = (1340, 340, 780, 260, 420)
"""Of joint states, IMU, efforts, commands and observations of a robot with 29 joints [bytes]."""
RELIABLE = (False, False, True, True, False)
"""Whether each of them is sent again when it got lost, as in the topic table."""
VARIANTS = 512
"""More than fit into one chunk of a bag, within which a repetition would be compressed."""
DEPTH = 200
AFTERWARDS_S = 1.0
"""How long what was sent last may be asked for again [s]."""


def topic_names(count: int) -> list[str]:
    """The topics it publishes."""
    return [f"bench/topic_{number}" for number in range(count)]


def publish(count: int, rate: float, seconds: float, size: int = 0) -> tuple[int, float]:
    """Publish on so many topics.

    Args:
        count: of topics.
        rate: of each [Hz].
        seconds: how long [s].
        size: of every message; 0: those of `SIZES` in turn [bytes].

    Returns:
        Messages sent on each topic, and the time it took [s]: more than was asked for where it could not keep up.
    """
    node = rclpy.create_node("raw_publisher")
    noise = random.Random(0)
    kinds = (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE)
    topics = [
        node.create_publisher(JointState, name, QoSProfile(depth=DEPTH, reliability=kinds[RELIABLE[i % len(RELIABLE)]]))
        for i, name in enumerate(topic_names(count))
    ]
    sizes = [size or SIZES[i % len(SIZES)] for i in range(count)]
    bodies = [[ENCAPSULATION + noise.randbytes(n - len(ENCAPSULATION)) for _ in range(VARIANTS)] for n in sizes]
    while not all(topic.get_subscription_count() for topic in topics):
        time.sleep(0.02)
    time.sleep(0.2)
    began = time.perf_counter()
    sent = 0
    while (due := sent / rate) < seconds:
        time.sleep(max(0.0, began + due - time.perf_counter()))
        for topic, body in zip(topics, bodies, strict=True):
            topic.publish(body[sent % VARIANTS])
        sent += 1
    took = time.perf_counter() - began
    time.sleep(AFTERWARDS_S)
    return sent, took


def main() -> None:
    """Publish as the command line says."""
    rclpy.init()
    given = [float(word) for word in sys.argv[1:]]
    sent, took = publish(int(given[0]), given[1], given[2], int(given[3]) if len(given) > 3 else 0)
    sys.stdout.write(f"sent {sent} in {took:.3f} s\n")


if __name__ == "__main__":
    main()
