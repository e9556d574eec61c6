"""Several robots in one world as processes: one is killed in the middle, and the others walk on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from demo_runs import run_command
from ros_graph import Graph, NodeProcess
from std_srvs.srv import SetBool

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.node_processes import parameter_arguments
from humanoid_rl_ros.nodes.team_graph import TeamRobot, team_parameters

pytestmark = pytest.mark.ros
START = 90.0  # five interpreters on a busy machine [s]
# Who was killed is known to be gone after its lease of 20 s; until then it counts as a second publisher [s].
AFTER_KILL = 90.0
S = 1_000_000_000
STANDS = 0.55  # base height of a reference humanoid that walks; one that lies has 0.1 [m]


class Team:
    """Two reference humanoids that walk side by side, in lock-step, and what is heard of them."""

    NAMES = ("left", "right")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._told = team_parameters([TeamRobot(name, command=(0.4, 0.0, 0.0)) for name in self.NAMES], "lockstep")
        self._odometry = {n: graph.listen(topics.ODOMETRY, name=f"{n}/{topics.ODOMETRY.name}") for n in self.NAMES}
        self._status = {
            n: graph.listen(topics.SAFETY_STATUS, name=f"{n}/{topics.SAFETY_STATUS.name}") for n in self.NAMES
        }
        self._diagnostics = graph.listen(topics.DIAGNOSTICS)
        self.world = graph.process("world_bridge_node", *parameter_arguments(self._told.world_bridge))
        self.nodes: dict[tuple[str, str], NodeProcess] = {}
        for name in self.NAMES:
            self.start(name, "policy_node")
            self.start(name, "safety_monitor_node")
        graph.until(lambda: all(self.state(n) == "ACTIVE" for n in self.NAMES), "both ACTIVE", START)
        self.walks("left", S)
        self.walks("right", S)

    def start(self, name: str, node: str) -> None:
        """As it was started first."""
        robot = self._told.robots[name]
        parameters = robot.policy_node if node == "policy_node" else robot.safety_monitor
        arguments = ["-r", f"__ns:=/{name}", *parameter_arguments(parameters)]
        self.nodes[name, node] = self.graph.process(node, *arguments)

    def kill(self, name: str, node: str) -> None:
        self.nodes[name, node].kill()

    def state(self, name: str) -> str:
        return values_of(self._status[name][-1])["state"] if self._status[name] else ""

    def states(self, name: str) -> list[str]:
        """All that its monitor was in, in order."""
        return [values_of(status)["state"] for status in self._status[name]]

    def is_active_or_armed(self, name: str) -> bool:
        """Arms it when it may be, as somebody does who waits until whom they killed is known to be gone."""
        if self.state(name) == "READY":
            self.graph.call(SetBool, f"{name}/{topics.SAFETY_ARM}", SetBool.Request(data=True))
        return self.state(name) == "ACTIVE"

    def now(self) -> int:
        return stamp_to_ns(self._odometry["right"][-1].header.stamp)

    def position(self, name: str) -> Any:
        return self._odometry[name][-1].pose.pose.position

    def lies(self, name: str) -> bool:
        return bool(self._odometry[name]) and self.position(name).z < 0.3

    def told(self) -> dict[str, str]:
        """What the world says of itself."""
        lines = [line for message in self._diagnostics for line in message.status if line.name == "/world_bridge"]
        return values_of(lines[-1]) if lines else {}

    def walks(self, name: str, duration_ns: int) -> None:
        """It goes on its way on its feet for so long of simulated time."""
        self.graph.until(lambda: all(self._odometry.values()), "odometry", START)
        begin, start = self.now(), self.position(name)
        self.graph.until(lambda: self.now() >= begin + duration_ns, "simulated time", AFTER_KILL)
        since = [m for m in self._odometry[name] if stamp_to_ns(m.header.stamp) > begin]
        assert min(m.pose.pose.position.z for m in since) > STANDS
        assert self.state(name) == "ACTIVE"
        end = self.position(name)
        assert ((end.x - start.x) ** 2 + (end.y - start.y) ** 2) ** 0.5 > 0.2 * duration_ns / S


@pytest.fixture
def team(graph: Graph) -> Team:
    return Team(graph)


def test_a_robot_whose_policy_is_killed_falls_and_the_other_walks_on(team: Team) -> None:
    team.kill("left", "policy_node")
    team.graph.until(lambda: team.state("left") == "DISARMED", "its monitor takes the motors", AFTER_KILL)
    team.graph.until(lambda: team.lies("left"), "its fall", AFTER_KILL)
    team.walks("right", 2 * S)
    assert team.told()["left/absences"] == "0"  # its monitor answers for it


@pytest.mark.slow
def test_robots_come_back_when_what_was_killed_of_them_is_started_again(team: Team) -> None:
    graph = team.graph
    team.kill("left", "safety_monitor_node")
    graph.until(lambda: team.told().get("left/state") == "absent", "the world goes on without it", AFTER_KILL)
    graph.until(lambda: team.lies("left"), "its fall", AFTER_KILL)
    team.walks("right", 2 * S)
    before = len(team.states("left"))
    team.start("left", "safety_monitor_node")  # arms itself, as the first one did
    graph.until(lambda: team.told()["left/state"] == "running", "its return", AFTER_KILL)
    graph.until(lambda: "RECOVERING" in team.states("left")[before:], "it gets up", AFTER_KILL)
    graph.until(lambda: team.state("left") == "ACTIVE", "it is up", AFTER_KILL)
    team.walks("left", 2 * S)

    team.kill("right", "policy_node")
    graph.until(lambda: team.state("right") == "DISARMED", "its monitor takes the motors", AFTER_KILL)
    team.start("right", "policy_node")
    graph.until(lambda: team.state("right") == "READY", "it may be armed", AFTER_KILL)
    graph.until(lambda: team.is_active_or_armed("right"), "it is up", AFTER_KILL)
    team.walks("left", 2 * S)


@pytest.mark.slow
def test_what_is_recorded_of_one_robot_of_a_team_replays_to_the_bit(team: Team, tmp_path: Path) -> None:
    pytest.importorskip("mcap")
    recorder = team.graph.process("recorder_node", "-r", "__ns:=/left", output=tmp_path / "bag")
    for journal in (topics.POLICY_JOURNAL, topics.SAFETY_JOURNAL):
        name = f"/left/{journal.name}"
        team.graph.until(lambda name=name: team.graph.tester.count_subscribers(name) > 0, f"who hears {name}", START)
    team.walks("left", 3 * S)
    recorder.interrupt()
    assert recorder.ended(60.0) == 0
    facts = inspect(tmp_path / "bag")
    assert facts.counts["/left/safety/journal"] > 0
    assert not any(name.startswith("/right/") for name in facts.counts)
    done = run_command("bag", "replay", "bag", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical" in done.stdout


@pytest.mark.slow
def test_a_world_that_is_killed_leaves_both_monitors_damping_and_another_takes_its_place(team: Team) -> None:
    team.world.kill()
    told = team._told.world_bridge
    team.graph.process("world_bridge_node", *parameter_arguments(told))
    team.graph.until(lambda: team.now() < S, "time begins anew", AFTER_KILL)
    team.walks("left", S)
    team.walks("right", S)
