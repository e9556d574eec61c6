"""`humanoid_rl bench learners`: bands by hand, what suits a task, what is known of it, and two short runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")

from typer.testing import CliRunner

from humanoid_rl_ros.cli.band_chart import shown_range
from humanoid_rl_ros.cli.bench_learners import Curves, LearnersOptions, reference_returns, run_learners, suitable
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError

CLIFF, PENDULUM = "gymnasium:CliffWalking-v1", "gymnasium:Pendulum-v1"


def options(task: str, folder: Path = Path("unused"), **more: Any) -> LearnersOptions:
    return LearnersOptions(**{"learners": (), "seeds": 2, "steps": 120, **more}, task=task, out=folder)


def test_a_band_is_students_interval_of_the_mean() -> None:
    steps = np.array([10.0])
    # 1, 2, 3: mean 2, std 1; t at 97.5 % with 2 degrees of freedom is 4.303.
    band = Curves("ppo", steps, np.array([[1.0], [2.0], [3.0]]), 0.0, "return").band()
    assert band.mean == pytest.approx([2.0])
    assert [band.low[0], band.high[0]] == pytest.approx([2.0 - 4.303 / 3**0.5, 2.0 + 4.303 / 3**0.5])
    alone = Curves("ppo", steps, np.array([[1.0]]), 0.0, "return").band()
    assert (alone.low[0], alone.high[0]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("lows", "shown"),
    [([-1000.0, -900.0], -1000.0), ([-35_000.0, -1000.0, -900.0], -1000.0), ([-35_000.0], -35_000.0)],
    ids=["near", "one far below", "alone"],
)
def test_one_curve_far_below_does_not_press_the_others_together(lows: list[float], shown: float) -> None:
    steps = np.array([1.0, 2.0])
    bands = [Curves("ppo", steps, np.array([[low, -13.0]]), 0.0, "return").band() for low in lows]
    assert shown_range(bands) == (shown, -13.0)


def test_only_learners_that_suit_a_task_are_tried(refuses: Any) -> None:
    assert suitable(options(CLIFF)) == ("q_learning", "sarsa", "reinforce", "dqn")
    assert suitable(options("gymnasium:CartPole-v1")) == ("reinforce", "dqn")
    assert suitable(options(PENDULUM)) == suitable(options("walk")) == ("reinforce", "td3", "ppo", "sac")
    with refuses(ConfigError, "dqn", "'gymnasium:Pendulum-v1'"):
        suitable(options(PENDULUM, learners=("sac", "dqn")))


def test_what_is_known_of_a_task_stands_beside() -> None:
    assert reference_returns(options(CLIFF))["exact"].value == pytest.approx(-13.0)
    published = reference_returns(options(PENDULUM))
    assert {name: known.value for name, known in published.items()} == {"ppo": -172.2, "sac": -157.0, "td3": -151.9}
    assert reference_returns(options("walk")) == {}


def test_runs_become_curves_and_are_not_repeated(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    arguments = ["bench", "learners", "--task", CLIFF, "--learner", "sarsa", "--seeds", "1", "--steps", "120"]
    arguments += ["--every", "60", "--out", str(tmp_path / "runs"), "--jobs", "2", "--json", str(found)]
    arguments += ["--set", "steps_per_iteration=60", "--set", "sarsa:discount=0.9", "--set", "dqn:hidden=[8]"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads(found.read_text())["learners"]["sarsa"]
    assert result["steps"] == [60.0, 120.0]
    assert np.shape(result["returns"]) == (1, 2)
    assert (tmp_path / "runs" / "learners.png").read_bytes().startswith(b"\x89PNG")
    checkpoint = next((tmp_path / "runs" / "sarsa_0" / "checkpoints").glob("checkpoint_*.pt"))
    written = checkpoint.stat().st_mtime_ns
    assert "discount: 0.9" in (tmp_path / "runs" / "sarsa_0" / "run.yaml").read_text()
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert checkpoint.stat().st_mtime_ns == written


def test_a_run_that_fails_is_named(tmp_path: Path, refuses: Any) -> None:
    from rich.console import Console

    wrong = options(CLIFF, tmp_path, learners=("sarsa",), seeds=1, settings=("epsilon=3",))
    with refuses(HumanoidError, "sarsa with seed 0 failed", "'epsilon'", "sarsa_0.log"):
        run_learners(wrong, Console(quiet=True))
