"""What a bag is made of: messages as they came off the wire, and the topics they came on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

INFINITE_NS = 2**63 - 1
"""How ROS says that a deadline, lifespan or lease has no end [ns]."""
NEVER_NS = 2**63 - 1
"""How rosbag2 says that a bag without messages has no beginning [ns]."""
NANOSECONDS = 1_000_000_000
OVERHEAD_BYTES = 256
"""What a message takes in memory beside its data, about."""


class Record(NamedTuple):
    """One serialised message.

    Attributes:
        topic: its name in the graph.
        log_time_ns: when it was received [ns since the epoch].
        publish_time_ns: when it was published [ns since the epoch].
        sequence: the publisher's own count of its messages; 0 where the middleware does not say.
        data: CDR with its encapsulation, never decoded here.
        publisher: tells the publishers of one topic apart.
    """

    topic: str
    log_time_ns: int
    publish_time_ns: int
    sequence: int
    data: bytes
    publisher: bytes = b""

    @property
    def memory(self) -> int:
        """What it takes in memory [bytes]."""
        return len(self.data) + OVERHEAD_BYTES


@dataclass(frozen=True)
class OfferedQos:
    """Quality of service as a publisher offers it, in rosbag2's words.

    Attributes:
        reliability: ``reliable``, ``best_effort`` or ``unknown``.
        durability: ``transient_local``, ``volatile`` or ``unknown``.
        history: ``keep_last``, ``keep_all`` or ``unknown``, which is what most middleware tells of a publisher.
        depth: messages kept; 0 where unknown.
        liveliness: ``automatic``, ``manual_by_topic`` or ``unknown``.
        deadline_ns, lifespan_ns, lease_ns: `INFINITE_NS` where there is none [ns].
        avoid_ros_namespace_conventions: whether the topic has DDS's own name.
    """

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "unknown"
    depth: int = 0
    liveliness: str = "automatic"
    deadline_ns: int = INFINITE_NS
    lifespan_ns: int = INFINITE_NS
    lease_ns: int = INFINITE_NS
    avoid_ros_namespace_conventions: bool = False

    def as_yaml(self) -> dict[str, Any]:
        """As rosbag2 writes it from version 9 of its metadata on."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _duration(self.deadline_ns),
            "lifespan": _duration(self.lifespan_ns),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _duration(self.lease_ns),
            "avoid_ros_namespace_conventions": self.avoid_ros_namespace_conventions,
        }


def _duration(ns: int) -> dict[str, int]:
    return {"sec": ns // NANOSECONDS, "nsec": ns % NANOSECONDS}


@dataclass(frozen=True)
class RecordedTopic:
    """One topic of a bag.

    Attributes:
        name: in the graph.
        type_name: such as ``sensor_msgs/msg/Imu``.
        qos: what its publishers offer.
        definition: text of the message type with everything it uses; empty when it is not known.
        type_hash: RIHS01 of the type; empty when it is not known.
        latched: whether its last message must be at hand wherever one begins to read.
        encoding: of the definition.
    """

    name: str
    type_name: str
    qos: tuple[OfferedQos, ...] = ()
    definition: str = ""
    type_hash: str = ""
    latched: bool = False
    encoding: str = "ros2msg"


@dataclass
class FileFacts:
    """One file of a bag, as metadata.yaml says it.

    Attributes:
        name: of the file, in the bag's folder.
        counts: messages of each topic.
        start_ns, end_ns: log time of the first and the last message [ns]; `NEVER_NS` and 0 without any.
    """

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    start_ns: int = NEVER_NS
    end_ns: int = 0

    @property
    def count(self) -> int:
        """Messages of all topics."""
        return sum(self.counts.values())

    @property
    def duration_ns(self) -> int:
        """From the first message to the last [ns]."""
        return max(0, self.end_ns - self.start_ns)


@dataclass
class BagMetadata:
    """What metadata.yaml says.

    Attributes:
        files: in the order of their time.
        topics: by name.
        custom: free texts by key.
        distribution: of ROS.
    """

    files: list[FileFacts] = field(default_factory=list)
    topics: Mapping[str, RecordedTopic] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    distribution: str = "kilted"
