"""What a bag holds, whatever the format of its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

CDR = "cdr"
"""The one serialisation of messages that is read."""
DISORDER_NS = 10_000_000


class BagMessage(NamedTuple):
    """One recorded message.

    Attributes:
        topic: its full name.
        type: such as ``sensor_msgs/msg/Imu``.
        log_ns: when the recorder took it [ns].
        data: serialised, as it was recorded.
    """

    topic: str
    type: str
    log_ns: int
    data: bytes


@dataclass(frozen=True)
class BagTopic:
    """One recorded topic.

    Attributes:
        name: its full name.
        type: of its messages; empty where the bag does not say.
        count: how many messages there are.
        qos: offered quality of service, as the bag has it (YAML); empty where it does not say.
        serialization: of its messages; those that are not ``cdr`` are not read.
    """

    name: str
    type: str
    count: int
    qos: str = ""
    serialization: str = CDR


class Storage(Protocol):
    """One file of a bag.

    Attributes:
        topics: what it holds; a topic that was recorded twice (two qualities, two types) is there twice.
        start_ns, end_ns: first and last log time [ns]; both 0 where there is no message.
        problems: what was wrong and was read past; grows while messages are read.
        lost: messages that the sequence numbers of the file say are missing, by topic; known after all were read.
        metadata: the bag's ``metadata.yaml`` as far as the file repeats it; empty where it does not.
    """

    topics: list[BagTopic]
    start_ns: int
    end_ns: int
    problems: list[str]
    lost: dict[str, int]
    metadata: str

    def messages(
        self, wanted: Collection[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[BagMessage]:
        """The messages of some topics (None: all) from one time until before another, in order of log time."""

    def close(self) -> None:
        """Let go of the file."""


def count_of(topics: Collection[BagTopic]) -> int:
    """Messages of all these topics together."""
    return sum(topic.count for topic in topics)


def disorder(behind: int, farthest_ns: int) -> list[str]:
    """What to say of messages that were written behind later ones; a few milliseconds are usual, and no line.

    Args:
        behind: how many.
        farthest_ns: by how much at most [ns].
    """
    if farthest_ns < DISORDER_NS:
        return []
    milliseconds = farthest_ns / 1_000_000
    return [
        f"{behind} messages were written behind later ones, by up to {milliseconds:.0f} ms; given in the order of time"
    ]
