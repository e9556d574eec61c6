"""Recorded states and setups of earlier formats, made into those of this version.

Whoever renames or removes an attribute of a control's classes, or a key of a setup, raises the format and adds here
what makes the one before into it: a recording is to be replayed for as long as anybody keeps it. For a new attribute
of a state the format is raised too, and nothing is to be made: what a recording does not say stays as it was made, and
states of an earlier format are set but not compared to the byte. A new key of a setup needs its default alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from humanoid_rl_ros.core.errors import BagError

Document = dict[str, Any]
Migrations = Mapping[int, Callable[[Document], Document]]
STATE_FORMAT = 3
STATE_MIGRATIONS: Migrations = {1: lambda document: document, 2: lambda document: document}
"""By format: what makes the next one of it. 2: the safety monitor knows how long all has been well. 3: the policy
control knows where the hands are asked to be, and a behaviour how far their targets have come."""
SETUP_FORMAT = 1
SETUP_MIGRATIONS: Migrations = {}


def migrated(document: Document, wanted: int, migrations: Migrations, what: str) -> Document:
    """A document in the format wanted.

    Args:
        document: with its ``format``.
        wanted: the format of this version.
        migrations: from each earlier format to the next.
        what: what it is, for the message.

    Raises:
        BagError: it is of a later format, or of one that nothing leads on from.
    """
    found = document.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found > wanted:
        raise BagError(f"{what} of format {found!r}, and this version reads up to {wanted}: it is of a later version")
    while found < wanted:
        if found not in migrations:
            raise BagError(f"{what} of format {found} cannot be read any more")
        document = {**migrations[found](document), "format": found + 1}
        found += 1
    return document
