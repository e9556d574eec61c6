"""Listens to a running graph for a while and says what it saw; it says nothing in it.

Every subscription is best effort and of depth 1: whoever publishes sends one more datagram for a message, waits for no
answer and keeps nothing for us.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.utilities import get_rmw_implementation_identifier
from rclpy.validate_namespace import validate_namespace
from rosgraph_msgs.msg import Clock

from humanoid_rl_ros.cli.processes import busy_domains
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.doctor.graph_facts import Conflict, Diagnosis, Endpoint, GraphFacts, Heard, TopicFacts
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.graph import REMAPPINGS
from humanoid_rl_ros.nodes.recorder_topics import message_class

NAME = "humanoid_rl_doctor"
DISCOVERY_S, LONGEST_DISCOVERY_S = 2.5, 5.0
"""Time in which DDS mostly finds all who are there (1.9 s was seen), and the longest while it still finds some."""
AGAIN_S = 0.5
ANSWER_S = 1.0
TURN_S = 0.01
"""Time after which an executor without work returns: what is longer is time that we were not given."""
LISTENED = (topics.JOINT_STATES, topics.IMU, topics.POLICY_EFFORT, topics.JOINT_COMMAND, topics.VELOCITY_COMMAND)
UNKNOWN = "_NODE_"
"""Begins the names of endpoints whose node has not been heard of yet."""


class GraphListenError(HumanoidError):
    """The graph cannot be listened to."""


def listen(namespace: str, seconds: float) -> GraphFacts:
    """What is seen and heard in so long.

    Args:
        namespace: of the robot; empty for none.
        seconds: to listen, beside three to five for finding and asking the nodes [s].

    Raises:
        GraphListenError: ROS does not start.
        KeyboardInterrupt: a signal came.
    """
    try:
        validate_namespace(f"/{namespace.strip('/')}")
        rclpy.init(args=[])
        listener = _Listener(f"/{namespace.strip('/')}" if namespace.strip("/") else "")
    except Exception as error:  # rclpy has a type of its own for a bad namespace, a missing key, a middleware
        rclpy.try_shutdown()
        raise GraphListenError(f"ROS does not start: {' '.join(str(error).split())}") from None
    try:
        listener.find()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0.0:
            listener.listen()  # to those, too, who are found later
            listener.spin(min(left, AGAIN_S))
        return listener.facts(seconds)
    except ExternalShutdownException:
        raise KeyboardInterrupt from None
    finally:
        listener.close()


def middleware() -> str:
    """The one that rclpy uses."""
    return str(get_rmw_implementation_identifier())


class _Listener:
    """A node without a voice of its own.

    Args:
        namespace: of the robot, such as ``/robot``; empty for none.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        silent = [Parameter("start_type_description_service", value=False)]
        self.node = Node(NAME, enable_rosout=False, start_parameter_services=False, parameter_overrides=silent)
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._heard: dict[str, list[Heard]] = {topic.name: [] for topic in LISTENED}
        self._simulated_ns: int | None = None
        self._diagnoses: dict[str, Diagnosis] = {}
        self._stalled = 0.0
        self._listening: dict[tuple[str, str], float] = {}

    def spin(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        """Take in messages for so long, or until something holds."""
        until = time.monotonic() + seconds
        before = time.monotonic()
        while (left := until - before) > 0.0 and not done():
            self._executor.spin_once(timeout_sec=min(left, TURN_S))
            now = time.monotonic()
            self._stalled = max(self._stalled, now - before - TURN_S)
            before = now

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()

    def find(self) -> None:
        """Wait until nobody new has been found for a while; on a busy machine that takes longer."""
        until, before = time.monotonic() + LONGEST_DISCOVERY_S, -1
        self.spin(DISCOVERY_S - AGAIN_S)
        while time.monotonic() < until and (found := self._found()) != before:
            before = found
            self.spin(AGAIN_S)
        one = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(Clock, self._clock(), self._on_clock, one)
        # Several nodes speak there at one moment.
        several = QoSProfile(depth=topics.DIAGNOSTICS.depth, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS.name, self._on_diagnostics, several)
        self._stalled = 0.0

    def _found(self) -> int:
        """Nodes and publishers that are known of."""
        names = [name for name, _ in self.node.get_topic_names_and_types()]
        return sum(int(self.node.count_publishers(name)) for name in names) + len(self.node.get_node_names())

    def listen(self) -> None:
        """Subscribe to what is published, in the type that it has."""
        one = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        create = self.node.create_subscription
        for topic in LISTENED:
            name = self._name(topic)
            for type_name in {end.type_name for end in self._ends(self.node.get_publishers_info_by_topic(name))}:
                if (name, type_name) in self._listening:
                    continue
                self._listening[name, type_name] = time.monotonic()
                try:
                    create(message_class(type_name), name, partial(self._on_message, topic.name), one, raw=True)
                except Exception as error:  # a type that is not installed here: judged as wrong
                    self.node.get_logger().debug(f"{name}: {error}")

    def _name(self, topic: Topic) -> str:
        if topic is topics.CLOCK:
            return self._clock()
        return topic.name if topic.name.startswith("/") else f"{self._namespace}/{topic.name}"

    def _clock(self) -> str:
        """Where the launch files put it, or where ROS has it."""
        own = f"{self._namespace}/{dict(REMAPPINGS)[topics.CLOCK.name]}"
        return own if self.node.count_publishers(own) else topics.CLOCK.name

    def _on_message(self, name: str, raw: bytes) -> None:
        self._heard[name].append(Heard(time.monotonic_ns(), time.time_ns(), self._simulated_ns, raw))

    def _on_clock(self, message: Clock) -> None:
        self._simulated_ns = stamp_to_ns(message.clock)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self._diagnoses[status.name] = Diagnosis(level, status.message, status.hardware_id, values_of(status))

    # What came of it.

    def facts(self, seconds: float) -> GraphFacts:
        """Everything that was seen and heard."""
        stalled = self._stalled
        found = self.node.get_node_names_and_namespaces()
        nodes = tuple(sorted(_full(name, space) for name, space in found if not name.startswith("_") and name != NAME))
        names = {name for name, _ in self.node.get_topic_names_and_types()}
        services = frozenset(name for name, _ in self.node.get_service_names_and_types())
        table = [topic for topic in vars(topics).values() if isinstance(topic, Topic)]
        clock = self._ends(self.node.get_subscriptions_info_by_topic(self._clock()))
        own = f"{self._namespace}/{topics.JOINT_STATES.name}"
        elsewhere = sorted(n for n in names if n.endswith(f"/{topics.JOINT_STATES.name}") and n != own)
        return GraphFacts(
            namespace=self._namespace,
            domain=int(self.node.context.get_domain_id()),
            seconds=seconds,
            stalled=stalled,
            nodes=nodes,
            topics={topic.name: self._topic(topic) for topic in table},
            services=services,
            lifecycle=self._lifecycle(nodes, services),
            diagnoses=dict(self._diagnoses),
            simulated_time=frozenset(end.node for end in clock),
            other_namespaces=tuple(n.removesuffix(f"/{topics.JOINT_STATES.name}") or "/" for n in elsewhere),
            other_domains=tuple(sorted(busy_domains() - {int(self.node.context.get_domain_id())})),
        )

    def _topic(self, topic: Topic) -> TopicFacts:
        name, now = self._name(topic), time.monotonic()
        speaking = _others(self.node.get_publishers_info_by_topic(name))
        listening = _others(self.node.get_subscriptions_info_by_topic(name))
        return TopicFacts(
            topic,
            name,
            tuple(self._ends(speaking)),
            tuple(self._ends(listening)),
            tuple(_conflicts(speaking, listening)),
            tuple(self._heard.get(topic.name, ())),
            max((now - since for (listened, _), since in self._listening.items() if listened == name), default=0.0),
        )

    @staticmethod
    def _ends(found: Iterable[Any]) -> list[Endpoint]:
        return [Endpoint(_full(one.node_name, one.node_namespace), one.topic_type) for one in _others(found)]

    def _lifecycle(self, nodes: Iterable[str], services: frozenset[str]) -> dict[str, str]:
        """Ask each managed node of the robot once; they answer between two of their callbacks."""
        managed = [n for n in dict.fromkeys(nodes) if f"{n}/get_state" in services]
        managed = [n for n in managed if n.rsplit("/", 1)[0] == self._namespace]
        clients = {node: self.node.create_client(GetState, f"{node}/get_state") for node in managed}
        self.spin(ANSWER_S, lambda: all(client.service_is_ready() for client in clients.values()))
        asked = {node: client.call_async(GetState.Request()) for node, client in clients.items()}
        self.spin(ANSWER_S, lambda: all(future.done() for future in asked.values()))
        return {
            node: future.result().current_state.label if future.done() else "no answer"
            for node, future in asked.items()
        }


def _others(found: Iterable[Any]) -> list[Any]:
    return [one for one in found if one.node_name != NAME]


def _full(name: str, namespace: str) -> str:
    return "(a node not heard of yet)" if name.startswith(UNKNOWN) else f"{namespace.rstrip('/')}/{name}"


def _conflicts(speaking: Iterable[Any], listening: Iterable[Any]) -> Iterable[Conflict]:
    for publisher in speaking:
        for subscription in listening:
            result, why = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
            if result == QoSCompatibility.ERROR:
                causes = [cause.removeprefix("ERROR: ").strip() for cause in why.split(";") if "ERROR: " in cause]
                speaker, listener = (_full(end.node_name, end.node_namespace) for end in (publisher, subscription))
                yield Conflict(speaker, listener, "; ".join(causes).lower())
