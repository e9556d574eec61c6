"""What the nodes of several robots are told, without ROS."""

from __future__ import annotations

import pytest
from conftest import Refuses

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.nodes.graph import graph_parameters
from humanoid_rl_ros.nodes.team_graph import TeamRobot, formation_parameters, team_parameters


def test_each_robot_is_told_what_it_would_be_told_alone() -> None:
    alone = graph_parameters("reference", "", "lockstep", velocity_command=(0.4, 0.0, 0.0))
    team = team_parameters([TeamRobot("left", command=(0.4, 0.0, 0.0)), TeamRobot("right")], "lockstep")
    assert list(team.robots) == ["left", "right"]
    left, right = team.robots.values()
    assert left.policy_node == alone.policy_node
    assert {k: v for k, v in left.safety_monitor.items() if k != "lockstep_timeout"} == alone.safety_monitor
    assert right.policy_node["use_cmd_vel"]
    assert left.remappings == ()  # one clock, and the transforms of all together
    world, bridge = team.world_bridge, alone.simulation_bridge
    assert world["robots"] == ["left", "right"]
    assert world["kinds"] == ["reference", "reference"]
    assert world["initial_position"] == 2 * bridge["initial_position"]
    for name in ("mode", "command_type", "state_rate", "autostart"):
        assert world[name] == bridge[name]
    # The monitor of a robot whose policy has died speaks for it before the world gives it up.
    assert left.safety_monitor["lockstep_timeout"] < 5.0


def test_robots_of_two_kinds_have_their_own_policies() -> None:
    team = team_parameters([TeamRobot("a"), TeamRobot("b", "g1")], poses=(0.0, 1.0, 0.0, 0.0, -1.0, 3.14))
    assert team.world_bridge["kinds"] == ["reference", "g1"]
    assert len(team.world_bridge["initial_position"]) == 21 + 29
    assert team.world_bridge["poses"] == [0.0, 1.0, 0.0, 0.0, -1.0, 3.14]
    assert "spacing" not in team.world_bridge
    assert team.robots["b"].policy_node["robot"] == "g1"
    assert team.robots["b"].policy_node["policy"] == "walk_g1"


def test_in_a_formation_the_team_has_the_command() -> None:
    robots = [TeamRobot("a"), TeamRobot("b")]
    told = formation_parameters(robots, "column", spacing=1.2, policy="law", command=(0.4, 0.0, 0.1))
    assert list(told) == ["a", "b"]
    assert told["a"]["members"] == ["a", "b"]
    assert told["b"]["velocity_command"] == [0.4, 0.0, 0.1]
    assert told["a"]["shape"] == "column"


def test_what_is_no_formation_is_refused(refuses: Refuses) -> None:
    robots = [TeamRobot("a"), TeamRobot("b")]
    with refuses(ConfigError, "lien", "line"):
        formation_parameters(robots, "lien", spacing=1.2, policy="law")
    with refuses(ConfigError, "go_on"):
        formation_parameters(robots, "line", spacing=1.2, policy="law", on_silence="panic")
    with refuses(ConfigError, "nobody"):
        formation_parameters(robots, "line", spacing=1.2, policy="nobody")
    with refuses(ConfigError, "command of its own", "'a'"):
        formation_parameters([TeamRobot("a", command=(0.1, 0.0, 0.0)), TeamRobot("b")], "line", spacing=1.2)


def test_what_is_no_team_is_refused(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    with refuses(ConfigError, "one name", "left, left"):
        team_parameters([TeamRobot("left"), TeamRobot("left")])
    with refuses(ConfigError, "needs robots"):
        team_parameters([])
    rates = iter((200.0, 500.0))

    def other_rate(*args: object, **options: object) -> object:
        graph = graph_parameters("reference", "")
        return type(graph)(
            graph.policy_node, graph.safety_monitor, {**graph.simulation_bridge, "state_rate": next(rates)}
        )

    monkeypatch.setattr("humanoid_rl_ros.nodes.team_graph.graph_parameters", other_rate)
    with refuses(ConfigError, "one rate", "left: 200 Hz", "right: 500 Hz"):
        team_parameters([TeamRobot("left"), TeamRobot("right")])
