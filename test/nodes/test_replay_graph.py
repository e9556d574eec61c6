from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
pytest.importorskip("onnx")

from conftest import Refuses
from played_bags import LOG_START, MS, STAMP_START, Swaying, message, write
from tiny_policy import write_policy

from humanoid_rl_ros.bags.arming import armings
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.core.errors import BagError, ConfigError, ContractError
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot, load_robot
from humanoid_rl_ros.interfaces.cdr_writers import write_diagnostic_status, write_string
from humanoid_rl_ros.nodes.replay_graph import replay_parameters
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.safety.limits import load_safety_limits

REMAPPED = ("joint_effort_controller/commands", "replay/joint_effort_controller/commands")


@pytest.fixture
def policy(tmp_path: Path, robot: RobotSpec) -> Path:
    return write_policy(tmp_path / "policy", robot)


@pytest.fixture
def recording(tmp_path: Path, robot: RobotSpec, policy: Path) -> str:
    return str(Swaying(robot).bag(tmp_path / "bag", policy=policy))


@pytest.fixture
def silent(tmp_path: Path, robot: RobotSpec) -> str:
    """A bag that does not say what ran."""
    return str(Swaying(robot).bag(tmp_path / "silent"))


def test_robot_policy_and_limits_are_those_of_the_recording(
    recording: str, policy: Path, robot: RobotSpec, tmp_path: Path
) -> None:
    graph = replay_parameters(recording, tmp_path)
    assert dump_robot(load_robot(graph.policy_node["robot"])) == dump_robot(robot)
    assert graph.safety_monitor["robot"] == graph.policy_node["robot"]
    assert graph.policy_node["policy"] == str(policy)
    assert graph.policy_node["get_up"] == ""
    assert (graph.policy_node["use_cmd_vel"], graph.policy_node["velocity_command"]) == (False, [0.1, 0.0, 0.0])
    assert load_safety_limits(graph.safety_monitor["limits"]).tilt_limit == 0.9  # not the shipped one
    for node in (graph.policy_node, graph.safety_monitor):
        assert (node["mode"], node["use_sim_time"], node["autostart"]) == ("realtime", True, True)
    assert graph.safety_monitor["auto_arm"] is True


def test_the_bundle_in_the_bag_is_taken_when_the_one_that_ran_has_changed(
    recording: str, policy: Path, tmp_path: Path, refuses: Refuses
) -> None:
    kept = Path(recording) / "bundles" / "tiny-0"
    shutil.copytree(policy, kept)
    (policy / "policy.yaml").write_text((policy / "policy.yaml").read_text() + "origin: trained once more\n")
    assert replay_parameters(recording, tmp_path).policy_node["policy"] == str(kept)
    shutil.rmtree(kept)
    with refuses(BagError, "'tiny'", "another policy.yaml"):
        replay_parameters(recording, tmp_path)


