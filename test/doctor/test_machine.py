"""What the machine has, and who can find the graph."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from humanoid_rl_ros.doctor.machine import judge_machine
from humanoid_rl_ros.doctor.machine_facts import Machine
from humanoid_rl_ros.doctor.machine_reading import read_installation, read_machine
from humanoid_rl_ros.doctor.network import judge_network
from humanoid_rl_ros.process_limits import UNLIMITED

GIGABYTE = 1_000_000_000
ROBOT = Machine(
    cores=8,
    usable_cores=8,
    load=1.0,
    governors=("performance",),
    realtime_priority=98,
    locked_memory=UNLIMITED,
    realtime_kernel=True,
    realtime_share_us=950_000,
    clock_synchronised=True,
    shared_memory_free=8 * GIGABYTE,
    folders={"bags": 100 * GIGABYTE},
)


def test_a_robots_computer_has_what_it_needs() -> None:
    assert {f.level for f in judge_machine(ROBOT)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "name", "level"),
    [
        ({"usable_cores": 1}, "cores", "warning"),
        ({"load": 7.5}, "load", "warning"),
        ({"governors": ("performance", "powersave")}, "governor", "warning"),
        ({"realtime_priority": 0}, "realtime_priority", "note"),
        ({"locked_memory": 8_000_000_000}, "locked_memory", "note"),
        ({"realtime_kernel": False}, "kernel", "note"),
        ({"realtime_share_us": -1}, "realtime_share", "note"),
        ({"realtime_share_us": 0}, "realtime_share", "warning"),
        ({"clock_synchronised": False}, "clock", "note"),
        ({"shared_memory_free": 10_000_000}, "shared_memory", "warning"),
        ({"shared_memory_free": None}, "shared_memory", "warning"),
        ({"folders": {"bags": None}}, "disk.bags", "error"),
        ({"folders": {"bags": 400_000_000}}, "disk.bags", "error"),
        ({"folders": {"bags": 2 * GIGABYTE}}, "disk.bags", "warning"),
    ],
)
def test_what_it_lacks_is_said_with_what_to_do(change: dict[str, Any], name: str, level: str) -> None:
    (finding,) = (f for f in judge_machine(replace(ROBOT, **change)) if f.level != "ok")
    assert (finding.name, finding.level) == (f"machine.{name}", level)
    assert finding.todo


def test_a_machine_that_says_nothing_is_not_judged_for_it() -> None:
    unknown = Machine(
        cores=4, usable_cores=4, realtime_priority=98, locked_memory=UNLIMITED, shared_memory_free=GIGABYTE
    )
    assert {f.level for f in judge_machine(unknown)} == {"ok"}


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    found = read_machine({"bags": tmp_path / "not" / "yet", "logs": file / "below"})
    assert found.cores >= found.usable_cores >= 1
    assert (found.folders["bags"] or 0) > 0
    assert read_installation().python == sys.version_info[:3]


@pytest.mark.parametrize(
    ("environment", "distribution", "name", "level"),
    [
        ({}, "kilted", "domain", "ok"),
        ({"ROS_DOMAIN_ID": "150"}, "kilted", "domain", "warning"),
        ({"ROS_DOMAIN_ID": "300"}, "kilted", "domain", "error"),
        ({"ROS_DOMAIN_ID": "robot"}, "kilted", "domain", "error"),
        ({}, "kilted", "discovery", "note"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "kilted", "discovery", "ok"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "humble", "discovery", "warning"),
        ({"ROS_LOCALHOST_ONLY": "1"}, "humble", "discovery", "ok"),
        ({"ROS_LOCALHOST_ONLY": "1"}, "kilted", "discovery", "note"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, "kilted", "discovery", "warning"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_SECURITY_ENABLE": "true"}, "kilted", "discovery", "ok"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCAL"}, "kilted", "discovery", "warning"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"}, "kilted", "discovery", "warning"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "kilted", "discovery", "warning"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_SECURITY_ENABLE": "TRUE"}, "kilted", "discovery", "warning"),
        ({"ROS_STATIC_PEERS": "10.0.0.2"}, "kilted", "peers", "note"),
        ({}, "kilted", "security", "note"),
        ({"ROS_SECURITY_ENABLE": "false"}, "kilted", "security", "note"),
        ({"ROS_SECURITY_ENABLE": "TRUE", "ROS_SECURITY_STRATEGY": "Enforce"}, "kilted", "security", "error"),
        ({"ROS_SECURITY_ENABLE": "true"}, "kilted", "security", "warning"),
        ({"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}, "kilted", "security", "error"),
    ],
)
def test_who_can_find_the_graph_is_said(environment: dict[str, str], distribution: str, name: str, level: str) -> None:
    found = {f.name: f.level for f in judge_network(environment, distribution)}
    assert found[f"network.{name}"] == level


def test_the_middleware_of_the_wheels_knows_no_keys() -> None:
    environment = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": "/keys",
    }
    judged = {wheels: judge_network(environment, "kilted", wheels=wheels)[-1].level for wheels in (False, True)}
    assert judged == {False: "ok", True: "error"}
