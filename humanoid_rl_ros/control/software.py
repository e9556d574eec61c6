"""What computes here: versions and machine, as far as they may change a result."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from humanoid_rl_ros import __version__

LIBRARIES = ("numpy", "onnxruntime", "torch", "ros-rclpy")


def software() -> dict[str, str]:
    """Versions by name, and the machine."""
    found = {"humanoid_rl_ros": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found | {"machine": platform.machine(), "system": platform.platform(), "processor": _processor()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith(("model name", "hardware"))]
    return names[0] if names else platform.processor()
