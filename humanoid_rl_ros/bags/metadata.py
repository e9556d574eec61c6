"""metadata.yaml as rosbag2 writes it: version 9, replaced as a whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.bags.records import NEVER_NS, BagMetadata, OfferedQos, RecordedTopic
from humanoid_rl_ros.core.errors import BagError

METADATA = "metadata.yaml"
VERSION = 9
_ROOT = "rosbag2_bagfile_information"


class _Dumper(yaml.SafeDumper):
    """Writes what stands in two places twice: rosbag2 reads no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(data: object) -> str:
    """A text that rosbag2 reads."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def offered_qos_yaml(topic: RecordedTopic) -> str:
    """The profiles of a topic, as they stand in the metadata of its channel."""
    return to_yaml([qos.as_yaml() for qos in topic.qos]).strip()


def information(metadata: BagMetadata) -> dict[str, Any]:
    """The content of metadata.yaml, below its root."""
    counts: Counter[str] = Counter()
    for file in metadata.files:
        counts.update(file.counts)
    start = min((file.start_ns for file in metadata.files), default=NEVER_NS)
    end = max((file.end_ns for file in metadata.files), default=0)
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": max(0, end - start)},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": counts.total(),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type_name,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [qos.as_yaml() for qos in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": counts[topic.name],
            }
            for topic in metadata.topics.values()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in metadata.files],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.start_ns},
                "duration": {"nanoseconds": file.duration_ns},
                "message_count": file.count,
            }
            for file in metadata.files
        ],
        "custom_data": dict(metadata.custom),
        "ros_distro": metadata.distribution,
    }


def write_metadata(folder: Path, metadata: BagMetadata, *, durable: bool = True) -> None:
    """Write or replace metadata.yaml; a reader meets the old one or the new one, whole.

    Args:
        folder: of the bag.
        metadata: what it says.
        durable: whether to wait until the disk has it, which may take long.

    Raises:
        OSError: it cannot be written; the old one stands.
    """
    partial = folder / f"{METADATA}.partial"
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(to_yaml({_ROOT: information(metadata)}))
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(folder / METADATA)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def read_information(folder: Path) -> dict[str, Any] | None:
    """The content of metadata.yaml, or None where there is none.

    Raises:
        BagError: it is there and cannot be read.
    """
    path = folder / METADATA
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BagError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BagError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    found = data.get(_ROOT) if isinstance(data, Mapping) else None
    if not isinstance(found, dict):
        raise BagError(f"{path} has no '{_ROOT}', which every bag of ROS 2 has")
    return found


def qos_from_yaml(text: str) -> tuple[OfferedQos, ...]:
    """The profiles that a channel's metadata holds; numbers of older bags become words.

    Anything that is no profile is left out: a bag is worth more than its quality of service.
    """
    try:
        found = yaml.safe_load(text) or []
    except yaml.YAMLError:
        return ()
    profiles = []
    for item in found if isinstance(found, list) else []:
        try:
            profiles.append(
                OfferedQos(
                    reliability=_word(item["reliability"], ("system_default", "reliable", "best_effort")),
                    durability=_word(item["durability"], ("system_default", "transient_local", "volatile")),
                    history=_word(item["history"], ("system_default", "keep_last", "keep_all")),
                    depth=int(item["depth"]),
                    liveliness=_word(item["liveliness"], ("system_default", "automatic", "", "manual_by_topic")),
                    deadline_ns=_nanoseconds(item["deadline"]),
                    lifespan_ns=_nanoseconds(item["lifespan"]),
                    lease_ns=_nanoseconds(item["liveliness_lease_duration"]),
                    avoid_ros_namespace_conventions=bool(item["avoid_ros_namespace_conventions"]),
                )
            )
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(profiles)


def _word(value: object, words: tuple[str, ...]) -> str:
    if isinstance(value, int):
        return (words[value] if 0 <= value < len(words) else "") or "unknown"
    return str(value)


def _nanoseconds(value: Mapping[str, int]) -> int:
    return int(value["sec"]) * 1_000_000_000 + int(value["nsec"])
