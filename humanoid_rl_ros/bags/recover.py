"""Bags made whole: torn files read up to the tear, metadata.yaml written anew, the originals kept."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.databases import DATABASES, read_database
from humanoid_rl_ros.bags.index import read_index
from humanoid_rl_ros.bags.mcap_file import McapFile
from humanoid_rl_ros.bags.metadata import METADATA, read_information, to_yaml, write_metadata
from humanoid_rl_ros.bags.records import BagMetadata, FileFacts, Record, RecordedTopic
from humanoid_rl_ros.bags.tears import TornFile, check, read_up_to_tear
from humanoid_rl_ros.core.errors import BagError

TORN, OLD = ".torn", ".before_recovery"
_NUMBER = re.compile(r"\d+")


@dataclass
class RecoveredFile:
    """What became of one file.

    Attributes:
        name: of the original.
        state: ``whole``, ``torn``, ``damaged``, ``empty`` or ``database``.
        reason: why it could not be read further, or empty.
        lost_bytes: behind the tear [bytes].
        bad_chunks: damaged chunks before it.
        facts: of what it holds now.
    """

    name: str
    state: str
    reason: str
    lost_bytes: int
    bad_chunks: int
    facts: FileFacts


@dataclass
class Recovery:
    """What was recovered.

    Attributes:
        folder: the whole bag.
        files: of the original, in order.
        topics: by name.
        kept: originals that were renamed.
    """

    folder: Path
    files: list[RecoveredFile] = field(default_factory=list)
    topics: dict[str, RecordedTopic] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Messages of each topic."""
        counts: Counter[str] = Counter(dict.fromkeys(self.topics, 0))
        for file in self.files:
            counts.update(file.facts.counts)
        return dict(counts)

    @property
    def end_ns(self) -> int:
        """Log time of the last message; 0 without any [ns]."""
        return max((file.facts.end_ns for file in self.files), default=0)

    @property
    def lost_bytes(self) -> int:
        """Behind all tears [bytes]."""
        return sum(file.lost_bytes for file in self.files)


def recover(source: Path, output: Path | None = None) -> Recovery:
    """Make a bag whole.

    Args:
        source: a bag's folder, with or without metadata.yaml, or one ``.mcap`` or ``.db3`` file.
        output: folder to make; None: in the bag's own folder, where torn files stay beside the recovered ones with
            ``.torn`` behind their name. A single file, and a database, need a new folder and get ``NAME_recovered``.

    Returns:
        What was recovered.

    Raises:
        BagError: there is no bag, nothing in it can be read, the output exists, or the disk is full.
    """
    files = storage_files(source)
    if output is None and (source.is_file() or files[0].suffix in DATABASES):
        output = source.with_name(f"{source.stem if source.is_file() else source.name}_recovered")
    try:
        if output is None:
            return _recover_in_place(source, files)
        return _recover_into(source, files, output)
    except OSError as error:
        raise BagError(f"cannot recover {source}: {error.strerror or error}") from None


def storage_files(source: Path) -> list[Path]:
    """The files of a bag in the order of their numbers, whatever metadata.yaml says.

    Raises:
        BagError: there are none.
    """
    if source.is_file() and source.suffix in (".mcap", *DATABASES):
        return [source]
    if not source.is_dir():
        found = "is no bag" if source.exists() else "does not exist"
        raise BagError(f"{source} {found}; expected a bag's folder, or a file .mcap or .db3")
    for suffix in (".mcap", *DATABASES):
        files = sorted(source.glob(f"*{suffix}"), key=lambda p: ([int(n) for n in _NUMBER.findall(p.stem)], p.name))
        if files:
            return files
    raise BagError(f"{source} holds no file .mcap or .db3")


def _recover_in_place(folder: Path, files: list[Path]) -> Recovery:
    recovery = Recovery(folder)
    rosbag2 = ""
    for path in files:
        torn = TornFile(path)
        check(torn)
        facts = read_index(path, recovery.topics) if torn.whole and not torn.bad_chunks else None
        rosbag2 = torn.rosbag2 or rosbag2
        if facts is not None:
            recovery.files.append(_outcome(torn, facts))
            continue
        partial = path.with_suffix(".recovering")
        partial.unlink(missing_ok=True)
        torn = TornFile(path)
        facts = _rewrite(path, torn, partial, recovery.topics)
        facts.name = path.name
        recovery.files.append(_outcome(torn, facts))
        kept = _free(path.with_name(path.name + TORN))
        path.rename(kept)
        recovery.kept.append(kept)
        if facts.count:
            partial.rename(path)
        else:
            partial.unlink()
    if recovery.kept or not _is_said(recovery):
        _finish(recovery, folder, rosbag2)
    return recovery


