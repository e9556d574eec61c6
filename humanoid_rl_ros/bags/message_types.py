"""Definitions and hashes of message types: those of the ROS distribution, and those of installed packages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

_STORES = {store.name.removeprefix("ROS2_").lower(): store for store in Stores if store.name.startswith("ROS2_")}
_BUILT_IN = frozenset(
    {"bool", "byte", "char", "float32", "float64", "string", "wstring"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
_FIELD_TYPE = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")


class MessageType(NamedTuple):
    """What a bag must know of a type.

    Attributes:
        definition: its text with those of all types it uses; empty when it is not known.
        type_hash: RIHS01; empty when it is not known.
    """

    definition: str
    type_hash: str


class MessageTypes:
    """Finds definitions.

    Args:
        distribution: ROS distribution whose types are known without any file.
        share_folder: where an installed package keeps its ``msg`` folder, or None.
    """

    def __init__(
        self, distribution: str = "kilted", share_folder: Callable[[str], Path | None] = lambda _: None
    ) -> None:
        self._store = get_typestore(_STORES.get(distribution, Stores.ROS2_KILTED))
        self._share_folder = share_folder

    def find(self, type_name: str) -> MessageType:
        """The definition and hash of a type; both empty when nothing is known of it."""
        try:
            if type_name not in self._store.types:
                self._read(type_name)
            definition, _ = self._store.generate_msgdef(type_name, ros_version=2)
            return MessageType(definition, self._store.hash_rihs01(type_name))
        except Exception:  # of the parsers: whatever is wrong with a type, its messages are recorded
            return MessageType("", "")

    def _read(self, type_name: str) -> None:
        found: dict[str, str] = {}
        self._collect(type_name, found)
        types = {}
        for name, text in found.items():
            types.update(get_types_from_msg(text, name))
        self._store.register(types)

    def _collect(self, type_name: str, found: dict[str, str]) -> None:
        """Texts of a type and of all it uses, from the packages' files."""
        package, _, name = type_name.split("/")
        folder = self._share_folder(package)
        if folder is None:
            raise FileNotFoundError(type_name)
        found[type_name] = text = (folder / "msg" / f"{name}.msg").read_text(encoding="utf-8")
        for line in text.splitlines():
            match = _FIELD_TYPE.match(line.split("#", 1)[0])
            if match is None or match.group(1) in _BUILT_IN:
                continue
            used = _full_name(match.group(1), package)
            if used not in found and used not in self._store.types:
                self._collect(used, found)


def _full_name(written: str, package: str) -> str:
    if written == "Header":
        return "std_msgs/msg/Header"
    parts = written.split("/")
    return f"{package}/msg/{written}" if len(parts) == 1 else f"{parts[0]}/msg/{parts[-1]}"
