"""The grid of a floor: which cells are free, where moves lead, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Refuses
from floors import best, exact_values, floor_of, grid_of
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.occupancy import OccupancyMap
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.navigation.decisions import MoveRules, outcomes
from humanoid_rl_ros.navigation.drawing import PIXELS, draw_grid, text_of
from humanoid_rl_ros.navigation.floor_grid import FloorGrid, floor_grid
from humanoid_rl_ros.navigation.grid_policy import GridPolicy, policy_of


def test_states_are_the_free_cells_row_after_row() -> None:
    grid = grid_of()
    assert text_of(grid, 0) == "G....\n.##..\n.##..\nR...."
    assert len(grid.states) == 16
    np.testing.assert_array_equal(grid.states[5:8], [[1, 0], [1, 3], [1, 4]])
    assert grid.goal_state == 11
    np.testing.assert_allclose(grid.centres[6], [3.5, 1.5])


def test_moves_lead_to_neighbours_and_stay_where_something_is_in_the_way() -> None:
    """Actions 0 to 3 are right, up, left, down; state 1 is under the block, state 0 in the lower left corner."""
    grid = grid_of()
    np.testing.assert_array_equal(grid.successors[1], [2, 1, 0, 1])
    np.testing.assert_array_equal(grid.successors[0], [1, 5, 0, 0])


def test_a_diagonal_move_needs_both_cells_beside_it() -> None:
    """From (1, 3), right of the block, down left passes its corner: refused; down right is free."""
    grid = grid_of(moves=8)
    right, up_right, up, up_left, left, down_left, down, down_right = grid.successors[6]
    assert (left, up_left) == (6, 6)
    assert (right, up, down, down_right) == (7, 9, 3, 4)
    assert down_left == 6
    assert up_right == 10
    np.testing.assert_allclose(grid.lengths, [1.0, math.sqrt(2.0)] * 4)


def test_distances_are_those_counted_by_hand() -> None:
    """From the lower right corner to the upper left one: 7 moves; with diagonals 2 of them and 3 straight."""
    assert grid_of().distances[4] == 7.0
    assert grid_of(moves=8).distances[4] == pytest.approx(5.0 + math.sqrt(2.0))
    assert grid_of().distances[11] == 0.0


def test_obstacles_keep_the_radius_away() -> None:
    """A block of 1 m in the middle of 5 m; cells of 0.5 m whose nearest edge is 0.5 m away stay, nearer ones go."""
    floor = floor_of(("." * 5,) * 2 + ("..#..",) + ("." * 5,) * 2)
    free = floor_grid(floor, (0.25, 0.25), cell=0.5, radius=0.5, moves=4).free
    assert free.sum() == 100 - 4 - 8 - 4  # the block, its sides, and its corners, which are nearer than 0.5 m
    assert floor_grid(floor, (0.25, 0.25), cell=0.5, radius=0.0, moves=4).free.sum() == 96


def test_unknown_squares_are_not_free_and_have_no_radius() -> None:
    floor = floor_of(("....", ".?..", "...."))
    free = floor_grid(floor, (0.5, 0.5), cell=1.0, radius=0.4, moves=4).free
    np.testing.assert_array_equal(np.argwhere(~free), [[1, 1]])


def test_cells_that_do_not_lead_to_the_goal_are_no_states() -> None:
    grid = grid_of(("..#.", "..#."), (0.5, 0.5))
    assert text_of(grid) == "..##\nG.##"


@pytest.mark.parametrize(
    ("goal", "how", "words"),
    [
        ((1.5, 1.5), {}, "(1.5, 1.5) is in no free cell of 1 m with 0 m to every obstacle; the nearest that is: ("),
        ((9.0, 0.5), {}, "(9, 0.5) is not on the map; the nearest that is: (4.5, 0.5)"),
        ((math.nan, 0.5), {}, "must be finite"),
        ((0.5, 0.5), {"radius": 3.0}, "no cell of 1 m is free with 3 m"),
        ((0.5, 0.5), {"cell": 9.0}, "has no cell of 9 m"),
        ((0.5, 0.5), {"cell": 0.01}, "choose a larger cell"),
        ((0.5, 0.5), {"cell": 0.0}, "'cell' must be finite and above 0"),
        ((0.5, 0.5), {"cell": math.nan}, "'cell' must be finite and above 0"),
        ((0.5, 0.5), {"radius": -1.0}, "'radius' must be finite and at least 0"),
        ((0.5, 0.5), {"moves": 6}, "4 or 8 moves"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(goal: tuple[float, float], how: dict, words: str, refuses: Refuses) -> None:
    with refuses(ConfigError, words):
        grid_of(goal=goal, **how)


def test_a_goal_that_is_shut_in_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "the goal (0.5, 0.5) is shut in"):
        grid_of(("...", "##.", ".#."), (0.5, 0.5))


def test_a_turned_map_turns_its_grid() -> None:
    """A quarter turn: the column of cells at x 2 to 3 of the map's frame lies at y 2 to 3."""
    floor = floor_of(origin=PlanarPose(1.0, 0.0, math.pi / 2.0))
    grid = floor_grid(floor, (0.5, 2.5), cell=1.0, radius=0.0, moves=4)
    assert grid.cell_of(np.array([0.5, 2.5])) == (0, 2)
    assert grid.state_of(np.array([-0.5, 1.5])) is None  # the block
    np.testing.assert_allclose(grid.centres[0], [0.5, 0.5], atol=1e-12)


