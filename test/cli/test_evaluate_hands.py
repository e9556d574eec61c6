"""`humanoid_rl evaluate` of a policy that has hand targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from rocking_policy import write_rocking_policy

from humanoid_rl_ros.cli.evaluate import EvaluateOptions, run_evaluate
from humanoid_rl_ros.cli.train_evaluation import summarise
from humanoid_rl_ros.envs.evaluation import CommandResult, EvaluationSpec
from humanoid_rl_ros.envs.hand_score import HandResult
from humanoid_rl_ros.envs.task_contract import task_contract
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.resources import find_robot


def test_the_table_says_how_near_the_hands_came(tmp_path: Path) -> None:
    """Of a policy that keeps its balance and its pose: its hands hang where they are not asked to be."""
    robot = find_robot("reference")
    policy = write_rocking_policy(tmp_path / "policy", robot, task_contract(task_for("reach", robot), robot), 0.0)
    spec = EvaluationSpec(repeats=4, seconds=5.0)
    options = EvaluateOptions(str(policy), "", "", (), (0.0,), spec, 1, tmp_path / "found.json")
    console = Console(record=True, width=100)
    assert run_evaluate(options, console)
    text = console.export_text()
    assert "hands, mean" in text
    assert "within 0.05 m" in text
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["task"] == "reach"
    (result,) = found["results"]
    assert result["hands"]["near"] < 0.2
    assert 0.15 < result["hands"]["median"] < 0.6


def test_a_checkpoint_is_better_the_nearer_its_hands_come() -> None:
    def score(hands: HandResult | None) -> dict[str, float]:
        return summarise([CommandResult((0.0,) * 3, 0.4, 1.0, (0.0,) * 3, 0.02, 0.02, None, 0.5, hands)])

    assert score(None) == pytest.approx({"survival": 1.0, "velocity_error": 0.02, "yaw_error": 0.02, "score": 0.97})
    near, lost = score(HandResult(0.03, 0.02, 0.9)), score(HandResult(float("nan"), float("nan"), 0.0))
    assert (near["hand_error"], near["score"]) == pytest.approx((0.03, 0.82))
    assert lost["hand_error"] == 1.0
