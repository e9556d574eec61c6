"""What came of a replay, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from humanoid_rl_ros.bags.comparison import Divergence, TopicCount
from humanoid_rl_ros.bags.node_replay import NodeResult
from humanoid_rl_ros.bags.replay import ReplayResult
from humanoid_rl_ros.interfaces import topics

ONE_STEP_NS = 1_000_000
LEADING = [
    topic.name
    for topic in (
        topics.POLICY_OBSERVATION,
        topics.POLICY_ACTION,
        topics.POLICY_EFFORT,
        topics.JOINT_COMMAND,
        topics.SAFETY_STATUS,
    )
]
"""In the order in which one leads to the next."""
MACHINE = ("numpy", "onnxruntime", "torch", "python", "machine", "processor")
"""Of what a node says of its software, what may change the last bits of a number."""


@dataclass
class NodeSummary:
    """One node.

    Attributes:
        result: of all its parts.
        counts: by topic.
        lost: journal entries that were not recorded.
        unreadable: journal batches that cannot be read.
    """

    result: NodeResult = field(default_factory=NodeResult)
    counts: dict[str, TopicCount] = field(default_factory=dict)
    lost: int = 0
    unreadable: int = 0

    @property
    def was_compared(self) -> bool:
        """Whether something was fed, to its end, and what came of it held against what was recorded."""
        compared = sum(count.recorded for count in self.counts.values())
        return self.result.consumed > 0 and compared > 0 and not self.result.error


@dataclass(frozen=True)
class ReplaySummary:
    """A whole replay.

    Attributes:
        nodes: by name.
        problems: what could not be read or replayed, one line each.
        other_software: what is another here than on the machine that recorded: name to both versions.
        damaged: whether something was wrong with the bag itself.
        start_ns: log time of its first message [ns].
        duration: of the recording [s].
        wall: time that the replay took [s].
    """

    nodes: Mapping[str, NodeSummary]
    problems: tuple[str, ...]
    other_software: Mapping[str, tuple[str, str]]
    damaged: bool
    start_ns: int
    duration: float
    wall: float

    @property
    def compared(self) -> int:
        """Messages compared."""
        return sum(count.recorded for node in self.nodes.values() for count in node.counts.values())

    @property
    def identical(self) -> bool:
        """Whether there was something to compare, and all of it is the same to the bit."""
        counts = [count for node in self.nodes.values() for count in node.counts.values()]
        return self.whole and not any(count.parted or count.close or count.unknown for count in counts)

    @property
    def same(self) -> bool:
        """Whether there was something to compare, and nothing differs by more than the tolerance."""
        return self.whole and self.first is None

    @property
    def whole(self) -> bool:
        """Whether of both nodes something was fed and compared, to the end."""
        return len(self.nodes) > 1 and all(node.was_compared for node in self.nodes.values())

    @property
    def fed(self) -> float:
        """Share of the journals' entries that were fed; the others were lost, or no recorded state came before them."""
        fed = sum(node.result.consumed for node in self.nodes.values())
        left = sum(node.result.skipped + node.lost for node in self.nodes.values())
        return fed / (fed + left) if fed else 0.0

    @property
    def flawless(self) -> bool:
        """Whether it is the same, of journals without a gap, and every recorded state was met."""
        nodes = self.nodes.values()
        met = all(node.result.equal_states == node.result.states for node in nodes)
        return self.same and met and not self.damaged and not any(node.lost or node.unreadable for node in nodes)

    @property
    def first(self) -> Divergence | None:
        """The first message that is not as recorded; of those of one step the one that leads to the others."""
        found = [d for node in self.nodes.values() for count in node.counts.values() for d in count.divergences]
        if not found:
            return None
        first_ns = min(divergence.wall_ns for divergence in found)
        together = [divergence for divergence in found if divergence.wall_ns < first_ns + ONE_STEP_NS]
        return min(together, key=lambda divergence: (LEADING.index(divergence.topic), divergence.wall_ns))

    def as_json(self) -> dict[str, Any]:
        """As JSON types."""
        first = self.first
        return {
            "identical": self.identical,
            "same": self.same,
            "flawless": self.flawless,
            "fed": self.fed,
            "compared": self.compared,
            "duration": self.duration,
            "wall": self.wall,
            "problems": list(self.problems),
            "other_software": {name: list(both) for name, both in self.other_software.items()},
            "first": None if first is None else _plain(first),
            "nodes": {
                name: {
                    **vars(node.result),
                    "lost": node.lost,
                    "unreadable": node.unreadable,
                    "topics": {topic: _counted(count) for topic, count in node.counts.items()},
                }
                for name, node in self.nodes.items()
            },
        }


def _counted(count: TopicCount) -> dict[str, Any]:
    return {
        **vars(count),
        "largest": None if count.largest is None else vars(count.largest),
        "divergences": [_plain(divergence) for divergence in count.divergences],
    }


def _plain(divergence: Divergence) -> dict[str, Any]:
    return {**vars(divergence), "fields": [vars(item) for item in divergence.fields]}


def summarise(result: ReplayResult, here: Mapping[str, str]) -> ReplaySummary:
    """Put the parts together.

    Args:
        result: of the replay.
        here: software and machine that replayed, as of `humanoid_rl_ros.control.software`.
    """
    nodes: dict[str, NodeSummary] = {}
    problems = list(result.problems)
    for part in result.parts:
        node = nodes.setdefault(part.part.node, NodeSummary())
        later = replace(part.result)
        if part.part.start_ns is not None:
            later.skipped = 0  # it began at the first state behind its beginning; the part before went on to there
        node.result.add(later)
        node.lost = max(node.lost, part.report.lost)
        node.unreadable = max(node.unreadable, part.report.unreadable)
        for topic, count in part.counts.items():
            node.counts.setdefault(topic, TopicCount()).add(count)
        if part.report.unreadable:
            problems.append(f"{part.part.node}: {part.report.unreadable} journal batches unread: {part.report.reason}")
    for name, node in nodes.items():
        if node.lost:
            problems.append(f"{name}: {node.lost} journal entries were not recorded")
        unknown = sum(count.unknown for count in node.counts.values())
        if unknown:
            problems.append(f"{name}: {unknown} messages are others, but they were not recorded themselves: not judged")
        if node.result.error:
            problems.append(f"{name}: ended early: {node.result.error}")
        if node.result.skipped:
            problems.append(f"{name}: {node.result.skipped} journal entries before the first recorded state, not fed")
        if node.result.consumed == 0 and not node.result.error:
            problems.append(f"{name}: no recorded state in its journal to begin from")
    own = [problem for part in result.parts for problem in part.problems]
    problems += own
    damaged = result.damaged or bool(own)
    other = {}
    for setup in result.setups.values():
        for key in ("humanoid_rl_ros", *MACHINE):
            then, now = setup.software.get(key), here.get(key, "")
            if then is not None and then != now:
                other[key] = then, now
    return ReplaySummary(
        nodes, tuple(dict.fromkeys(problems)), other, damaged, result.start_ns, result.duration, result.wall
    )
