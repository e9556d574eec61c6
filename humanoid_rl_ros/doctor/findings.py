"""What an examination says: a line for everything looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from humanoid_rl_ros.policies.contract import ERROR, NOTE, OK, WARNING

__all__ = ["ERROR", "NOTE", "OK", "WARNING", "Finding", "error", "errors", "note", "ok", "warning"]


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        name: stays the same from release to release, such as ``graph.joint_states.rate``.
        level: ``ok``, ``note``, ``warning`` or ``error``.
        found: what was measured.
        todo: what to do about it; empty where there is nothing to do.
    """

    name: str
    level: str
    found: str
    todo: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, OK, found)


def note(name: str, found: str, todo: str = "") -> Finding:
    """Worth knowing."""
    return Finding(name, NOTE, found, todo)


def warning(name: str, found: str, todo: str) -> Finding:
    """It works, and it may not do so for long."""
    return Finding(name, WARNING, found, todo)


def error(name: str, found: str, todo: str) -> Finding:
    """It does not work, or must not be used."""
    return Finding(name, ERROR, found, todo)


def errors(findings: Sequence[Finding]) -> list[Finding]:
    """Those that must be put in order first."""
    return [finding for finding in findings if finding.level == ERROR]
