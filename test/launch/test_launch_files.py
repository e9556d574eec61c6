"""The launch files: loaded everywhere launch is installed, and run where `ros2 launch` finds the package."""

from __future__ import annotations

import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Refuses
from played_bags import Swaying
from tiny_policy import write_policy, write_robot

from humanoid_rl_ros.bags.facts import inspect
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.interfaces.topics import JOINT_COMMAND, REPLAYED_COMMAND
from humanoid_rl_ros.nodes.launch_arguments import (
    GAZEBO_ARGUMENTS,
    NAVIGATION_ARGUMENTS,
    REPLAY_ARGUMENTS,
    ROBOT_ARGUMENTS,
    SIMULATION_ARGUMENTS,
    TEAM_ARGUMENTS,
    TELEOPERATION_ARGUMENTS,
)
from humanoid_rl_ros.resources import find_robot, share_folder

pytest.importorskip("launch_ros", reason="launch_ros is not installed; it comes with ROS, not with the wheels")

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node

pytestmark = pytest.mark.ros
FOLDER = share_folder() / "launch"
ARGUMENTS = {
    "simulation": SIMULATION_ARGUMENTS,
    "robot": ROBOT_ARGUMENTS,
    "replay": REPLAY_ARGUMENTS,
    "gazebo": GAZEBO_ARGUMENTS,
    "teleoperation": TELEOPERATION_ARGUMENTS,
    "team": TEAM_ARGUMENTS,
    "navigation": NAVIGATION_ARGUMENTS,
}
WITH_ROBOT = ("simulation", "robot")
DISCOVERY = "ROS_AUTOMATIC_DISCOVERY_RANGE"


def description(name: str) -> LaunchDescription:
    return runpy.run_path(str(FOLDER / f"{name}.launch.py"))["generate_launch_description"]()


def nodes(name: str, **given: str) -> dict[str, Node]:
    """The nodes a launch file would start, by executable."""
    context = LaunchContext()
    context.launch_configurations.update({a.name: a.default for a in ARGUMENTS[name] if a.default is not None})
    context.launch_configurations.update(given)
    (start,) = (entity for entity in description(name).entities if isinstance(entity, OpaqueFunction))
    actions: list[Any] = start.execute(context)
    return {action.node_executable: action for action in actions if isinstance(action, Node)}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_declared_with_a_text(name: str) -> None:
    declared = {argument.name: argument for argument in description(name).get_launch_arguments()}
    assert list(declared) == [argument.name for argument in ARGUMENTS[name]]
    assert all(argument.description.endswith((".", ")")) for argument in declared.values())


def test_simulation_starts_three_nodes() -> None:
    assert set(nodes("simulation")) == {"simulation_bridge_node", "policy_node", "safety_monitor_node"}


def test_a_team_is_one_world_and_a_policy_and_a_monitor_for_each_robot() -> None:
    context = LaunchContext()
    context.launch_configurations.update({a.name: a.default for a in TEAM_ARGUMENTS if a.default is not None})
    context.launch_configurations.update({"robots": "a,b,c", "record": "bags"})
    (start,) = (entity for entity in description("team").entities if isinstance(entity, OpaqueFunction))
    found = [action.node_executable for action in start.execute(context) if isinstance(action, Node)]
    for name in ("policy_node", "safety_monitor_node", "recorder_node"):
        assert found.count(name) == 3
    assert found.count("world_bridge_node") == 1
    assert len(found) == 10


def test_a_navigator_is_started_where_a_navigation_bundle_is_given(refuses: Refuses) -> None:
    assert "navigator_node" in nodes("simulation", navigation="rooms", start="1 1 0")
    assert set(nodes("navigation", navigation="rooms")) == {"navigator_node"}
    with refuses(ConfigError, "teleop:=joystick and navigation:=rooms would both steer"):
        nodes("simulation", navigation="rooms", teleop="joystick")
    with refuses(ConfigError, "which a fixed velocity command overrules"):
        nodes("simulation", navigation="rooms", command="0.5 0 0")
    with refuses(ConfigError, "'start' must be two or three numbers"):
        nodes("simulation", map="rooms", start="1")


def test_hills_that_are_none_are_refused_before_anything_starts(refuses: Refuses) -> None:
    with refuses(ConfigError, "'terrain' must be one number from 0, found '-1'"):
        nodes("simulation", terrain="-1")


def test_a_formation_is_a_further_node_for_each_robot() -> None:
    context = LaunchContext()
    context.launch_configurations.update({a.name: a.default for a in TEAM_ARGUMENTS if a.default is not None})
    context.launch_configurations.update(
        {"robots": "a,b", "formation": "column", "command": "0.3 0 0", "spacing": "1.2"}
    )
    (start,) = (entity for entity in description("team").entities if isinstance(entity, OpaqueFunction))
    found = [action.node_executable for action in start.execute(context) if isinstance(action, Node)]
    assert found.count("formation_node") == 2
    assert len(found) == 7


