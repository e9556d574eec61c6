"""What a node asks of the machine it runs on: real-time priority, locked memory, CPUs; and what it gets.

Nothing here is needed to run: what is denied is said, with what to do about it, and the node goes on without.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from humanoid_rl_ros.process_limits import IPC_LOCK, highest, may_lock_all

LIMITS_FILE = "/etc/security/limits.d/humanoid_rl.conf"
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


@dataclass(frozen=True)
class Claim:
    """Something asked of the machine.

    Attributes:
        name: of the parameter that asks for it.
        asked: what was asked for.
        denial: why it was denied and what to do about it; empty where it was granted.
    """

    name: str
    asked: str
    denial: str = ""

    @property
    def text(self) -> str:
        """As a value for people."""
        return f"{self.asked}, denied: {self.denial}" if self.denial else self.asked


def claim(*, realtime_priority: int, lock_memory: bool, cpus: Iterable[int]) -> tuple[Claim, ...]:
    """Ask for these, for all threads there are, those of the middleware among them.

    Args:
        realtime_priority: of SCHED_FIFO; 0: not asked for.
        lock_memory: whether no memory may be paged out.
        cpus: to run on; none: not asked for.

    Returns:
        What was asked for, with what was denied.
    """
    wanted, claims = sorted(set(cpus)), []
    if wanted:
        claims.append(Claim("cpus", " ".join(map(str, wanted)), _run_on(wanted)))
    if lock_memory:
        claims.append(Claim("lock_memory", "true", _lock_memory()))
    if realtime_priority:
        claims.append(Claim("realtime_priority", str(realtime_priority), _run_at(realtime_priority)))
    return tuple(claims)


def _threads() -> list[int]:
    """The main thread and those of libraries; what Python threads do beside it is not urgent."""
    beside = {thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()}
    return [tid for tid in map(int, os.listdir("/proc/self/task")) if tid not in beside]


def _run_on(cpus: list[int]) -> str:
    if not hasattr(os, "sched_setaffinity"):
        return "only Linux can do that"
    there = os.sched_getaffinity(0)
    missing = [str(cpu) for cpu in cpus if cpu not in there]
    if missing:
        found = " ".join(map(str, sorted(there)))
        return f"no CPU {', '.join(missing)} for this process, which may use {found}; name CPUs among those"
    try:
        for tid in _threads():
            os.sched_setaffinity(tid, cpus)
    except OSError as error:
        return f"{error.strerror}"
    return ""


def _run_at(priority: int) -> str:
    if not hasattr(os, "sched_setscheduler"):
        return "only Linux can do that"
    import resource

    limit = _raised(resource.RLIMIT_RTPRIO, priority)
    try:
        for tid in _threads():
            # Threads that come later, such as one that loads a policy, begin at normal priority.
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(tid, policy, os.sched_param(priority))
    except PermissionError:
        return (
            f"real-time priority is limited to {limit} here; allow it by '{_user()} - rtprio {priority}' in "
            f"{LIMITS_FILE} and a new login, or by LimitRTPRIO={priority} in the systemd unit"
        )
    except OSError as error:
        return f"{error.strerror}"
    return ""


def _lock_memory() -> str:
    try:
        import resource

        lock = ctypes.CDLL(None, use_errno=True).mlockall
        limit = highest("RLIMIT_MEMLOCK", IPC_LOCK)
        _raised(resource.RLIMIT_MEMLOCK, resource.RLIM_INFINITY)
    except (ImportError, AttributeError, OSError, TypeError):
        return "only Linux can do that"
    if not may_lock_all(limit):
        return (
            f"locked memory is limited to {limit // 1024} KiB here; allow it by '{_user()} - memlock unlimited' in "
            f"{LIMITS_FILE} and a new login, or by LimitMEMLOCK=infinity in the systemd unit"
        )
    # On fault: what is reserved and never touched takes no memory.
    if lock(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _raised(which: int, wanted: int) -> int:
    """The soft limit, raised to what is wanted as far as the hard one allows."""
    import resource

    soft, hard = resource.getrlimit(which)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or (wanted != unlimited and soft >= wanted):
        return soft
    if hard == unlimited or (wanted != unlimited and hard >= wanted):
        resource.setrlimit(which, (wanted, hard))
        return wanted
    return soft


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"#{os.getuid()}"
