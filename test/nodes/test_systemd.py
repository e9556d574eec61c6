"""Units for systemd: what they start is what the launch file starts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.nodes.graph import robot_parameters
from humanoid_rl_ros.nodes.onboard_profile import MachineProfile, OnboardProfile, find_profile
from humanoid_rl_ros.nodes.systemd import Service, carried_environment, parameters_text, unit_texts

SERVICE = Service("left", "robot", "/opt/my env/bin/python", "left", "/etc/50%/$left.yaml", {"ROS_DOMAIN_ID": "7"})
MONITOR, POLICY = "left-safety-monitor.service", "left-policy.service"


def lines(unit: str, key: str) -> list[str]:
    return [line.removeprefix(f"{key}=") for line in unit.splitlines() if line.startswith(f"{key}=")]


def test_a_monitor_that_dies_comes_back_and_a_policy_does_not() -> None:
    units = unit_texts(SERVICE, find_profile(""))
    assert list(units) == [MONITOR, POLICY]
    assert lines(units[MONITOR], "Restart") == ["always"]
    assert lines(units[POLICY], "Restart") == ["no"]
    assert MONITOR in lines(units[POLICY], "After")  # so that it ends before the monitor does
    for unit in units.values():
        assert lines(unit, "KillSignal") == ["SIGINT"]
        assert lines(unit, "User") == ["robot"]


def test_a_unit_allows_what_the_profile_asks_for() -> None:
    units = unit_texts(SERVICE, OnboardProfile(MachineProfile(60, True, (3, 2)), MachineProfile()))
    assert lines(units[MONITOR], "LimitRTPRIO") == ["60"]
    assert lines(units[MONITOR], "LimitMEMLOCK") == ["infinity"]
    assert "Limit" not in units[POLICY]
    # The nodes ask for their CPUs themselves, and go on without those that are not there; systemd would not.
    assert "CPUAffinity" not in units[MONITOR]


def test_nothing_but_a_name_is_a_user(refuses: Refuses) -> None:
    for user in ("robot\nExecStartPre=/bin/true", "", "a b", "-x"):
        with refuses(ConfigError, "is no name of a user"):
            replace(SERVICE, user=user)


def test_paths_of_any_letters_reach_the_node_as_they_are() -> None:
    (command,) = lines(unit_texts(SERVICE, None)[POLICY], "ExecStart")
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(command)]  # as systemd does
    assert words[0] == "/opt/my env/bin/python"
    assert words[-1] == "/etc/50%/$left.yaml"
    assert "__ns:=/left" in words


def test_the_parameters_are_those_of_the_launch_file() -> None:
    graph = robot_parameters("reference", "walk", policies=["stand"], profile=find_profile(""))
    found = yaml.safe_load(parameters_text(graph, "/left/"))
    assert found == {
        "/left/safety_monitor": {"ros__parameters": graph.safety_monitor},
        "/left/policy_node": {"ros__parameters": graph.policy_node},
    }
    assert list(yaml.safe_load(parameters_text(graph, ""))) == ["/safety_monitor", "/policy_node"]


def test_services_find_ros_as_whoever_made_them_and_keep_to_the_machine() -> None:
    given = {"PATH": "/bin", "ROS_DOMAIN_ID": "7", "LD_LIBRARY_PATH": "/opt/ros/lib"}
    found = carried_environment(given)
    assert (found["ROS_DOMAIN_ID"], found["LD_LIBRARY_PATH"]) == ("7", "/opt/ros/lib")
    assert found["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "PATH" not in found
    wheels = carried_environment({**given, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"})
    assert "LD_LIBRARY_PATH" not in wheels  # each process sets it anew
    local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    for humble in ({"ROS_DISTRO": "humble"}, {"ROS_DISTRO": "humble"} | local):
        assert carried_environment(humble)["ROS_LOCALHOST_ONLY"] == "1"
    assert carried_environment({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


@pytest.mark.parametrize(("namespace", "head"), [("", "/humanoid"), ("/left/", "/left")])
def test_with_security_each_node_has_its_enclave(namespace: str, head: str) -> None:
    keys = carried_environment({"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_KEYSTORE": "/keys"})
    units = unit_texts(replace(SERVICE, namespace=namespace, environment=keys), None)
    for name, node in ((MONITOR, "safety_monitor"), (POLICY, "policy_node")):
        (command,) = lines(units[name], "ExecStart")
        words = command.split()
        assert words[words.index("--enclave") + 1] == f"{head}/{node}"
        assert words.index("--enclave") > words.index("--ros-args")
    off = carried_environment({"ROS_SECURITY_ENABLE": "TRUE"})  # which ROS takes for off
    assert "--enclave" not in unit_texts(replace(SERVICE, environment=off), None)[MONITOR]


def test_a_variable_of_many_lines_stays_one_word() -> None:
    xml = '<CycloneDDS>\n\t<Domain Id="any"/>\r\n</CycloneDDS>'
    unit = unit_texts(replace(SERVICE, environment={"CYCLONEDDS_URI": xml}), None)[MONITOR]
    escaped = '<CycloneDDS>\\x0a\\x09<Domain Id=\\"any\\"/>\\x0d\\x0a</CycloneDDS>'
    assert lines(unit, "Environment") == [f'"CYCLONEDDS_URI={escaped}"']


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    service = Service("left", "root", "/bin/sh", "a/b", str(tmp_path / "left.yaml"), {"A": 'b "c"\n\t50% d'})
    files = []
    for name, text in unit_texts(service, find_profile("")).items():
        (tmp_path / name).write_text(text)
        files.append(str(tmp_path / name))
    done = subprocess.run([verify, "verify", *files], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
