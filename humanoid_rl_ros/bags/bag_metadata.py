"""`metadata.yaml` of a bag: what it says of the files beside it, from rosbag2 of every age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml

from humanoid_rl_ros.core.config import LARGEST_FILE
from humanoid_rl_ros.core.errors import BagError

FILE_NAME = "metadata.yaml"
TOP = "rosbag2_bagfile_information"
# The C loader reads the metadata of a much split bag many times faster; a build of PyYAML may lack it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class BagMetadata:
    """What is known of a bag without opening its files.

    Attributes:
        version: of the metadata, 1 to 9 so far.
        files: names of the files, in order.
        counts: messages by topic.
        qos: offered quality of service by topic, as text.
        custom: what the recorder added.
        distribution: of ROS, such as ``jazzy``; empty where it does not say.
    """

    version: int = 0
    files: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    qos: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    distribution: str = ""


def read_metadata(path: Path) -> BagMetadata:
    """The metadata of a bag's folder.

    Raises:
        BagError: it cannot be read or understood.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BagError(f"is larger than {LARGEST_FILE} bytes")
        return parse_metadata(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BagError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BagError("is no text") from None


def parse_metadata(text: str) -> BagMetadata:
    """The same of its text, with or without the key at its top.

    Raises:
        BagError: it cannot be understood.
    """
    try:
        loaded = yaml.load(text, Loader=_LOADER)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BagError(f"is no YAML: {' '.join(str(error).split())}") from None
    body = _mapping(_mapping(loaded).get(TOP, loaded))
    if "relative_file_paths" not in body and "topics_with_message_count" not in body:
        raise BagError(f"says nothing of a bag: '{TOP}' is missing")
    counts: dict[str, int] = {}
    qos: dict[str, str] = {}
    for entry in map(_mapping, _items(body.get("topics_with_message_count"))):
        topic = _mapping(entry.get("topic_metadata"))
        name, count = str(topic.get("name", "")), entry.get("message_count", 0)
        counts[name] = counts.get(name, 0) + (count if isinstance(count, int) else 0)
        quality = topic.get("offered_qos_profiles", "")
        # Text up to version 8, and a list since.
        qos[name] = quality if isinstance(quality, str) else yaml.safe_dump(quality, sort_keys=False)
    version = body.get("version", 0)
    return BagMetadata(
        version=version if isinstance(version, int) else 0,
        files=tuple(PurePath(str(name)).name for name in _items(body.get("relative_file_paths"))),
        counts=counts,
        qos=qos,
        custom={str(key): str(value) for key, value in _mapping(body.get("custom_data")).items()},
        distribution=str(body.get("ros_distro") or ""),
    )


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
