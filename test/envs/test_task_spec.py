"""A task's YAML: what is shipped, what is laid over it, and what is refused."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.task_spec import ControlSpec, EpisodeSpec, TaskSpec, find_task, load_task
from humanoid_rl_ros.envs.tasks import task_for, task_names
from humanoid_rl_ros.resources import find_robot, robot_names, share_folder

Refuses = Callable[..., AbstractContextManager[None]]
Load = Callable[..., TaskSpec]
TASKS = share_folder() / "config" / "tasks"

_DATA: dict[str, Any] = {
    "format": 1,
    "name": "lean",
    "control": {"period": 0.02, "pd_rate": 200},
    "observation": {"terms": [{"term": "projected_gravity"}]},
    "rewards": {"alive": 1.0, "pose": {"weight": -1.0, "joints": {"*": 1.0}}},
}


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(_DATA)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(data: object, robot: str = "biped", **overrides: Any) -> TaskSpec:
        file = tmp_path / "lean.yaml"
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        return load_task(file, robot, {key.replace("__", "."): value for key, value in overrides.items()})

    return read


@pytest.mark.parametrize("robot", robot_names())
@pytest.mark.parametrize("task", task_names())
def test_every_shipped_task_is_one_for_every_shipped_robot(task: str, robot: str) -> None:
    spec = task_for(task, find_robot(robot))
    assert spec.name == task
    assert spec.source == str(TASKS / f"{task}.yaml")
    assert spec.rewards


def test_what_is_left_out_has_its_default(load: Load, data: dict[str, Any]) -> None:
    task = load(data)
    assert task.episode == EpisodeSpec(20.0, True, "standing", 1.0, 0.5)
    assert task.control == ControlSpec(0.02, 200.0, ("*",), "simulated", "armature", 10.0, 2.0, 0.25, 2.5, 1.0)
    assert task.commands.full.linear_x == (0.0, 0.0)
    assert not task.randomisation.varies_bodies
    assert task.curriculum == ()
    assert task.gait is None
    assert task.terrain is None
    assert task.symmetric
    assert task.critic_observation == task.observation


def test_every_part_is_read(load: Load, data: dict[str, Any]) -> None:
    data |= {
        "episode": {"length": 5, "random_first": False, "start": "lying", "tilt_limit": math.inf, "height_limit": 0},
        "control": {
            "period": 0.01,
            "pd_rate": 500,
            "driven": ["*hip*"],
            "held_joints": "welded",
            "gains": "robot",
            "frequency": 8,
            "damping_ratio": 1.5,
            "effort_share": 0.5,
            "clip": 3,
            "soft_effort_limit": 0.8,
            "joint_effort_share": {"*hip_yaw*": 0.1},
        },
        "commands": {"ranges": {"linear_x": [0, 1]}},
        "randomisation": {"mass": [0.9, 1.1]},
        "curriculum": {"penalties": {"start": 0.5}},
        "gait": {"period": 0.8},
        "terrain": {"height": [0, 0.1]},
        "symmetric": False,
        "critic_observation": {"terms": [{"term": "base_lin_vel"}]},
    }
    task = load(data)
    assert task.episode == EpisodeSpec(5.0, False, "lying", math.inf, 0.0)
    assert task.control == ControlSpec(
        0.01, 500.0, ("*hip*",), "welded", "robot", 8.0, 1.5, 0.5, 3.0, 0.8, {"*hip_yaw*": 0.1}
    )
    assert task.commands.full.linear_x == (0.0, 1.0)
    assert task.randomisation.mass == (0.9, 1.1)
    assert task.curriculum[0].start == 0.5
    assert task.gait is not None
    assert task.gait.frequency == pytest.approx(1.25)
    assert task.terrain is not None
    assert task.terrain.height == (0.0, 0.1)
    assert not task.symmetric
    assert task.critic_observation["terms"][0]["term"] == "base_lin_vel"


def test_a_robots_own_part_is_laid_over_the_task_and_overrides_over_both(load: Load, data: dict[str, Any]) -> None:
    data["robots"] = {
        "biped": {"control": {"frequency": 5.0}, "rewards": {"pose": {"joints": {"knee": 2.0}}, "alive": None}},
        "other": {"control": {"frequency": 1.0}},
    }
    task = load(data)
    assert task.control.frequency == 5.0
    assert task.control.pd_rate == 200.0  # its neighbours stay
    assert [(r.name, r.weight, dict(r.joint_weights)) for r in task.rewards] == [
        ("pose", -1.0, {"*": 1.0, "knee": 2.0})
    ]
    assert load(data, "third").control.frequency == 10.0
    task = load(data, control__frequency=4.0, rewards__pose=-3.0, rewards__upright=-1.0, gait={"period": 1.0})
    assert task.control.frequency == 4.0
    assert {r.name: r.weight for r in task.rewards} == {"pose": -3.0, "upright": -1.0}
    assert task.gait is not None
    assert load(data, "third", rewards__pose__joints=None).rewards[1].joint_weights == {}
    assert load(data, control={"clip": 1.0}).control.clip == 1.0


def test_the_file_is_not_changed_by_what_is_laid_over_it(load: Load, data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    overrides = {"joints": {"hip": 1.0}}
    load(data, rewards__pose=overrides)
    assert data == before
    assert overrides == {"joints": {"hip": 1.0}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, ["task format 2 is not known", "reads format 1"]),
        ({"obsrvation": {}}, ["unknown key 'obsrvation'", "did you mean 'observation'?"]),
        ({"control": {"period": 0.02, "clipp": 1.0}}, ["control", "unknown key 'clipp'", "did you mean 'clip'?"]),
        ({"control": {"period": 0.02, "pd_rate": 130}}, ["control", "0.02 s", "no whole multiple", "0.00769"]),
        ({"control": {"held_joints": "glued"}}, ["'held_joints' must be one of simulated, welded", "'glued'"]),
        ({"control": {"gains": "mine"}}, ["'gains' must be one of armature, robot"]),
        ({"control": {"driven": "*"}}, ["'driven' must be a list of names"]),
        ({"episode": {"length": 0}}, ["episode", "'length' must be above 0"]),
        ({"episode": {"start": "sitting"}}, ["'start' must be one of standing, lying, fallen"]),
        ({"rewards": {"alive": 1.0, "uprigth": 1.0}}, ["rewards", "did you mean 'upright'?"]),
        ({"rewards": {}, "randomisation": {"mas": [1, 1]}}, ["randomisation", "did you mean 'mass'?"]),
        ({"curriculum": {"penalty": {}}}, ["curriculum", "did you mean 'penalties'?"]),
        ({"terrain": {"hight": [0, 0.1]}}, ["terrain", "'height' is missing", "'hight'"]),
        ({"symmetric": "yes"}, ["'symmetric' must be true or false"]),
        ({"robots": ["biped"]}, ["'robots' must be a mapping"]),
        ({"robots": {"biped": 3}}, ["must be a mapping", "3"]),
    ],
)
def test_a_wrong_task_is_refused(
    change: dict[str, Any], words: list[str], load: Load, data: dict[str, Any], refuses: Refuses
) -> None:
    with refuses(ConfigError, "lean.yaml", *words):
        load(data | change)


@pytest.mark.parametrize("key", ["name", "control", "rewards", "observation", "format"])
def test_what_must_be_there_is_asked_for(key: str, load: Load, data: dict[str, Any], refuses: Refuses) -> None:
    del data[key]
    with refuses(ConfigError, "lean.yaml", f"'{key}' is missing"):
        load(data)


def test_an_override_that_means_nothing_is_refused(load: Load, data: dict[str, Any], refuses: Refuses) -> None:
    with refuses(ConfigError, "lean.yaml", "unknown reward 'aliv'", "did you mean 'alive'?"):
        load(data, rewards__aliv=1.0)
    with refuses(ConfigError, "lean.yaml", "unknown key 'lenght'", "did you mean 'length'?"):
        load(data, episode__lenght=1.0)


def test_a_task_is_found_by_name_or_path(refuses: Refuses, tmp_path: Path) -> None:
    assert task_names() == ("get_up", "reach", "stand", "walk", "walk_adaptive")
    assert find_task("walk", TASKS) == TASKS / "walk.yaml"
    assert find_task("mine/own.yaml", TASKS) == Path("mine/own.yaml")
    with refuses(ConfigError, "no task named 'wlak'", "did you mean 'walk'?"):
        find_task("wlak", TASKS)
    with refuses(ConfigError, "gone.yaml: no such file"):
        load_task(find_task(str(tmp_path / "gone.yaml"), TASKS), "biped")
