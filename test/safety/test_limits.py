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
    with refuses(ConfigError, name, "finite and above", str(value), "safety.yaml"):
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
