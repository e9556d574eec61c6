"""The SROS2 policy file against what the nodes really say, hear, serve and ask: nothing missing, nothing to spare."""

from __future__ import annotations

import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.resources import share_folder

TF = {"/tf", "/tf_static"}
Rights = dict[str, set[str]]
"""Names by what may be done with them: publish, subscribe, reply, request."""
PREFIX = "/humanoid/"


def policy_file() -> Path:
    """The one that is installed, or that of the source tree."""
    share = share_folder()
    return next(f for f in (share / "security/policy.xml", share / "resource/security/policy.xml") if f.is_file())


def rights(namespace: str = "") -> dict[str, Rights]:
    """Of every enclave, as SROS2 reads them, with the namespace put into the file as docs/security.md has it."""
    found: dict[str, Rights] = {}
    for enclave in ET.parse(policy_file()).getroot().iter("enclave"):
        path = enclave.attrib["path"]
        assert path.startswith(PREFIX)
        mine = found[path.removeprefix(PREFIX)] = {
            "publish": set(),
            "subscribe": set(),
            "reply": set(),
            "request": set(),
        }
        for profile in enclave.iter("profile"):
            assert profile.attrib["ns"] == "/"
            for group in profile:
                for right in set(group.attrib):
                    assert group.attrib[right] == "ALLOW"
                    mine[right] |= {_resolved(item.text or "", namespace, profile.attrib["node"]) for item in group}
    return found


def _resolved(name: str, namespace: str, node: str) -> str:
    if name.startswith("/"):
        return name
    return f"{namespace}/{node}{name[1:]}" if name.startswith("~") else f"{namespace}/{name}"


def test_the_file_has_the_form_that_sros2_reads() -> None:
    """Of its schema; and its tools take a comment between two enclaves for an enclave without a name."""
    builder = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.parse(policy_file(), parser=builder).getroot()
    assert (root.tag, root.attrib["version"]) == ("policy", "0.2.0")
    (enclaves,) = (child for child in root if child.tag == "enclaves")
    assert {child.tag for child in enclaves} == {"enclave"}
    groups = [group for profile in root.iter("profile") for group in profile]
    assert {(group.tag, *group.attrib) for group in groups} <= {
        ("topics", "publish"),
        ("topics", "subscribe"),
        ("services", "reply"),
        ("services", "request"),
    }
    assert all(item.tag == group.tag.removesuffix("s") and item.text for group in groups for item in group)


def test_what_leads_to_the_motors_is_said_by_one_alone() -> None:
    speakers = {
        name: {enclave for enclave, mine in rights().items() if f"/{name}" in mine["publish"]}
        for name in (topics.JOINT_COMMAND.name, topics.POLICY_EFFORT.name, topics.SAFETY_STATUS.name)
    }
    assert speakers == {
        topics.JOINT_COMMAND.name: {"safety_monitor"},
        topics.POLICY_EFFORT.name: {"policy_node"},
        topics.SAFETY_STATUS.name: {"safety_monitor"},
    }
    asking = {enclave for enclave, mine in rights().items() if f"/{topics.SAFETY_ARM}" in mine["request"]}
    assert asking == {"operator", "teleop", "player"}


def test_who_is_not_ours_is_allowed_nothing_that_nobody_answers() -> None:
    everything = rights()
    ours = ("policy_node", "safety_monitor", "simulation_bridge", "recorder", "navigator", "formation")
    served, heard, said = (
        set().union(*(everything[name][right] for name in ours)) for right in ("reply", "subscribe", "publish")
    )
    for name in ("driver", "operator", "teleop", "doctor", "player"):
        mine = everything[name]
        assert mine["request"] <= served, name
        assert mine["publish"] - TF <= heard | {"/diagnostics", "/rosout", "/joy"}, name
        assert mine["subscribe"] <= said | {"/cmd_vel", "/joy", "/joy/set_feedback"}, name


@pytest.mark.ros
def test_the_doctor_may_hear_what_it_listens_to() -> None:
    """That it says nothing is looked at where it runs."""
    pytest.importorskip("rclpy")
    from humanoid_rl_ros.cli.doctor_graph import LISTENED

    nodes = ("policy_node", "safety_monitor", "simulation_bridge")
    assert rights()["doctor"] == {
        "publish": {"/parameter_events"},
        "subscribe": {"/clock", "/diagnostics", *(f"/{topic.name}" for topic in LISTENED)},
        "reply": set(),
        "request": {f"/{node}/get_state" for node in nodes},
    }


