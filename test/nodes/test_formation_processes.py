"""A formation through the graph: two robots in one world keep it, and one is killed in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from ros_graph import Graph, NodeProcess

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.node_processes import parameter_arguments
from humanoid_rl_ros.nodes.team_graph import TeamRobot, formation_parameters, team_parameters

pytestmark = [pytest.mark.ros, pytest.mark.slow]
NAMES = ("left", "right")
START, LATER = 120.0, 120.0  # seven interpreters on a busy machine [s]
S = 1_000_000_000


class Team:
    """Two reference humanoids that start in a line, 1.4 m apart, and are to keep one of 1.1 m, ahead at 0.3 m/s."""

    def __init__(self, graph: Graph, **formation: Any) -> None:
        self.graph = graph
        robots = [TeamRobot(name) for name in NAMES]
        told = team_parameters(robots, "lockstep", spacing=1.4)
        kept = formation_parameters(robots, "line", "lockstep", spacing=1.1, command=(0.3, 0.0, 0.0), **formation)
        self.odometry = {n: graph.listen(topics.ODOMETRY, name=f"{n}/{topics.ODOMETRY.name}") for n in NAMES}
        self.commands = {n: graph.listen(topics.VELOCITY_COMMAND, name=f"{n}/cmd_vel") for n in NAMES}
        self.status = {n: graph.listen(topics.FORMATION_STATUS, name=f"{n}/formation/status") for n in NAMES}
        graph.process("world_bridge_node", *parameter_arguments(told.world_bridge))
        self.policies: dict[str, NodeProcess] = {}
        for name in NAMES:
            space = ["-r", f"__ns:=/{name}"]
            parameters = told.robots[name]
            self.policies[name] = graph.process("policy_node", *space, *parameter_arguments(parameters.policy_node))
            graph.process("safety_monitor_node", *space, *parameter_arguments(parameters.safety_monitor))
            graph.process("formation_node", *space, *parameter_arguments(kept[name]))
        graph.until(lambda: all(self.activity(n) == "keeping" for n in NAMES), "both in formation", START)
        graph.until(lambda: all(self.odometry.values()), "odometry", START)

    def activity(self, name: str) -> str:
        return values_of(self.status[name][-1])["activity"] if self.status[name] else ""

    def place(self, name: str) -> np.ndarray:
        position = self.odometry[name][-1].pose.pose.position
        return np.array([position.x, position.y, position.z])

    def pass_time(self, seconds: float) -> None:
        begin = self.now()
        self.graph.until(lambda: self.now() >= begin + round(seconds * S), "simulated time", LATER)

    def now(self) -> int:
        return stamp_to_ns(self.odometry["right"][-1].header.stamp)


@pytest.mark.parametrize("policy", ["formation", "law"])
def test_two_robots_come_together_and_walk_as_one(graph: Graph, policy: str) -> None:
    team = Team(graph, policy=policy)
    team.pass_time(6.0)
    left, right = team.place("left"), team.place("right")
    assert min(left[2], right[2]) > 0.55
    assert min(left[0], right[0]) > 0.8
    assert np.linalg.norm(left - right) == pytest.approx(1.1, abs=0.15)
    assert abs(left[0] - right[0]) < 0.2


def test_the_other_stops_for_one_that_was_killed(graph: Graph) -> None:
    team = Team(graph)
    team.pass_time(3.0)
    team.policies["left"].kill()
    # Time stands still until the monitor damps left, which then goes down.
    graph.until(lambda: team.status["right"][-1].message == "left is down", "right stops for left", LATER)
    assert team.activity("right") == "stopped"
    team.pass_time(1.0)
    assert team.commands["right"][-1].twist.linear.x == 0.0
    before = team.place("right")
    team.pass_time(2.0)
    assert np.linalg.norm(team.place("right")[:2] - before[:2]) < 0.1
    assert team.place("right")[2] > 0.55
