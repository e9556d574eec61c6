"""What a process may ask of Linux: one rule for the nodes, which ask, and for the doctor, who foretells."""

from __future__ import annotations

from pathlib import Path

UNLIMITED = -1
"""Of a limit that is none."""
IPC_LOCK, SYS_NICE = 14, 23
"""Capabilities to which the limits of locked memory and of priority do not apply; being root is not enough."""


def highest(name: str, capability: int) -> int:
    """What a limit may be raised to by the process itself: the hard one, not the one that holds now.

    Args:
        name: of the limit, such as ``RLIMIT_MEMLOCK``.
        capability: that goes beyond it.

    Returns:
        The limit, or `UNLIMITED`; 0 where the system has none of that name.
    """
    import resource

    if not hasattr(resource, name):
        return 0
    _, hard = resource.getrlimit(getattr(resource, name))
    return UNLIMITED if hard == resource.RLIM_INFINITY or has_capability(capability) else hard


def may_lock_all(limit: int) -> bool:
    """Whether a node may lock its memory under that limit [B].

    With any other the lock itself may work, and an allocation in the middle of a run fail for it.
    """
    return limit == UNLIMITED


def has_capability(number: int) -> bool:
    """Whether this process has that capability of Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        effective = next(line.split()[1] for line in lines if line.startswith("CapEff"))
    except (OSError, StopIteration):
        return False
    return bool(int(effective, 16) >> number & 1)
