"""What the recorder listens to: names, types and quality of service as the publishers have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

from humanoid_rl_ros.bags.records import OfferedQos
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.graph import REMAPPINGS

BESIDE_THE_TABLE = ("/tf", "/tf_static", "/rosout", "/parameter_events")
HISTORY_OF_ALL = "/rosout"
"""Latched for the sake of late readers of its history; its last message says nothing about now."""
DEPTH = 2000
"""Messages that the middleware keeps while we are busy: two seconds at 1 kHz."""


@dataclass(frozen=True)
class Offer:
    """A topic that has publishers.

    Attributes:
        name: in the graph.
        type_name: of its publishers; the first one's where they differ.
        others: types of further publishers, which cannot be heard.
        qos: what they offer, each kind once.
        type_hash: RIHS01, where the middleware tells it.
        reliable: whether all of them are.
        transient_local: whether all of them are.
    """

    name: str
    type_name: str
    others: tuple[str, ...]
    qos: tuple[OfferedQos, ...]
    type_hash: str
    reliable: bool
    transient_local: bool

    @property
    def latched(self) -> bool:
        """Whether its last message says what holds now."""
        return self.transient_local and self.name != HISTORY_OF_ALL


def wanted_topics(namespace: str, further: Sequence[str] = ()) -> dict[str, Topic | None]:
    """Every topic of the table by its name in the graph, those beside it, and further ones.

    Names that are absolute in the table are wanted in the namespace too, because the launch files put them there.

    Args:
        namespace: of the nodes.
        further: absolute, or relative to the namespace.

    Returns:
        What the table says of each name; None of those that are not in it.
    """
    prefix = f"/{namespace.strip('/')}/" if namespace.strip("/") else "/"
    table = {topic.name: topic for topic in vars(topics).values() if isinstance(topic, Topic)}
    following = {relative: table.get(absolute) for absolute, relative in REMAPPINGS} | {"tf_static": None}
    names: dict[str, Topic | None] = {**dict.fromkeys((*BESIDE_THE_TABLE, *further)), **following, **table}
    return {name if name.startswith("/") else prefix + name: topic for name, topic in names.items()}


def offers(node: Node, wanted: Mapping[str, Topic | None], *, everything: bool = False) -> list[Offer]:
    """The topics that have publishers now.

    Args:
        node: whose view of the graph counts.
        wanted: the topics that matter.
        everything: whether all others matter too, but hidden ones.
    """
    found = []
    for name, _ in node.get_topic_names_and_types():
        if name not in wanted and not (everything and "/_" not in name):
            continue
        publishers = node.get_publishers_info_by_topic(name)
        if publishers:
            found.append(_offer(name, publishers, wanted.get(name)))
    return found


def _offer(name: str, publishers: Sequence[Any], topic: Topic | None) -> Offer:
    first = publishers[0].topic_type
    same = [info for info in publishers if info.topic_type == first]
    profiles = [info.qos_profile for info in same]
    return Offer(
        name=name,
        type_name=first,
        others=tuple(sorted({info.topic_type for info in publishers} - {first})),
        qos=tuple(dict.fromkeys(_offered(profile, topic) for profile in profiles)),
        type_hash=_type_hash(same[0]),
        reliable=all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in profiles),
        transient_local=all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles),
    )


def listening_profile(offer: Offer) -> QoSProfile:
    """The strictest profile that hears all publishers of an offer."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if offer.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if offer.transient_local else DurabilityPolicy.VOLATILE,
    )


def message_class(type_name: str) -> Any:
    """The message class of a type, or None where its package is not installed."""
    try:
        package, kind, name = type_name.split("/")
        return getattr(import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError, ValueError):
        return None


def share_folder(package: str) -> Path | None:
    """Where a package keeps its files, or None."""
    try:
        return Path(get_package_share_path(package))
    except (PackageNotFoundError, ValueError, LookupError):
        return None


def _offered(profile: QoSProfile, topic: Topic | None) -> OfferedQos:
    history, depth = _word(profile.history), profile.depth
    if history == "unknown" and topic is not None:  # the middleware does not tell it of others' publishers
        history, depth = "keep_last", topic.depth
    return OfferedQos(
        reliability=_word(profile.reliability),
        durability=_word(profile.durability),
        history=history,
        depth=depth,
        liveliness=_word(profile.liveliness),
        deadline_ns=profile.deadline.nanoseconds,
        lifespan_ns=profile.lifespan.nanoseconds,
        lease_ns=profile.liveliness_lease_duration.nanoseconds,
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _word(policy: ReliabilityPolicy | DurabilityPolicy | HistoryPolicy | LivelinessPolicy) -> str:
    return str(policy.name).lower()


def _type_hash(info: Any) -> str:
    """As text; Humble tells none."""
    found = getattr(info, "topic_type_hash", None)
    if found is None or found.version != 1:
        return ""
    return f"RIHS01_{bytes(found.value).hex()}"
