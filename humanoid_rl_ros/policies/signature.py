"""Digests of a whole bundle, for those who deploy it: afterwards not a byte of it may change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from humanoid_rl_ros.core.errors import ConfigError

SIGNATURE = "SHA256SUMS"
"""As `sha256sum` writes and checks it."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def sign(folder: Path, names: Iterable[str]) -> Path:
    """Write down the digests of these files of a bundle.

    Args:
        folder: the bundle.
        names: its files, relative to it.

    Returns:
        The file written.

    Raises:
        ConfigError: a file cannot be read, or the digests not written.
    """
    text = "".join(f"{file_digest(folder / name)}  {name}\n" for name in names)
    try:
        (folder / SIGNATURE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder / SIGNATURE}: {error.strerror or error}") from None
    return folder / SIGNATURE


def require_signature(folder: Path, names: Iterable[str]) -> None:
    """Refuse files that are not what was signed; a bundle that was never signed is not looked at.

    Raises:
        ConfigError: a file is not listed or its digest is another, or the list is malformed.
    """
    file = folder / SIGNATURE
    if not file.is_file():
        return
    listed: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{file}: not a line of sha256sum: {line[:80]!r}")
        listed[match[2]] = match[1]
    for name in names:
        if name not in listed:
            raise ConfigError(
                f"{folder / name}: {SIGNATURE} does not list it; sign the bundle again, or remove that file"
            )
        if file_digest(folder / name) != listed[name]:
            raise ConfigError(
                f"{folder / name}: was changed after the bundle was signed; sign it again if that was meant"
            )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
