"""Names as ROS takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.ros_names import namespace_of
from humanoid_rl_ros.description.options import ExportOptions


@pytest.mark.parametrize("text", ["a", "/a", "a/", "/left_2/arm", "", "/", "_x"])
def test_slashes_around_a_namespace_are_taken_off(text: str) -> None:
    assert namespace_of(text) == text.strip("/")
    assert ExportOptions(Path("/nowhere"), namespace=text).namespace == text.strip("/")


@pytest.mark.parametrize("text", ["a b", "a//b", "2", "a-b", "~", "ä", "a\n", None, 5])
def test_what_is_no_namespace_is_refused(text: object, refuses: Refuses) -> None:
    with refuses(ConfigError, repr(text), "is no ROS namespace"):
        namespace_of(text)
