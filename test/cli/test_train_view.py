"""What is shown of a training, and the picture of it."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")  # the trainer, whose progress is shown, needs it

from rich.console import Console

from humanoid_rl_ros.cli.learning_curve import draw_learning_curve, smoothed
from humanoid_rl_ros.cli.train_evaluation import summarise
from humanoid_rl_ros.cli.train_view import PLAIN_PERIOD_S, TrainView, count, duration
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.envs.evaluation import CommandResult
from humanoid_rl_ros.learning.trainer import Progress

METRICS = {
    "episode/return": 12.345,
    "episode/length": 400.0,
    "task/velocity_error": 0.25,
    "end/fall": 0.4,
    "end/time": 0.6,
    "curriculum/commands": 0.3,
    "reward/alive": 0.15,
    "reward/action_rate": -0.05,
    "policy/kl": 0.0101,
    "policy/learning_rate": 0.001,
    "loss/value": 0.5,
    "time/collect": 3.0,
    "time/update": 1.0,
    "evaluation/survival": 0.875,
}


def progress(steps: int = 1_500_000, metrics: dict[str, float] | None = None) -> Progress:
    return Progress(steps, 20_000_000, 130.0, 200.0, 10_000.0, METRICS if metrics is None else metrics)


def test_lengths_of_time() -> None:
    shown = [duration(s) for s in (0.4, 59.4, 59.6, 200.0, 3599.6, 3720.0, 360000.0, math.inf)]
    assert shown == ["0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "1 h 02 min", "100 h 00 min", "–"]


def test_large_numbers() -> None:
    assert [count(n) for n in (0, 950, 9812.0, 1_234_567, 2e9)] == ["0", "950", "9.81 k", "1.23 M", "2 G"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_shows_everything(width: int) -> None:
    live = io.StringIO()
    with TrainView(Console(width=width, force_terminal=True, file=live), 0.02) as view:
        view.show(progress())
        view.show(progress(1_600_000, {"policy/kl": 0.02}))
        assert "1.6 M of 20 M steps" in live.getvalue()
    paper = Console(width=width, color_system=None, file=io.StringIO(), record=True)
    paper.print(view.table(progress(1_600_000)))
    shown = paper.export_text()
    for words in (
        *("1.6 M of 20 M steps", "10 k steps/s", "3 min 20 s so far", "30 min 40 s left"),
        *("return", "12.3", "8 s", "0.25 m/s", "ended by fall", "40%", "commands", "0.30", "survival", "0.875"),
        *("alive", "+0.150", "action rate", "-0.050", "kl", "0.02", "learning rate", "0.001", "value", "0.5"),
        *("collect 75 %", "update 25 %"),
    ):
        assert words in shown, f"{words} is not in\n{shown}"
    assert max(map(len, shown.splitlines())) <= width


def test_without_a_terminal_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with TrainView(Console(width=80, highlight=False), 0.02, lambda: now[0]) as view:
        for _ in range(21):
            view.show(progress())
            now[0] += PLAIN_PERIOD_S / 10.0
        view.show(progress(20_000_000))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # at 0, 5 and 10 s, and the end
    assert lines[0] == (
        "1.5 M of 20 M steps  10 k steps/s  return 12.3  episode 8 s  velocity error 0.25 m/s  kl 0.0101  "
        "learning rate 0.001  collect 75 % update 25 %  left 30 min 50 s"
    )


def test_a_mean_over_neighbours() -> None:
    np.testing.assert_allclose(smoothed(np.array([1.0, 2.0, 6.0, 4.0]), 1), [1.5, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(smoothed(np.array([1.0, 2.0]), 0), [1.0, 2.0])
    np.testing.assert_allclose(smoothed(np.array([1.0, 3.0]), 5), [2.0, 2.0])


def columns(n: int) -> dict[str, Any]:
    there = np.arange(n) % 3 != 0
    return {
        "steps": np.arange(n) * 1000.0,
        "seconds": np.arange(n) * 0.5,
        "episode/return": np.where(there, np.arange(n) * 0.1, math.nan),
        "episode/length": np.where(there, np.arange(n) * 1.0, math.nan),
    }


@pytest.mark.parametrize("n", [2, 500])
def test_the_curve_is_drawn_from_what_there_is(tmp_path: Path, n: int) -> None:
    assert draw_learning_curve(columns(n), "title", 0.02, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_without_an_episode_there_is_no_curve(tmp_path: Path) -> None:
    assert not draw_learning_curve(columns(1), "title", 0.02, tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


def test_a_curve_that_cannot_be_written_is_refused(tmp_path: Path, refuses: Any) -> None:
    with refuses(HumanoidError, "cannot write", "No such file"):
        draw_learning_curve(columns(9), "title", 0.02, tmp_path / "no" / "curve.png")


def test_the_score_of_an_evaluation() -> None:
    def result(survival: float, velocity_error: float, yaw_error: float) -> CommandResult:
        return CommandResult((0.0, 0.0, 0.0), 0.4, survival, (0.0, 0.0, 0.0), velocity_error, yaw_error, None, 0.5)

    found = summarise([result(1.0, 0.1, 0.2), result(0.5, 0.3, 0.4)])
    assert found == pytest.approx({"survival": 0.75, "velocity_error": 0.2, "yaw_error": 0.3, "score": 0.4})
    fallen = summarise([result(0.0, math.nan, math.nan)])
    assert fallen == {"survival": 0.0, "velocity_error": 1.0, "yaw_error": 1.0, "score": -1.5}
