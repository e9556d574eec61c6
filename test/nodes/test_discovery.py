"""Who may find our nodes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from humanoid_rl_ros.cli.processes import FIRST_PORT, PORTS, domains_to_take
from humanoid_rl_ros.interfaces.discovery import discovery_additions
from humanoid_rl_ros.resources import share_folder

LOCAL = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, LOCAL),
        ({"ROS_DISTRO": "jazzy"}, LOCAL),
        ({"ROS_DISTRO": "humble"}, LOCAL | {"ROS_LOCALHOST_ONLY": "1"}),
        ({"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "0"}, {}),
        ({"ROS_DISTRO": "humble", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, {}),
        (LOCAL | {"ROS_DISTRO": "humble"}, {"ROS_LOCALHOST_ONLY": "1"}),  # which does not know the other
        (LOCAL | {"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "0"}, {}),
        (LOCAL | {"ROS_DISTRO": "jazzy"}, {}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, {}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": ""}, LOCAL),
    ],
)
def test_discovery_is_kept_on_the_machine_where_nobody_has_chosen(
    environment: dict[str, str], added: dict[str, str]
) -> None:
    assert discovery_additions(environment) == added


@pytest.mark.ros
@pytest.mark.parametrize("module", ["safety_monitor_node", "recorder_node"])
def test_a_node_started_by_hand_is_found_on_this_machine_alone(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy")
    from ros_graph import open_graph

    with open_graph(tmp_path) as graph:
        monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
        process = graph.process(module, **({"output": tmp_path / "bag"} if module == "recorder_node" else {}))
        name = module.removesuffix("_node")
        graph.until(lambda: name in graph.tester.get_node_names(), name, 20.0)
        # The domain's first port is the one that everybody on the network can call.
        assert FIRST_PORT + PORTS * graph.domain not in [port for _, port in _bound()]
        process.interrupt()
        assert process.ended(10.0) == 0


@pytest.mark.ros
def test_with_the_loopback_profile_nothing_on_the_network_can_send_to_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utilities = pytest.importorskip("rclpy.utilities")
    if utilities.get_rmw_implementation_identifier() != "rmw_fastrtps_cpp":
        pytest.skip("the profile is Fast DDS's")
    from ros_graph import NodeProcess

    share = share_folder()
    files = (share / "security/loopback.xml", share / "resource/security/loopback.xml")
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(next(file for file in files if file.is_file())))
    domain = domains_to_take()[0]
    process = NodeProcess("safety_monitor_node", [], domain, tmp_path / "log")
    until = time.monotonic() + 20.0
    while "waiting for its lifecycle" not in process.output and time.monotonic() < until:
        time.sleep(0.05)
    ports = range(FIRST_PORT + PORTS * domain, FIRST_PORT + PORTS * (domain + 1))
    bound = {address for address, port in _bound() if port in ports}
    process.kill()
    assert bound == {LOOPBACK}, process.output


LOOPBACK = "0100007F"


def _bound() -> list[tuple[str, int]]:
    """Addresses and ports of UDP that somebody on this machine is bound to."""
    ends = [line.split()[1].split(":") for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return [(address, int(port, 16)) for address, port in ends]
