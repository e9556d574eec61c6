"""Judges what is installed, and whether its parts go together."""

from __future__ import annotations

import re
from collections.abc import Iterable

from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.doctor.machine_facts import Installation

DISTRIBUTIONS = {"3.3": "humble", "4.1": "iron", "7.1": "jazzy", "9.1": "kilted"}
"""Of ROS, by the version of rclpy."""
OF_NUMPY_1 = ("humble", "iron", "jazzy", "kilted")
"""Distributions whose packages for Ubuntu and Debian are compiled against numpy 1."""
OPTIONAL_MESSAGES = ("tf2_msgs",)
MESSAGES_NEEDED = (
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "nav_msgs",
    "rcl_interfaces",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
)
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)


def judge_installation(found: Installation) -> list[Finding]:
    """Python, ROS and the libraries, in the order in which one is needed for the next."""
    return [*_python(found), *_ros(found), *_libraries(found)]


def distribution(found: Installation) -> str:
    """The ROS distribution: the one that is sourced, else the one that rclpy's version belongs to; empty: unknown."""
    release = ".".join(_rclpy_version(found).split(".")[:2])
    sourced = found.environment.get("ROS_DISTRO", "")
    return DISTRIBUTIONS.get(release, "") if found.wheels else sourced or DISTRIBUTIONS.get(release, "")


def _rclpy_version(found: Installation) -> str:
    return found.versions.get("ros-rclpy") or found.versions.get("rclpy", "")


def _python(found: Installation) -> Iterable[Finding]:
    text = ".".join(map(str, found.python))
    if not OLDEST_PYTHON <= found.python[:2] <= NEWEST_PYTHON:
        yield error("python.version", text, "use Python 3.10 to 3.13: the one that your ROS was made for")
    else:
        yield ok("python.version", text)
    conda = found.environment.get("CONDA_PREFIX", "")
    if conda and found.environment.get("AMENT_PREFIX_PATH") and conda not in found.environment["AMENT_PREFIX_PATH"]:
        yield warning(
            "python.conda",
            f"conda's environment {conda} is active beside a sourced ROS",
            "leave it (conda deactivate): its libraries take the place of those that ROS was linked with",
        )


def _ros(found: Installation) -> Iterable[Finding]:
    if not found.rclpy:
        todo = "source /opt/ros/DISTRO/setup.bash, or: pip install 'humanoid_rl_ros[ros]'"
        yield warning("ros.rclpy", "not installed: no graph can be looked at, and no node can run", todo)
        return
    if found.rclpy_failure:
        yield error("ros.rclpy", f"cannot be imported: {found.rclpy_failure}", _why_no_import(found))
        return
    distro, version = distribution(found), _rclpy_version(found)
    where = "wheels" if found.wheels else "sourced"
    yield ok("ros.rclpy", f"{distro or 'unknown distribution'}, rclpy {version or 'of unknown version'} ({where})")
    sourced = found.environment.get("ROS_DISTRO", "")
    if found.wheels and sourced and sourced != distro:
        yield warning(
            "ros.two",
            f"'{sourced}' is sourced, and rclpy comes from wheels of '{distro}'",
            "use one of them: a new shell without setup.bash, or an environment without the ros-* wheels",
        )
    missing = [name for name in MESSAGES_NEEDED if name not in found.messages]
    if missing:
        packages = " ".join(f"ros-{distro or 'DISTRO'}-{name.replace('_', '-')}" for name in missing)
        yield error("ros.messages", f"missing: {', '.join(missing)}", f"install {packages}, or source their workspace")
    else:
        yield ok("ros.messages", "all found")
    if absent := [name for name in OPTIONAL_MESSAGES if name not in found.messages]:
        yield note("ros.optional_messages", f"missing: {', '.join(absent)}; the simulation publishes no /tf")
    yield ok("ros.middleware", found.rmw or "the default one")


def _why_no_import(found: Installation) -> str:
    paths = found.environment.get("PYTHONPATH", "") + ":" + found.environment.get("AMENT_PREFIX_PATH", "")
    mine = f"{found.python[0]}.{found.python[1]}"
    others = sorted(set(re.findall(r"python(\d\.\d+)", paths)) - {mine})
    if others:
        return f"this is Python {mine}, and what is sourced is for Python {', '.join(others)}: run it with that one"
    if found.wheels:
        return "unset AMENT_PREFIX_PATH and LD_LIBRARY_PATH of another ROS, or install the wheels afresh"
    return "source setup.bash again in a new shell; look for a Python or a library of another origin on the path"


def _libraries(found: Installation) -> Iterable[Finding]:
    versions, distro = found.versions, distribution(found)
    numpy = versions.get("numpy", "")
    if numpy and int(numpy.split(".")[0]) >= 2 and found.rclpy and not found.wheels and distro in OF_NUMPY_1:
        make = error if distro == "humble" else warning
        yield make(
            "libraries.numpy",
            f"numpy {numpy} with a sourced '{distro}', whose messages are compiled against numpy 1",
            "pip install 'numpy<2', unless your ROS was built with numpy 2",
        )
    else:
        yield ok("libraries.numpy", numpy or "found")
    runtime = versions.get("onnxruntime") or versions.get("onnxruntime-gpu")
    if runtime:
        yield ok("libraries.onnxruntime", runtime)
    else:
        todo = "pip install 'humanoid_rl_ros[policy]'"
        yield warning("libraries.onnxruntime", "not installed: the policy node runs no .onnx", todo)
    for name, use in (("mujoco", "simulation"), ("torch", "training and for .pt policies")):
        text = versions.get(name, "")
        yield (
            ok(f"libraries.{name}", text)
            if text
            else note(f"libraries.{name}", f"not installed; needed for {use} alone")
        )
    if not (versions.get("mcap") and versions.get("rosbags")):
        todo = "pip install 'humanoid_rl_ros[bags]'"
        yield note("libraries.bags", "mcap or rosbags is not installed: nothing can be recorded", todo)
