"""Navigation bundles: what is written is read back, and what does not fit is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import Refuses
from floors import best, floor_of, grid_of, network, write_floor_bundle

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError
from humanoid_rl_ros.navigation.bundle import load_navigation, write_navigation
from humanoid_rl_ros.navigation.map_file import save_map
from humanoid_rl_ros.navigation.steering import SteeringSpec
from humanoid_rl_ros.resources import find_navigation, navigation_names

pytest.importorskip("onnxruntime")
pytest.importorskip("PIL")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    steering = SteeringSpec(linear_speed=0.3)
    write_floor_bundle(tmp_path, steering=steering, origin="value iteration")
    found = load_navigation(tmp_path / "navigation.yaml")
    grid = grid_of()
    np.testing.assert_array_equal(found.grid.free, grid.free)
    assert (found.grid.goal, found.grid.moves, found.grid.cell) == (grid.goal, 4, 1.0)
    assert (found.steering, found.origin, found.frame) == (steering, "value iteration", "map")
    assert found.map.digest == floor_of().digest
    np.testing.assert_allclose(found.load_policy().values, best(grid).values, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"navigation.yaml", "policy.onnx", "map.yaml", "map.pgm"}


def _set(*keys: str, to: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = yaml.safe_load((folder / "navigation.yaml").read_text())
        section = data
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = to
        (folder / "navigation.yaml").write_text(yaml.safe_dump(data))

    return change


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (_set("format", to=2), ConfigError, "navigation format 2 is not known"),
        (_set("goal", to=[1.5, 1.5]), ConfigError, "(1.5, 1.5) is in no free cell"),
        (_set("goal", to=[1.5]), ConfigError, "'goal' must be 2 numbers"),
        (_set("grid", "moves", to=5), ConfigError, "4 or 8 moves"),
        (
            _set("grid", "moves", to=8),
            PolicyError,
            "does not fit 16 cells and 8 moves",
        ),
        (_set("grid", "cells", to=["..", "."]), ConfigError, "row 2 of 'cells'"),
        (_set("grid", "cells", to=[".....", ".....", ".....", "....."]), PolicyError, "20"),
        (_set("grid", "cell", to=0.0), ConfigError, "'cell' must be above 0"),
        (_set("steering", "linear_sped", to=1.0), ConfigError, "unknown key 'linear_sped'; did you mean"),
        (_set("frames", to="x"), ConfigError, "unknown key 'frames'"),
        (_set("weights", "sha256", to="0" * 64), PolicyError, "not the weights"),
        (_set("weights", "file", to="../x.onnx"), ConfigError, "in policy.onnx"),
        (lambda folder: (folder / "policy.onnx").unlink(), PolicyError, "policy.onnx: cannot be read"),
        (lambda folder: (folder / "policy.onnx").write_bytes(b"x"), PolicyError, "not the weights"),
        (lambda folder: (folder / "navigation.yaml").unlink(), ConfigError, "navigation.yaml: no such file"),
        (lambda folder: save_map(floor_of((".",)), folder / "map.yaml") and None, ConfigError, "not the map"),
        (lambda folder: (folder / "map.pgm").unlink(), ConfigError, "map.pgm: no such image"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[Path], None], kind: type[HumanoidError], words: str, refuses: Refuses
) -> None:
    write_floor_bundle(tmp_path)
    change(tmp_path)
    with refuses(kind, words, str(tmp_path)):
        load_navigation(tmp_path).load_policy()


def test_a_network_that_does_not_fit_is_not_left_as_a_bundle(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, "policy.onnx"):
        write_navigation(
            tmp_path / "a", network(np.zeros((9, 4))), name="a", grid=grid_of(), map=floor_of(), radius=0.0
        )
    with refuses(PolicyError, "not finite"):
        write_navigation(
            tmp_path / "a", network(np.full((16, 4), np.nan)), name="a", grid=grid_of(), map=floor_of(), radius=0.0
        )
    assert not any((tmp_path / "a").iterdir())


@pytest.mark.parametrize("name", navigation_names())
def test_shipped_bundles_lead_to_their_goal_from_everywhere(name: str) -> None:
    policy = find_navigation(name).load_policy()
    assert policy.arrives.all()
    shortest = policy.grid.distances * policy.grid.cell
    assert (policy.lengths <= 1.25 * shortest + 1e-9).all()


def test_a_bundle_that_is_not_there_is_named(refuses: Refuses) -> None:
    with refuses(ConfigError, "no navigation bundle named 'room'"):
        find_navigation("room")
    with refuses(ConfigError, "no navigation bundle is given"):
        find_navigation("")
