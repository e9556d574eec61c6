"""A recording replayed through the very code that ran: bit for bit, from the journals of the nodes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.comparison import Comparison, TopicCount
from humanoid_rl_ros.bags.journals import (
    JournalReport,
    read_setups,
    read_stretches,
    require_schema,
)
from humanoid_rl_ros.bags.namespaces import full_name, journal_namespaces, only_namespace
from humanoid_rl_ros.bags.node_replay import Listener, NodeReplay, NodeResult
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.rebuild import RecordedPolicyControl, make_safety_control, recorded_robot
from humanoid_rl_ros.bags.recorded_words import RecordedWords
from humanoid_rl_ros.bags.words import Words
from humanoid_rl_ros.control.setup import NodeSetup
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.journal import SPOKEN
from humanoid_rl_ros.interfaces.topics import Topic

MOST_PARTS = 4
"""Parts of one node for each process."""
LATE_SETUP_NS = 2_000_000_000
LEAST_PART_S = 20.0
"""A shorter part of a recording is not worth a process of its own [s]."""


@dataclass(frozen=True)
class ReplayOptions:
    """What is replayed.

    Attributes:
        namespace: of the nodes; None: the one that was recorded.
        bundles: folders where bundles are looked for first.
        tolerance: largest difference of a number that is none.
        until_divergence: whether to stop at the first difference.
        jobs: processes; 0: as many as there are cores.
    """

    namespace: str | None = None
    bundles: tuple[Path, ...] = ()
    tolerance: float = 0.0
    until_divergence: bool = False
    jobs: int = 0


@dataclass(frozen=True)
class Part:
    """A part of one node's journal.

    Attributes:
        node: ``policy_node`` or ``safety_monitor``.
        start_ns, end_ns: log times between which its first recorded state is; None: the ends of the bag [ns].
    """

    node: str
    start_ns: int | None = None
    end_ns: int | None = None


@dataclass
class PartResult:
    """What came of a part, its journal, what was said in it, and what was wrong with the bag so far."""

    part: Part
    result: NodeResult
    report: JournalReport
    counts: dict[str, TopicCount]
    problems: tuple[str, ...] = ()


@dataclass
class ReplayResult:
    """What came of a replay.

    Attributes:
        path: the bag.
        parts: of each node, in order of time.
        setups: of each node, as it was at the end.
        problems: of the bag, and what could not be replayed.
        damaged: whether the bag itself had problems.
        start_ns: log time of its first message [ns].
        duration: of the recording [s].
        wall: time that the replay took [s].
    """

    path: Path
    parts: list[PartResult] = field(default_factory=list)
    setups: dict[str, NodeSetup] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    damaged: bool = False
    start_ns: int = 0
    duration: float = 0.0
    wall: float = 0.0


NODES: dict[str, tuple[Topic, Topic]] = {
    "policy_node": (topics.POLICY_JOURNAL, topics.POLICY_SETUP),
    "safety_monitor": (topics.SAFETY_JOURNAL, topics.SAFETY_SETUP),
}
"""Journal and setup of each."""


def replay_bag(
    path: Path, options: ReplayOptions, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> ReplayResult:
    """Replay the journals of a bag.

    Args:
        path: the bag.
        options: what, and how.
        progress: is told how many parts are done, of how many.

    Raises:
        BagError: there is no journal, or the controls cannot be made here.
    """
    began = time.monotonic()
    with Bag(path) as bag:
        require_schema(bag)
        namespace = _namespace(bag, options.namespace)
        result = ReplayResult(path, duration=bag.duration, start_ns=bag.start_ns)
        parts = list(_parts(bag, namespace, options, result))
        options = replace(options, namespace=namespace)
        result.damaged = bool(bag.problems)
        result.problems += bag.problems
    if not parts:
        raise BagError(f"{path}: {'; '.join(result.problems) or 'nothing to replay'}")
    run = partial(replay_part, path, options)
    jobs = min(options.jobs or os.cpu_count() or 1, len(parts))
    if options.until_divergence or jobs == 1 or bag.duration < LEAST_PART_S:
        for part in parts:
            result.parts.append(run(part))
            progress(len(result.parts), len(parts))
    else:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = [pool.submit(run, part) for part in parts]
            for done, _ in enumerate(as_completed(waiting), 1):
                progress(done, len(parts))
            result.parts = [future.result() for future in waiting]
    result.wall = time.monotonic() - began
    return result


def _namespace(bag: Bag, wanted: str | None) -> str:
    found = journal_namespaces([name for name, topic in bag.topics.items() if topic.count])
    if not found:
        raise BagError(
            f"{bag.path}: no journal of a node in it, so nothing to compare; "
            "to see what a policy makes of its sensors, name one with --policy"
        )
    return only_namespace(found, wanted, f"{bag.path}: journal")


def _parts(bag: Bag, namespace: str, options: ReplayOptions, result: ReplayResult) -> Iterator[Part]:
    for node, (journal, setup) in NODES.items():
        name = full_name(journal, namespace)
        if name not in bag.topics or not bag.topics[name].count:
            result.problems.append(f"{name} was not recorded: {node} is not replayed")
            continue
        setups = read_setups(bag, setup, namespace)
        if not setups:
            result.problems.append(f"{full_name(setup, namespace)} was not recorded: {node} is not replayed")
            continue
        result.setups[node] = setups[-1][1]
        # A clock that was set in the middle makes a bag of any length.
        most = MOST_PARTS * (options.jobs or os.cpu_count() or 1)
        count = 1 if options.until_divergence else min(max(1, int(bag.duration / LEAST_PART_S)), most)
        edges = [bag.start_ns + (bag.end_ns - bag.start_ns) * k // count for k in range(1, count)]
        for start_ns, end_ns in zip([None, *edges], [*edges, None], strict=True):
            yield Part(node, start_ns, end_ns)


def replay_part(path: Path, options: ReplayOptions, part: Part) -> PartResult:
    """Replay a part of one node's journal.

    Raises:
        BagError: the control cannot be made here.
    """
    journal, setup_topic = NODES[part.node]
    namespace = options.namespace or ""
    with Bag(path) as bag:
        setups = read_setups(bag, setup_topic, namespace)
        comparison = Comparison(tolerance=options.tolerance)
        result, report = NodeResult(), JournalReport()
        replay: NodeReplay | None = None
        incarnation: int | None = None
        for stretch in read_stretches(bag, full_name(journal, namespace), report, part.start_ns):
            if replay is None or stretch.batch.incarnation != incarnation:
                # The node was started again, and may have been made of something else.
                if replay is not None:
                    result.add(replay.finish())
                incarnation = stretch.batch.incarnation
                folders = (*options.bundles, bag.folder / BUNDLES)
                replay = _node_replay(part, _valid(setups, stretch.log_ns), folders, comparison)
                comparison.recorded = _recorded_words(bag, namespace, stretch.log_ns)
            if not replay.feed(stretch) or (options.until_divergence and comparison.parted):
                break
        if replay is not None:
            result.add(replay.finish())
        return PartResult(part, result, report, comparison.counts, bag.problems)


def _valid(setups: Sequence[tuple[int, NodeSetup]], log_ns: int) -> NodeSetup:
    """What a node was made of when it wrote a batch; said before that, but perhaps heard a little later."""
    earlier = [k for k, (said_ns, _) in enumerate(setups) if said_ns <= log_ns + LATE_SETUP_NS]
    found = setups[earlier[-1] if earlier else 0][1]
    for _, later in setups[earlier[-1] + 1 if earlier else 1 :]:
        if not later.goes_on_from(found):
            break  # the node was started again
        found = later  # policies were added while it ran
    return found


def _node_replay(part: Part, setup: NodeSetup, folders: Sequence[Path], comparison: Comparison) -> NodeReplay:
    listener = Listener()
    control = (
        RecordedPolicyControl(setup, folders, listener)
        if part.node == "policy_node"
        else make_safety_control(setup, listener)
    )
    joints = recorded_robot(setup).joint_names
    if isinstance(control, RecordedPolicyControl):
        policies = control.recorded.every
        labels = [policy.observation_labels for policy in policies]
        comparison.words = Words(joints, labels, [tuple(policy.bundle.joints) for policy in policies])
    else:
        comparison.words = Words(joints)
        comparison.stamped = setup.safety_settings().stamped_commands
    return NodeReplay(control, listener, comparison, end_ns=part.end_ns)


def _recorded_words(bag: Bag, namespace: str, start_ns: int) -> dict[str, RecordedWords]:
    """What finds the messages that were recorded from a time on, by topic."""
    names = {topic.name: full_name(topic, namespace) for topic in SPOKEN}
    return {topic: RecordedWords(bag, name, start_ns) for topic, name in names.items() if name in bag.topics}
