"""What there is to know of the machine, measured elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Installation:
    """What is installed for this Python.

    Attributes:
        python: version, such as (3, 11, 2).
        versions: of distributions by name; those that are missing are not in it.
        messages: packages of ROS messages that can be found.
        rclpy: whether it can be found at all.
        rclpy_failure: what its import said; empty where it was not tried or went well.
        wheels: whether rclpy is the one of the wheels on PyPI, or one that was sourced.
        rmw: the middleware that rclpy loads or is told to; empty: not known.
        environment: variables that matter, by name.
    """

    python: tuple[int, int, int]
    versions: Mapping[str, str] = field(default_factory=dict)
    messages: frozenset[str] = frozenset()
    rclpy: bool = False
    rclpy_failure: str = ""
    wheels: bool = False
    rmw: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """What it runs on. None: it does not say.

    Attributes:
        cores: there are.
        usable_cores: this process may use.
        load: mean number of tasks that wanted a core, of the last minute.
        governors: of the cores' clocks, each kind once.
        realtime_priority: highest that may be asked for; 0: none.
        locked_memory: that may be locked [B]; `process_limits.UNLIMITED`.
        realtime_kernel: whether its kernel is PREEMPT_RT.
        realtime_share_us: of each second, time that real-time tasks may take [µs]; -1: all.
        clock_synchronised: whether the kernel says that something keeps its clock right.
        shared_memory_free: in /dev/shm [B]; None: it cannot be written.
        folders: free bytes of the folders that are written to, by what they are for; None: it cannot be written.
    """

    cores: int
    usable_cores: int
    load: float | None = None
    governors: tuple[str, ...] = ()
    realtime_priority: int = 0
    locked_memory: int = 0
    realtime_kernel: bool | None = None
    realtime_share_us: int | None = None
    clock_synchronised: bool | None = None
    shared_memory_free: int | None = None
    folders: Mapping[str, int | None] = field(default_factory=dict)
