"""From YAML and the command line to a learner's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.learner_config import LearnerSettings, parse_setting


@dataclass(frozen=True)
class Config:
    rate: float = 0.5
    epochs: int = 4
    widths: tuple[int, ...] = (8, 8)
    bound: float | None = None
    mirror: bool = True
    activation: str = "elu"
    order: Literal["first", "last"] = "first"


def settings(task: str = "walk") -> LearnerSettings[Config]:
    return LearnerSettings(Config, task, ("walk", "stand"))


def test_later_words_go_before_earlier_ones() -> None:
    found = settings()
    shipped = {"environments": 64, "rate": 1, "epochs": 1, "tasks": {"walk": {"epochs": 2, "bound": 3.0}, "stand": {}}}
    found.add(Section(shipped, "shipped"))
    assert (found.build(), found.environments) == (Config(rate=1.0, epochs=2, bound=3.0), 64)
    mine = {"widths": [4], "bound": None, "tasks": {"walk": {"environments": 8}, "stand": {"epochs": 9}}}
    found.add(Section(mine, "mine"))
    found.set(Section({"order": "last", "mirror": False, "activation": "tanh"}, "--set"))
    assert found.build() == Config(1.0, 2, (4,), None, False, "tanh", "last")
    assert found.environments == 8


def test_a_task_of_one_s_own_may_have_a_section() -> None:
    found = settings("mine")
    found.add(Section({"tasks": {"mine": {"epochs": 7}}}, "file"))
    assert found.build() == Config(epochs=7)


def test_every_gymnasium_environment_has_a_section_under_its_own() -> None:
    sections = {"gymnasium": {"epochs": 7, "rate": 2.0}, "gymnasium:Pendulum-v1": {"epochs": 9}}
    for task, expected in (("gymnasium:Pendulum-v1", Config(2.0, 9)), ("gymnasium:Ant-v5", Config(2.0, 7))):
        found = settings(task)
        found.add(Section({"tasks": sections}, "file"))
        assert found.build() == expected
    robot = settings("walk")
    robot.add(Section({"tasks": sections}, "file"))
    assert robot.build() == Config()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"ratte": 1.0}, ("'ratte'", "'rate'")),
        ({"task": {}}, ("'task'", "'tasks'")),
        ({"environment": 3}, ("'environment'", "'environments'")),
        ({"environments": 0}, ("'environments'", "at least 1")),
        ({"rate": "fast"}, ("'rate'", "a number", "'fast'")),
        ({"epochs": 1.5}, ("'epochs'", "whole number")),
        ({"epochs": None}, ("'epochs'", "whole number")),
        ({"widths": 8}, ("'widths'", "a list")),
        ({"widths": [8, "x"]}, ("'widths[1]'", "whole number")),
        ({"mirror": 1}, ("'mirror'", "true or false")),
        ({"order": "middle"}, ("'order'", "first, last")),
        ({"tasks": {"wlak": {}}}, ("'wlak'", "'walk'")),
        ({"tasks": {"walk": {"tasks": {}}}}, ("'tasks'", "walk")),
        ({"tasks": {"walk": {"ratte": 1.0}}}, ("walk", "'ratte'", "'rate'")),
    ],
)
def test_what_cannot_be_is_refused(refuses: Any, data: dict[str, Any], words: tuple[str, ...]) -> None:
    with refuses(ConfigError, "file", *words):
        settings().add(Section(data, "file"))


def test_the_number_of_robots_must_be_said(refuses: Any) -> None:
    with refuses(ConfigError, "'environments'"):
        _ = settings().environments


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("rate=1e-3", "rate", 0.001),
        ("epochs=8", "epochs", 8),
        ("widths=[64, 32]", "widths", [64, 32]),
        ("mirror=false", "mirror", False),
        ("bound=null", "bound", None),
        ("rewards.alive=2", "rewards.alive", 2),
        ("activation=elu", "activation", "elu"),
        ("gait={period: 0.8}", "gait", {"period": 0.8}),
    ],
)
def test_a_setting_is_read_as_yaml(text: str, key: str, value: object) -> None:
    assert parse_setting(text) == (key, value)


@pytest.mark.parametrize("text", ["rate", "=3", "rate=[1"])
def test_a_malformed_setting_is_refused(refuses: Any, text: str) -> None:
    with refuses(ConfigError, "--set"):
        parse_setting(text)
