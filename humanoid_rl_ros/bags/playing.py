"""Which topics of a bag are played, and how they are offered.

A bag that is played is to take the place of the robot, so what the robot measured and was asked is played. What the
driven nodes say they say anew, and what goes to motors reaches them only on demand: a topic whose purpose is not known
is not played unasked, because it may be the command topic of somebody's driver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from humanoid_rl_ros.bags.journals import read_setups
from humanoid_rl_ros.bags.metadata import qos_from_yaml
from humanoid_rl_ros.bags.namespaces import choose_namespace, full_name, namespaces_of
from humanoid_rl_ros.bags.reader import Bag, BagTopic
from humanoid_rl_ros.core.errors import BagError, did_you_mean
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic

MEASURED = (
    topics.JOINT_STATES,
    topics.IMU,
    topics.VELOCITY_COMMAND,
    topics.HAND_TARGETS,
    topics.ODOMETRY,
    topics.SIMULATED_VELOCITY,
)
GLOBAL = ("/tf", "/tf_static")
"""Played of every robot: transforms have their frames' names, and no namespace of their own."""
LEAST_DEPTH = 10
"""Messages kept for a subscriber: what comes in a burst must not be lost [messages]."""
# Of these packages nothing moves anything, but for the types that do.
_SENSOR_PACKAGES = ("sensor_msgs/msg/", "contact_msgs/msg/")
_COMMANDING = ("sensor_msgs/msg/JointState", "sensor_msgs/msg/MultiDOFJointState", "sensor_msgs/msg/JoyFeedback")
_SENSOR_TYPES = (
    "nav_msgs/msg/Odometry",
    "tf2_msgs/msg/TFMessage",
    "geometry_msgs/msg/WrenchStamped",
    "geometry_msgs/msg/AccelStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
)
_LATCHED = ("/tf_static", "robot_description")
"""Latched whatever the bag says of them, which bags of other recorders often do not."""


@dataclass(frozen=True)
class PlayedTopic:
    """A topic that is played.

    Attributes:
        name, type: as recorded.
        count: messages in the bag.
        reliable, latched, depth: as of `interfaces.topics.Topic`.
    """

    name: str
    type: str
    count: int
    reliable: bool
    latched: bool
    depth: int


@dataclass(frozen=True)
class Selection:
    """What of a bag is played.

    Attributes:
        namespace: of the robot, such as ``/a``; empty for none.
        topics: those played, the clock not among them.
        clock: the topic on which simulated time is published.
        clock_recorded: whether the bag has messages of it.
        commands: topics that move motors, of this robot, recorded or not.
        left_out: topics with messages that are not played.
    """

    namespace: str
    topics: tuple[PlayedTopic, ...]
    clock: str
    clock_recorded: bool
    commands: tuple[str, ...]
    left_out: tuple[str, ...]

    def without(self, names: Collection[str]) -> Selection:
        """The same without some topics."""
        kept = tuple(topic for topic in self.topics if topic.name not in names)
        return replace(self, topics=kept, left_out=tuple(sorted({*self.left_out, *names})))


def select(
    bag: Bag,
    namespace: str | None = None,
    *,
    further: Collection[str] = (),
    everything: bool = False,
    with_actuators: bool = False,
) -> Selection:
    """Choose what is played.

    Args:
        bag: the recording.
        namespace: of the robot in it; None: the only one there is.
        further: topics beside what was measured and asked, absolute or relative to the namespace.
        everything: every topic of this robot but those that move motors.
        with_actuators: those that move motors too.

    Raises:
        BagError: there are several robots and none is named, a topic is not there, or nothing is left to play.
    """
    chosen = choose_namespace(list(bag.topics), namespace)
    own = {name: topic for name, topic in bag.topics.items() if _is_of(name, chosen, list(bag.topics))}
    commands = _command_topics(bag, chosen)
    clock = next((name for name in (f"{chosen}/clock", "/clock") if _filled(own, name)), topics.CLOCK.name)
    asked = {_asked_topic(bag, name, chosen, commands, with_actuators=with_actuators) for name in further}
    names = {name for name, topic in own.items() if everything or _is_measured(topic, chosen)} | asked
    names = {name for name in names if bag.topics[name].type != topics.CLOCK.type_name} - set(commands)
    names |= {name for name in commands if name in own and with_actuators}
    played = tuple(_offered(bag.topics[name], chosen) for name in sorted(names) if _filled(bag.topics, name))
    if not played:
        filled = [name for name, topic in bag.topics.items() if topic.count]
        raise BagError(f"{bag.path}: nothing to play in it; it has {', '.join(filled[:12]) or 'no message at all'}")
    left_out = {name for name, topic in bag.topics.items() if topic.count} - {topic.name for topic in played} - {clock}
    return Selection(chosen, played, clock, _filled(own, clock), commands, tuple(sorted(left_out)))


