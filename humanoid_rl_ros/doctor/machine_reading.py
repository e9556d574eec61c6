"""Measures the machine, without root and without ROS."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from humanoid_rl_ros.doctor.installation import MESSAGES_NEEDED, OPTIONAL_MESSAGES
from humanoid_rl_ros.doctor.machine_facts import Installation, Machine
from humanoid_rl_ros.process_limits import IPC_LOCK, SYS_NICE, UNLIMITED, highest

LIBRARIES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "mujoco", "rosbags", "mcap", "rclpy", "ros-rclpy")
VARIABLES = (
    "AMENT_PREFIX_PATH",
    "CONDA_PREFIX",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "PYTHONPATH",
    "RMW_IMPLEMENTATION",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_DISCOVERY_SERVER",
    "ROS_DISTRO",
    "ROS_DOMAIN_ID",
    "ROS_LOCALHOST_ONLY",
    "ROS_SECURITY_ENABLE",
    "ROS_SECURITY_ENCLAVE_OVERRIDE",
    "ROS_SECURITY_KEYSTORE",
    "ROS_SECURITY_STRATEGY",
    "ROS_STATIC_PEERS",
)
_NOT_SYNCHRONISED = 0x40
_TIME_ERROR = 5
_HIGHEST_PRIORITY = 99


class _Timex(ctypes.Structure):
    """The head of Linux's struct timex; `room` is more than the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_long * 64),
    )


def read_installation(*, rclpy_failure: str = "", rmw: str = "") -> Installation:
    """What is installed.

    Args:
        rclpy_failure: what its import said, where it was tried.
        rmw: the middleware that rclpy says it uses; empty: what the environment asks for.
    """
    found = {name: text for name in LIBRARIES if (text := _version(name))}
    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return Installation(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        versions=found,
        messages=frozenset(name for name in (*MESSAGES_NEEDED, *OPTIONAL_MESSAGES) if find_spec(name) is not None),
        rclpy=find_spec("rclpy") is not None,
        rclpy_failure=rclpy_failure,
        wheels="ros-rclpy" in found,
        rmw=rmw or environment.get("RMW_IMPLEMENTATION", ""),
        environment=environment,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def read_machine(folders: Mapping[str, Path]) -> Machine:
    """What it runs on.

    Args:
        folders: that are written to, by what they are for; those that do not exist yet would be created.
    """
    priority = highest("RLIMIT_RTPRIO", SYS_NICE)
    return Machine(
        cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load=os.getloadavg()[0],
        governors=_governors(),
        realtime_priority=_HIGHEST_PRIORITY if priority == UNLIMITED else priority,
        locked_memory=highest("RLIMIT_MEMLOCK", IPC_LOCK),
        realtime_kernel=_realtime_kernel(),
        realtime_share_us=_number(Path("/proc/sys/kernel/sched_rt_runtime_us")),
        clock_synchronised=_clock_synchronised(),
        shared_memory_free=_free(Path("/dev/shm")),
        folders={what: _free(folder) for what, folder in folders.items()},
    )


def log_folder() -> Path:
    """Where ROS writes its logs."""
    home = os.environ.get("ROS_HOME") or "~/.ros"
    return Path(os.environ.get("ROS_LOG_DIR") or f"{home}/log").expanduser()


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None


def _governors() -> tuple[str, ...]:
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return tuple(sorted({text for file in files if (text := _text(file))}))


def _realtime_kernel() -> bool | None:
    if _text(Path("/sys/kernel/realtime")) == "1":
        return True
    return "PREEMPT_RT" in os.uname().version if sys.platform == "linux" else None


def _clock_synchronised() -> bool | None:
    """What the kernel knows of the daemon that keeps its clock right; reading it needs no rights."""
    if sys.platform != "linux":
        return None
    try:
        timex = _Timex()
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR and not timex.status & _NOT_SYNCHRONISED


def _free(folder: Path) -> int | None:
    """Free bytes of the folder, or of the nearest one above it that exists; None: no file can be made there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free if os.access(folder, os.W_OK | os.X_OK) else None
    except OSError:
        return None
