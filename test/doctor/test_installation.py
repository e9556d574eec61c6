"""What is installed, and whether its parts go together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from humanoid_rl_ros.doctor.installation import MESSAGES_NEEDED, distribution, judge_installation
from humanoid_rl_ros.doctor.machine_facts import Installation

WHEELS = Installation(
    python=(3, 11, 2),
    versions={"ros-rclpy": "9.1.2", "numpy": "2.1.0", "onnxruntime": "1.20", "mujoco": "3.3", "torch": "2.13"}
    | {"mcap": "1.6", "rosbags": "0.11"},
    messages=frozenset({*MESSAGES_NEEDED, "tf2_msgs"}),
    rclpy=True,
    wheels=True,
)
HUMBLE = replace(
    WHEELS,
    python=(3, 10, 12),
    versions={**WHEELS.versions, "rclpy": "3.3.15", "ros-rclpy": "", "numpy": "1.26.4"},
    wheels=False,
    environment={"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"},
)


@pytest.mark.parametrize("found", [WHEELS, HUMBLE], ids=["wheels", "humble"])
def test_a_sound_installation_has_no_finding_but_ok(found: Installation) -> None:
    assert {f.level for f in judge_installation(found)} == {"ok"}


def with_versions(found: Installation, **versions: str) -> Installation:
    return replace(found, versions={**found.versions, **versions})


def with_environment(found: Installation, **variables: str) -> Installation:
    return replace(found, environment={**found.environment, **variables})


@pytest.mark.parametrize(
    ("found", "name", "level", "words"),
    [
        (with_versions(HUMBLE, numpy="2.0.1"), "libraries.numpy", "error", "'numpy<2'"),
        (
            with_environment(with_versions(HUMBLE, numpy="2.0.1"), ROS_DISTRO="jazzy"),
            "libraries.numpy",
            "warning",
            "'numpy<2'",
        ),
        (replace(WHEELS, python=(3, 9, 1)), "python.version", "error", "3.10"),
        (replace(WHEELS, rclpy=False), "ros.rclpy", "warning", "setup.bash"),
        (
            with_environment(replace(HUMBLE, rclpy_failure="no _rclpy"), PYTHONPATH="/opt/python3.12/lib"),
            "ros.rclpy",
            "error",
            "for Python 3.12",
        ),
        (with_environment(WHEELS, ROS_DISTRO="humble"), "ros.two", "warning", "one of them"),
        (replace(HUMBLE, messages=frozenset(MESSAGES_NEEDED[:-1])), "ros.messages", "error", "ros-humble-std-srvs"),
        (with_environment(HUMBLE, CONDA_PREFIX="/conda"), "python.conda", "warning", "deactivate"),
        (with_versions(WHEELS, onnxruntime=""), "libraries.onnxruntime", "warning", "[policy]"),
        (with_versions(WHEELS, torch=""), "libraries.torch", "note", ""),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(found: Installation, name: str, level: str, words: Any) -> None:
    (finding,) = (f for f in judge_installation(found) if f.name == name)
    assert finding.level == level
    assert words in finding.todo


def test_the_distribution_is_the_one_that_runs() -> None:
    assert distribution(WHEELS) == "kilted"
    assert distribution(with_environment(WHEELS, ROS_DISTRO="humble")) == "kilted"
    assert distribution(replace(HUMBLE, environment={})) == "humble"
