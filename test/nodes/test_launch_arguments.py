from __future__ import annotations

import importlib.util
from datetime import datetime

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.nodes import launch_arguments
from humanoid_rl_ros.nodes.launch_arguments import (
    entry_blend,
    get_up,
    hardship,
    one_each,
    pushes,
    rate,
    recorder_parameters,
    team_record,
    velocity_command,
    words,
)


@pytest.mark.parametrize("text", ["0.5 0 -1", "[0.5, 0, -1]", " 0.5,0,-1 "])
def test_velocity_command_is_three_numbers(text: str) -> None:
    assert velocity_command(text) == [0.5, 0.0, -1.0]


@pytest.mark.parametrize("text", ["", "  ", "[]"])
def test_no_velocity_command_means_to_listen(text: str) -> None:
    assert velocity_command(text) is None


@pytest.mark.parametrize("text", ["1 2", "1 2 3 4", "fast", "nan 0 0", "inf 0 0", "1;2;3"])
def test_a_wrong_velocity_command_is_refused_by_name(text: str, refuses: Refuses) -> None:
    with refuses(ConfigError, "'command'", f"found '{text}'"):
        velocity_command(text)


def test_entry_blend_is_a_time_or_the_bundles_own(refuses: Refuses) -> None:
    assert entry_blend("") is None
    assert entry_blend("0") == 0.0
    for text in ("-1", "61", "1 2", "soon"):
        with refuses(ConfigError, "'entry_blend'", f"found '{text}'"):
            entry_blend(text)


def test_what_gets_it_up_is_a_bundle_none_or_what_is_shipped() -> None:
    assert get_up(" ") is None
    assert get_up("none") == ""
    assert get_up(" my_bundle ") == "my_bundle"


def test_hardships_are_parameters_of_the_simulation_where_there_are_any(refuses: Refuses) -> None:
    assert hardship("0", "0", "") == hardship("", "", " ") == {}
    assert hardship("0.08", "0.2", "left_knee_joint 0.5") == {
        "terrain": 0.08,
        "payload": 0.2,
        "weak_joint": "left_knee_joint",
        "weak_share": 0.5,
    }
    for *given, name in (("high", "0", "", "terrain"), ("0", "-0.1", "", "payload"), ("0.1 0.2", "", "", "terrain")):
        with refuses(ConfigError, f"'{name}'", "found"):
            hardship(*given)
    for text in ("left_knee_joint", "left_knee_joint half", "0.5"):
        with refuses(ConfigError, "'left_knee_joint 0.5'", f"found '{text}'"):
            hardship("", "", text)


def test_a_push_is_four_numbers(refuses: Refuses) -> None:
    assert pushes("") == []
    assert pushes("[2, 1.5, 0, 0, 4, 0, 1, 0]") == [2.0, 1.5, 0.0, 0.0, 4.0, 0.0, 1.0, 0.0]
    for text in ("1 2 3", "1 2 3 4 5", "soon 1 2 3", "nan 1 2 3"):
        with refuses(ConfigError, "'pushes'", f"found '{text}'"):
            pushes(text)


def test_a_place_is_two_or_three_numbers_or_none(refuses: Refuses) -> None:
    assert launch_arguments.place("", "start") == []
    assert launch_arguments.place("1 -2", "start") == [1.0, -2.0]
    assert launch_arguments.place("[1, 2, 0.5]", "start") == [1.0, 2.0, 0.5]
    with refuses(ConfigError, "'start'", "two or three numbers", "1"):
        launch_arguments.place("1", "start")


def test_robot_and_policy_of_a_real_robot_must_be_named() -> None:
    must = [a.name for a in launch_arguments.ROBOT_ARGUMENTS if a.default is None]
    assert must == ["robot", "policy"]
    assert all(a.default is not None for a in launch_arguments.SIMULATION_ARGUMENTS)


def test_a_robot_cannot_be_armed_by_its_launch_file() -> None:
    assert not {a.name for a in launch_arguments.ROBOT_ARGUMENTS} & {"arm", "command", "mode"}


def test_a_rate_is_one_number_above_zero(refuses: Refuses) -> None:
    assert rate("0.5") == 0.5
    for text in ("", "0", "-1", "1 2", "fast", "inf"):
        with refuses(ConfigError, "'rate'", f"found '{text}'"):
            rate(text)


def test_a_bag_must_be_named_and_moves_nothing_by_itself() -> None:
    arguments = {a.name: a.default for a in launch_arguments.REPLAY_ARGUMENTS}
    assert [name for name, default in arguments.items() if default is None] == ["bag"]
    assert arguments["actuators"] == "false"


def test_recording_is_a_folder_a_default_or_none() -> None:
    assert recorder_parameters("false") is None
    assert recorder_parameters(" ") is None
    assert recorder_parameters("True") == {}
    assert recorder_parameters(" run1 ") == {"output": "run1"}


def test_recording_needs_the_libraries_that_write_bags(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mcap" else found(name))
    with refuses(MissingDependencyError, "needs mcap", "[bags]", "record:=false"):
        recorder_parameters("true")
    assert recorder_parameters("false") is None


def test_the_robots_of_a_team_and_what_is_said_of_each(refuses: Refuses) -> None:
    assert words("left, right middle", "robots") == ["left", "right", "middle"]
    with refuses(ConfigError, "'robots'", "apart by commas"):
        words(" , ", "robots")
    assert one_each("", "policy", ["a", "b"]) == ["", ""]
    assert one_each("walk", "policy", ["a", "b"]) == ["walk", "walk"]
    assert one_each("walk,walk_g1", "policy", ["a", "b"]) == ["walk", "walk_g1"]
    with refuses(ConfigError, "'policy'", "each of 3 robots", "'walk,walk_g1'"):
        one_each("walk,walk_g1", "policy", ["a", "b", "c"])


def test_each_robot_of_a_team_has_a_bag_of_its_own() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7)
    assert team_record("false", "left", moment) == "false"
    assert team_record("true", "left", moment) == "bags_20260304_050607/left"
    assert team_record("runs/one", "left", moment) == "runs/one/left"