def test_what_is_named_comes_before_what_was_recorded(
    recording: str, policy: Path, robot: RobotSpec, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(dump_robot(robot))
    limits = tmp_path / "limits.yaml"
    limits.write_text("format: 1\ntilt_limit: 0.8\n")
    other = write_policy(tmp_path / "other", robot, history=1)
    graph = replay_parameters(recording, tmp_path, robot=str(file), policy=str(other), limits=str(limits))
    assert graph.policy_node["robot"] == str(file)
    assert graph.policy_node["policy"] == str(other)
    assert graph.safety_monitor["limits"] == str(limits)
    assert graph.policy_node["get_up"] == ""
    assert replay_parameters(recording, tmp_path, get_up=str(other)).policy_node["get_up"] == str(other)


def test_a_bag_that_does_not_say_what_ran_needs_to_be_told(
    silent: str, policy: Path, robot: RobotSpec, tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(BagError, "does not say", "robot:=", "policy:="):
        replay_parameters(silent, tmp_path)
    with refuses(BagError, "does not say which policy ran"):
        replay_parameters(silent, tmp_path, robot="reference")
    (policy / "robot.yaml").write_text(dump_robot(robot))
    graph = replay_parameters(silent, tmp_path, policy=str(policy))
    assert graph.policy_node["robot"] == str(policy / "robot.yaml")
    assert graph.policy_node["command_type"] == "twist_stamped"
    assert graph.safety_monitor["limits"] == ""
    assert graph.safety_monitor["state_rate"] == pytest.approx(200.0, rel=0.05)  # counted


def test_no_driver_hears_the_commands_unless_that_is_asked_for(recording: str, tmp_path: Path) -> None:
    graph = replay_parameters(recording, tmp_path)
    assert graph.remappings == (REMAPPED,)
    assert not graph.player.get("with_actuators")
    assert graph.player["answers_may_move"] is False
    graph = replay_parameters(recording, tmp_path, actuators=True)
    assert graph.remappings == ()
    assert not graph.player.get("with_actuators")  # the monitor commands, and not the bag too
    assert graph.player["answers_may_move"] is True


def test_a_robot_in_a_namespace_is_driven_there_by_its_own_clock(
    tmp_path: Path, robot: RobotSpec, policy: Path
) -> None:
    bag = Swaying(robot, "/a").bag(tmp_path / "bag", policy=policy)
    graph = replay_parameters(str(bag), tmp_path)
    assert graph.namespace == graph.player["robot_namespace"] == "/a"
    assert graph.remappings == (("/clock", "/a/clock"), REMAPPED)


def test_faster_states_are_no_flood(recording: str, tmp_path: Path, refuses: Refuses) -> None:
    rates = [replay_parameters(recording, tmp_path, rate=rate).safety_monitor["state_rate"] for rate in (0.5, 1.0, 3.0)]
    assert rates == [200.0, 200.0, 600.0]
    with refuses(ConfigError, "'rate'", "found 0"):
        replay_parameters(recording, tmp_path, rate=0.0)


def test_it_is_armed_when_the_recorded_robot_was(tmp_path: Path, robot: RobotSpec, policy: Path) -> None:
    swaying = Swaying(robot)
    messages = [message("/policy/setup", 0.0, write_string(swaying.setup("policy", policy).as_text()))]
    messages += swaying.messages(0, 1000, stamp_ms=0)
    for name, states, expected in (
        (
            "armed",
            {100: "READY", 200: "ACTIVE", 300: "DEGRADED", 400: "ESTOP", 500: "READY", 600: "ACTIVE"},
            [200, 600],
        ),
        ("never", {100: "READY"}, []),
    ):
        statuses = [
            message("/safety/status", ms, write_diagnostic_status(0, "", "", "", {"state": state}))
            for ms, state in states.items()
        ]
        bag = write(tmp_path / name, swaying.topics(), [*messages, *statuses])
        with Bag(bag) as opened:
            assert armings(opened, "") == [LOG_START + ms * MS for ms in expected]
        graph = replay_parameters(str(bag), tmp_path)
        assert (graph.player["arm"], graph.safety_monitor["auto_arm"]) == (bool(expected), not expected)


def test_a_recorder_is_waited_for_too(recording: str, tmp_path: Path) -> None:
    assert replay_parameters(recording, tmp_path).player["listeners"] == 2
    assert replay_parameters(recording, tmp_path, recorded=True).player["listeners"] == 3


def test_a_policy_of_another_robot_is_refused_before_anything_starts(
    recording: str, tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(ContractError, "does not fit robot 'biped'"):
        replay_parameters(recording, tmp_path, policy="walk")


def test_further_policies_and_what_gets_it_up_are_found_too(tmp_path: Path, robot: RobotSpec, policy: Path) -> None:
    swaying = Swaying(robot)
    other, rises = (write_policy(tmp_path / name, robot, history=length) for name, length in (("o", 1), ("r", 3)))
    sources = [
        replace(swaying.setup("policy", folder).policies[0], short_name=name)
        for name, folder in (("", rises), ("tiny", policy), ("other", other))
    ]
    setup = replace(swaying.setup("policy", policy), policies=tuple(sources))
    messages = [*swaying.messages(0, 50, stamp_ms=STAMP_START // MS)]
    messages.append(message("/policy/setup", 0.0, write_string(setup.as_text())))
    graph = replay_parameters(str(write(tmp_path / "bag", swaying.topics(), messages)), tmp_path)
    found = (graph.policy_node["policy"], graph.policy_node["policies"], graph.policy_node["get_up"])
    assert found == (str(policy), [str(other)], str(rises))
    named = replay_parameters(str(tmp_path / "bag"), tmp_path, policy=str(other)).policy_node
    assert (named["policy"], named.get("policies"), named["get_up"]) == (str(other), None, str(rises))
    assert load_bundle(found[0]).name == "tiny"


def test_launch_files_can_import_it_without_ros() -> None:
    code = (
        "import sys, humanoid_rl_ros.nodes.replay_graph; "
        "print({m.partition('.')[0] for m in sys.modules} & "
        "{'rclpy', 'launch', 'std_msgs', 'mujoco', 'onnxruntime', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.ros
def test_every_parameter_is_one_of_the_node(recording: str, tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="needs rclpy")
    from dataclasses import fields

    from humanoid_rl_ros.nodes.parameters import PolicyParameters, SafetyParameters
    from humanoid_rl_ros.nodes.player_publishers import PlayerParameters

    graph = replay_parameters(recording, tmp_path)
    for given, kind in (
        (graph.player, PlayerParameters),
        (graph.policy_node, PolicyParameters),
        (graph.safety_monitor, SafetyParameters),
    ):
        assert set(given) <= {item.name for item in fields(kind)} | {"use_sim_time"}