def test_a_line_is_clear_as_far_as_it_stays_in_free_cells() -> None:
    grid = grid_of()

    def clear(x: float, y: float, to_x: float, to_y: float) -> bool:
        return grid.is_clear(np.array([x, y]), np.array([to_x, to_y]))

    assert clear(0.5, 0.5, 4.5, 0.5)
    assert clear(0.5, 0.5, 0.5, 0.5)
    assert not clear(0.5, 0.5, 4.5, 3.5)  # through the block
    assert clear(3.1, 0.1, 3.1, 3.9)
    assert not clear(2.9, 0.1, 2.9, 3.9)
    assert not clear(0.5, 0.5, -0.5, 0.5)  # off the map
    assert not clear(0.9, 0.5, 1.1, 1.5)  # across the corner of the block


@given(
    arrays.arrays(np.int8, (6, 7), elements=st.sampled_from([0, 0, 0, 100])),
    st.integers(0, 41),
    st.sampled_from([4, 8]),
    st.floats(0.0, 0.4),
)
def test_exact_values_are_minus_the_shortest_ways(squares: np.ndarray, goal: int, moves: int, slip: float) -> None:
    """Two computations that share nothing but the grid; and with slip no way gets shorter."""
    row, column = divmod(goal, 7)
    squares[row, column] = 0
    try:
        grid = floor_grid(OccupancyMap(squares, 1.0), (column + 0.5, row + 0.5), cell=1.0, radius=0.0, moves=moves)
    except ConfigError:
        assume(False)
    sure = exact_values(grid, MoveRules()).max(axis=1)
    np.testing.assert_allclose(sure, -grid.distances, atol=1e-6)
    assert (exact_values(grid, MoveRules(slip=slip), tolerance=1e-6).max(axis=1) <= sure + 1e-4).all()
    policy = best(grid)
    assert policy.arrives.all()
    np.testing.assert_allclose(policy.lengths, grid.distances)


def test_outcomes_are_a_decision_process() -> None:
    """Probabilities sum to one; a move costs its length, a bump its cost; the goal ends it and costs nothing after."""
    grid = grid_of(moves=8)
    table = outcomes(grid, MoveRules(slip=0.2, bump=3.0))
    for state, actions in table.items():
        for action, possible in actions.items():
            assert sum(chance for chance, *_ in possible) == pytest.approx(1.0)
            if state == grid.goal_state:
                assert possible == [(1.0, state, 0.0, True)]
            else:
                assert [chance for chance, *_ in possible] == pytest.approx([0.8, 0.1, 0.1])
                assert possible[0][1] == grid.successors[state, action]
    corner = table[0]  # right; its neighbours are down right and up right, which the block and the edge forbid
    assert corner[0] == [(0.8, 1, -1.0, False), (0.1, 0, -3.0, False), (0.1, 0, -3.0, False)]
    assert outcomes(grid, MoveRules())[5][2][0][3] is False
    before_goal = int(grid.state_at[2, 0])
    assert outcomes(grid, MoveRules())[before_goal][2] == [(1.0, grid.goal_state, -1.0, True)]


@pytest.mark.parametrize("rules", [{"slip": 1.0}, {"slip": -0.1}, {"bump": 0.0}, {"bump": math.inf}])
def test_rules_that_cannot_be_are_refused(rules: dict[str, float], refuses: Refuses) -> None:
    with refuses(ConfigError, next(iter(rules))):
        MoveRules(**rules)


def test_a_policy_that_goes_round_in_circles_is_known() -> None:
    """Everything goes right; on the right edge, where it cannot, up; from the upper right corner only left or down."""
    grid = grid_of()
    policy = GridPolicy(grid, np.tile([3.0, 2.0, 1.0, 0.0], (16, 1)))
    np.testing.assert_array_equal(np.flatnonzero(policy.arrives), [5, 8, 11])  # up along the left edge
    # The two last cells of the upper row change places for ever.
    assert policy.way(4).tolist() == [4, 7, 10, 15, 14]
    assert math.isinf(policy.lengths[4])
    assert policy.lengths[grid.goal_state] == 0.0


def test_a_network_is_asked_for_every_state_one_hot() -> None:
    grid = grid_of()
    values = np.arange(64.0).reshape(16, 4)
    asked: list[np.ndarray] = []

    def infer(states: np.ndarray) -> np.ndarray:
        asked.append(states)
        return (states @ values).astype(np.float32)

    np.testing.assert_array_equal(policy_of(grid, infer).values, values)
    np.testing.assert_array_equal(np.concatenate(asked), np.eye(16))


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.zeros((15, 4)), "the grid needs (16, 4)"), (np.full((16, 4), np.nan), "value of move 0 in state 0")],
)
def test_values_that_do_not_fit_are_refused(values: np.ndarray, words: str, refuses: Refuses) -> None:
    with refuses(PolicyError, words):
        GridPolicy(grid_of(), values)


def test_a_grid_is_checked_when_it_is_made(refuses: Refuses) -> None:
    with refuses(ConfigError, "(1.5, 1.5) is in no free cell"):
        FloorGrid(grid_of().free, 1.0, PlanarPose(), (1.5, 1.5), 4)


def test_a_picture_has_a_square_for_each_cell() -> None:
    pytest.importorskip("PIL")
    grid = grid_of()
    plain = draw_grid(grid)
    assert plain.shape == (4 * PIXELS, 5 * PIXELS, 3)
    middles = plain[PIXELS // 2 :: PIXELS, PIXELS // 2 :: PIXELS]
    assert [len(np.unique(row, axis=0)) for row in middles] == [2, 2, 2, 1]  # goal and floor, wall and floor, floor
    assert (draw_grid(grid, 0) != plain).any()
    assert (draw_grid(grid, None, best(grid).actions) != plain).any()
