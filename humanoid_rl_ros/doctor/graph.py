"""Judges who is in the graph: nodes, publishers, types, quality of service, services, states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.doctor.graph_facts import GraphFacts, TopicFacts
from humanoid_rl_ros.interfaces import topics

MONITOR, POLICY = "safety_monitor", "policy_node"
SENSORS = (topics.JOINT_STATES, topics.IMU)
COMMANDS = (topics.POLICY_EFFORT, topics.JOINT_COMMAND)
SPEAKERS = {
    topics.POLICY_EFFORT.name: "policy node",
    topics.JOINT_COMMAND.name: "safety monitor",
    topics.SAFETY_STATUS.name: "safety monitor",
    topics.JOINT_STATES.name: "robot's driver, or the simulation,",
    topics.IMU.name: "robot's driver, or the simulation,",
}
OTHER_TYPES = {
    topics.JOINT_COMMAND.name: ("sensor_msgs/msg/JointState", "command_type"),
    topics.VELOCITY_COMMAND.name: ("geometry_msgs/msg/Twist", "cmd_vel_type"),
}
"""Types that a parameter makes of a topic, beside that of the table."""
DRIVEN = frozenset(
    topic.name for topic in (*SENSORS, *COMMANDS, topics.SAFETY_STATUS, topics.VELOCITY_COMMAND, topics.CLOCK)
)
"""Topics whose publishers are counted; of the others any number is right."""
SERVICES = (topics.SAFETY_ARM, topics.SAFETY_RESET, topics.SAFETY_EMERGENCY_STOP)


def is_empty(graph: GraphFacts) -> bool:
    """Whether nothing of a robot is there."""
    used = any(graph.topics[t.name].publishers for t in (*SENSORS, *COMMANDS) if t.name in graph.topics)
    return not used and not _ours(graph)


def judge_graph(graph: GraphFacts) -> list[Finding]:
    """Everything but the contents of the messages."""
    if is_empty(graph):
        return [_nothing(graph)]
    return [
        *_nodes(graph),
        *(finding for topic in graph.topics.values() for finding in _topic(graph, topic)),
        *_lifecycle(graph),
        *_services(graph),
        *_safety(graph),
        *_time(graph),
    ]


def _ours(graph: GraphFacts) -> list[str]:
    return [node for node in graph.nodes if node in (graph.absolute(MONITOR), graph.absolute(POLICY))]


def _names(nodes: Iterable[str]) -> str:
    return ", ".join(f"{node} ({count}x)" if count > 1 else node for node, count in sorted(Counter(nodes).items()))


def _nothing(graph: GraphFacts) -> Finding:
    where = f"domain {graph.domain}" + (f", namespace {graph.namespace}" if graph.namespace else "")
    found = f"nothing of a robot in {where}" + (f"; {len(graph.nodes)} other nodes" if graph.nodes else "")
    if graph.other_namespaces:
        todo = f"joint states are in {', '.join(graph.other_namespaces)}: --namespace"
    elif graph.other_domains:
        todo = f"somebody is in ROS_DOMAIN_ID {', '.join(map(str, graph.other_domains))}; set it to look there"
    else:
        todo = "start one: ros2 launch humanoid_rl_ros simulation.launch.py, or the robot's driver and robot.launch.py"
    return note("graph", found, todo)


def _nodes(graph: GraphFacts) -> Iterable[Finding]:
    for name in (POLICY, MONITOR):
        count = graph.nodes.count(graph.absolute(name))
        label = f"graph.nodes.{name}"
        if count == 0:
            yield warning(
                label, f"no {graph.absolute(name)}", f"ros2 run humanoid_rl_ros {name.removesuffix('_node')}_node"
            )
        elif count > 1:
            yield error(label, f"{count} nodes have the name {graph.absolute(name)}", "end all but one")
        else:
            yield ok(label, graph.absolute(name))
    doubles = [n for n, count in Counter(graph.nodes).items() if count > 1 and n not in _ours(graph)]
    if doubles:
        yield warning(
            "graph.nodes.double", f"names that several nodes have: {', '.join(sorted(doubles))}", "rename them"
        )


def _topic(graph: GraphFacts, facts: TopicFacts) -> Iterable[Finding]:
    if not facts.publishers and not facts.subscriptions:
        if facts.topic in (*SENSORS, *COMMANDS):
            yield _silent(facts)
        return
    yield from _publishers(graph, facts)
    yield from _types(facts)
    label = f"graph.{_key(facts)}.qos"
    if facts.conflicts:
        deaf = "; ".join(f"{one.subscription} does not hear {one.publisher}: {one.why}" for one in facts.conflicts)
        offered = ("reliable" if facts.topic.reliable else "best effort") + (
            ", transient local" if facts.topic.latched else ""
        )
        yield error(label, deaf, f"change the quality of service at one end; here {facts.name} is {offered}")
    elif facts.publishers and facts.subscriptions:
        yield ok(label, "all who listen hear all who speak")


def _key(facts: TopicFacts) -> str:
    return facts.topic.name.strip("/").replace("/", ".")


def _silent(facts: TopicFacts) -> Finding:
    speaker = SPEAKERS[facts.topic.name].rstrip(",")
    return warning(f"graph.{_key(facts)}.publishers", f"nobody publishes {facts.name}", f"start the {speaker}")


def _publishers(graph: GraphFacts, facts: TopicFacts) -> Iterable[Finding]:
    """Who speaks; and where it leads to the motors, who else listens."""
    name, label = facts.topic.name, f"graph.{_key(facts)}.publishers"
    speaking = [endpoint.node for endpoint in facts.publishers]
    if name not in DRIVEN:
        return
    if not speaking:
        if name in SPEAKERS:
            yield _silent(facts)
        elif facts.topic is topics.VELOCITY_COMMAND:
            yield note(label, f"nobody publishes {facts.name}: the robot stands or marches in place")
        elif facts.topic is topics.CLOCK:
            followers = _names(endpoint.node for endpoint in facts.subscriptions)
            todo = "start the simulation, or the nodes with use_sim_time:=false"
            yield error(label, f"nobody publishes the simulated time followed by {followers}", todo)
    elif len(speaking) > 1:
        make = warning if facts.topic is topics.VELOCITY_COMMAND else error
        yield make(label, f"{len(speaking)} publishers of {facts.name}: {_names(speaking)}", _one_of(facts))
    elif facts.topic is topics.JOINT_COMMAND and speaking[0] != graph.absolute(MONITOR):
        todo = f"end {speaking[0]}: what it says reaches the motors unguarded"
        yield error(label, f"{facts.name} is published by {speaking[0]}, and not by the safety monitor", todo)
    else:
        yield ok(label, speaking[0])
    if facts.topic is topics.JOINT_COMMAND and speaking and not facts.subscriptions:
        todo = "load the driver's effort controller, or start the simulation; look for a name that differs"
        yield warning(f"graph.{_key(facts)}.subscriptions", f"nobody listens to {facts.name}", todo)


def _one_of(facts: TopicFacts) -> str:
    if facts.topic is topics.VELOCITY_COMMAND:
        return "end one, or put twist_mux between: the robot follows whoever spoke last"
    if facts.topic in COMMANDS:
        return "end all but one: the safety monitor does not arm while a second one is there"
    return "end all but one: two sources in turn look like a robot that jumps"


def _types(facts: TopicFacts) -> Iterable[Finding]:
    label = f"graph.{_key(facts)}.type"
    other, parameter = OTHER_TYPES.get(facts.topic.name, ("", ""))
    right = {facts.topic.type_name, other} - {""}
    ends = (*facts.publishers, *facts.subscriptions)
    wrong = [end for end in ends if end.type_name not in right]
    if wrong:
        first = wrong[0]
        todo = f"publish and hear {facts.topic.type_name} on {facts.name}, or give the other one another name"
        yield error(label, f"{first.node} has {first.type_name} on {facts.name}", todo)
    elif len({end.type_name for end in ends}) > 1:
        kinds = "; ".join(f"{end.type_name} of {end.node}" for end in ends)
        yield error(
            label, f"types differ, and nothing is heard: {kinds}", f"make them one: launch argument {parameter}"
        )
    elif facts.topic.name in DRIVEN:
        yield ok(label, ends[0].type_name)


def _lifecycle(graph: GraphFacts) -> Iterable[Finding]:
    for node, state in sorted(graph.lifecycle.items()):
        label = f"graph.lifecycle.{node.rsplit('/', 1)[-1]}"
        if state == "active":
            yield ok(label, state)
        elif state == "no answer":
            todo = "its process hangs, is stopped, or has no time: look at it with top; the monitor damps meanwhile"
            yield error(label, f"{node} does not answer", todo)
        else:
            steps = "activate" if state == "inactive" else "configure, then activate"
            yield warning(label, f"{node} is {state}", f"ros2 lifecycle set {node} {steps}")


def _services(graph: GraphFacts) -> Iterable[Finding]:
    if graph.absolute(MONITOR) not in graph.nodes or graph.lifecycle.get(graph.absolute(MONITOR)) == "unconfigured":
        return
    missing = [name for name in SERVICES if graph.absolute(name) not in graph.services]
    if missing:
        todo = "start the monitor again; no operator can stop the robot by software without them"
        yield error("graph.services.safety", f"missing: {', '.join(map(graph.absolute, missing))}", todo)
    else:
        yield ok("graph.services.safety", "arm, reset, emergency_stop")


def _safety(graph: GraphFacts) -> Iterable[Finding]:
    said = graph.diagnoses.get(graph.absolute(MONITOR))
    if said is None:
        if graph.absolute(MONITOR) in graph.nodes and graph.lifecycle.get(graph.absolute(MONITOR)) == "active":
            todo = "listen longer: --seconds 5; it says so once a second"
            yield note("graph.safety", "the safety monitor was not heard on /diagnostics", todo)
        return
    state, label = said.values.get("state", ""), "graph.safety"
    if state == "READY":
        yield ok(label, "READY: ros2 service call " + graph.absolute(topics.SAFETY_ARM) + " arms it")
    elif said.level == 0:
        yield ok(label, said.text)
    elif said.level == 1:
        reason = said.values.get("reason", "")
        yield warning(label, said.text, f"'{reason}' in docs/safety.md" if reason else "")
    else:
        todo = f"look at the robot; then {graph.absolute(topics.SAFETY_RESET)}, which is refused while the fault stands"
        yield error(label, said.text, todo)


def _time(graph: GraphFacts) -> Iterable[Finding]:
    ours = {node for node in _ours(graph) if graph.lifecycle.get(node, "active") != "unconfigured"}
    following = ours & graph.simulated_time
    clock = graph.topics.get(topics.CLOCK.name)
    if following and following != ours:
        found = f"{_names(following)} follows simulated time, {_names(ours - following)} the system's"
        yield error("graph.time", found, "start all with the same use_sim_time")
    elif ours and not following and clock is not None and clock.publishers:
        found = (
            f"{_names(endpoint.node for endpoint in clock.publishers)} publishes time, and our nodes do not follow it"
        )
        yield note("graph.time", found, "use_sim_time:=true, where a simulation is to be reset")
    elif ours:
        yield ok("graph.time", "simulated" if following else "the system's")
