"""Maps of the floor, and poses on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Refuses
from floors import CORNER, floor_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyMap, squares_of_text
from humanoid_rl_ros.core.planar import PlanarPose, wrapped


def test_the_first_row_of_text_is_the_farthest_from_the_origin() -> None:
    found = floor_of((".#", "?."))
    np.testing.assert_array_equal(found.squares, [[UNKNOWN, FREE], [FREE, OCCUPIED]])
    assert found.rows_of_text() == (".#", "?.")


@pytest.mark.parametrize(("rows", "words"), [(("..", "."), "row 2 has 1"), ((".x",), "row 1 has 'x'")])
def test_rows_that_are_no_map_are_refused(rows: tuple[str, ...], words: str, refuses: Refuses) -> None:
    with refuses(ConfigError, words):
        squares_of_text(rows)


@pytest.mark.parametrize(
    ("squares", "resolution", "words"),
    [
        ([[1]], 1.0, "0, 100 or -1"),
        ([1, 2], 1.0, "rows and columns"),
        ([[]], 1.0, "rows and columns"),
        ([[0]], 0.0, "resolution"),
        ([[0]], math.nan, "resolution"),
    ],
)
def test_what_is_no_map_is_refused(squares: list, resolution: float, words: str, refuses: Refuses) -> None:
    with refuses(ConfigError, words):
        OccupancyMap(np.array(squares), resolution)


def test_neighbouring_squares_become_one_rectangle() -> None:
    """Columns 1 and 2 of rows 1 and 2, and nothing else."""
    np.testing.assert_allclose(floor_of(CORNER, 0.5).rectangles(), [[1.0, 1.0, 0.5, 0.5]])


@given(
    arrays.arrays(np.int8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 100, -1]))
)
def test_the_rectangles_cover_the_occupied_squares_once_and_nothing_else(squares: np.ndarray) -> None:
    found = OccupancyMap(squares, 1.0)
    covered = np.zeros(squares.shape, dtype=int)
    for x, y, half_x, half_y in found.rectangles():
        rows = slice(round(y - half_y), round(y + half_y))
        covered[rows, round(x - half_x) : round(x + half_x)] += 1
    np.testing.assert_array_equal(covered, found.occupied.astype(int))


def test_the_digest_tells_maps_apart() -> None:
    plain = floor_of()
    others = [floor_of(resolution=0.5), floor_of(origin=PlanarPose(0.0, 0.0, 0.1)), floor_of(CORNER[::-1])]
    assert plain.digest == floor_of().digest
    assert len({plain.digest, *(other.digest for other in others)}) == 3  # upside down it is the same floor
    assert floor_of(("..", "#.")).digest != floor_of(("#.", "..")).digest


def test_a_pose_carries_points_out_and_back() -> None:
    """A quarter turn at (1, 2): its x axis is the world's y."""
    pose = PlanarPose(1.0, 2.0, math.pi / 2.0)
    np.testing.assert_allclose(pose.outward(np.array([[3.0, 0.0], [0.0, 1.0]])), [[1.0, 5.0], [0.0, 2.0]], atol=1e-12)
    np.testing.assert_allclose(pose.inward(np.array([1.0, 5.0])), [3.0, 0.0], atol=1e-12)
    inner = pose.compose(PlanarPose(3.0, 0.0, math.pi))
    assert (inner.x, inner.y) == pytest.approx((1.0, 5.0))
    assert inner.yaw == pytest.approx(-math.pi / 2.0)
    assert abs(wrapped(3.0 * math.pi)) == pytest.approx(math.pi)


def test_a_pose_is_finite(refuses: Refuses) -> None:
    with refuses(ConfigError, "finite"):
        PlanarPose(math.inf, 0.0, 0.0)