@pytest.mark.ros
def test_the_operators_commands_do_what_the_operator_may(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from ros_graph import open_graph

    from humanoid_rl_ros.cli import operator

    with open_graph(tmp_path) as graph:
        node = operator.operator_node(graph.tester.context)
        try:
            asks = (
                node.get_publisher_names_and_types_by_node,
                node.get_subscriber_names_and_types_by_node,
                node.get_service_names_and_types_by_node,
            )
            name = node.get_name()
            graph.until(lambda: asks[0](name, "/"), "the operator's own publishers")
            may = rights()["operator"]
            for right, ask in zip(("publish", "subscribe", "reply"), asks, strict=True):
                does = {topic for topic, _ in ask(name, "/")}
                assert not _unmatched(does, may[right]), right
        finally:
            node.destroy_node()
    wanted = {f"/{name}" for name in (topics.SAFETY_ARM, topics.SAFETY_RESET, topics.SAFETY_EMERGENCY_STOP)}
    assert wanted <= may["request"]
    assert topics.DIAGNOSTICS.name in may["subscribe"]


@pytest.mark.ros
def test_the_file_allows_what_the_nodes_do_and_no_more(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("mujoco")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("mcap")
    from rclpy._rclpy_pybind11 import NodeNameNonExistentError
    from ros_graph import OK, Graph, open_graph

    from humanoid_rl_ros.bags.playing import MEASURED, PlayedTopic, Selection
    from humanoid_rl_ros.nodes.navigator_node import NavigatorNode
    from humanoid_rl_ros.nodes.player_publishers import PlayerNode
    from humanoid_rl_ros.nodes.policy_node import PolicyNode
    from humanoid_rl_ros.nodes.recorder_topics import wanted_topics
    from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
    from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode
    from humanoid_rl_ros.nodes.world_bridge_node import WorldBridgeNode

    space = f"/robot_{os.getpid()}"  # nobody else's, whoever is in the domain

    def done_by(graph: Graph, node: str, namespace: str) -> Rights:
        ask = graph.tester
        ways = {
            "publish": ask.get_publisher_names_and_types_by_node,
            "subscribe": ask.get_subscriber_names_and_types_by_node,
            "reply": ask.get_service_names_and_types_by_node,
            "request": ask.get_client_names_and_types_by_node,
        }
        return {right: {name for name, _ in way(node, namespace)} for right, way in ways.items()}

    with open_graph(tmp_path) as graph:
        shared = {"robot": "reference", "use_sim_time": True}
        made: list[tuple[Any, dict[str, Any]]] = [
            (
                SimulationBridgeNode,
                {"publish_base_velocity": True, "publish_root_state": True, "map": "rooms", "start": [1.0, 1.0]},
            ),
            (SafetyMonitorNode, {}),
            (WorldBridgeNode, {"robots": ["a", "b"], "publish_base_velocity": True}),
            (PolicyNode, {"policy": "walk", "base_velocity_topic": topics.SIMULATED_VELOCITY.name}),
            (NavigatorNode, {"navigation": "rooms"}),
        ]
        for kind, parameters in made:  # everything is there once they are configured
            node = graph.node(kind, arguments=["--ros-args", "-r", f"__ns:={space}"], **shared, **parameters)
            assert node.trigger_configure() == OK
        player = graph.node(PlayerNode, arm=True)
        played = [PlayedTopic(f"{space}/{t.name}", t.type_name, 1, t.reliable, t.latched, t.depth) for t in MEASURED]
        player.offer(Selection(space, tuple(played), "/clock", False, (), ()))
        recorder = graph.process("recorder_node", "-r", f"__ns:={space}", output=tmp_path / "bag", flight=5.0)
        outside = {"player": "bag_player"}
        ours = ("policy_node", "safety_monitor", "simulation_bridge", "world_bridge", "navigator", "player", "recorder")
        seen: dict[str, Rights] = {enclave: {} for enclave in ours}

        def look() -> None:
            present = graph.tester.get_node_names_and_namespaces()
            for enclave in ours:
                name, namespace = outside.get(enclave, enclave), "/" if enclave in outside else space
                if (name, namespace) not in present:
                    continue
                with suppress(NodeNameNonExistentError):  # it has gone meanwhile
                    for right, done in done_by(graph, name, namespace).items():
                        seen[enclave][right] = seen[enclave].get(right, set()) | done
            time.sleep(0.05)

        def records() -> bool:
            return f"{space}/joint_states" in seen["recorder"].get("subscribe", ())

        graph.until(records, "the recorder", 60.0, pump=look)
        recorder.interrupt()

    allowed = rights(space)
    following = {f"{space}/{name}" for name in ("clock", "tf", "tf_static")}  # where the launch files put them
    # What it may hear is what it would: not all of it is said here.
    seen["recorder"]["subscribe"] |= set(wanted_topics(space))
    for enclave in ours:
        for right in allowed[enclave]:
            may, does = allowed[enclave][right], seen[enclave][right]
            if find_spec("tf2_msgs") is None or enclave == "player":
                may, does = may - TF, does - TF
            assert not _unmatched(does, may), f"{enclave} may not {right} {_unmatched(does, may)}, and does"
            spare = {name for name in may if not any(fnmatchcase(one, name) for one in does)} - following
            assert not spare, f"{enclave} may {right} {spare}, and does not"


def _unmatched(names: Iterable[str], patterns: Iterable[str]) -> set[str]:
    return {name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)}
