"""Who is in the graph, and who should not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from humanoid_rl_ros.doctor.graph import judge_graph
from humanoid_rl_ros.doctor.graph_facts import Conflict, Diagnosis, Endpoint, GraphFacts, TopicFacts
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic

DRIVER, POLICY, MONITOR = "/r/driver", "/r/policy_node", "/r/safety_monitor"


def topic(which: Topic, speaking: tuple[str, ...], listening: tuple[str, ...], kind: str = "") -> TopicFacts:
    ends = [tuple(Endpoint(node, kind or which.type_name) for node in nodes) for nodes in (speaking, listening)]
    return TopicFacts(which, f"/r/{which.name}", *ends)


def changed(graph: GraphFacts, *facts: TopicFacts) -> GraphFacts:
    return replace(graph, topics={**graph.topics, **{f.topic.name: f for f in facts}})


SOUND = changed(
    GraphFacts(
        namespace="/r",
        domain=7,
        seconds=3.0,
        nodes=(DRIVER, POLICY, MONITOR),
        services=frozenset(f"/r/safety/{name}" for name in ("arm", "reset", "emergency_stop")),
        lifecycle={POLICY: "active", MONITOR: "active"},
        diagnoses={MONITOR: Diagnosis(0, "ACTIVE", "two", {"state": "ACTIVE"})},
    ),
    topic(topics.JOINT_STATES, (DRIVER,), (POLICY, MONITOR)),
    topic(topics.IMU, (DRIVER,), (POLICY, MONITOR)),
    topic(topics.POLICY_EFFORT, (POLICY,), (MONITOR,)),
    topic(topics.JOINT_COMMAND, (MONITOR,), (DRIVER,)),
    topic(topics.SAFETY_STATUS, (MONITOR,), (POLICY,)),
    topic(topics.VELOCITY_COMMAND, ("/r/teleop",), (POLICY,)),
    topic(topics.CLOCK, (), ()),
)
COMMANDS = "joint_effort_controller.commands"


def serious(graph: GraphFacts) -> list[tuple[str, str]]:
    return [(f.name.removeprefix("graph."), f.level) for f in judge_graph(graph) if f.level != "ok"]


def test_a_sound_graph_has_nothing_to_do() -> None:
    assert serious(SOUND) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (topic(topics.JOINT_COMMAND, (MONITOR, "/r/other"), (DRIVER,)), (f"{COMMANDS}.publishers", "error")),
        (topic(topics.JOINT_COMMAND, (MONITOR, MONITOR), (DRIVER,)), (f"{COMMANDS}.publishers", "error")),
        (topic(topics.JOINT_COMMAND, ("/r/other",), (DRIVER,)), (f"{COMMANDS}.publishers", "error")),
        (topic(topics.JOINT_COMMAND, (), (DRIVER,)), (f"{COMMANDS}.publishers", "warning")),
        (topic(topics.JOINT_COMMAND, (MONITOR,), ()), (f"{COMMANDS}.subscriptions", "warning")),
        (topic(topics.POLICY_EFFORT, (POLICY, POLICY), (MONITOR,)), ("policy.joint_effort.publishers", "error")),
        (topic(topics.JOINT_STATES, (DRIVER, "/r/gui"), (POLICY,)), ("joint_states.publishers", "error")),
        (topic(topics.IMU, (), ()), ("imu.data.publishers", "warning")),
        (topic(topics.VELOCITY_COMMAND, ("/r/a", "/r/b"), (POLICY,)), ("cmd_vel.publishers", "warning")),
        (topic(topics.VELOCITY_COMMAND, (), (POLICY,)), ("cmd_vel.publishers", "note")),
        (topic(topics.CLOCK, (), ("/r/rviz",)), ("clock.publishers", "error")),
        (topic(topics.IMU, (DRIVER,), (POLICY,), "std_msgs/msg/String"), ("imu.data.type", "error")),
    ],
)  # fmt: skip
def test_each_disorder_of_a_topic_has_its_name(facts: TopicFacts, expected: tuple[str, str]) -> None:
    assert serious(changed(SOUND, facts)) == [expected]


def test_a_parameter_may_change_a_type_at_both_ends_alone() -> None:
    twist = topic(topics.VELOCITY_COMMAND, ("/r/teleop",), (POLICY,), "geometry_msgs/msg/Twist")
    assert serious(changed(SOUND, twist)) == []
    mixed = replace(twist, subscriptions=(Endpoint(POLICY, topics.VELOCITY_COMMAND.type_name),))
    (finding,) = (f for f in judge_graph(changed(SOUND, mixed)) if f.level != "ok")
    assert (finding.name, finding.level) == ("graph.cmd_vel.type", "error")
    assert "Twist of /r/teleop" in finding.found
    assert "cmd_vel_type" in finding.todo


def test_who_does_not_hear_whom_is_said_with_the_policy() -> None:
    facts = topic(topics.JOINT_STATES, (DRIVER,), (POLICY, "/r/rviz"))
    why = "best effort publisher and reliable subscription"
    facts = replace(facts, conflicts=(Conflict(DRIVER, "/r/rviz", why),))
    (finding,) = (f for f in judge_graph(changed(SOUND, facts)) if f.level != "ok")
    assert (finding.name, finding.level) == ("graph.joint_states.qos", "error")
    assert finding.found == f"/r/rviz does not hear /r/driver: {why}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"nodes": (DRIVER, MONITOR)}, [("nodes.policy_node", "warning")]),
        ({"nodes": (DRIVER, POLICY, MONITOR, MONITOR)}, [("nodes.safety_monitor", "error")]),
        ({"nodes": (DRIVER, DRIVER, POLICY, MONITOR)}, [("nodes.double", "warning")]),
        ({"lifecycle": {POLICY: "inactive", MONITOR: "active"}}, [("lifecycle.policy_node", "warning")]),
        ({"lifecycle": {POLICY: "active", MONITOR: "no answer"}}, [("lifecycle.safety_monitor", "error")]),
        ({"services": frozenset()}, [("services.safety", "error")]),
        ({"diagnoses": {}}, [("safety", "note")]),
        ({"diagnoses": {MONITOR: Diagnosis(1, "DISARMED: no IMU", "two")}}, [("safety", "warning")]),
        ({"diagnoses": {MONITOR: Diagnosis(2, "ESTOP", "two")}}, [("safety", "error")]),
        ({"diagnoses": {MONITOR: Diagnosis(0, "READY", "two", {"state": "READY"})}}, []),
        ({"simulated_time": frozenset({POLICY})}, [("time", "error")]),
        ({"simulated_time": frozenset({POLICY, MONITOR})}, []),
    ],
)
def test_each_disorder_of_a_node_has_its_name(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert serious(replace(SOUND, **change)) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "ros2 launch"),
        ({"other_namespaces": ("/a", "/b")}, "/a, /b: --namespace"),
        ({"other_domains": (3,)}, "ROS_DOMAIN_ID 3"),
    ],
)
def test_where_nothing_runs_it_says_where_to_look(change: dict[str, Any], words: str) -> None:
    (finding,) = judge_graph(replace(GraphFacts(namespace="", domain=0, seconds=3.0, nodes=("/talker",)), **change))
    assert (finding.name, finding.level) == ("graph", "note")
    assert words in finding.todo
