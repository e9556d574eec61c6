"""The safety YAML: what it says is what holds, and what it cannot say is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path

import pytest

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.resources import safety_file
from humanoid_rl_ros.safety.limits import SafetyLimits, load_safety_limits

Refuses = Callable[..., AbstractContextManager[None]]
NUMBERS = [item for item in fields(SafetyLimits) if not isinstance(item.default, bool)]
NAMES = [item.name for item in NUMBERS]
WHOLE = [item.name for item in NUMBERS if isinstance(item.default, int)]


def write(folder: Path, text: str) -> Path:
    file = folder / "safety.yaml"
    file.write_text(text)
    return file


def test_keys_left_out_keep_their_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, "format: 1\ntilt_limit: 0.7\nnon_finite_limit: 5\n")
    assert load_safety_limits(file) == SafetyLimits(tilt_limit=0.7, non_finite_limit=5)


def test_the_shipped_file_is_valid_and_names_every_limit() -> None:
    file = safety_file()
    load_safety_limits(file)
    assert all(f"\n{name}:" in file.read_text() for name in (*NAMES, "recover"))


def test_a_file_of_ones_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    file = write(tmp_path, "format: 1\ncommand_timeout: 0.25\n")
    assert load_safety_limits(safety_file(str(file))).command_timeout == 0.25


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1])
def test_no_limit_is_switched_off_by_zero_or_less(tmp_path: Path, refuses: Refuses, name: str, value: int) -> None:
    with refuses(ConfigError, name, "must be finite and", str(value), "safety.yaml"):
        load_safety_limits(write(tmp_path, f"format: 1\n{name}: {value}\n"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE])
@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_no_limit_is_switched_off_by_what_is_not_finite(
    tmp_path: Path, refuses: Refuses, name: str, value: str
) -> None:
    with refuses(ConfigError, name, "finite", "safety.yaml"):
        load_safety_limits(write(tmp_path, f"format: 1\n{name}: {value}\n"))


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_a_limit_made_in_code_is_checked_too(refuses: Refuses, value: float) -> None:
    with refuses(ConfigError, "tilt_limit", "finite and above 0"):
        SafetyLimits(tilt_limit=value)


def test_more_than_the_whole_effort_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, "effort_scale", "at most 1", "1.01", "safety.yaml"):
        load_safety_limits(write(tmp_path, "format: 1\neffort_scale: 1.01\n"))
    assert SafetyLimits(effort_scale=1.0).effort_scale == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("mapping", "nothing")),
        ("- 1\n", ("mapping", "list")),
        ("format: [1\n", ("not valid YAML",)),
        ("tilt_limit: 1.0\n", ("'format' is missing",)),
        ("format: 2\n", ("format 2", "format 1")),
        ("format: 1\ntilt_limt: 1.0\n", ("unknown key 'tilt_limt'", "did you mean 'tilt_limit'?")),
        ("format: 1\ntilt_limit: steep\n", ("tilt_limit", "a number", "steep")),
        ("format: 1\ntilt_limit: 1e-3\n", ("tilt_limit", "1.0e-3")),
        ("format: 1\ntilt_limit: true\n", ("tilt_limit", "a number")),
        ("format: 1\nnon_finite_limit: 3.5\n", ("non_finite_limit", "a whole number", "3.5")),
        ("format: 1\ntilt_limit: 1.0\ntilt_limit: 9.0\n", ("tilt_limit", "twice")),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, refuses: Refuses, text: str, words: tuple[str, ...]) -> None:
    with refuses(ConfigError, "safety.yaml", *words):
        load_safety_limits(write(tmp_path, text))


def test_a_missing_file_is_refused_by_name(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, "none.yaml", "no such file"):
        load_safety_limits(tmp_path / "none.yaml")


def test_the_shipped_file_says_the_defaults() -> None:
    assert load_safety_limits(safety_file()) == SafetyLimits()


# The largest value of each, and the largest that is too small where that is not 0.
MOST = {
    "effort_scale": 1.0,
    "effort_rate": 1e5,
    "soft_position_margin": 1.0,
    "soft_position_stiffness": 100.0,
    "speed_corner": 0.99,
    "power_limit": 1e5,
    "thermal_share": 1.0,
    "thermal_time": 3600.0,
    "thermal_derate": 0.95,
    "damping_scale": 10.0,
    "command_timeout": 2.0,
    "state_timeout": 2.0,
    "imu_timeout": 2.0,
    "frozen_time": 10.0,
    "clock_jump": 10.0,
    "answer_age": 2.0,
    "reject_limit": 100,
    "non_finite_limit": 100,
    "flood_rate": 1e5,
    "flood_efforts": 100.0,
    "tick_overrun": 1.0,
    "ready_time": 10.0,
    "joint_speed": 3.0,
    "joint_speed_count": 1000,
    "position_horizon": 0.5,
    "position_margin": 1.0,
    "position_count": 1000,
    "tracking_error": 4.0,
    "tracking_time": 10.0,
    "saturation_share": 1.0,
    "saturation_time": 60.0,
    "tilt_limit": 1.6,
    "tilt_time": 2.0,
    "falling_tilt": 1.6,
    "falling_rate": 10.0,
    "falling_horizon": 2.0,
    "falling_time": 2.0,
    "pose_margin": 1.0,
    "degraded_time": 60.0,
    "fallen_rate": 3.0,
    "fallen_time": 10.0,
    "recovery_effort_scale": 1.0,
    "recovery_time": 120.0,
    "recovery_tries": 20,
    "upright_tilt": 1.0,
    "upright_rate": 3.0,
    "upright_pose": 3.0,
    "upright_time": 10.0,
    "verify_time": 60.0,
    "verify_limit": 120.0,
    "recovered_time": 600.0,
    "estop_damping_time": 60.0,
}
LEAST = {
    "soft_position_stiffness": 1.0,
    "damping_scale": 0.1,
    "thermal_share": 0.05,
    "thermal_time": 5.0,
    "flood_efforts": 1.0,
    "saturation_share": 0.5,
}
# What must be below another limit comes with it here.
ROOM = {"falling_tilt": {"tilt_limit": 1.6}, "upright_tilt": {"tilt_limit": 1.6}, "verify_time": {"verify_limit": 61.0}}


def test_every_number_has_a_largest_value() -> None:
    assert set(MOST) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_may_be_as_large_as_its_largest_value_and_no_larger(refuses: Refuses, name: str) -> None:
    most = MOST[name]
    if name != "falling_tilt":  # that is the largest tilt_limit, and it must be below that
        assert getattr(SafetyLimits(**{name: most, **ROOM.get(name, {})}), name) == most
    more = most + 1 if name in WHOLE else math.nextafter(most, math.inf)
    with refuses(ConfigError, f"safety: '{name}' must be at most {most:g}, found {more:g}"):
        SafetyLimits(**{name: more})


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_must_be_above_zero_or_at_least_its_smallest_value(refuses: Refuses, name: str) -> None:
    if name in LEAST:
        more = LEAST[name]
        less = math.nextafter(more, 0.0)
        with refuses(ConfigError, f"safety: '{name}' must be finite and at least {more:g}, found {less:g}"):
            SafetyLimits(**{name: less})
    else:
        with refuses(ConfigError, f"safety: '{name}' must be finite and above 0, found 0"):
            SafetyLimits(**{name: 0 if name in WHOLE else 0.0})
        more = 1 if name in WHOLE else 5e-324
    held = {"verify_time": 1e-320} if name == "verify_limit" else {}
    held |= {"falling_tilt": 1e-320, "upright_tilt": 1e-320} if name == "tilt_limit" else {}
    if name not in ("tilt_limit", "verify_limit"):
        assert getattr(SafetyLimits(**{name: more, **held}), name) == more


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"tilt_limit": 0.4, "upright_tilt": 0.1}, "'falling_tilt' must be below 'tilt_limit' 0.4, found 0.4"),
        ({"tilt_limit": 0.3, "falling_tilt": 0.1}, "'upright_tilt' must be below 'tilt_limit' 0.3, found 0.3"),
        ({"falling_tilt": 1.25}, "'falling_tilt' must be below 'tilt_limit' 1, found 1.25"),
        ({"verify_limit": 1.0}, "'verify_time' must be below 'verify_limit' 1, found 1"),
        ({"verify_time": 7.0}, "'verify_time' must be below 'verify_limit' 5, found 7"),
    ],
)
def test_limits_that_make_no_sense_together_are_refused(refuses: Refuses, values: dict[str, float], text: str) -> None:
    with refuses(ConfigError, f"safety: {text}"):
        SafetyLimits(**values)


def test_limits_just_below_one_another_are_allowed() -> None:
    near = math.nextafter(0.4, 1.0)
    SafetyLimits(tilt_limit=near, falling_tilt=0.4, upright_tilt=0.4, verify_time=near, verify_limit=0.5)
    SafetyLimits(verify_time=0.4, verify_limit=near)


def test_getting_up_is_on_unless_the_file_says_otherwise(tmp_path: Path, refuses: Refuses) -> None:
    assert SafetyLimits().recover is True
    assert load_safety_limits(write(tmp_path, "format: 1\nrecover: false\n")).recover is False
    with refuses(ConfigError, "recover", "safety.yaml"):
        load_safety_limits(write(tmp_path, "format: 1\nrecover: 1\n"))


def test_a_refusal_names_the_file_once(tmp_path: Path) -> None:
    for text in ("tilt_limit: 99.0", "tilt_limit: steep", "verify_time: 9.0", "tilt_limt: 1.0"):
        file = write(tmp_path, f"format: 1\n{text}\n")
        with pytest.raises(ConfigError) as caught:
            load_safety_limits(file)
        assert str(caught.value).startswith(f"{file}: ")
        assert str(caught.value).count(str(file)) == 1


def test_the_format_is_told(tmp_path: Path, refuses: Refuses) -> None:
    file = write(tmp_path, "format: 2\n")
    with refuses(ConfigError, f"{file}: safety format 2 is not known; this version reads format 1"):
        load_safety_limits(file)


def test_a_source_that_is_meant_to_be_fast_is_no_flood_before_twice_its_rate() -> None:
    limits = SafetyLimits(flood_rate=1200.0)
    assert limits.for_states_at(0.0) == limits
    assert limits.for_states_at(500.0) == limits
    assert limits.for_states_at(2000.0).flood_rate == 4000.0
