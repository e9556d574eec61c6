"""`humanoid_rl train`, `evaluate` and `export` on Gymnasium's environments, on runs too short to learn anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")  # the `train` extra brings them
pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")
pytest.importorskip("imageio")

import gymnasium
import run_folders
from run_folders import same
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.cli.train_settings import TrainOptions, resolve
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.learning.checkpoint import load_checkpoint
from humanoid_rl_ros.learning.metrics_file import read_metrics
from humanoid_rl_ros.learning.run_folder import RunRecord

RUNNER = CliRunner()
PENDULUM, HUMANOID = "gymnasium:Pendulum-v1", "gymnasium:Humanoid-v5"
PER_ITERATION = 2 * 32
SMALL = {
    "ppo": ("steps_per_iteration=32", "epochs=1", "minibatches=2"),
    "sac": ("steps_per_iteration=32", "updates_per_step=1", "batch_size=8", "learning_starts=64", "buffer_size=1000"),
}
HIDDEN = ("actor_hidden=[8]", "critic_hidden=[8]")


def words(algorithm: str, task: str, folder: Path, iterations: int, *more: str) -> list[str]:
    sets = [word for key in (*SMALL[algorithm], *HIDDEN) for word in ("--set", key)]
    steps = str(iterations * PER_ITERATION)
    return [
        *("train", algorithm, "--task", task, "--steps", steps, "--out", str(folder)),
        *("--environments", "2", "--seed", "5", *sets, *more),
    ]


def checkpoint(folder: Path, iterations: int) -> Path:
    return run_folders.checkpoint(folder, iterations * PER_ITERATION)


def invoke(arguments: list[str]) -> str:
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Seven iterations of a pendulum, evaluated once, and what was said."""
    folder = tmp_path_factory.mktemp("pendulum") / "run"
    return folder, invoke(words("ppo", PENDULUM, folder, 7, "--evaluate-every", "256"))


def test_a_run_says_what_it_is_and_how_it_went(finished: tuple[Path, str]) -> None:
    folder, said = finished
    assert "ppo · Pendulum-v1 · 2 environments, seed 5" in said
    assert "episode 200 steps" in said
    assert "no policy bundle" in said
    assert not (folder / "policy").exists()
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    record = yaml.safe_load((folder / "run.yaml").read_text())
    assert (record["task"], record["robot"], record["environments"]) == (PENDULUM, "", 2)


def test_an_evaluation_is_of_whole_episodes(finished: tuple[Path, str]) -> None:
    columns = read_metrics(finished[0] / "metrics.csv")
    # 256 steps lie at the end of the fourth iteration.
    assert np.isfinite(columns["evaluation/return"]).tolist() == [False] * 3 + [True] + [False] * 3
    assert columns["evaluation/length"][3] == 200.0
    assert columns["evaluation/score"][3] == columns["evaluation/return"][3]
    # The worst that 200 steps can cost is 200 (π² + 0.1 · 8² + 0.001 · 2²).
    assert -200.0 * (np.pi**2 + 6.404) < columns["evaluation/return"][3] < 0.0


def test_evaluating_changes_nothing(finished: tuple[Path, str], tmp_path: Path) -> None:
    invoke(words("ppo", PENDULUM, tmp_path / "run", 7, "--evaluate-every", "0"))
    one, other = (load_checkpoint(checkpoint(folder, 7)) for folder in (finished[0], tmp_path / "run"))
    assert same(one["learner"], other["learner"])


def test_the_policy_is_measured_over_the_same_episodes_each_time(finished: tuple[Path, str], tmp_path: Path) -> None:
    found = []
    for name, threads in (("a", "1"), ("b", "2")):
        file = tmp_path / f"{name}.json"
        said = invoke(["evaluate", str(finished[0]), "--repeats", "3", "--threads", threads, "--json", str(file)])
        found.append(json.loads(file.read_text()))
        assert f"3 episodes: return {found[-1]['mean_return']:.4g} ± {found[-1]['std_return']:.3g}" in said
    one, other = found
    assert one == other
    assert (len(set(one["returns"])), one["lengths"]) == (3, [200.0] * 3)
    assert one["mean_return"] == pytest.approx(sum(one["returns"]) / 3.0)