def _is_said(recovery: Recovery) -> bool:
    """Whether metadata.yaml says what the files hold."""
    try:
        said = read_information(recovery.folder) or {}
    except BagError:
        return False
    names = [file.facts.name for file in recovery.files]
    count = sum(file.facts.count for file in recovery.files)
    return said.get("relative_file_paths") == names and said.get("message_count") == count


def _recover_into(source: Path, files: list[Path], output: Path) -> Recovery:
    try:
        output.mkdir(parents=True)
    except FileExistsError:
        raise BagError(f"{output} exists already, and bags are not overwritten: name another folder") from None
    recovery = Recovery(output)
    rosbag2 = ""
    try:
        for number, path in enumerate(files):
            target = output / f"{output.name}_{number}.mcap"
            torn = TornFile(path)
            facts = _rewrite(path, torn, target, recovery.topics)
            rosbag2 = torn.rosbag2 or rosbag2
            if not facts.count:
                target.unlink()
            recovery.files.append(_outcome(torn, facts))
        _finish(recovery, source, rosbag2)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise
    if (source / BUNDLES).is_dir():
        shutil.copytree(source / BUNDLES, output / BUNDLES)
    return recovery


def _rewrite(path: Path, torn: TornFile, target: Path, topics: dict[str, RecordedTopic]) -> FileFacts:
    """Write what can be read of a file into a whole one."""
    items: Iterable[RecordedTopic | Record]
    items = read_database(torn) if path.suffix in DATABASES else read_up_to_tear(torn)
    file = McapFile(target, "zstd", to_yaml({}))
    try:
        for item in items:
            if isinstance(item, RecordedTopic):
                topics.setdefault(item.name, item)
                file.add_topic(item)
            else:
                file.write(item)
        file.close(torn.rosbag2)
    except BaseException:
        file.abandon()
        target.unlink(missing_ok=True)
        raise
    return file.facts


def _outcome(torn: TornFile, facts: FileFacts) -> RecoveredFile:
    state = "whole" if torn.whole else "empty" if torn.size == 0 else "torn"
    if torn.bad_chunks:
        state = "damaged"
    return RecoveredFile(torn.path.name, state, torn.reason, torn.lost_bytes, torn.bad_chunks, facts)


def _finish(recovery: Recovery, source: Path, rosbag2: str) -> None:
    """Write metadata.yaml from what the files hold; what only the old one knew is taken over."""
    if not any(file.facts.count for file in recovery.files):
        reasons = "; ".join(f"{file.name}: {file.reason or 'no messages'}" for file in recovery.files)
        if recovery.kept:
            _undo(recovery)
        raise BagError(f"nothing in {source} can be recovered ({reasons})")
    before = _before(source, rosbag2)
    custom = {str(key): str(value) for key, value in (before.get("custom_data") or {}).items()}
    metadata = BagMetadata(
        files=[file.facts for file in recovery.files if file.facts.count],
        topics=recovery.topics,
        custom={**custom, "humanoid_rl_recovered": "true"},
        distribution=str(before.get("ros_distro") or "kilted"),
    )
    old = recovery.folder / METADATA
    if old.exists():
        kept = _free(old.with_name(METADATA + OLD))
        shutil.copyfile(old, kept)
        recovery.kept.append(kept)
    write_metadata(recovery.folder, metadata)


def _undo(recovery: Recovery) -> None:
    for kept in recovery.kept:
        kept.rename(kept.with_name(kept.name.split(TORN)[0]))


def _before(source: Path, rosbag2: str) -> dict[str, Any]:
    readers: list[Callable[[], Any]] = [
        lambda: read_information(source if source.is_dir() else source.parent),
        lambda: yaml.safe_load(rosbag2),
    ]
    for read in readers:
        try:
            found = read()
        except (BagError, yaml.YAMLError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def _free(path: Path) -> Path:
    """The path, or the next one with a number behind it that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}{number}")
    return free
