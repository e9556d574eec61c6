"""What an evaluation says of policies whose behaviour is known: one that stands still, and ones that fall."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rocking_policy import rocking_law

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.evaluation import COMMANDS, SETTLE, CommandResult, EvaluationSpec, evaluate, evaluate_robots
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.task_contract import task_contract
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.resources import find_robot, share_folder

Refuses = Callable[..., AbstractContextManager[None]]
Act = Callable[[Float32Array], Float32Array]
ROBOT = find_robot("reference")
SHORT = EvaluationSpec(commands=[(0.0, 0.0, 0.0)], repeats=2, seconds=3.0)


def balance(task: str = "walk") -> Act:
    """Stands, whatever the command."""
    weight, bias = rocking_law(ROBOT, task_contract(task_for(task, ROBOT), ROBOT), 0.0)
    return lambda seen: seen @ weight.T + bias


def nothing(task: str = "walk") -> Act:
    """Asks for the start pose."""
    size = task_contract(task_for(task, ROBOT), ROBOT).action.size
    return lambda seen: np.zeros((len(seen), size), dtype=np.float32)


def run(act: Act, task: str = "walk", **changes: Any) -> list[CommandResult]:
    return evaluate(ROBOT, task, act, replace(SHORT, **changes), threads=1)


def test_who_stands_still_is_as_wrong_as_the_command_is_fast() -> None:
    commands = [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.3, -0.4, 0.0), (0.0, 0.0, -0.7)]
    results = run(balance(), commands=commands)
    assert [result.command for result in results] == commands
    for result, error, turn in zip(results, (0.0, 0.5, 0.5, 0.0), (0.0, 0.0, 0.0, 0.7), strict=True):
        assert result.survival == 1.0
        np.testing.assert_allclose(result.velocity, 0.0, atol=0.01)
        assert result.velocity_error == pytest.approx(error, abs=0.01)
        assert result.yaw_error == pytest.approx(turn, abs=0.01)
        assert 0.05 < result.effort_share < 0.5
    assert [result.cost_of_transport is None for result in results] == [True, False, False, True]


def test_each_result_is_of_the_robots_with_its_command() -> None:
    """A policy that throws itself down when it is asked to go fast."""
    contract = task_contract(task_for("walk", ROBOT), ROBOT)
    labels = contract.observation_builder(ROBOT.joint_names).labels()
    speed, careful = labels.index("velocity_commands[0]"), balance()

    def act(seen: Float32Array) -> Float32Array:
        return np.where(seen[:, [speed]] > 0.4, np.float32(2.0), careful(seen))

    results = run(act, commands=[(0.3, 0.0, 0.0), (0.5, 0.0, 0.0), (0.1, 0.0, 0.0), (0.6, 0.0, 0.0)], seconds=2.2)
    assert [result.survival for result in results] == [1.0, 0.0, 1.0, 0.0]


def test_who_fell_once_has_fallen(tmp_path: Path) -> None:
    """Rocking leans to 0.13 rad and back; where 0.1 rad is a fall, nobody survives."""
    task = yaml.safe_load((share_folder() / "config" / "tasks" / "walk.yaml").read_text())
    weight, bias = rocking_law(ROBOT, task_contract(task_for("walk", ROBOT), ROBOT), 0.15)
    for limit, survival in ((0.1, 0.0), (0.3, 1.0)):
        task["episode"]["tilt_limit"] = limit
        (tmp_path / "careful.yaml").write_text(yaml.safe_dump(task))
        spec = replace(SHORT, commands=[(0.3, 0.0, 0.0)], seconds=4.0)
        (result,) = evaluate(
            ROBOT, str(tmp_path / "careful.yaml"), lambda seen: seen @ weight.T + bias, spec, threads=1
        )
        assert result.survival == survival


@pytest.mark.parametrize("seconds", [0.4, 3.0])
def test_falls_are_those_of_the_simulation(seconds: float) -> None:
    """The start pose held by soft gains tips over after a while; when, the batch itself says."""
    plain = {"randomisation": None, "curriculum": None, "episode.random_first": False}
    batch = HumanoidBatch(ROBOT, task_for("stand", ROBOT, plain), 1, threads=1, auto_reset=False)
    batch.hold_command(np.zeros(3))
    batch.reset(0)
    act, fallen = nothing("stand"), False
    for _ in range(round(seconds / 0.02)):
        fallen |= bool(batch.step(act(np.zeros((1, 1), dtype=np.float32))).terminated[0])
    batch.close()
    (result,) = run(act, "stand", seconds=seconds)
    assert result.survival == (0.0 if fallen else 1.0)
    assert fallen == (seconds > 1.0)


def test_who_lies_before_the_scoring_begins_is_not_scored() -> None:
    size = task_contract(task_for("walk", ROBOT), ROBOT).action.size
    (result,) = run(lambda seen: np.full((len(seen), size), 2.0, dtype=np.float32), seconds=SETTLE + 0.5)
    assert result.survival == 0.0
    assert np.isnan(result.velocity_error)
    assert result.cost_of_transport is None


def test_pushes_knock_over_who_withstands_small_ones() -> None:
    act, often = balance(), {"push_period": 1.0, "repeats": 6}
    assert run(act, push_speed=0.05, **often)[0].survival == 1.0
    (hard,) = run(act, push_speed=2.5, **often)
    assert hard.survival == 0.0
    assert hard.push_speed == 2.5


def test_heavier_robots_need_more_effort() -> None:
    act = balance()
    light, heavy = (run(act, mass=(factor, factor))[0].effort_share for factor in (0.9, 1.1))
    assert heavy > 1.02 * light


def test_loads_hills_and_weak_joints_are_those_that_were_asked_for() -> None:
    """Whatever the task has of its own: without any of it a task that has all is the walk without noise."""
    act = balance()
    (plain,) = run(act, repeats=4)
    contract = task_contract(task_for("walk", ROBOT), ROBOT)
    alike = replace(SHORT, repeats=4)
    assert evaluate(ROBOT, "walk_adaptive", act, alike, contract=contract, threads=1) == [plain]
    (loaded,) = run(act, payload=0.2, repeats=4)
    assert loaded.effort_share > 1.1 * plain.effort_share
    (weak,) = run(act, weak=0.1, weak_joints=("*ankle_pitch*",), repeats=4)
    assert weak.velocity_error > 0.1 > 10.0 * plain.velocity_error
    (hilly,) = run(act, terrain=0.15, repeats=4)
    assert hilly != plain
    assert hilly != run(act, terrain=0.15, repeats=4, seed=1)[0]


def test_robot_by_robot_the_chance_is_the_same_whoever_acts() -> None:
    spec = replace(SHORT, commands=[(0.5, 0.0, 0.0), (0.0, 0.0, 0.0)], noise=0.2, terrain=0.05, payload=0.1)
    first, again, other = (
        evaluate_robots(ROBOT, "walk", act, spec, threads=1) for act in (balance(),) * 2 + (nothing(),)
    )
    np.testing.assert_array_equal(first.way, again.way)
    np.testing.assert_array_equal(first.effort_share, again.effort_share)
    np.testing.assert_array_equal(first.command, np.repeat(spec.commands, 2, axis=0))
    assert first.standing.all()
    assert np.abs(first.way).max() < 0.05
    assert not other.standing.any()
    np.testing.assert_allclose(first.velocity_error, [0.5, 0.5, 0.0, 0.0], atol=0.03)


def test_without_noise_an_evaluation_is_the_same_each_time() -> None:
    act = balance()
    assert run(act) == run(act) == run(act, seed=7)
    # With it the seed decides.
    noisy = run(act, noise=0.1)
    assert noisy[0].survival == 1.0
    assert noisy == run(act, noise=0.1)
    assert noisy != run(act, noise=0.1, seed=7)
    assert noisy != run(act)


def test_every_command_is_tried_by_default() -> None:
    results = evaluate(ROBOT, "walk", nothing(), EvaluationSpec(repeats=1, seconds=0.1), threads=1)
    assert tuple(result.command for result in results) == COMMANDS


def test_what_cannot_be_evaluated_is_refused(refuses: Refuses) -> None:
    for changes in ({"commands": []}, {"repeats": 0}):
        with refuses(ConfigError, "at least one command and one robot"):
            run(nothing(), **changes)
    with refuses(ConfigError, "no task named 'stnad'", "did you mean 'stand'?"):
        evaluate(ROBOT, "stnad", nothing(), SHORT)