def _filled(found: Mapping[str, BagTopic], name: str) -> bool:
    return name in found and found[name].count > 0


def _is_of(name: str, chosen: str, names: Collection[str]) -> bool:
    """Whether a topic is this robot's, or nobody's when the robot has no namespace."""
    if chosen:
        return name.startswith(f"{chosen}/") or name in (*GLOBAL, topics.CLOCK.name)
    others = [other for other in namespaces_of(names) if other]
    return not any(name.startswith(f"{other}/") for other in others)


def _is_measured(topic: BagTopic, chosen: str) -> bool:
    if topic.name in GLOBAL or topic.name in {full_name(measured, chosen) for measured in MEASURED}:
        return True
    if topic.type in _COMMANDING:
        return topic.name.endswith(f"/{topics.JOINT_STATES.name}")
    return topic.type in _SENSOR_TYPES or topic.type.startswith(_SENSOR_PACKAGES)


def _command_topics(bag: Bag, chosen: str) -> tuple[str, ...]:
    """The table's, wherever it was remapped to, and what the recorded monitor says it commands."""
    end = f"/{topics.JOINT_COMMAND.name}"
    found = {full_name(topics.JOINT_COMMAND, chosen), *(name for name in bag.topics if name.endswith(end))}
    try:
        for _, setup in read_setups(bag, topics.SAFETY_SETUP, chosen):
            found.add(setup.safety_settings().command_topic)
    except BagError:
        pass  # of another version; the names say it too
    return tuple(sorted(name for name in found if name.startswith("/")))


def _asked_topic(bag: Bag, name: str, chosen: str, commands: Collection[str], *, with_actuators: bool) -> str:
    full = name if name.startswith("/") else f"{chosen}/{name}"
    if full not in bag.topics:
        raise BagError(f"{bag.path}: no topic '{full}' in it; {did_you_mean(full, list(bag.topics))}")
    if full in commands and not with_actuators:
        raise BagError(f"{full} moves motors: it is played with --with-actuators alone")
    return full


def _offered(topic: BagTopic, chosen: str) -> PlayedTopic:
    """As it was offered; as of the table where the bag does not say.

    Of several publishers the strictest is taken where all agree, as any of their subscribers can hear it.
    """
    latched = topic.name.endswith(_LATCHED)
    if profiles := qos_from_yaml(topic.qos):
        reliable = all(profile.reliability != "best_effort" for profile in profiles)
        latched = latched or any(profile.durability == "transient_local" for profile in profiles)
        depth = max(profile.depth for profile in profiles)
    elif known := _of_the_table(topic.name, chosen):
        reliable, latched, depth = known.reliable, known.latched, known.depth
    else:
        reliable, depth = True, LEAST_DEPTH
    return PlayedTopic(topic.name, topic.type, topic.count, reliable, latched, max(depth, LEAST_DEPTH))


def _of_the_table(name: str, chosen: str) -> Topic | None:
    return next((t for t in vars(topics).values() if isinstance(t, Topic) and full_name(t, chosen) == name), None)


def measured_names(namespace: str) -> Iterator[str]:
    """The topics that a robot or a simulation cannot be without, and that must have one source."""
    for topic in (topics.JOINT_STATES, topics.IMU):
        yield full_name(topic, namespace)
