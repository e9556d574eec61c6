"""Maps as files: what map_server writes, what people draw, and what neither is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import Refuses
from floors import CORNER, floor_of

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.occupancy import FREE, OCCUPIED, UNKNOWN
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.navigation.map_file import load_map, parse_point, save_map
from humanoid_rl_ros.resources import find_map, map_names

Image = pytest.importorskip("PIL.Image")


DRAWN = dict.fromkeys(("image", "negate", "occupied_thresh", "free_thresh"))


def written(folder: Path, **changes: Any) -> Path:
    """A map of four pixels as map_server has them: white, black over 205, 128."""
    Image.fromarray(np.array([[254, 0], [205, 128]], dtype=np.uint8)).save(folder / "floor.png")
    data = {"image": "floor.png", "resolution": 0.05, "origin": [-1.0, 2.0, 0.0]} | {
        "negate": 0,
        "occupied_thresh": 0.65,
        "free_thresh": 0.196,
    }
    data |= changes
    path = folder / "floor.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return path


def test_an_image_is_read_as_map_server_reads_it(tmp_path: Path) -> None:
    """Darkness 1 − shade/255: 0.004 is free, 1 occupied, 0.1961 and 0.498 neither; the upper row of pixels is last."""
    found = load_map(written(tmp_path))
    np.testing.assert_array_equal(found.squares, [[UNKNOWN, UNKNOWN], [FREE, OCCUPIED]])
    assert (found.resolution, found.origin) == (0.05, PlanarPose(-1.0, 2.0, 0.0))


def test_negated_and_with_other_thresholds(tmp_path: Path) -> None:
    """Darkness is shade/255 then: 0.996, 0, 0.804, 0.502."""
    found = load_map(written(tmp_path, negate=1, occupied_thresh=0.5))
    np.testing.assert_array_equal(found.squares, [[OCCUPIED, OCCUPIED], [OCCUPIED, FREE]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": "none.png"}, "none.png: no such image"),
        ({"image": "floor.yaml"}, "cannot be read as an image"),
        ({"resolution": 0}, "'resolution' must be above 0"),
        ({"resolution": None}, "'resolution' is missing"),
        ({"origin": [0, 0]}, "'origin' must be 3 numbers"),
        ({"free_thresh": 0.7}, "'free_thresh' 0.7 must be below"),
        ({"negate": 2}, "'negate' must be 0 or 1"),
        ({"mode": "raw"}, "save the map again with mode trinary"),
        ({"imagee": "x"}, "unknown key 'imagee'"),
        ({"rows": [".."]}, "has 'rows' and 'image'"),
        (DRAWN | {"rows": ["..", "."]}, "row 2 has 1 characters"),
        (DRAWN | {"rows": []}, "'rows' must be"),
        (DRAWN | {"rows": [".."], "mode": "trinary"}, "unknown key 'mode'"),
    ],
)
def test_a_file_that_is_no_map_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str, refuses: Refuses
) -> None:
    with refuses(ConfigError, words, str(tmp_path)):
        load_map(written(tmp_path, **changes))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = floor_of((".#?", "..."), 0.1, PlanarPose(-3.0, 1.5, 0.25))
    image = save_map(found, tmp_path / "a.yaml")
    assert image == tmp_path / "a.pgm"
    assert load_map(tmp_path / "a.yaml").digest == found.digest
    assert image.read_bytes().startswith(b"P5")


def test_what_cannot_be_written_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, ".yaml or .yml"):
        save_map(floor_of(), tmp_path / "a.pgm")
    with refuses(ConfigError, "cannot write"):
        save_map(floor_of(), tmp_path / "nowhere" / "a.yaml")


def test_rows_drawn_by_hand_are_a_map(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"resolution": 1.0, "rows": list(CORNER)}))
    assert load_map(tmp_path / "a.yaml").digest == floor_of().digest


@pytest.mark.parametrize("name", map_names())
def test_shipped_maps_are_closed_all_around(name: str) -> None:
    squares = find_map(name).squares
    assert all((edge == OCCUPIED).all() for edge in (squares[0], squares[-1], squares[:, 0], squares[:, -1]))


def test_a_map_that_is_not_there_is_named(refuses: Refuses) -> None:
    with refuses(ConfigError, "no map named 'room'", "did you mean 'rooms'?"):
        find_map("room")


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "nan,0", ""])
def test_a_point_is_two_numbers(text: str, refuses: Refuses) -> None:
    assert parse_point("[1.5, -2]", "x") == parse_point("1.5 -2", "x") == (1.5, -2.0)
    with refuses(ConfigError, "--goal is two numbers"):
        parse_point(text, "--goal")
