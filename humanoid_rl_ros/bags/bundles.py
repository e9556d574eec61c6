"""Copies of the policy bundles that ran, beside the messages: a year later the folder they came from is gone."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

LARGEST_BYTES = 64_000_000
BUNDLES = "bundles"
"""Folder of a bag that holds the bundles that ran."""
LARGEST_COUNT = 64
_BLOCK = 1 << 20


@dataclass(frozen=True)
class BundleFiles:
    """A bundle as a node says it was loaded.

    Attributes:
        name: of the policy.
        folder: where it was read from.
        files: SHA-256 by name in the folder.
    """

    name: str
    folder: Path
    files: tuple[tuple[str, str], ...]


def bundles_of(setup: str) -> list[BundleFiles]:
    """The bundles that a node's setup names: key ``policies``, each with ``name``, ``folder`` and ``files``.

    Args:
        setup: JSON; anything else names none.
    """
    try:
        found = json.loads(setup)
    except (ValueError, RecursionError):
        return []
    policies = found.get("policies") if isinstance(found, Mapping) else None
    bundles = []
    for item in policies if isinstance(policies, list) else []:
        if not isinstance(item, Mapping) or not isinstance(item.get("files"), Mapping) or not item.get("folder"):
            continue
        files = tuple(sorted((str(name), str(digest)) for name, digest in item["files"].items()))
        bundles.append(BundleFiles(str(item.get("name") or "policy"), Path(str(item["folder"])), files))
    return bundles


class BundleKeeper:
    """Knows the bundles that ran, and copies them.

    Args:
        largest_bytes: of one bundle; a larger one is not copied [bytes].
    """

    def __init__(self, largest_bytes: int = LARGEST_BYTES) -> None:
        self._largest_bytes = largest_bytes
        self._known: list[BundleFiles] = []

    def see(self, setup: str) -> bool:
        """Take note of a node's setup.

        Returns:
            Whether it names a bundle that was not known.
        """
        new = [bundle for bundle in bundles_of(setup) if bundle not in self._known]
        self._known = [*self._known, *new][-LARGEST_COUNT:]
        return bool(new)

    def copy_into(self, bag: Path) -> list[str]:
        """Copy every known bundle that a bag does not have yet. Never raises: a bag is worth more than its bundle.

        Returns:
            One line for each that could not be copied.
        """
        complaints = []
        for bundle in list(self._known):
            try:
                self._copy(bundle, bag / BUNDLES)
            except (OSError, ValueError) as error:
                complaints.append(f"bundle '{bundle.name}' is not copied: {error}")
        return complaints

    def _copy(self, bundle: BundleFiles, target: Path) -> None:
        digest = hashlib.sha256(repr(bundle.files).encode()).hexdigest()[:8]
        plain = re.sub(r"[^\w.-]+", "_", bundle.name).strip("._") or "policy"
        folder = target / f"{plain}-{digest}"
        if folder.exists():
            return
        size = sum((bundle.folder / name).stat().st_size for name, _ in bundle.files)
        if size > self._largest_bytes:
            raise ValueError(f"it has {size / 1e6:.0f} MB, and {self._largest_bytes / 1e6:.0f} MB are allowed")
        partial = target / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            for name, expected in bundle.files:
                _copy_file(bundle.folder, partial, name, expected)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _copy_file(source: Path, target: Path, name: str, expected: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise ValueError(f"'{name}' lies outside its folder")
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (source / name).is_file():
        raise ValueError(f"{source / name} is no file")
    found = hashlib.sha256()
    with (source / name).open("rb") as reader, path.open("wb") as writer:
        while block := reader.read(_BLOCK):
            found.update(block)
            writer.write(block)
    if found.hexdigest() != expected:
        raise ValueError(f"{source / name} has changed since it was loaded")
