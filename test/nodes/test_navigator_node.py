"""navigator_node: what it makes of odometry, good and bad, heard on cmd_vel."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from floors import write_floor_bundle
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from ros_graph import OK, Graph

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.navigator_node import NavigatorNode
from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode

pytestmark = pytest.mark.ros
STEP_NS = 20_000_000


class Rig:
    """A navigator on a small floor, and a robot made of odometry."""

    def __init__(self, folder: Path, graph: Graph, **parameters: Any) -> None:
        write_floor_bundle(folder / "corner")
        self.graph = graph
        self.node = graph.active(NavigatorNode, navigation=str(folder / "corner"), **parameters)
        stamped = parameters.get("command_type") != "twist"
        self.commands = graph.listen(topics.VELOCITY_COMMAND, kind=TwistStamped if stamped else Twist)
        self.statuses = graph.listen(topics.NAVIGATION_STATUS)
        self.ways = graph.listen(topics.NAVIGATION_PATH)
        self.odometry = graph.speak(topics.ODOMETRY)
        self.stamp_ns = 0
        graph.until(lambda: self.odometry.get_subscription_count() == 1 and self.commands, "the navigator")

    def be(self, x: float, y: float, yaw: float) -> None:
        """Say where the robot is, a step later."""
        self.stamp_ns += STEP_NS
        message = Odometry()
        message.header.stamp = ns_to_stamp(self.stamp_ns)
        pose = message.pose.pose
        pose.position.x, pose.position.y = x, y
        pose.orientation.z, pose.orientation.w = math.sin(0.5 * yaw), math.cos(0.5 * yaw)
        self.odometry.publish(message)

    def activity(self) -> str:
        return values_of(self.statuses[-1])["activity"] if self.statuses else ""


def test_odometry_is_answered_by_the_way_of_the_policy(tmp_path: Path, graph: Graph) -> None:
    """In the lower left corner, heading up: forward, and no turn. The way is four cells up, the goal at its end."""
    rig = Rig(tmp_path, graph)

    def walks() -> bool:
        return rig.commands[-1].twist.linear.x > 0.4

    graph.until(walks, "full speed", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0))
    assert abs(rig.commands[-1].twist.angular.z) < 1e-6
    assert rig.commands[-1].header.frame_id == "base_link"
    graph.until(lambda: rig.activity() == "walking" and rig.ways, "the status and the way")
    assert [(p.pose.position.x, p.pose.position.y) for p in rig.ways[-1].poses] == [(0.5, 0.5 + i) for i in range(4)]
    assert float(values_of(rig.statuses[-1])["left"]) == pytest.approx(3.0)
    graph.until(
        lambda: rig.commands[-1].twist.linear.x == 0.0 and rig.activity() == "arrived",
        "the arrival",
        pump=lambda: rig.be(0.5, 3.4, math.pi / 2.0),
    )


def test_without_odometry_the_robot_stands_until_it_comes_again(tmp_path: Path, graph: Graph) -> None:
    rig = Rig(tmp_path, graph)
    graph.until(lambda: rig.commands[-1].twist.linear.x > 0.2, "a walk", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0))
    graph.until(lambda: rig.activity() == "stopped", "silence noticed")
    assert rig.commands[-1].twist.linear.x == 0.0
    assert values_of(rig.statuses[-1])["reason"].startswith("no new odometry for")
    heard = len(rig.commands)
    graph.until(lambda: len(rig.commands) > heard + 2, "it said again")
    graph.until(
        lambda: rig.commands[-1].twist.linear.x > 0.2, "a walk again", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0)
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e12])
def test_odometry_that_is_no_place_stands_the_robot_at_once(tmp_path: Path, graph: Graph, bad: float) -> None:
    rig = Rig(tmp_path, graph, odometry_timeout=10.0)
    graph.until(lambda: rig.commands[-1].twist.linear.x > 0.2, "a walk", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0))
    rig.be(bad, 0.5, 0.0)
    graph.until(lambda: rig.activity() == "stopped", "the refusal")
    assert rig.commands[-1].twist.linear.x == 0.0
    assert "odometry refused" in values_of(rig.statuses[-1])["reason"]


def test_plain_twists_and_a_map_that_is_turned_against_the_odometry(tmp_path: Path, graph: Graph) -> None:
    """The odometry's origin lies at (0.5, 0.5) of the map, its x axis along the map's y: straight ahead is the goal."""
    rig = Rig(tmp_path, graph, command_type="twist", odometry_in_map=[0.5, 0.5, math.pi / 2.0])
    graph.until(lambda: rig.commands[-1].linear.x > 0.4, "full speed", pump=lambda: rig.be(0.0, 0.0, 0.0))
    assert abs(rig.commands[-1].angular.z) < 1e-6


def test_deactivated_it_says_zero_and_then_nothing(tmp_path: Path, graph: Graph) -> None:
    rig = Rig(tmp_path, graph)
    graph.until(lambda: rig.commands[-1].twist.linear.x > 0.2, "a walk", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0))
    assert rig.node.trigger_deactivate() == OK
    graph.until(lambda: rig.commands[-1].twist.linear.x == 0.0, "zero")
    heard = len(rig.commands)
    graph.spin(0.3, pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0))
    assert len(rig.commands) == heard
    assert rig.node.trigger_activate() == OK
    graph.until(
        lambda: rig.commands[-1].twist.linear.x > 0.2, "a walk again", pump=lambda: rig.be(0.5, 0.5, math.pi / 2.0)
    )


def test_somebody_else_who_steers_is_told_of(tmp_path: Path, graph: Graph) -> None:
    rig = Rig(tmp_path, graph)
    graph.speak(topics.VELOCITY_COMMAND)
    graph.until(lambda: "1 other publisher" in rig.node.diagnose().message, "the other one")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"navigation": "nowhere"}, "no navigation bundle named 'nowhere'"),
        ({}, "no navigation bundle is given"),
        ({"navigation": "corner", "odometry_in_map": [1.0]}, "'odometry_in_map' needs x y, or x y yaw"),
    ],
)
def test_what_it_cannot_use_is_refused_in_one_line(
    tmp_path: Path, graph: Graph, parameters: dict[str, Any], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_floor_bundle(tmp_path / "corner")
    if parameters.get("navigation") == "corner":
        parameters = parameters | {"navigation": str(tmp_path / "corner")}
    assert graph.node(NavigatorNode, **parameters).trigger_configure() != OK
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "cannot configure" in line]
    assert words in line


def test_a_simulated_world_has_the_walls_of_its_map_and_says_so(tmp_path: Path, graph: Graph) -> None:
    maps = graph.listen(topics.MAP)
    graph.active(SimulationBridgeNode, robot="reference", map="rooms", start=[1.0, 1.5, 0.5])
    places = graph.listen(topics.ODOMETRY)
    graph.until(lambda: maps and places, "the map and the odometry")
    assert (maps[0].info.width, maps[0].info.height) == (160, 120)
    assert maps[0].data[0] == 100
    pose = places[-1].pose.pose
    assert (pose.position.x, pose.position.y) == pytest.approx((1.0, 1.5), abs=0.05)
    assert 2.0 * math.atan2(pose.orientation.z, pose.orientation.w) == pytest.approx(0.5, abs=0.05)


def test_killed_it_leaves_a_robot_that_can_be_steered_again(tmp_path: Path, graph: Graph) -> None:
    """The last command grows old at the policy node; a new navigator begins from standing."""
    write_floor_bundle(tmp_path / "corner")
    commands, odometry = graph.listen(topics.VELOCITY_COMMAND), graph.speak(topics.ODOMETRY)
    stamp = iter(range(1, 10**9))

    def say() -> None:
        message = Odometry()
        message.header.stamp = ns_to_stamp(next(stamp) * STEP_NS)
        pose = message.pose.pose
        pose.position.x = pose.position.y = 0.5
        pose.orientation.z = pose.orientation.w = 0.5**0.5
        odometry.publish(message)
        time.sleep(0.005)

    speeds: list[float] = []
    for _ in range(2):
        process = graph.process("navigator_node", navigation=tmp_path / "corner", autostart=True)
        commands.clear()
        graph.until(lambda: commands and commands[-1].twist.linear.x > 0.4, "a walk", 60.0, pump=say)
        speeds.append(next(c.twist.linear.x for c in commands))
        process.kill()
        graph.spin(0.3)  # what was on its way
    assert speeds == [0.0, 0.0]
