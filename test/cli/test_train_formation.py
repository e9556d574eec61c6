"""`humanoid_rl train`, `export` and `evaluate` of a team, on runs too short to learn anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")  # the `train` extra brings them
pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from run_folders import checkpoint, same
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.formation_view import OBSERVATION_SIZE
from humanoid_rl_ros.learning.actor_state import actor_from_state
from humanoid_rl_ros.learning.checkpoint import load_checkpoint
from humanoid_rl_ros.policies.team_bundle import load_team

RUNNER = CliRunner()
PER_ITERATION = 6 * 8
SMALL = ("steps_per_iteration=8", "epochs=1", "minibatches=2", "actor_hidden=[8]", "critic_hidden=[8]")


def words(folder: Path, iterations: int, *more: str) -> list[str]:
    sets = [word for key in SMALL for word in ("--set", key)]
    steps = str(iterations * PER_ITERATION)
    arguments = ["train", "ppo", "--task", "formation", "--steps", steps, "--out", str(folder), "--environments", "6"]
    return [*arguments, "--evaluate-every", "0", *sets, *more]


def invoke(*arguments: str) -> str:
    done = RUNNER.invoke(app, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Three iterations, and what was said."""
    folder = tmp_path_factory.mktemp("team") / "run"
    return folder, invoke(*words(folder, 3))


def test_a_run_gives_a_team_bundle_that_acts_as_it_does(finished: tuple[Path, str]) -> None:
    folder, said = finished
    assert "2 teams of 3 robots" in said
    assert "team policy:" in said
    bundle = load_team(folder / "policy")
    assert (bundle.robot, bundle.walk, bundle.robots) == ("reference_humanoid", "walk", 3)
    actor = actor_from_state(load_checkpoint(checkpoint(folder, 3 * PER_ITERATION))["policy"])
    seen = np.random.default_rng(0).normal(size=(4, OBSERVATION_SIZE)).astype(np.float32)
    import torch

    with torch.no_grad():
        expected = actor(torch.from_numpy(seen)).numpy()
    assert bundle.load_network()(seen) == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_is_exported(finished: tuple[Path, str], tmp_path: Path) -> None:
    invoke("export", str(finished[0]), "-o", str(tmp_path / "team"))
    assert load_team(tmp_path / "team").sha256 == load_team(finished[0] / "policy").sha256


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    invoke(*words(folder, 1))
    invoke("train", "ppo", "--resume", "--steps", str(3 * PER_ITERATION), "--out", str(folder), "--evaluate-every", "0")
    states = [load_checkpoint(checkpoint(run, 3 * PER_ITERATION))["policy"] for run in (folder, finished[0])]
    assert same(*states)


def test_an_evaluation_stands_beside_the_law(finished: tuple[Path, str], tmp_path: Path) -> None:
    numbers, picture = tmp_path / "found.json", tmp_path / "paths.png"
    more = (
        "--repeats",
        "1",
        "--seconds",
        "3",
        "--command",
        "0.3 0 0",
        "--json",
        str(numbers),
        "--picture",
        str(picture),
    )
    done = RUNNER.invoke(app, ["evaluate", str(finished[0] / "policy"), *more])
    assert done.exit_code in (0, 1), done.output
    assert "law" in done.output
    found = json.loads(numbers.read_text(encoding="utf-8"))
    for who in ("learned", "law"):
        assert found[who]["everyone"]["teams"] == 1
        assert found[who]["everyone"]["slot_error"] > 0.0
    assert done.exit_code == int(found["learned"]["everyone"]["survival"] < 1.0)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--set", "robots=1"), "at least 2"),
        (("--set", "rewards.slots=1.0"), "unknown key 'slots'"),
        (("--set", "robotz=2"), "robots"),
        (("--env", "ros"), "--env ros is for the tasks of a robot"),
        (("--environments", "7"), "teams of 3"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    done = RUNNER.invoke(app, words(tmp_path / "run", 1, *more))
    assert done.exit_code != 0
    assert said in " ".join(str(done.exception or done.output).split()) or said in " ".join(done.output.split())


def test_pushes_mean_nothing_to_a_team(finished: tuple[Path, str]) -> None:
    done = RUNNER.invoke(app, ["evaluate", str(finished[0]), "--push", "0.4"])
    assert done.exit_code != 0
    assert "--push means nothing" in " ".join(str(done.exception or done.output).split())