def test_robot_starts_two_nodes() -> None:
    assert set(nodes("robot", robot="reference", policy="stand")) == {"policy_node", "safety_monitor_node"}


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """A bag that says what ran: a policy that stands still, on two joints."""
    pytest.importorskip("onnx", reason="needs onnx to write a network")
    robot = load_robot(write_robot(tmp_path))
    return str(Swaying(robot).bag(tmp_path / "bag", 3.0, policy=write_policy(tmp_path / "policy", robot, gain=0.0)))


def test_replay_starts_two_nodes_and_what_drives_them(recording: str) -> None:
    driven = nodes("replay", bag=recording)
    assert set(driven) == {"player_node", "policy_node", "safety_monitor_node"}
    assert "recorder_node" in nodes("replay", bag=recording, record="true")


@pytest.mark.parametrize("name", WITH_ROBOT)
def test_a_recorder_is_started_where_one_is_asked_for(name: str) -> None:
    given = {"robot": "reference", "policy": "stand"} if name == "robot" else {}
    assert "recorder_node" in nodes(name, record="true", **given)
    assert "recorder_node" not in nodes(name, record="false", **given)


def test_a_profile_that_cannot_be_read_is_refused_before_anything_starts(refuses: Refuses) -> None:
    nodes("robot", robot="reference", policy="stand", profile="none")
    with refuses(ConfigError, "nothing.yaml: no such file"):
        nodes("robot", robot="reference", policy="stand", profile="nothing.yaml")


