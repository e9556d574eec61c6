"""Who may find our nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from humanoid_rl_ros.cli.processes import FIRST_PORT, PORTS
from humanoid_rl_ros.interfaces.discovery import discovery_additions

LOCAL = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, LOCAL),
        ({"ROS_DISTRO": "jazzy"}, LOCAL),
        ({"ROS_DISTRO": "humble"}, LOCAL | {"ROS_LOCALHOST_ONLY": "1"}),
        ({"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "0"}, {}),
        ({"ROS_DISTRO": "humble", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, {}),
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
        assert FIRST_PORT + PORTS * graph.domain not in _bound_ports()
        process.interrupt()
        assert process.ended(10.0) == 0


def _bound_ports() -> set[int]:
    """Of UDP, on this machine. A domain's first is the one that everybody on the network can call; it stays free."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].rsplit(":", 1)[1], 16) for line in lines}
