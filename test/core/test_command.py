"""Commands are brought into what the policy was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.command import CommandFilter, CommandSpec, command_from_section
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.state import VelocityCommand

Refuses = Callable[..., AbstractContextManager[None]]
SPEC = CommandSpec((-0.5, 1.0), (-0.3, 0.3), (-1.0, 1.0), dead_band=0.1, slew_rate=(2.0, math.inf, 1.0))
anything = st.floats(allow_nan=True, allow_infinity=True)


def test_a_command_is_clipped_to_the_ranges() -> None:
    assert CommandFilter(SPEC, 0.02).apply(VelocityCommand(3.0, -3.0, 0.4)).tolist() == [1.0, -0.3, 0.4]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_axis_that_is_not_finite_counts_as_zero(bad: float) -> None:
    assert CommandFilter(SPEC, 0.02).apply(VelocityCommand(bad, 0.2, 0.4)).tolist() == [0.0, 0.2, 0.4]


def test_the_dead_band_holds_only_when_every_axis_is_in_it() -> None:
    commands = CommandFilter(CommandSpec(dead_band=0.1), 0.02)
    assert commands.apply(VelocityCommand(0.09, -0.09, 0.09)).tolist() == [0.0, 0.0, 0.0]
    assert commands.apply(VelocityCommand(0.09, 0.1, 0.0)).tolist() == [0.09, 0.1, 0.0]


def test_a_range_without_zero_gives_its_nearest_in_the_dead_band() -> None:
    commands = CommandFilter(CommandSpec(linear_x=(0.05, 1.0), dead_band=0.1), 0.02)
    assert commands.apply(VelocityCommand()).tolist() == [0.05, 0.0, 0.0]


def test_slew_limits_the_change_of_each_axis_per_second() -> None:
    commands = CommandFilter(SPEC, 0.1)  # 0.2 m/s and 0.1 rad/s a step
    assert commands.apply(VelocityCommand(0.5, 0.2, 0.5)).tolist() == [0.5, 0.2, 0.5]  # the first as it is
    np.testing.assert_allclose(commands.apply(VelocityCommand(-0.5, -0.2, 1.0)), [0.3, -0.2, 0.6])
    np.testing.assert_allclose(commands.apply(VelocityCommand(-0.5, -0.2, 1.0)), [0.1, -0.2, 0.7])
    commands.reset()
    assert commands.apply(VelocityCommand(-0.5, 0.0, 1.0)).tolist() == [-0.5, 0.0, 1.0]


def test_slew_passes_through_the_dead_band() -> None:
    commands = CommandFilter(CommandSpec(dead_band=0.2, slew_rate=(1.0, 1.0, 1.0)), 0.1)
    commands.apply(VelocityCommand())
    seen = [commands.apply(VelocityCommand(linear_x=0.5))[0] for _ in range(6)]
    np.testing.assert_allclose(seen, [0.1, 0.2, 0.3, 0.4, 0.5, 0.5])


@given(st.lists(st.tuples(anything, anything, anything), min_size=1, max_size=8))
def test_whatever_comes_the_policy_sees_its_range_and_its_slew(asked: list[tuple[float, float, float]]) -> None:
    commands = CommandFilter(SPEC, 0.02)
    seen = np.array([commands.apply(VelocityCommand(*axes)) for axes in asked])
    assert np.isfinite(seen).all()
    assert (seen >= [-0.5, -0.3, -1.0]).all()
    assert (seen <= [1.0, 0.3, 1.0]).all()
    assert (np.abs(np.diff(seen, axis=0)) <= np.array([0.04, math.inf, 0.02]) + 1e-12).all()


@given(anything, anything, anything)
def test_without_ranges_a_finite_command_is_unchanged(x: float, y: float, z: float) -> None:
    seen = CommandFilter(CommandSpec(), 0.02).apply(VelocityCommand(x, y, z))
    assert seen.tolist() == [v if math.isfinite(v) else 0.0 for v in (x, y, z)]


def test_every_key_is_read() -> None:
    data = {"linear_x": [-0.5, 1], "linear_y": [0, 0], "angular_z": [-1, 1], "dead_band": 0.1, "slew_rate": [1, 2, 3]}
    assert command_from_section(Section(data, "f")) == CommandSpec(
        (-0.5, 1.0), (0.0, 0.0), (-1.0, 1.0), 0.1, (1.0, 2.0, 3.0)
    )
    assert command_from_section(Section({}, "f")) == CommandSpec()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"linear_x": [1.0, -1.0]}, ["linear_x", "[1, -1]"]),
        ({"linear_y": [0.0]}, ["'linear_y'", "2 numbers"]),
        ({"angular_z": 1.0}, ["'angular_z'", "list"]),
        ({"slew_rate": [1.0, 0.0, 1.0]}, ["slew_rate", "above 0"]),
        ({"slew_rate": [1.0]}, ["'slew_rate'", "3 numbers"]),
        ({"dead_band": -0.1}, ["'dead_band'", "at least 0"]),
        ({"liner_x": [0.0, 1.0]}, ["'liner_x'", "did you mean 'linear_x'?"]),
    ],
)
def test_a_wrong_command_is_refused(data: dict[str, object], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        command_from_section(Section(data, "policy.yaml: command"))
