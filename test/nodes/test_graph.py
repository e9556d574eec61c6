from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Refuses, WriteYaml

from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.nodes.graph import graph_parameters, robot_parameters
from humanoid_rl_ros.nodes.onboard_profile import MachineProfile, OnboardProfile, StartProfile
from humanoid_rl_ros.resources import default_get_up, share_folder

NODES = ("simulation_bridge", "policy_node", "safety_monitor")


@pytest.fixture
def robot_file(tmp_path: Path) -> str:
    """The robot of the small bundle, standing at zero, its joints in another order than the network's."""
    joint = {"limits": [-2.0, 2.0], "effort": 60.0, "kp": 1.0, "kd": 0.1, "default": 0.0}
    file = tmp_path / "robot.yaml"
    joints = dict.fromkeys(("hip", "knee", "ankle", "arm"), joint)
    file.write_text(yaml.safe_dump({"format": 1, "name": "biped", "joints": joints}, sort_keys=False))
    return str(file)


@pytest.fixture
def policy_folder(write_bundle: WriteYaml, bundle_data: dict[str, Any]) -> str:
    return str(write_bundle(bundle_data).parent)


def test_simulation_runs_at_the_rate_and_in_the_pose_of_the_policy(robot_file: str, policy_folder: str) -> None:
    bridge = graph_parameters(robot_file, policy_folder).simulation_bridge
    assert bridge["state_rate"] == 500.0
    assert isinstance(bridge["state_rate"], float)  # the parameter is a double; YAML says 500
    assert bridge["initial_position"] == [-0.1, 0.3, -0.2, 0.0]  # hip and knee driven, ankle and arm held


@pytest.mark.parametrize(("mode", "command_type"), [("lockstep", "joint_state"), ("realtime", "float64_multi_array")])
def test_mode_sets_the_type_of_the_commands(robot_file: str, policy_folder: str, mode: str, command_type: str) -> None:
    graph = graph_parameters(robot_file, policy_folder, mode)
    assert [getattr(graph, node)["mode"] for node in NODES] == [mode] * 3
    assert graph.simulation_bridge["command_type"] == graph.safety_monitor["command_type"] == command_type
    assert graph.policy_node["command_type"] == "twist_stamped"


def test_a_velocity_takes_the_place_of_cmd_vel(robot_file: str, policy_folder: str) -> None:
    listens = graph_parameters(robot_file, policy_folder).policy_node
    assert listens["use_cmd_vel"]
    follows = graph_parameters(robot_file, policy_folder, velocity_command=(1, 0, -0.5)).policy_node
    assert not follows["use_cmd_vel"]
    assert [repr(value) for value in follows["velocity_command"]] == ["1.0", "0.0", "-0.5"]


def test_what_is_not_asked_for_is_left_to_the_nodes(robot_file: str, policy_folder: str) -> None:
    graph = graph_parameters(robot_file, policy_folder)
    assert "entry_blend" not in graph.policy_node
    assert "seed" not in graph.simulation_bridge
    graph = graph_parameters(robot_file, policy_folder, entry_blend=0, seed=0)
    assert graph.policy_node["entry_blend"] == 0.0
    assert graph.simulation_bridge["seed"] == 0


def test_simulation_arms_itself_unless_told_not_to(robot_file: str, policy_folder: str) -> None:
    assert graph_parameters(robot_file, policy_folder).safety_monitor["auto_arm"] is True
    assert graph_parameters(robot_file, policy_folder, arm=False).safety_monitor["auto_arm"] is False


def test_a_profile_says_how_the_nodes_of_a_robot_run_and_an_argument_says_it_louder(
    robot_file: str, policy_folder: str
) -> None:
    profile = OnboardProfile(MachineProfile(60), MachineProfile(50, cpus=(1,)), StartProfile(entry_blend=1.5))
    graph = robot_parameters(robot_file, policy_folder, profile=profile)
    assert graph.safety_monitor["realtime_priority"] == 60
    assert (graph.policy_node["realtime_priority"], graph.policy_node["cpus"]) == (50, [1])
    assert graph.policy_node["entry_blend"] == 1.5
    assert robot_parameters(robot_file, policy_folder, profile=profile, entry_blend=0.0).policy_node["entry_blend"] == 0
    assert "realtime_priority" not in robot_parameters(robot_file, policy_folder).policy_node


