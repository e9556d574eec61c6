"""formation_node: seen at the velocity commands of two robots made of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import TwistStamped
from rclpy.parameter import Parameter
from ros_graph import OK, Graph

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import odometry_message
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.formation_node import FormationNode
from humanoid_rl_ros.nodes.quality import qos

pytestmark = pytest.mark.ros
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
TEAM = ["left", "right"]


class Team:
    """Two robots in a line, 1 m apart; the nodes of both, and somebody who tells the team where to go."""

    def __init__(self, graph: Graph, **parameters: Any) -> None:
        self.graph = graph
        given = {"members": TEAM, "team": "law", "spacing": 1.0} | parameters
        self.nodes = {
            name: graph.active(FormationNode, arguments=["--ros-args", "-r", f"__ns:=/fleet/{name}"], **given)
            for name in TEAM
        }
        make = graph.tester.create_publisher
        odometry = topics.ODOMETRY
        self.odometry = {name: make(odometry.type, f"/fleet/{name}/odom", qos(odometry)) for name in TEAM}
        self.team = make(TwistStamped, "/fleet/team/cmd_vel", qos(topics.TEAM_COMMAND))
        self.heard: dict[str, list[Any]] = {name: [] for name in TEAM}
        self.status: dict[str, list[Any]] = {name: [] for name in TEAM}
        for name in TEAM:
            for topic, into in ((topics.VELOCITY_COMMAND, self.heard), (topics.FORMATION_STATUS, self.status)):
                where = f"/fleet/{name}/{topic.name}"
                graph.tester.create_subscription(topic.type, where, into[name].append, qos(topic))
        self.ahead = dict.fromkeys(TEAM, 0.0)
        self.ns = 0

    def say(self, *names: str) -> None:
        """One odometry of each, 20 ms later, and what the team is to do."""
        self.ns += 20_000_000
        for name in names or TEAM:
            place = np.array([self.ahead[name], 0.5 if name == "left" else -0.5, 0.7])
            message = odometry_message(self.ns, ("odom", "base_link"), place, UPRIGHT, np.zeros(3), np.zeros(3))
            self.odometry[name].publish(message)
        command = TwistStamped()
        command.twist.linear.x = 0.3
        self.team.publish(command)

    def until(self, name: str, wanted: Any, what: str, *speaking: str) -> None:
        """Robots speak until the last command of one is as wanted."""

        def look() -> bool:
            self.say(*speaking)
            return bool(self.heard[name]) and wanted(self.heard[name][-1].twist)

        self.graph.until(look, what)


def test_a_team_walks_keeps_its_place_and_stops_for_one_who_is_killed(tmp_path: Path, graph: Graph) -> None:
    team = Team(graph)
    for name in TEAM:
        team.until(name, lambda twist: twist.linear.x == pytest.approx(0.3), f"{name} follows the team")
    team.ahead["left"] = 0.2  # then each is 0.1 m from its slot, worth 0.2 m/s
    team.until("left", lambda twist: twist.linear.x == pytest.approx(0.1), "the one ahead waits")
    team.until("right", lambda twist: twist.linear.x == pytest.approx(0.5), "the one behind hurries")
    team.until("left", lambda twist: twist.linear.x == 0.0, "left stops for right, which is silent", "left")
    graph.until(lambda: values_of(team.status["left"][-1])["absent"] == "right", "it says for whom")
    assert values_of(team.status["left"][-1])["activity"] == "stopped"
    team.until("left", lambda twist: twist.linear.x > 0.0, "left goes on with right")


def test_its_shape_is_changed_while_it_walks(tmp_path: Path, graph: Graph) -> None:
    team = Team(graph)
    team.until("left", lambda twist: twist.linear.x == pytest.approx(0.3), "left follows the team")
    left = team.nodes["left"]
    (refused,) = left.set_parameters([Parameter("shape", value="colum")])
    assert not refused.successful
    assert "column" in refused.reason
    (taken,) = left.set_parameters([Parameter("shape", value="column")])
    assert taken.successful
    # The first of a column goes ahead of the middle and in between: 0.5 m each way, cut to the reach of 0.5 m/s.
    team.until("left", lambda twist: twist.linear.y < -0.3 and twist.linear.x > 0.6, "left goes ahead")


def test_one_that_is_deactivated_says_zero_once_and_leaves_the_robot_to_others(tmp_path: Path, graph: Graph) -> None:
    team = Team(graph)
    team.until("right", lambda twist: twist.linear.x == pytest.approx(0.3), "right follows the team")
    assert team.nodes["right"].trigger_deactivate() == OK
    graph.until(lambda: team.heard["right"][-1].twist.linear.x == 0.0, "its last command")
    count = len(team.heard["right"])
    before = len(team.heard["left"])
    team.until("left", lambda _: len(team.heard["left"]) > before + 20, "left goes on speaking")
    assert len(team.heard["right"]) == count


@pytest.mark.parametrize(
    ("namespace", "given"),
    [
        ("/left", {"members": ["left"]}),
        ("/middle", {"members": TEAM}),
        ("/left", {"members": TEAM, "shape": "lien"}),
        ("/left", {"members": TEAM, "team": "nobody"}),
        ("/left", {"members": TEAM, "on_silence": "panic"}),
    ],
)
def test_what_makes_no_team_is_refused(tmp_path: Path, graph: Graph, namespace: str, given: dict[str, Any]) -> None:
    node = graph.node(FormationNode, arguments=["--ros-args", "-r", f"__ns:={namespace}"], **{"team": "law", **given})
    assert node.trigger_configure() != OK
