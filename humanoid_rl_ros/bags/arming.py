"""When the recorded robot was armed: what is driven by the bag is armed then, too."""

from __future__ import annotations

from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_messages import read_diagnostic_status
from humanoid_rl_ros.safety.status import SafetyState

_NOT_ARMED = ("", SafetyState.DISARMED.value, SafetyState.READY.value, SafetyState.ESTOP.value)


def says_armed(status: bytes) -> bool:
    """Whether the safety monitor was armed when it said that.

    Args:
        status: serialised message of its status.

    Raises:
        StateError: it cannot be read.
    """
    return read_diagnostic_status(status).values.get("state", "") not in _NOT_ARMED


def armings(bag: Bag, namespace: str) -> list[int]:
    """Log times at which the safety monitor was armed, or was found armed [ns]; none where none was recorded.

    Args:
        bag: the recording.
        namespace: of the robot, such as ``/a``.
    """
    name = full_name(topics.SAFETY_STATUS, namespace)
    found: list[int] = []
    armed = False
    for message in bag.messages([name]) if name in bag.topics else ():
        try:
            before, armed = armed, says_armed(message.data)
        except StateError:
            continue
        if armed and not before:
            found.append(message.log_ns)
    return found