def test_a_robot_has_its_own_clock_and_is_armed_by_the_operator(robot_file: str, policy_folder: str) -> None:
    graph = robot_parameters(robot_file, policy_folder, command_type="joint_state")
    assert not graph.simulation_bridge
    assert graph.remappings == ()
    for node in (graph.policy_node, graph.safety_monitor):
        assert (node["mode"], node["use_sim_time"], node["autostart"]) == ("realtime", False, True)
    assert graph.safety_monitor["auto_arm"] is False
    assert graph.safety_monitor["command_type"] == "joint_state"
    assert graph.policy_node["use_cmd_vel"]
    assert graph.policy_node["command_type"] == "twist_stamped"


def test_a_simulated_robot_gets_up_by_what_is_shipped_for_it_and_a_real_one_not_unasked(
    robot_file: str, policy_folder: str, refuses: Refuses
) -> None:
    assert graph_parameters("reference", "walk").policy_node["get_up"] == "get_up"
    assert graph_parameters("reference", "walk", get_up="").policy_node["get_up"] == ""
    assert graph_parameters(robot_file, policy_folder).policy_node["get_up"] == ""
    assert robot_parameters("reference", "walk").policy_node["get_up"] == ""
    assert robot_parameters("reference", "walk", get_up="get_up").policy_node["get_up"] == "get_up"
    for parameters in (graph_parameters, robot_parameters):
        with refuses(ContractError, "does not fit robot 'biped'"):
            parameters(robot_file, policy_folder, get_up="get_up")


def test_what_is_shipped_for_another_robot_of_the_same_name_is_left_out(tmp_path: Path) -> None:
    robot = yaml.safe_load((share_folder() / "config" / "robots" / "reference.yaml").read_text())
    del robot["joints"]["left_elbow_joint"], robot["model"]
    file = tmp_path / "shorter.yaml"
    file.write_text(yaml.safe_dump(robot, sort_keys=False))
    assert default_get_up(load_robot(file)) == "get_up"
    policy = yaml.safe_load((share_folder() / "config" / "policies" / "walk" / "policy.yaml").read_text())
    del policy["held"]["left_elbow_joint"]
    folder = tmp_path / "walk"
    folder.mkdir()
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False))
    weights = share_folder() / "config" / "policies" / "walk" / "policy.onnx"
    (folder / "policy.onnx").write_bytes(weights.read_bytes())
    assert graph_parameters(str(file), str(folder)).policy_node["get_up"] == ""


def test_pushes_go_to_the_simulation(robot_file: str, policy_folder: str) -> None:
    assert "pushes" not in graph_parameters(robot_file, policy_folder).simulation_bridge
    bridge = graph_parameters(robot_file, policy_folder, pushes=(1, 2, 0, 0)).simulation_bridge
    assert [repr(number) for number in bridge["pushes"]] == ["1.0", "2.0", "0.0", "0.0"]


def test_a_navigator_comes_with_the_walls_of_its_map_and_a_place_to_start(
    robot_file: str, policy_folder: str, refuses: Refuses
) -> None:
    pytest.importorskip("onnxruntime")
    assert not graph_parameters(robot_file, policy_folder).navigator
    graph = graph_parameters(robot_file, policy_folder, navigation="rooms", start=(1, 2, 0.5))
    bundle = share_folder() / "config/navigation/rooms"
    assert graph.navigator["navigation"] == str(bundle)
    assert graph.navigator["use_sim_time"]
    assert (graph.simulation_bridge["map"], graph.simulation_bridge["start"]) == (
        str(bundle / "map.yaml"),
        [1.0, 2.0, 0.5],
    )
    other = graph_parameters(robot_file, policy_folder, navigation="rooms", floor="maze").simulation_bridge
    assert other["map"] == str(share_folder() / "config/maps/maze.yaml")
    with refuses(ConfigError, "no map named 'nowhere'"):
        graph_parameters(robot_file, policy_folder, floor="nowhere")
    with refuses(ConfigError, "a fixed velocity command overrules"):
        graph_parameters(robot_file, policy_folder, navigation="rooms", velocity_command=(0.5, 0.0, 0.0))


def test_hardships_go_to_the_simulation(robot_file: str, policy_folder: str) -> None:
    plain = graph_parameters(robot_file, policy_folder)
    hard = graph_parameters(robot_file, policy_folder, hardship={"terrain": 0.1, "weak_joint": "knee"})
    assert hard.simulation_bridge == {**plain.simulation_bridge, "terrain": 0.1, "weak_joint": "knee"}
    assert hard.policy_node == plain.policy_node


def test_simulated_robots_in_one_graph_share_no_clock(robot_file: str, policy_folder: str) -> None:
    assert ("/clock", "clock") in graph_parameters(robot_file, policy_folder).remappings