JOYSTICK = {"game_controller_node", "teleop_node", "joy_teleop"}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("teleoperation", {}, JOYSTICK),
        ("simulation", {"teleop": "joystick"}, JOYSTICK),
        ("robot", {"teleop": "joystick", "robot": "reference", "policy": "stand"}, JOYSTICK),
        ("teleoperation", {"teleop": "keyboard", "teleop_terminal": "env"}, {"teleop_twist_keyboard"}),
    ],
)
def test_what_steers_is_started_where_it_is_asked_for(
    name: str, given: dict[str, str], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("humanoid_rl_ros.nodes.launching.is_installed", lambda package: True)
    assert expected == set(nodes(name, **given)) - {"simulation_bridge_node", "policy_node", "safety_monitor_node"}


def test_a_fixed_command_and_somebody_who_steers_exclude_each_other(refuses: Refuses) -> None:
    with refuses(ConfigError, "teleop:=joystick", "command:='0.5 0 0'"):
        nodes("simulation", teleop="joystick", command="0.5 0 0")


def test_a_policy_that_does_not_fit_is_refused_before_anything_starts(refuses: Refuses) -> None:
    with refuses(ContractError, "does not fit robot"):
        nodes("robot", robot="g1", policy="stand")


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize(("given", "expected"), [(None, "LOCALHOST"), ("SUBNET", "SUBNET")])
def test_discovery_stays_on_the_machine_unless_the_user_says_otherwise(
    name: str, given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DISCOVERY, given or "")  # also restores it afterwards
    if given is None:
        monkeypatch.delenv(DISCOVERY)
    context = LaunchContext()
    for entity in description(name).entities:
        if isinstance(entity, SetEnvironmentVariable):
            entity.execute(context)
    assert context.environment[DISCOVERY] == expected


class Launch:
    """`ros2 launch` of one file, as a user starts it."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        ros2 = shutil.which("ros2", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        if ros2 is None:
            pytest.skip("the command ros2 is not installed")
        if not any(
            (Path(p) / "lib/humanoid_rl_ros").is_dir()
            for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        ):
            pytest.skip("the package is in no folder of AMENT_PREFIX_PATH: install it, or source the workspace")
        self._log = folder / "launch.log"
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(random.SystemRandom().randint(1, 100)),
            "ROS_LOG_DIR": str(folder / "log"),
            "RCUTILS_COLORIZED_OUTPUT": "0",
            DISCOVERY: "LOCALHOST",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [ros2, "launch", str(FOLDER / f"{name}.launch.py"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> Launch:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # nodes too, whatever state the launch is in
        except ProcessLookupError:
            return
        self.process.wait(5)

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def until(self, pattern: str, within: float = 30.0) -> None:
        end = time.monotonic() + within
        while not re.search(pattern, self.output):
            if time.monotonic() > end or self.process.poll() is not None:
                pytest.fail(f"'{pattern}' did not appear:\n{self.output}")
            time.sleep(0.05)

    def kill(self, executable: str) -> None:
        """End one node without a last word."""
        os.kill(int(re.findall(rf"\[{executable}-\d\]: process started with pid \[(\d+)\]", self.output)[-1]), 9)

    def ended(self, within: float = 10.0) -> int:
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within} s:\n{self.output}")
        assert "Traceback" not in self.output, self.output
        return status


def test_simulation_becomes_active_and_ends_cleanly(tmp_path: Path) -> None:
    with Launch(tmp_path, "simulation", "mode:=lockstep", "command:=0 0 0", "namespace:=a/b") as launch:
        launch.until(r"\[a\.b\.safety_monitor\]: ACTIVE")
        launch.until(r"\[a\.b\.policy_node\]: the safety monitor is ACTIVE: running the policy")
        launch.process.send_signal(signal.SIGINT)
        assert launch.ended() == 0
        assert launch.output.count("process has finished cleanly") == 3


def test_hills_load_and_a_weak_joint_are_in_the_world_that_is_launched(tmp_path: Path) -> None:
    hard = ("terrain:=0.05", "payload:=0.2", "weak_joint:=left_knee_joint 0")
    with Launch(tmp_path, "simulation", "mode:=lockstep", "command:=0.5 0 0", "get_up:=none", *hard) as launch:
        launch.until(r"\[safety_monitor\]: ACTIVE")
        launch.until(r"\[safety_monitor\]: FALLEN")  # nobody walks on one leg
        launch.process.send_signal(signal.SIGINT)
        assert launch.ended() == 0
    with Launch(tmp_path, "simulation", "weak_joint:=left_nee_joint 0.5") as launch:
        assert launch.ended(within=30.0) == 1
        assert "did you mean 'left_knee_joint'?" in launch.output


def test_the_others_of_a_team_go_on_when_one_loses_its_policy(tmp_path: Path) -> None:
    with Launch(tmp_path, "team", "mode:=lockstep", "command:=0 0 0", "robots:=a,b") as launch:
        launch.until(r"\[a\.safety_monitor\]: ACTIVE", within=60.0)
        launch.until(r"\[b\.safety_monitor\]: ACTIVE", within=60.0)
        launch.kill("policy_node")  # of the last that was started
        launch.until("policy_node ended with status -9: the safety monitor damps robot 'b'")
        launch.until(r"\[b\.safety_monitor\]: DISARMED: no policy effort has arrived", within=60.0)
        launch.process.send_signal(signal.SIGINT)
        assert launch.ended() == 0
        assert "a.safety_monitor]: fault" not in launch.output
        assert launch.output.count("process has finished cleanly") == 4


def test_what_a_launch_records_is_a_whole_bag(tmp_path: Path) -> None:
    bag = tmp_path / "run1"
    with Launch(tmp_path, "simulation", "command:=0 0 0", "namespace:=a", f"record:={bag}") as launch:
        launch.until(r"\[a\.safety_monitor\]: ACTIVE")
        time.sleep(2.0)
        launch.process.send_signal(signal.SIGINT)
        assert launch.ended() == 0
    facts = inspect(bag)
    assert facts.problems == []
    for name in ("/a/joint_states", "/a/safety/status", "/a/clock", "/diagnostics"):
        assert facts.counts[name] > 0


def test_simulation_is_not_armed_when_told_so_and_ends_with_its_monitor(tmp_path: Path) -> None:
    with Launch(tmp_path, "simulation", "arm:=false") as launch:
        launch.until(r"\[safety_monitor\]: READY")
        launch.kill("safety_monitor_node")
        assert launch.ended() == 1
        assert "safety_monitor ended with status -9" in launch.output
        assert "ACTIVE" not in launch.output


def test_monitor_of_a_robot_outlives_the_policy_and_comes_back_disarmed(tmp_path: Path) -> None:
    with Launch(tmp_path, "robot", "robot:=reference", "policy:=stand") as launch:
        launch.until(r"\[policy_node\]: policy '")
        launch.until(r"\[safety_monitor\]: DISARMED: no joint state")
        launch.until(r"\[safety_monitor\]: (granted by the machine: .*|)(realtime_priority 80|lock_memory true)")
        launch.kill("policy_node")
        launch.until("policy_node ended with status -9: the safety monitor damps the robot")
        launch.kill("safety_monitor_node")
        launch.until(r"(?s)starting it again, DISARMED.*\[safety_monitor\]: DISARMED: no joint state")
        launch.process.send_signal(signal.SIGINT)
        assert launch.ended() == 0


def test_replay_drives_the_nodes_to_the_end_of_the_bag_and_no_driver(tmp_path: Path, recording: str) -> None:
    answers = tmp_path / "answers"
    with Launch(tmp_path, "replay", f"bag:={recording}", f"record:={answers}") as launch:
        launch.until(r"\[safety_monitor\]: ACTIVE")
        assert launch.ended(within=30.0) == 0
        assert "bag_player has finished" in launch.output
        assert launch.output.count("process has finished cleanly") == 4
    facts = inspect(answers)
    assert facts.problems == []
    assert facts.counts[f"/{REPLAYED_COMMAND}"] > 200
    assert not facts.counts.get(f"/{JOINT_COMMAND.name}")
    assert facts.counts["/policy/journal"] > 0


@pytest.mark.parametrize("name", WITH_ROBOT)
def test_a_node_that_cannot_start_ends_the_launch(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx to write a network")
    weights = {"file": "policy.onnx", "sha256": "0" * 64}
    policy = write_policy(tmp_path / "policy", find_robot("reference"), weights=weights)
    with Launch(tmp_path, name, "robot:=reference", f"policy:={policy}") as launch:
        assert launch.ended(within=30.0) == 1
        assert re.search(r"\[policy_node\]: cannot configure: weights .*policy\.onnx: digest", launch.output)
        assert "policy_node could not start" in launch.output
