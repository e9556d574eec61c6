"""What joystick and keyboard are told, and what is said where they cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.nodes.parameters import PolicyParameters
from humanoid_rl_ros.nodes.teleoperation import TeleopNode, full_speed, joystick_config, teleop_nodes
from humanoid_rl_ros.resources import find_policy, policy_names, share_folder

SHIPPED = share_folder() / "config/teleop/joystick.yaml"


def nodes(kind: str, **given: Any) -> dict[str, TeleopNode]:
    settings = {
        "policy": "walk",
        "cmd_vel_type": "twist_stamped",
        "config": "",
        "terminal": "env",
        "namespace": "",
        "found": lambda package: True,
    }
    return {node.name: node for node in teleop_nodes(kind, **{**settings, **given})}


def test_nothing_is_started_unasked() -> None:
    assert nodes("none", found=lambda package: False) == {}


def test_sticks_span_the_command_range_of_the_policy() -> None:
    command = find_policy("walk").command
    sticks = nodes("joystick")["teleop_twist_joy_node"].parameters
    fast = [sticks[f"scale_{axis}"] for axis in ("linear_turbo.x", "linear_turbo.y", "angular_turbo.yaw")]
    assert fast == [command.linear_x[1], command.linear_y[1], command.angular_z[1]]
    slow = [sticks[f"scale_{axis}"] for axis in ("linear.x", "linear.y", "angular.yaw")]
    assert slow == [value / 2 for value in fast]
    assert full_speed("") == (0.5, 0.2, 0.5)


def test_every_shipped_policy_has_a_finite_full_speed() -> None:
    assert all(0.0 <= value <= 2.0 for name in policy_names() for value in full_speed(name))


@pytest.mark.parametrize(("kind", "stamped"), [("twist_stamped", True), ("twist", False)])
def test_messages_are_of_the_type_that_the_policy_node_takes(kind: str, stamped: bool) -> None:
    assert nodes("joystick", cmd_vel_type=kind)["teleop_twist_joy_node"].parameters["publish_stamped_twist"] is stamped
    keyboard = nodes("keyboard", cmd_vel_type=kind)["teleop_twist_keyboard"]
    assert keyboard.parameters["stamped"] is stamped
    assert ("frame_id" in keyboard.parameters) is stamped  # which it refuses where there is no header
    assert keyboard.prefix == "env"


def test_the_shipped_joystick_has_a_dead_man_and_wants_two_buttons_for_what_moves_the_robot() -> None:
    shipped = joystick_config(SHIPPED)
    sticks, pad, buttons = (shipped[n] for n in ("teleop_twist_joy_node", "game_controller_node", "joy_teleop"))
    assert sticks["require_enable_button"] is True
    assert pad["sticky_buttons"] is False
    assert 1.0 / pad["autorepeat_rate"] < PolicyParameters().command_timeout / 2.0
    assert buttons["arm.service_request.data"] is True
    assert buttons["disarm.service_request.data"] is False
    assert len(buttons["emergency_stop.buttons"]) == 1
    for moving in ("arm.buttons", "reset.buttons"):
        assert len(buttons[moving]) == 2
        assert max(buttons[moving]) <= 3
    held = {sticks["enable_button"], sticks["enable_turbo_button"]}
    assert not held.intersection(*(value for name, value in buttons.items() if name.endswith(".buttons")))


def test_a_config_of_ones_own_has_the_last_word(tmp_path: Path) -> None:
    own = tmp_path / "pad.yaml"
    own.write_text("teleop_twist_joy_node: {ros__parameters: {enable_button: 4, scale_linear: {x: 0.1}}}")
    started = nodes("joystick", config=str(own))
    assert started["teleop_twist_joy_node"].parameters["enable_button"] == 4
    assert started["teleop_twist_joy_node"].parameters["scale_linear.x"] == 0.1
    assert started["teleop_twist_joy_node"].parameters["scale_linear.y"] == 0.2
    assert started["joy_teleop"].parameters == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("joy_node: {ros__parameters: {device_id: 1}}", "no node 'joy_node' here"),
        ("joy_teleop: {buttons: [1]}", "'joy_teleop' has no mapping 'ros__parameters'"),
        ("- 1", "is no ROS parameter file"),
        ("a: [", "cannot read"),
    ],
)
def test_a_malformed_config_is_refused_by_name(text: str, words: str, tmp_path: Path, refuses: Refuses) -> None:
    own = tmp_path / "pad.yaml"
    own.write_text(text)
    with refuses(ConfigError, "pad.yaml", words):
        nodes("joystick", config=str(own))


def test_missing_packages_are_named_as_debian_has_them(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with refuses(MissingDependencyError, "needs joy, teleop_twist_joy", "ros-jazzy-joy ros-jazzy-teleop-twist-joy"):
        nodes("joystick", found=lambda package: package == "joy_teleop")


def test_a_keyboard_without_a_terminal_says_what_to_run_by_hand(refuses: Refuses) -> None:
    with refuses(MissingDependencyError, "no 'no-such-terminal' here", "-p stamped:=true", "-r __ns:=/a"):
        nodes("keyboard", terminal="no-such-terminal -e", namespace="a")