def test_refusals_come_before_anything_starts(
    robot_file: str, policy_folder: str, bundle_data: dict[str, Any], refuses: Refuses, tmp_path: Path
) -> None:
    with refuses(ConfigError, "no mode 'lockstop'", "lockstep"):
        graph_parameters(robot_file, policy_folder, "lockstop")
    with refuses(ConfigError, "no robot named 'referense'", "reference"):
        graph_parameters("referense", policy_folder)
    with refuses(ConfigError, "velocity command", "3 numbers", "found 2"):
        graph_parameters(robot_file, policy_folder, velocity_command=[1.0, 0.0])
    with refuses(ConfigError, "limits.yaml"):
        graph_parameters(robot_file, policy_folder, limits=str(tmp_path / "limits.yaml"))
    bundle_data["observation"]["terms"].append({"term": "base_lin_vel"})
    bundle_data["base_velocity"] = "estimator"
    (Path(policy_folder) / "policy.yaml").write_text(yaml.safe_dump(bundle_data, sort_keys=False))
    with refuses(ContractError, "does not fit robot 'biped'"):
        robot_parameters(robot_file, policy_folder)
    assert robot_parameters(robot_file, policy_folder, base_velocity_topic="odometry")


def test_launch_files_can_import_it_without_ros() -> None:
    code = (
        "import sys, humanoid_rl_ros.nodes.graph, humanoid_rl_ros.nodes.launch_arguments; "
        "print({m.partition('.')[0] for m in sys.modules} & "
        "{'rclpy', 'launch', 'std_msgs', 'mujoco', 'onnxruntime', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.ros
def test_the_true_velocity_comes_by_the_topic_of_the_table() -> None:
    pytest.importorskip("rclpy", reason="needs rclpy")
    from humanoid_rl_ros.interfaces import topics
    from humanoid_rl_ros.nodes.graph import TRUE_VELOCITY

    assert topics.SIMULATED_VELOCITY.name == TRUE_VELOCITY


def test_in_simulation_a_policy_that_needs_the_base_velocity_gets_the_truth(
    robot_file: str, policy_folder: str, bundle_data: dict[str, Any]
) -> None:
    graph = graph_parameters(robot_file, policy_folder)
    assert graph.simulation_bridge["publish_base_velocity"] is False
    assert graph.policy_node["base_velocity_topic"] == ""
    bundle_data["observation"]["terms"].append({"term": "base_lin_vel"})
    bundle_data["base_velocity"] = "ground_truth"
    (Path(policy_folder) / "policy.yaml").write_text(yaml.safe_dump(bundle_data, sort_keys=False))
    graph = graph_parameters(robot_file, policy_folder)
    assert graph.simulation_bridge["publish_base_velocity"] is True
    assert graph.policy_node["base_velocity_topic"] == "simulation/base_velocity"
    assert graph.policy_node["base_velocity_source"] == "ground_truth"


def test_further_policies_are_checked_and_passed_on(robot_file: str, policy_folder: str, refuses: Refuses) -> None:
    assert graph_parameters(robot_file, policy_folder, policies=[policy_folder]).policy_node["policies"] == [
        policy_folder
    ]
    assert robot_parameters(robot_file, policy_folder, policies=[policy_folder]).policy_node["policies"] == [
        policy_folder
    ]
    assert "policies" not in graph_parameters(robot_file, policy_folder).policy_node
    with refuses(ContractError, "does not fit robot 'biped'"):
        graph_parameters(robot_file, policy_folder, policies=["walk"])


@pytest.mark.ros
def test_every_parameter_is_one_of_the_node(robot_file: str, policy_folder: str) -> None:
    pytest.importorskip("rclpy", reason="needs rclpy")
    from dataclasses import fields

    from humanoid_rl_ros.nodes import parameters

    kinds = (parameters.SimulationParameters, parameters.PolicyParameters, parameters.SafetyParameters)
    graph = graph_parameters(robot_file, policy_folder, entry_blend=1.0, velocity_command=[0.0, 0.0, 0.0], seed=1)
    for node, kind in zip(NODES, kinds, strict=True):
        assert set(getattr(graph, node)) <= {item.name for item in fields(kind)} | {"use_sim_time"}
    steered = graph_parameters(robot_file, policy_folder, navigation="rooms", start=(1.0, 2.0))
    for node, kind in (("navigator", parameters.NavigatorParameters), ("simulation_bridge", kinds[0])):
        assert set(getattr(steered, node)) <= {item.name for item in fields(kind)} | {"use_sim_time"}
