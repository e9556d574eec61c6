"""Policies by short name, loaded beside the one that runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.nodes.policy_shelf import PolicyShelf, shelf_name

Refuses = Callable[..., AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("bundle", "name"),
    [("walk", "walk"), ("/somewhere/my-walk.2", "my_walk_2"), ("a/b/", "b"), ("9lives", "_9lives"), ("./a/../b", "b")],
)
def test_a_short_name_is_one_that_ros_allows(bundle: str, name: str) -> None:
    assert shelf_name(bundle) == name


def test_a_name_of_nothing_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "'/'"):
        shelf_name("/")


def _load(name: str) -> Any:
    if "bad" in name:
        raise PolicyError(f"{name} is bad")
    if "worse" in name:
        raise RuntimeError("out of the blue")
    return f"behaviour of {name}"


def _shelf() -> PolicyShelf:
    return PolicyShelf(_load)


def test_what_is_added_is_there_and_has_its_name_alone(refuses: Refuses) -> None:
    shelf = _shelf()
    assert shelf.add("walk") == shelf.take("walk") == "behaviour of walk"
    with refuses(ConfigError, "'walk'", "'other/walk'", "same name"):
        shelf.add("other/walk")
    with refuses(PolicyError, "bad"):
        shelf.add("bad")
    assert shelf.names == ("walk",)
    with refuses(PolicyError, "no policy 'wolk'", "'walk'"):
        shelf.take("wolk")


def test_fetched_ones_replace_the_others_and_the_running_one_stays(refuses: Refuses) -> None:
    shelf = _shelf()
    running: Any = shelf.add("walk")
    shelf.add("stand")
    shelf.fetch(["dance", "bad", "worse", "run"], keep=running).join(5.0)
    assert shelf.names == ("walk", "dance", "bad", "worse", "run")
    assert shelf.take("walk") is running
    assert shelf.take("run") == "behaviour of run"
    with refuses(PolicyError, "bad is bad"):
        shelf.take("bad")
    with refuses(PolicyError, "RuntimeError", "out of the blue"):
        shelf.take("worse")
    with refuses(PolicyError, "no policy 'stand'"):
        shelf.take("stand")


def test_two_of_the_same_name_change_nothing(refuses: Refuses) -> None:
    shelf = _shelf()
    running: Any = shelf.add("walk")
    shelf.add("stand")
    with refuses(ConfigError, "same name"):
        shelf.fetch(["a/dance", "b/dance"], keep=running)
    assert shelf.names == ("walk", "stand")


def test_until_it_is_loaded_it_is_refused_and_later_wishes_win(refuses: Refuses) -> None:
    gate = threading.Event()

    def slowly(name: str) -> Any:
        assert gate.wait(5.0)
        return f"behaviour of {name}"

    shelf = PolicyShelf(slowly)
    gate.set()
    running: Any = shelf.add("walk")
    gate.clear()
    first = shelf.fetch(["a", "b"], keep=running)
    with refuses(PolicyError, "'a' is still being loaded"):
        shelf.take("a")
    second = shelf.fetch(["c"], keep=running)
    gate.set()
    first.join(5.0)
    second.join(5.0)
    assert shelf.names == ("walk", "c")
    assert shelf.take("c") == "behaviour of c"
    with refuses(PolicyError, "no policy 'b'"):
        shelf.take("b")