@pytest.mark.parametrize(("algorithm", "task"), [("ppo", HUMANOID), ("sac", HUMANOID), ("sac", PENDULUM)])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(algorithm: str, task: str, tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    invoke(words(algorithm, task, straight, 4, "--evaluate-every", "0"))
    invoke(words(algorithm, task, stopped, 2, "--evaluate-every", "0"))
    more = ["train", algorithm, "--resume", "--steps", str(4 * PER_ITERATION), "--out", str(stopped)]
    assert f"going on from {2 * PER_ITERATION} steps" in invoke([*more, "--evaluate-every", "0"])
    one, other = (load_checkpoint(checkpoint(folder, 4)) for folder in (straight, stopped))
    assert same(one["policy"], other["policy"])
    assert same(one["learner"], other["learner"])


def test_a_learner_file_has_sections_for_environments(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    sections = {PENDULUM: {"discount": 0.9}, "gymnasium:Ant-v5": {"discount": 0.8}, "walk": {"discount": 0.7}}
    file.write_text(yaml.safe_dump({"tasks": sections}))
    invoke(words("ppo", PENDULUM, tmp_path / "run", 1, "--config", str(file)))
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["learner"]["discount"] == 0.9


def test_humanoid_has_settings_of_its_own() -> None:
    def learner(algorithm: str, task: str) -> RunRecord:
        return resolve(TrainOptions(algorithm, 1, Path(), task), None, 1)[0]

    ppo, sac = learner("ppo", HUMANOID), learner("sac", HUMANOID)
    # Its actions are within ±0.4, and a step earns about 5 for as long as it stands.
    assert ppo.learner["initial_std"] <= 0.4
    assert ppo.learner["reward_scale"] < 1.0
    # Nearly an update for each step of each environment, as the published figures have it; robots get far fewer.
    assert sac.learner["updates_per_step"] >= sac.environments // 2
    assert learner("ppo", PENDULUM).learner["reward_scale"] == 1.0


def new(folder: Path, task: str, *more: str) -> list[str]:
    return words("ppo", task, folder / "new", 1, *more)


REFUSALS: dict[str, tuple[Callable[[Path, Path], list[str]], tuple[str, ...]]] = {
    "robot": (lambda _, f: new(f, PENDULUM, "--robot", "g1"), ("--robot g1", PENDULUM, "leave --robot out")),
    "id": (lambda _, f: new(f, "gymnasium:Humanoi-v5"), ("'Humanoi-v5'", "'Humanoid-v5'")),
    "version": (lambda _, f: new(f, "gymnasium:Pendulum-v7"), ("'Pendulum-v7'", "'Pendulum-v1'")),
    "no version": (lambda _, f: new(f, "gymnasium:Pendulum"), ("'Pendulum'", "'Pendulum-v1'")),
    "module": (lambda _, f: new(f, "gymnasium:no_such:Pendulum-v1"), ("'no_such:Pendulum-v1'", "'Pendulum-v1'")),
    "discrete": (lambda _, f: new(f, "gymnasium:CartPole-v1"), ("action of 'CartPole-v1' is a choice", "dqn")),
    "learner key": (lambda _, f: new(f, PENDULUM, "--set", "epohcs=2"), ("epohcs", "'epochs'")),
    "task key": (
        lambda _, f: new(f, PENDULUM, "--set", "rewards.alive=2"),
        ("rewards.alive", "the learner has no", "begin with 'env.'"),
    ),
    "another task": (
        lambda run, _: words("ppo", HUMANOID, run, 9, "--resume"),
        ("task", f"'{PENDULUM}'", f"'{HUMANOID}'"),
    ),
    "export": (lambda run, f: ["export", str(run), "-o", str(f / "new")], (PENDULUM, "no robot", "no bundle")),
    "command": (lambda run, _: ["evaluate", str(run), "--command", "1 0 0"], (PENDULUM, "--command", "leave it out")),
    "friction": (lambda run, _: ["evaluate", str(run), "--friction", "1", "1"], ("--friction", "leave it out")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_refused_in_one_line(
    finished: tuple[Path, str], tmp_path: Path, refuses: Any, case: str
) -> None:
    make, said = REFUSALS[case]
    with refuses(ConfigError, *said):
        RUNNER.invoke(app, make(finished[0], tmp_path), catch_exceptions=False)
    assert not (tmp_path / "new").exists()


def test_an_environment_that_has_changed_is_not_gone_on_with(finished: tuple[Path, str], refuses: Any) -> None:
    spec = gymnasium.registry["Pendulum-v1"]
    longest, spec.max_episode_steps = spec.max_episode_steps, 100
    try:
        with refuses(ConfigError, "another task", PENDULUM, "digest"):
            RUNNER.invoke(app, ["evaluate", str(finished[0])], catch_exceptions=False)
    finally:
        spec.max_episode_steps = longest


@pytest.mark.parametrize(("module", "id"), [("imageio", "Humanoid-v5"), ("mujoco", "Humanoid-v5")])
def test_what_is_not_installed_is_named(
    tmp_path: Path, refuses: Any, monkeypatch: pytest.MonkeyPatch, module: str, id: str
) -> None:
    for name in [n for n in sys.modules if n.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with refuses(MissingDependencyError, id, "gymnasium[mujoco]"):
        RUNNER.invoke(app, new(tmp_path, f"gymnasium:{id}"), catch_exceptions=False)


def test_a_robot_s_training_does_without_gymnasium(
    tmp_path: Path, refuses: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gymnasium_registry", "gymnasium_batch", "gymnasium_evaluation"):
        monkeypatch.delitem(sys.modules, f"humanoid_rl_ros.envs.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with refuses(MissingDependencyError, "Gymnasium is not installed"):
        RUNNER.invoke(app, new(tmp_path, PENDULUM), catch_exceptions=False)
    invoke(words("ppo", "walk", tmp_path / "robot", 1, "--no-export"))
