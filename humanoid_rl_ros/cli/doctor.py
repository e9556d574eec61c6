"""`humanoid_rl doctor`: is this machine, and the graph on it, fit to move a robot?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.doctor.findings import ERROR, NOTE, OK, WARNING, Finding, error, errors, note
from humanoid_rl_ros.doctor.fit import Fit, judge_fit
from humanoid_rl_ros.doctor.graph import COMMANDS, SENSORS, is_empty, judge_graph
from humanoid_rl_ros.doctor.graph_facts import GraphFacts
from humanoid_rl_ros.doctor.installation import distribution, judge_installation
from humanoid_rl_ros.doctor.machine import judge_machine
from humanoid_rl_ros.doctor.machine_reading import VARIABLES, log_folder, read_installation, read_machine
from humanoid_rl_ros.doctor.network import judge_network
from humanoid_rl_ros.doctor.sensors import judge_imu, judge_joint_states
from humanoid_rl_ros.doctor.streams import Expected, judge_stream
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.discovery import keep_discovery_local

SECONDS = 3.0
_MARK = {OK: "[green]ok[/]", NOTE: "[cyan]note[/]", WARNING: "[yellow]warning[/]", ERROR: "[red]error[/]"}


@dataclass(frozen=True)
class DoctorOptions:
    """What `humanoid_rl doctor` was asked.

    Attributes:
        robot, policy, limits: as the nodes take them; empty: not compared.
        namespace: of the robot.
        seconds: to listen to the graph; 0: not at all [s].
        json_file: where the findings go, or None.
    """

    robot: str = ""
    policy: str = ""
    limits: str = ""
    namespace: str = ""
    seconds: float = SECONDS
    json_file: Path | None = None


def run_doctor(options: DoctorOptions, console: Console) -> bool:
    """Look at everything, and print what was found with what to do about it.

    Args:
        options: what to look at.
        console: where to print.

    Returns:
        Whether there was no error; if not, the first is printed last.
    """
    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    fit = judge_fit(options.robot, options.policy, options.limits)
    findings = [*_machine(environment), *fit.findings]
    if any(finding.name == "network.domain" for finding in errors(findings)):
        findings.append(note("graph", "not looked at: there is no such domain"))
    elif options.seconds > 0.0:
        console.print(f"listening for {options.seconds:g} s …", markup=False)
        findings += _graph(options, fit)
    console.print(_table(findings))
    found = errors(findings)
    if options.json_file is not None:
        write_json(options.json_file, {"healthy": not found, "findings": [asdict(finding) for finding in findings]})
    counts = ", ".join(f"{sum(f.level == level for f in findings)} {level}" for level in (ERROR, WARNING, NOTE, OK))
    console.print(counts, markup=False)
    if found:
        text = f"{found[0].name}: {found[0].found}: {found[0].todo}"
        console.print(text, style="red", markup=False, soft_wrap=True)
    return not found


def _machine(environment: Mapping[str, str]) -> list[Finding]:
    failure, rmw = _try_ros()
    installation = read_installation(rclpy_failure=failure, rmw=rmw)
    folders = {"bags": Path.cwd(), "logs": log_folder()}
    return [
        *judge_installation(installation),
        *judge_machine(read_machine(folders)),
        *judge_network(environment, distribution(installation), wheels=installation.wheels),
    ]


def _try_ros() -> tuple[str, str]:
    """What went wrong when rclpy was imported, and its middleware."""
    try:
        from humanoid_rl_ros.cli.doctor_graph import middleware

        return "", middleware()
    except ImportError as failure:
        return "" if failure.name == "rclpy" else " ".join(str(failure).split()), ""
    except Exception as failure:  # numpy of another generation raises what it likes
        return " ".join(str(failure).split()), ""


def _graph(options: DoctorOptions, fit: Fit) -> list[Finding]:
    keep_discovery_local()
    try:
        from humanoid_rl_ros.cli.doctor_graph import listen
    except ImportError as failure:
        return [note("graph", f"not looked at: {failure.name or 'rclpy'} is not installed", "see ros.rclpy above")]
    try:
        graph = listen(options.namespace, options.seconds)
    except HumanoidError as refusal:
        return [error("graph", str(refusal), "look at ROS_DOMAIN_ID, RMW_IMPLEMENTATION and ROS_SECURITY_* above")]
    return judge_graph(graph) if is_empty(graph) else [*judge_graph(graph), *_streams(graph, fit)]


def _streams(graph: GraphFacts, fit: Fit) -> list[Finding]:
    findings: list[Finding] = []
    for topic in (*SENSORS, *COMMANDS, topics.VELOCITY_COMMAND):
        facts = graph.topics[topic.name]
        expected = fit.expected_states() if topic in SENSORS else Expected()
        expected = fit.expected_efforts() if topic is topics.POLICY_EFFORT else expected
        kinds = {endpoint.type_name for endpoint in facts.publishers}
        stamped = not kinds & {"std_msgs/msg/Float64MultiArray", "geometry_msgs/msg/Twist"}
        findings += judge_stream(facts, expected, stalled=graph.stalled, stamped=stamped)
    findings += judge_joint_states(graph.topics[topics.JOINT_STATES.name].heard, fit.robot)
    return [*findings, *judge_imu(graph.topics[topics.IMU.name].heard)]


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(title="humanoid_rl doctor", title_style="bold")
    table.add_column("")
    table.add_column("found → what to do", overflow="fold")
    for finding in findings:
        todo = f"\n[bold]→[/] {escape(finding.todo)}" if finding.todo else ""
        table.add_row(_MARK[finding.level], f"[dim]{escape(finding.name)}[/]  {escape(finding.found)}{todo}")
    return table
