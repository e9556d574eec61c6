"""Policies beside each other over hills, with loads and weak joints; and the intervals that are told with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.cli.bench_adaptation import CONDITIONS, AdaptationOptions, Outcome, adaptation_row, run_adaptation
from humanoid_rl_ros.cli.confidence import mean_interval, share_interval
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError

Refuses = Callable[..., AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe (1998), table I: the score method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_lies_where_the_literature_has_it(hits: int, n: int, low: float, high: float) -> None:
    assert share_interval(hits, n) == pytest.approx((low, high), abs=1e-4)
    assert share_interval(n - hits, n) == pytest.approx((1.0 - high, 1.0 - low), abs=1e-4)
    assert share_interval(0, 0) == (0.0, 1.0)


def test_a_mean_lies_within_its_interval_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(0)
    inside = [low < 3.0 < high for low, high in (mean_interval(rng.normal(3.0, 2.0, 50), rng) for _ in range(200))]
    assert 0.90 < np.mean(inside) < 0.99
    assert all(math.isnan(bound) for bound in mean_interval(np.zeros(0), rng))


def test_who_is_compared_is_compared_robot_for_robot() -> None:
    """Robots differ much, the policies little and always the same way: the difference is certain, the means are not."""
    way = np.linspace(0.0, 1.0, 40)
    first = Outcome(np.zeros(40, bool), way, np.full(40, 0.1))
    second = Outcome(np.arange(40) < 10, way - 0.05, np.where(np.arange(40) < 10, np.nan, 0.2))
    row = adaptation_row("even ground", "second", second, first)
    assert (row.robots, row.fell, row.way_behind) == (40, 0.25, pytest.approx(0.05))
    assert row.way_behind_interval == pytest.approx((0.05, 0.05))
    assert row.way_interval[1] - row.way_interval[0] > 0.15
    assert row.error == pytest.approx(0.2)
    alone = adaptation_row("even ground", "first", first, None)
    assert (alone.way_behind, alone.way_behind_interval) == (0.0, (0.0, 0.0))


def test_the_table_is_of_the_conditions_and_policies_that_were_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    arguments = ["walk", "stand", "--only", "even", "--only", "all", "--repeats", "1", "--seeds", "1"]
    done = CliRunner().invoke(app, ["bench", "adaptation", *arguments, "--seconds", "4", "--json", str(file)])
    assert done.exit_code == 0, done.output
    rows = json.loads(file.read_text())["rows"]
    assert [(row["condition"], row["policy"]) for row in rows] == [
        (condition, policy) for condition in ("even ground", "all of it") for policy in ("walk", "stand")
    ]
    walk, stand = rows[:2]
    assert walk["robots"] == 4
    assert walk["fell"] == 0.0
    assert walk["way"] > 0.5 > 0.1 > abs(stand["way"])  # who stands goes nowhere
    assert stand["way_behind"] == pytest.approx(walk["way"] - stand["way"])
    assert "even ground" in done.output
    assert "stand" in done.output


def test_rounds_begin_with_the_seed_that_is_given() -> None:
    quiet = Console(quiet=True)
    hard = AdaptationOptions(("stand",), repeats=1, seconds=3.0, seeds=1, only=("hills of 12",), threads=1)
    one, other, both = (
        run_adaptation(replace(hard, **seeds), json_file=None, console=quiet)[0].way
        for seeds in ({"seed": 3}, {"seed": 4}, {"seed": 3, "seeds": 2})
    )
    assert one != other
    assert both == pytest.approx(0.5 * (one + other))


def test_what_is_not_there_is_refused(refuses: Refuses) -> None:
    quiet = Console(quiet=True)
    with refuses(ConfigError, "no condition has 'hils'", *list(CONDITIONS)[:3]):
        run_adaptation(AdaptationOptions(("walk",), only=("hils",)), json_file=None, console=quiet)
    with refuses(ConfigError, "no policy named 'wakl'"):
        run_adaptation(AdaptationOptions(("wakl",)), json_file=None, console=quiet)
