"""A floor is learned by the command, and what it learned is a navigation bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("gymnasium")
pytest.importorskip("onnx")
pytest.importorskip("PIL")

from conftest import Refuses
from floors import CORNER, best, floor_of, grid_of
from rich.console import Console
from typer.testing import CliRunner

from humanoid_rl_ros.cli.export import run_export
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.navigation.bundle import load_navigation, write_navigation
from humanoid_rl_ros.navigation.floor_grid import floor_grid
from humanoid_rl_ros.resources import find_navigation, navigation_names

FLOOR = ("env.map=corner.yaml", "env.goal=[0.5,3.5]", "env.cell=1.0", "env.radius=0.0", "env.moves=4")


def draw(rows: tuple[str, ...]) -> None:
    Path("corner.yaml").write_text(yaml.safe_dump({"resolution": 1.0, "rows": list(rows)}))


def learned(algorithm: str, steps: int, *more: str) -> str:
    """Learn the floor of twenty squares, in the working directory; what the command said."""
    draw(CORNER)
    given = [word for setting in (*FLOOR, *more) for word in ("--set", setting)]
    words = ["train", algorithm, "--task", "navigate", "--steps", str(steps), "--out", "run", "--threads", "1", *given]
    done = CliRunner().invoke(app, [*words, "--evaluate-every", "0", "--json", "run.json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.output.split())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_q_learning_finds_the_exact_values_and_they_become_a_bundle() -> None:
    """Undiscounted, with a step size of 1, in a world without chance, the table is that of dynamic programming."""
    said = learned("q_learning", 4000, "learning_rate=1.0", "discount=1.0", "epsilon_steps=2000")
    bundle = load_navigation("run/policy")
    assert bundle.map.digest == floor_of().digest
    assert "q_learning, seed 0, 4000 steps" in bundle.origin
    assert bundle.name == "corner_q_learning"
    assert find_navigation("run").weights_sha256 == bundle.weights_sha256
    policy = bundle.load_policy()
    np.testing.assert_array_equal(policy.lengths, grid_of().distances)
    others = np.arange(16) != bundle.grid.goal_state
    np.testing.assert_allclose(policy.values.max(axis=1)[others], best(grid_of()).values.max(axis=1)[others])
    assert "the moves lead to the goal from 16 of 16 cells, by ways 0.0 % longer than the shortest" in said
    assert "see it with: humanoid_rl navigate run/policy" in said
    assert json.loads(Path("run.json").read_text())["policy"] == "run/policy"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "steps", "more"),
    [
        ("sarsa", 8000, ("final_epsilon=0.0", "epsilon_steps=6000", "learning_rate=0.5")),
        ("dqn", 6000, ("hidden=[64]", "learning_starts=200", "epsilon_steps=3000")),
    ],
)
def test_other_learners_find_ways_from_everywhere(algorithm: str, steps: int, more: tuple[str, ...]) -> None:
    learned(algorithm, steps, *more)
    policy = load_navigation("run/policy").load_policy()
    assert policy.arrives.all()
    assert (policy.lengths <= grid_of().distances + 2.0).all()


def test_a_checkpoint_becomes_a_bundle_and_a_floor_that_is_another_by_then_is_refused(refuses: Refuses) -> None:
    """Neither exported nor learned on: a cell less, or as many that lie elsewhere."""
    learned("sarsa", 100)
    run_export(Path("run"), Path("again"), Console(quiet=True))
    assert load_navigation("again").load_policy().values.shape == (16, 4)
    for rows in (("....#", *CORNER[1:]), tuple(row[::-1] for row in CORNER)):
        draw(rows)
        with refuses(ConfigError, "another task", "than there is now", "bring its files back"):
            run_export(Path("run"), Path("more"), Console(quiet=True))
        assert not Path("more").exists()
        done = CliRunner().invoke(app, ["train", "sarsa", "--resume", "--steps", "200", "--out", "run"])
        assert isinstance(done.exception, ConfigError)
        assert "than there is now" in str(done.exception)
    draw(CORNER)
    run_export(Path("run"), Path("more"), Console(quiet=True))


def test_a_network_of_another_floor_is_no_bundle(refuses: Refuses) -> None:
    learned("sarsa", 100)
    onnx = Path("run/policy/policy.onnx").read_bytes()
    floor = floor_of(("....#", *CORNER[1:]))
    grid = floor_grid(floor, (0.5, 3.5), cell=1.0, radius=0.0, moves=4)
    with refuses(PolicyError, "more/policy.onnx: does not fit 15 cells and 4 moves"):
        write_navigation(Path("more"), onnx, name="other", grid=grid, map=floor, radius=0.0, origin="")
    assert not any(Path("more").iterdir())


def test_the_shipped_bundles_were_learned() -> None:
    assert {"rooms"} <= set(navigation_names())
    assert all("q_learning" in find_navigation(name).origin for name in navigation_names())
