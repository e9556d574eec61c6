"""What the player says things with: its parameters and its publishers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from std_srvs.srv import SetBool

from humanoid_rl_ros.bags.play_clock import Due
from humanoid_rl_ros.bags.playing import PlayedTopic, Selection
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.parameters import declare, parameter, read
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.nodes.recorder_topics import message_class

NAME = "bag_player"
LAST_ACKNOWLEDGED_NS = 500_000_000


@dataclass(frozen=True)
class PlayerParameters:
    """Parameters of the player."""

    bag: str = parameter("", "Bag folder, or one file of it.")
    rate: float = parameter(1.0, "How fast: 2 is twice as fast as recorded.", least=0.01, most=100.0)
    start: float = parameter(0.0, "Where to start, after the beginning of the bag [s].", least=0.0, most=1e9)
    seconds: float = parameter(0.0, "How much of the bag to play [s]; 0: to its end.", least=0.0, most=1e9)
    loop: bool = parameter(False, "Whether to begin again at the end; simulated time jumps back then.")
    robot_namespace: str = parameter("", "Namespace of the robot in the bag, / for none; empty: the only one.")
    topics: tuple[str, ...] = parameter((), "Topics beside those that were measured and asked.", each=str)
    all_topics: bool = parameter(False, "Every topic of the robot but those that move motors.")
    with_actuators: bool = parameter(False, "Those that move motors too.")
    force: bool = parameter(False, "Play although a robot or a simulation is running, or a driver listens.")
    answers_may_move: bool = parameter(False, "Play although a driver listens to what the driven nodes command.")
    arm: bool = parameter(False, "Whether to arm the driven safety monitor when the recorded one was armed.")
    wait: float = parameter(2.0, "How long to wait for subscribers [s].", least=0.0, most=600.0)
    listeners: int = parameter(1, "How many subscribers to wait for, of joint states and IMU each.", least=0, most=1000)


class PlayerNode(Node):
    """Publishes what is due.

    Args:
        options: passed on to `rclpy.node.Node`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(NAME, **options)
        declare(self, PlayerParameters)
        self.parameters = read(self, PlayerParameters)
        self._offered: dict[str, Any] = {}
        self._arming: Any = None

    def offer(self, selection: Selection) -> None:
        """Create the publishers."""
        if self.parameters.arm:
            self._arming = self.create_client(SetBool, f"{selection.namespace}/{topics.SAFETY_ARM}")
        for topic in selection.topics:
            self._offered[topic.name] = self._publisher(topic)
        clock = topics.CLOCK
        self._offered[selection.clock] = self._publisher(
            PlayedTopic(selection.clock, clock.type_name, 0, clock.reliable, clock.latched, clock.depth)
        )

    @property
    def offered(self) -> Collection[str]:
        """Topics that are published."""
        return self._offered.keys()

    def _publisher(self, topic: PlayedTopic) -> Any:
        offered = Topic(topic.name, topic.type, topic.reliable, topic.latched, topic.depth)
        return self.create_publisher(message_class(topic.type), topic.name, qos(offered))

    def listeners(self, names: Collection[str]) -> int:
        """Subscribers of the least heard of these topics."""
        return min((self._offered[n].get_subscription_count() for n in names if n in self._offered), default=0)

    def arm(self) -> None:
        """Ask the driven safety monitor; its log says what it answers."""
        if self._arming is not None and self._arming.service_is_ready():
            self._arming.call_async(SetBool.Request(data=True))

    def matched(self) -> tuple[int, ...]:
        """Subscribers of every topic."""
        return tuple(publisher.get_subscription_count() for publisher in self._offered.values())

    def say(self, due: Due) -> None:
        """Publish a message."""
        self._offered[due.topic].publish(due.data)

    def wait_until_heard(self) -> None:
        """Until what was said reliably has arrived."""
        for publisher in self._offered.values():
            publisher.wait_for_all_acked(Duration(nanoseconds=LAST_ACKNOWLEDGED_NS))
