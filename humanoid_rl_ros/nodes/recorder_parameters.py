"""What the recorder is told, and what it says at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from humanoid_rl_ros.bags.recording import MEGABYTE
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.nodes.parameters import parameter

COMPRESSIONS = ("zstd", "lz4", "none")


@dataclass(frozen=True)
class RecorderParameters:
    """Parameters of the recorder."""

    output: str = parameter("", "Folder of the bag, which must not exist; empty: bag_<date>_<time>.")
    topics: tuple[str, ...] = parameter((), "Further topics beside those of the table.", each=str)
    all_topics: bool = parameter(False, "Whether to record every topic that is not hidden.")
    split_size: float = parameter(1000.0, "Size from which on a new file is begun [MB]; 0: never.", least=0.0, most=1e9)
    split_time: float = parameter(1800.0, "Time that one file covers [s]; 0: any.", least=0.0, most=1e9)
    min_free: float = parameter(500.0, "Free disk space below which recording ends [MB].", least=0.0, most=1e9)
    memory: float = parameter(
        256.0,
        "Messages in memory: those that wait to be written, or the flight recorder's window [MB].",
        least=0.001,
        most=1e6,
    )
    compression: str = parameter("zstd", "Compression of the bag.", choices=COMPRESSIONS)
    flight: float = parameter(
        0.0,
        "Keep only this time in memory and write it when the safety monitor faults [s]; 0: write all.",
        least=0.0,
        most=3600.0,
    )
    after: float = parameter(5.0, "Of the flight recorder: time recorded after a fault [s].", least=0.0, most=600.0)
    seconds: float = parameter(0.0, "Time after which recording ends [s]; 0: never.", least=0.0, most=1e9)
    bundles: bool = parameter(True, "Whether to copy the bundles of the policies that run into the bag.")


@dataclass
class RecordingSummary:
    """What a recording has come to.

    Attributes:
        bags: folders.
        seconds: it lasted [s].
        messages: written.
        bytes: written.
        counts: messages heard, by topic.
        lost: messages that were published and never arrived, by topic.
        dropped: messages that came faster than they could be written, by topic.
        failure: why it ended by itself, or None.
    """

    bags: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    messages: int = 0
    bytes: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    failure: BagError | None = None

    def line(self) -> str:
        """For people."""
        gone = sum(self.lost.values()) + sum(self.dropped.values())
        where = ", ".join(map(str, self.bags)) or "no bag"
        return f"{where}: {self.messages} messages, {self.seconds:.1f} s, {self.bytes / MEGABYTE:.1f} MB, {gone} lost"
