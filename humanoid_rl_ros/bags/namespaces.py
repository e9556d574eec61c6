"""Which robots a bag holds, by the namespaces of their topics."""

from __future__ import annotations

from collections.abc import Collection

from humanoid_rl_ros.core.errors import BagError, did_you_mean
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic

# A gripper or a hand has joint states of its own; only a robot has these.
_OF_A_ROBOT = (topics.SAFETY_STATUS, topics.POLICY_EFFORT, topics.JOINT_COMMAND, topics.POLICY_SETUP)
_ELSE = (topics.JOINT_STATES,)


def full_name(topic: Topic, namespace: str) -> str:
    """The name of a topic of the table in a namespace."""
    return topic.name if topic.name.startswith("/") else f"{namespace}/{topic.name}"


def namespaces_of(names: Collection[str]) -> tuple[str, ...]:
    """The namespaces in which a robot of this package is, sorted; the empty text stands for none."""
    robots = [name for name in names if not name.endswith(f"/{topics.REPLAYED_COMMAND}")]
    for telling in (_OF_A_ROBOT, _ELSE):
        found = {
            name[: -len(topic.name) - 1] for topic in telling for name in robots if name.endswith(f"/{topic.name}")
        }
        if found:
            return tuple(sorted(found))
    return ()


def journal_namespaces(names: Collection[str]) -> tuple[str, ...]:
    """The namespaces in which a node's journal is, sorted; the empty text stands for none."""
    ends = [f"/{topic.name}" for topic in (topics.POLICY_JOURNAL, topics.SAFETY_JOURNAL)]
    return tuple(sorted({name.removesuffix(end) for end in ends for name in names if name.endswith(end)}))


def sensor_namespaces(names: Collection[str]) -> tuple[str, ...]:
    """The namespaces in which joint states are, sorted; the empty text stands for none."""
    end = f"/{topics.JOINT_STATES.name}"
    return tuple(sorted({name.removesuffix(end) for name in names if name.endswith(end)}))


def normal_namespace(namespace: str) -> str:
    """A namespace as it stands before a topic: with a slash at its head and none at its end, or empty."""
    stripped = namespace.strip("/")
    return f"/{stripped}" if stripped else ""


def only_namespace(found: Collection[str], wanted: str | None, what: str) -> str:
    """The one that is wanted, or the only one.

    Args:
        found: namespaces, as `normal_namespace` writes them; at least one.
        wanted: as the user gave it; None for the only one.
        what: what was found in them, for the message.

    Raises:
        BagError: it is not there, or there are several and none is named.
    """
    known = ", ".join(f"'{namespace or '/'}'" for namespace in found)
    if wanted is not None:
        if normal_namespace(wanted) not in found:
            raise BagError(f"no {what} in namespace '{normal_namespace(wanted) or '/'}'; there is {known}")
        return normal_namespace(wanted)
    if len(found) > 1:
        raise BagError(f"{what} of several robots, {known}; choose one with --namespace")
    return next(iter(found))


def choose_namespace(names: Collection[str], wanted: str | None) -> str:
    """The namespace to report on.

    Args:
        names: of the topics of the bag.
        wanted: as the user gave it, with or without slashes; None to take the only one.

    Raises:
        BagError: there are several and none is named, or the one named is not there.
    """
    found = namespaces_of(names)
    shown = [namespace or "/" for namespace in found]
    if wanted is not None:
        chosen = normal_namespace(wanted)
        if found and chosen not in found:
            raise BagError(f"no robot in namespace '{wanted}'; {did_you_mean(wanted, shown)}")
        return chosen
    if len(found) > 1:
        raise BagError(f"the bag holds {len(found)} robots: {', '.join(shown)}; choose one with --namespace")
    return found[0] if found else ""
