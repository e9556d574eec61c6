"""What a bag holds, what it carries, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.databases import DATABASES
from humanoid_rl_ros.bags.index import read_index
from humanoid_rl_ros.bags.metadata import METADATA, read_information
from humanoid_rl_ros.bags.records import FileFacts, Record, RecordedTopic
from humanoid_rl_ros.bags.recover import storage_files
from humanoid_rl_ros.bags.tears import TornFile, read_up_to_tear
from humanoid_rl_ros.core.errors import BagError

LOST_KEY, DROPPED_KEY = "humanoid_rl_lost", "humanoid_rl_dropped"
"""In ``custom_data``: JSON, messages by topic that never arrived, and that came faster than they could be written."""


@dataclass
class BagFacts:
    """A bag as it is on disk.

    Attributes:
        path: its folder, or the one file.
        files: in order.
        sizes: of the files [bytes].
        topics: by name.
        custom: texts that rosbag2 keeps for us.
        bundles: folders of policies it carries.
        problems: one line each; empty when the bag is whole.
    """

    path: Path
    files: list[FileFacts] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    topics: dict[str, RecordedTopic] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)
    bundles: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Messages of each topic."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.counts)
        return dict(counts)

    @property
    def start_ns(self) -> int:
        """Log time of the first message; 0 without any [ns]."""
        return min((file.start_ns for file in self.files if file.count), default=0)

    @property
    def seconds(self) -> float:
        """From the first message to the last [s]."""
        return max(0, max((file.end_ns for file in self.files), default=0) - self.start_ns) * 1e-9

    def lost(self) -> dict[str, int] | None:
        """Messages of each topic that the recorder knows it does not have; None where no recorder says."""
        found: Counter[str] = Counter()
        said = False
        for key in (LOST_KEY, DROPPED_KEY):
            try:
                counts = json.loads(self.custom[key])
                found.update({str(topic): int(count) for topic, count in counts.items()})
                said = True
            except (KeyError, ValueError, AttributeError, TypeError):
                continue
        return dict(found) if said else None


def inspect(path: Path) -> BagFacts:
    """Look at a bag. Only torn files are read through; of others the index is enough.

    Raises:
        BagError: there is no bag.
    """
    facts = BagFacts(path)
    paths = storage_files(path)
    try:
        for file in paths:
            facts.sizes.append(file.stat().st_size)
            (_read_database if file.suffix in DATABASES else _read_mcap)(facts, file)
    except OSError as error:
        raise BagError(f"cannot read {path}: {error.strerror or error}") from None
    if path.is_dir():
        _read_metadata(facts, {file.name for file in paths})
        facts.bundles = sorted(p.name for p in (path / BUNDLES).glob("[!.]*") if p.is_dir())
    return facts


def _read_mcap(facts: BagFacts, path: Path) -> None:
    indexed = read_index(path, facts.topics)
    if indexed is not None:
        facts.files.append(indexed)
        return
    found = FileFacts(path.name)
    facts.files.append(found)
    torn = TornFile(path)
    for item in read_up_to_tear(torn):
        if isinstance(item, RecordedTopic):
            facts.topics.setdefault(item.name, item)
            found.counts.setdefault(item.name, 0)
        elif isinstance(item, Record):
            found.counts[item.topic] += 1
            found.start_ns = min(found.start_ns, item.log_time_ns)
            found.end_ns = max(found.end_ns, item.log_time_ns)
    if not torn.whole:
        what = "is empty" if torn.size == 0 else f"is torn ({torn.lost_bytes} bytes behind the last whole record)"
        facts.problems.append(f"{path.name} {what}: humanoid_rl bag recover")
    if torn.bad_chunks:
        facts.problems.append(f"{path.name} has {torn.bad_chunks} damaged chunks: humanoid_rl bag recover")


def _read_database(facts: BagFacts, path: Path) -> None:
    found = FileFacts(path.name)
    facts.files.append(found)
    try:
        with Reader(path) as reader:
            for connection in reader.connections:
                facts.topics.setdefault(connection.topic, RecordedTopic(connection.topic, connection.msgtype))
                found.counts[connection.topic] = connection.msgcount
            if reader.message_count:
                found.start_ns, found.end_ns = reader.start_time, reader.end_time - 1
    except Exception as error:  # of two libraries, about whatever is left of a database
        facts.problems.append(f"{path.name} cannot be read: {' '.join(str(error).split())}")
    for suffix in ("-journal", "-wal"):
        if path.with_name(path.name + suffix).exists():
            facts.problems.append(f"{path.name} has an open {suffix[1:]}: humanoid_rl bag recover")


def _read_metadata(facts: BagFacts, names: set[str]) -> None:
    try:
        information: dict[str, Any] | None = read_information(facts.path)
    except BagError as error:
        facts.problems.append(f"{error}: humanoid_rl bag recover")
        return
    if information is None:
        facts.problems.append(f"{METADATA} is missing: humanoid_rl bag recover")
        return
    custom = information.get("custom_data")
    facts.custom = {str(k): str(v) for k, v in custom.items()} if isinstance(custom, dict) else {}
    said = {Path(str(name)).name for name in information.get("relative_file_paths") or []}
    for name in sorted(said - names):
        facts.problems.append(f"{name} is named in {METADATA} and missing")
    for name in sorted(names - said):
        facts.problems.append(f"{name} is not named in {METADATA}: humanoid_rl bag recover")
    count = information.get("message_count")
    if not facts.problems and count != sum(facts.counts.values()):
        facts.problems.append(f"{METADATA} counts {count} messages, the files hold {sum(facts.counts.values())}")
