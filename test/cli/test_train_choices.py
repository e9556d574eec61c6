"""`humanoid_rl train` and `evaluate` with every learner in small worlds, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("gymnasium")

import run_folders
from run_folders import same
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.cli.train_settings import TrainOptions, resolve
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.formation_spec import formation_task, is_formation
from humanoid_rl_ros.learning.checkpoint import load_checkpoint
from humanoid_rl_ros.learning.learners import CHOICES, LEARNERS, VECTORS

RUNNER = CliRunner()
LAKE, PENDULUM = "gymnasium:FrozenLake-v1", "gymnasium:Pendulum-v1"
OFF_POLICY = ("learning_starts=60", "batch_size=8", "buffer_size=500", "steps_per_iteration=60")
RUNS: dict[str, tuple[str, int, tuple[str, ...]]] = {  # task, steps of an iteration, settings
    "q_learning": (LAKE, 60, ("steps_per_iteration=60", "epsilon_steps=120")),
    "sarsa": (LAKE, 60, ("steps_per_iteration=60", "epsilon_steps=120")),
    "dqn": (LAKE, 60, (*OFF_POLICY, "hidden=[8]", "epsilon_steps=120")),
    "td3": (PENDULUM, 60, (*OFF_POLICY, "actor_hidden=[8]", "critic_hidden=[8]")),
    "reinforce": (PENDULUM, 200, ("episodes_per_iteration=1",)),
}


def words(learner: str, folder: Path, iterations: int, *more: str) -> list[str]:
    task, steps, settings = RUNS[learner]
    sets = [word for key in settings for word in ("--set", key)]
    lake = ["--set", "env.is_slippery=false"] if task == LAKE else []
    begin = ["train", learner, "--task", task, "--steps", str(iterations * steps), "--out", str(folder)]
    return [*begin, "--environments", "1", "--seed", "3", *sets, *lake, "--evaluate-every", "0", *more]


def invoke(arguments: list[str]) -> str:
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.mark.parametrize("learner", RUNS)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(learner: str, tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    steps = RUNS[learner][1]
    invoke(words(learner, straight, 4))
    invoke(words(learner, stopped, 2))
    more = ["train", learner, "--resume", "--steps", str(4 * steps), "--out", str(stopped), "--evaluate-every", "0"]
    assert f"going on from {2 * steps} steps" in invoke(more)
    one, other = (load_checkpoint(run_folders.checkpoint(folder, 4 * steps)) for folder in (straight, stopped))
    assert same(one["policy"], other["policy"])
    assert same(one["learner"], other["learner"])


def test_a_table_that_learned_the_lake_walks_over_it(tmp_path: Path) -> None:
    run, found = tmp_path / "run", tmp_path / "found.json"
    settings = ["--set", "env.is_slippery=false", "--set", "epsilon_steps=2000", "--set", "learning_rate_power=0"]
    said = invoke(["train", "q_learning", "--task", LAKE, "--steps", "4000", "--out", str(run), *settings])
    assert "epsilon" in said
    record = yaml.safe_load((run / "run.yaml").read_text())
    assert record["overrides"] == {"env.is_slippery": False}
    invoke(["evaluate", str(run), "--repeats", "2", "--json", str(found)])
    result = json.loads(found.read_text())
    assert (result["returns"], result["lengths"]) == ([1.0, 1.0], [6.0, 6.0])  # six moves are the shortest way


@pytest.mark.parametrize(
    ("learner", "of_run"),
    [
        ("q_learning", {"epsilon_steps": 2000}),
        ("dqn", {"epsilon_steps": 800, "priority_beta_steps": 4000}),
    ],
)
def test_exploration_is_as_long_as_a_share_of_the_run_and_stays_so(learner: str, of_run: dict[str, int]) -> None:
    def resolved(steps: int, known: Any, *settings: str) -> Any:
        return resolve(TrainOptions(learner, steps, Path(), LAKE, settings=settings), known, 1)

    known, config = resolved(4000, None, "discount=0.9")
    assert {name: getattr(config, name) for name in of_run} == of_run
    for again in ([], ["discount=0.9"]):
        record, longer = resolved(9000, known, *again)
        assert record == known
        assert longer == config
    assert resolved(4000, None, "epsilon_steps=7")[1].epsilon_steps == 7
    with pytest.raises(ConfigError, match=r"epsilon_steps = .*, not 7"):
        resolved(4000, known, "epsilon_steps=7", "discount=0.9")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["q_learning"], ("task 'walk'", "q_learning", "take reinforce, td3, ppo, sac")),
        (["ppo", "--task", LAKE], ("'FrozenLake-v1' is a choice", "take q_learning, sarsa, reinforce, dqn")),
        (["sarsa", "--task", "gymnasium:CartPole-v1"], ("sarsa", "vector of 4 numbers", "dqn")),
        (
            ["dqn", "--task", LAKE, "--set", "env.slippery=false"],
            ("'FrozenLake-v1'", "'slippery'", "did you mean 'is_slippery'"),
        ),
        (["sarza"], ("'sarza'", "did you mean 'sarsa'")),
        (["dqn", "--task", LAKE, "--set", "epsilon=2"], ("dqn", "'epsilon'", "in [0, 1]", "found 2")),
    ],
    ids=["robot", "vector", "no states", "argument", "name", "setting"],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    arguments: list[str], expected: tuple[str, ...], tmp_path: Path, refuses: Any
) -> None:
    with refuses(ConfigError, *expected):
        RUNNER.invoke(
            app, ["train", *arguments, "--steps", "10", "--out", str(tmp_path / "run")], catch_exceptions=False
        )
    assert not (tmp_path / "run" / "run.yaml").exists()


@pytest.mark.parametrize(("learner", "kind"), LEARNERS.items(), ids=list(LEARNERS))
def test_every_learner_has_settings_for_what_it_can_learn(learner: str, kind: Any) -> None:
    tasks = {VECTORS: ("walk", "formation", "carry", PENDULUM), CHOICES: ("navigate", LAKE)}
    for task in (task for actions in kind.actions for task in tasks[actions]):
        record, config = resolve(TrainOptions(learner, 1, Path(), task), None, 1)
        team = formation_task(task, {}).robots if is_formation(task) else 1
        assert record.environments % team == 0 < record.environments
        assert isinstance(config, kind.config)
