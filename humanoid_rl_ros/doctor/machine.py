"""Judges the machine: does it have what a control loop needs?"""

from __future__ import annotations

from collections.abc import Iterable

from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.doctor.machine_facts import Machine
from humanoid_rl_ros.process_limits import may_lock_all

MEGABYTE = 1_000_000
BUSY_SHARE = 0.9
"""Tasks for each core from which on the control loop has to wait."""
FEWEST_CORES = 2
SHARED_MB = 64
"""What a graph of this size keeps in Fast DDS's shared memory, roughly."""
LITTLE_MB, TOO_LITTLE_MB = 5000, 500
"""Free disk: the recorder ends below the second."""
SLOW_GOVERNORS = ("powersave", "conservative", "ondemand")


def judge_machine(found: Machine) -> list[Finding]:
    """Cores, real time, memory, disk, clock."""
    return [*_cores(found), *_realtime(found), *_memory(found), *_folders(found), *_clock(found)]


def _cores(found: Machine) -> Iterable[Finding]:
    text = f"{found.usable_cores} of {found.cores}" if found.usable_cores != found.cores else f"{found.cores}"
    if found.usable_cores < FEWEST_CORES:
        yield warning("machine.cores", text, "give it two: the policy and the monitor take turns on one")
    else:
        yield ok("machine.cores", text)
    if found.load is not None:
        text = f"{found.load:.1f} tasks for {found.cores} cores in the last minute"
        if found.load > BUSY_SHARE * found.cores:
            yield warning("machine.load", text, "end what else is running, or give the nodes real-time priority")
        else:
            yield ok("machine.load", text)
    slow = [name for name in found.governors if name in SLOW_GOVERNORS]
    if slow:
        todo = "cpupower frequency-set -g performance: a clock that is turned up late makes single steps late"
        yield warning("machine.governor", f"cores run by '{', '.join(slow)}'", todo)
    elif found.governors:
        yield ok("machine.governor", ", ".join(found.governors))


def _realtime(found: Machine) -> Iterable[Finding]:
    if found.realtime_priority < 1:
        yield note(
            "machine.realtime_priority",
            "not allowed: the nodes run as any other program; fine for a simulation, not for a robot",
            "in /etc/security/limits.d: '@realtime - rtprio 98', and be in that group; in a container: "
            "--cap-add=SYS_NICE",
        )
    else:
        yield ok("machine.realtime_priority", f"up to {found.realtime_priority}")
    locked = found.locked_memory
    if not may_lock_all(locked):
        yield note(
            "machine.locked_memory",
            f"{locked / MEGABYTE:.1f} MB may be locked; a node that is told to lock its memory asks for no limit",
            "in /etc/security/limits.d: '@realtime - memlock unlimited'; in a container: --ulimit memlock=-1",
        )
    else:
        yield ok("machine.locked_memory", "unlimited")
    if found.realtime_kernel is not None:
        text = "PREEMPT_RT" if found.realtime_kernel else "not PREEMPT_RT: a step may be late by milliseconds"
        todo = "" if found.realtime_kernel else "for a robot: a kernel with PREEMPT_RT"
        yield note("machine.kernel", text, todo) if todo else ok("machine.kernel", text)
    share = found.realtime_share_us
    if share is not None and share == 0:
        todo = "sysctl kernel.sched_rt_runtime_us=950000"
        yield warning("machine.realtime_share", "real-time tasks get no time at all", todo)
    elif share is not None and share < 0:
        todo = "sysctl kernel.sched_rt_runtime_us=950000 keeps a task that hangs from taking its core for ever"
        yield note("machine.realtime_share", "real-time tasks may take all of a core", todo)


def _memory(found: Machine) -> Iterable[Finding]:
    free = found.shared_memory_free
    if free is None:
        todo = "mount it, or make it writable: Fast DDS falls back to UDP, which costs more"
        yield warning("machine.shared_memory", "/dev/shm cannot be written", todo)
    elif free < SHARED_MB * MEGABYTE:
        todo = "remove what lies there (fastdds shm clean); in a container: --shm-size=256m, or --ipc=host"
        yield warning("machine.shared_memory", f"{free / MEGABYTE:.0f} MB free in /dev/shm", todo)
    else:
        yield ok("machine.shared_memory", f"{free / MEGABYTE:.0f} MB free in /dev/shm")


def _folders(found: Machine) -> Iterable[Finding]:
    for what, free in found.folders.items():
        name = f"machine.disk.{what}"
        if free is None:
            yield error(name, f"the folder for {what} cannot be written", "give it another owner, or name another one")
        elif free < TOO_LITTLE_MB * MEGABYTE:
            yield error(name, f"{free / MEGABYTE:.0f} MB free", f"make room: recording ends below {TOO_LITTLE_MB} MB")
        elif free < LITTLE_MB * MEGABYTE:
            yield warning(name, f"{free / MEGABYTE:.0f} MB free", "make room before a long recording")
        else:
            yield ok(name, f"{free / MEGABYTE:.0f} MB free")


def _clock(found: Machine) -> Iterable[Finding]:
    if found.clock_synchronised:
        yield ok("machine.clock", "synchronised")
    elif found.clock_synchronised is not None:
        yield note(
            "machine.clock",
            "nothing says that it keeps the clock right",
            "matters where a second computer stamps messages: timedatectl set-ntp true, or chrony",
        )
