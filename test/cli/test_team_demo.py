"""The demo of several robots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Refuses
from demo_runs import run_demo

from humanoid_rl_ros.core.errors import ConfigError

pytestmark = pytest.mark.ros


def test_a_team_is_named_or_counted(refuses: Refuses) -> None:
    from humanoid_rl_ros.cli.team_demo import Kill, parse_kills, team_names

    assert team_names(0, "") == ()
    assert team_names(2, "") == ("robot_1", "robot_2")
    assert team_names(0, "left, right") == team_names(2, "left,right") == ("left", "right")
    with refuses(ConfigError, "--robots 3", "left,right"):
        team_names(3, "left,right")
    assert parse_kills(["5 right", "2.5 left"], ("left", "right")) == (Kill(2.5, "left"), Kill(5.0, "right"))
    for text in ("left", "soon left", "1 2 3", "nan left", "5 middle"):
        with refuses(ConfigError, "kill", text):
            parse_kills([text], ("left", "right"))
    with refuses(ConfigError, "--robots"):
        parse_kills(["5 left"], ())


@pytest.mark.slow
def test_one_of_a_team_is_killed_and_the_others_are_in_the_picture(tmp_path: Path) -> None:
    words = ("--team", "left,right", "--kill", "2 left", "--seconds", 6, "--json", "result.json")
    done = run_demo(*words, cwd=tmp_path, timeout=240.0)
    assert done.returncode == 0, done.stdout + done.stderr
    robots = json.loads((tmp_path / "result.json").read_text())["robots"]
    assert list(robots) == ["left", "right"]
    left, right = robots.values()
    assert left["killed"]
    assert left["fell"]
    assert left["safety_state"] == "DISARMED"
    assert right["stood"]
    assert right["mean_speed"] > 0.3
    assert right["max_tilt_deg"] < 10.0
    assert (tmp_path / "humanoid_rl_demo.png").read_bytes().startswith(b"\x89PNG")
