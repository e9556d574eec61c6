"""What was seen and heard of a graph, by somebody who only listened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.interfaces.topics import Topic


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription.

    Attributes:
        node: its node, with its namespace.
        type_name: of its messages.
    """

    node: str
    type_name: str


@dataclass(frozen=True)
class Conflict:
    """A publisher and a subscription of one topic whose quality of service does not go together.

    Attributes:
        publisher, subscription: their nodes.
        why: the policies that differ, as the middleware names them.
    """

    publisher: str
    subscription: str
    why: str


@dataclass(frozen=True)
class Heard:
    """One message, as it arrived.

    Attributes:
        monotonic_ns: when, on a clock that nobody sets [ns].
        wall_ns: when, by the system's clock [ns].
        simulated_ns: the last simulated time that was heard before [ns], or None.
        raw: serialised.
    """

    monotonic_ns: int
    wall_ns: int
    simulated_ns: int | None
    raw: bytes


@dataclass(frozen=True)
class TopicFacts:
    """One topic.

    Attributes:
        topic: what the table says.
        name: in the graph.
        publishers, subscriptions: who speaks and who listens, the examiner left out.
        conflicts: who cannot hear whom.
        heard: messages in the order of arrival, where it was listened to.
        listened: for how long [s]; 0: no publisher was found in time.
    """

    topic: Topic
    name: str
    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    heard: tuple[Heard, ...] = ()
    listened: float = 0.0


@dataclass(frozen=True)
class Diagnosis:
    """A node's last line on /diagnostics.

    Attributes:
        level: 0 ok, 1 warning, 2 error.
        text, robot: its message and hardware id.
        values: by key.
    """

    level: int
    text: str
    robot: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphFacts:
    """A graph.

    Attributes:
        namespace: that was looked at, such as ``/robot``; empty for none.
        domain: of ROS.
        seconds: it was listened to [s].
        stalled: longest time in which whoever listened was not given the processor [s].
        nodes: with their namespaces, as often as each is there.
        topics: by their names in the table.
        services: names in the graph.
        lifecycle: states of managed nodes, by node; ``no answer`` where none came.
        diagnoses: by node.
        simulated_time: nodes that follow a clock that is published.
        other_namespaces: that have joint states, too.
        other_domains: in which somebody on this machine is.
    """

    namespace: str
    domain: int
    seconds: float
    stalled: float = 0.0
    nodes: tuple[str, ...] = ()
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    services: frozenset[str] = frozenset()
    lifecycle: Mapping[str, str] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    simulated_time: frozenset[str] = frozenset()
    other_namespaces: tuple[str, ...] = ()
    other_domains: tuple[int, ...] = ()

    def absolute(self, name: str) -> str:
        """A name of the table in this graph."""
        return name if name.startswith("/") else f"{self.namespace}/{name}"


@dataclass(frozen=True, eq=False)
class Stream:
    """Times of the messages of one topic.

    Attributes:
        periods: between arrivals [s; Shape (n - 1,)].
        stamps_ns: of their headers, where they have one [ns; Shape (n,)].
        arrivals_ns: by the clock that the stamps are held against [ns; Shape (n,)].
        unreadable: messages that are left out of the stamps.
    """

    periods: FloatArray
    stamps_ns: IndexArray | None = None
    arrivals_ns: IndexArray | None = None
    unreadable: int = 0
