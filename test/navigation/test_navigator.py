"""The navigator's decisions, and walks of a point on wheels through random floors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import Refuses
from floors import best, floor_of, grid_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.occupancy import OCCUPIED, OccupancyMap
from humanoid_rl_ros.core.planar import PlanarPose, wrapped
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.navigation.floor_grid import floor_grid
from humanoid_rl_ros.navigation.grid_policy import GridPolicy
from humanoid_rl_ros.navigation.navigator import Activity, Decision, Navigator, RobotPlace
from humanoid_rl_ros.navigation.steering import Steering, SteeringSpec

S = 1_000_000_000
STEP_NS = S // 50
SPEC = SteeringSpec()
STANDS = VelocityCommand()


def navigator(**spec: float) -> Navigator:
    return Navigator(best(grid_of()), replace(SPEC, **spec))


def settled(navigator: Navigator, pose: PlanarPose, *, tilt: float = 0.0, start_ns: int = 0) -> Decision:
    """The decision after two seconds at one place, by when the accelerations have let every command through."""
    for i in range(101):
        at_ns = start_ns + i * STEP_NS
        decision = navigator.see(RobotPlace(at_ns, pose, tilt), at_ns)
    return decision


def test_it_walks_straight_where_the_heading_is_right() -> None:
    """From the lower left corner up along the left edge, heading up."""
    found = settled(navigator(), PlanarPose(0.5, 0.5, math.pi / 2.0))
    assert (found.activity, found.state) == (Activity.WALKING, 0)
    assert found.command.linear_x == pytest.approx(SPEC.linear_speed)
    assert found.command.angular_z == pytest.approx(0.0, abs=1e-9)
    assert found.target == (0.5, 1.5)  # the next cell; the one after is beyond the look-ahead
    assert found.left == pytest.approx(3.0)


@pytest.mark.parametrize(("yaw", "sign"), [(0.0, 1.0), (math.pi, -1.0)])
def test_it_stands_and_turns_the_shorter_way_where_the_heading_is_far_off(yaw: float, sign: float) -> None:
    found = settled(navigator(), PlanarPose(0.5, 0.5, yaw))
    assert found.activity is Activity.TURNING
    assert found.command == VelocityCommand(0.0, 0.0, sign * SPEC.angular_speed)


def test_turning_in_place_goes_on_until_the_heading_is_nearly_right() -> None:
    """0.5 rad is little enough to walk, and too much to stop turning."""
    guide = navigator()
    assert settled(guide, PlanarPose(0.5, 0.5, math.pi / 2.0 - 0.5)).activity is Activity.WALKING
    assert settled(guide, PlanarPose(0.5, 0.5, 0.0), start_ns=9 * S).activity is Activity.TURNING
    assert settled(guide, PlanarPose(0.5, 0.5, math.pi / 2.0 - 0.5), start_ns=18 * S).activity is Activity.TURNING
    assert settled(guide, PlanarPose(0.5, 0.5, math.pi / 2.0 - 0.3), start_ns=27 * S).activity is Activity.WALKING


def test_a_long_look_ahead_cuts_no_corner() -> None:
    """From under the block, the way round it: the farthest point in sight is straight to the left."""
    found = settled(navigator(look_ahead=9.0), PlanarPose(1.6, 0.5, math.pi))
    assert found.target == (0.5, 0.5)


def test_it_arrives_and_stays_until_it_has_drifted_away() -> None:
    guide = navigator()
    assert settled(guide, PlanarPose(0.5, 3.25, 1.0)).activity is Activity.WALKING  # 0.25 m, of 0.2 m
    found = settled(guide, PlanarPose(0.5, 3.35, 1.0), start_ns=9 * S)
    assert (found.activity, found.command, found.left) == (Activity.ARRIVED, STANDS, 0.0)
    assert settled(guide, PlanarPose(0.5, 3.15, 1.0), start_ns=18 * S).activity is Activity.ARRIVED  # 0.35 of 0.4 m
    assert settled(guide, PlanarPose(0.5, 3.05, 1.0), start_ns=27 * S).activity is Activity.WALKING


def test_a_goal_behind_a_wall_is_not_reached_through_it() -> None:
    """The goal is 0.3 m away, on the other side of a wall of 0.1 m."""
    floor = OccupancyMap(np.where(np.arange(100)[None, :] == 50, [[OCCUPIED]] * 99 + [[0]], 0), 0.1)
    grid = floor_grid(floor, (4.9, 0.5), cell=0.1, radius=0.0, moves=4)
    found = settled(Navigator(best(grid), replace(SPEC, tolerance=0.5)), PlanarPose(5.15, 0.5, 1.5))
    assert found.activity is not Activity.ARRIVED
    assert found.left > 15.0


def test_from_a_cell_that_is_not_free_it_goes_to_the_nearest_that_is() -> None:
    """In the block, 0.1 m inside its left edge: the cell to the left, 0.6 m from its centre."""
    found = settled(navigator(), PlanarPose(1.1, 1.5, math.pi))
    assert found.activity is Activity.RETURNING
    assert found.target == (0.5, 1.5)
    assert found.command.linear_x > 0.1
    assert "in a cell that is not free" in found.reason


@pytest.mark.parametrize(
    ("pose", "tilt", "words"),
    [
        (PlanarPose(2.0, 2.0, 0.0), 0.0, "is in a cell that is not free, and the nearest free cell is 1.6 m away"),
        (PlanarPose(9.0, 9.0, 0.0), 0.0, "is off the grid"),
        (PlanarPose(0.5, 0.5, 0.0), 1.2, "the robot leans by 69°"),
        (PlanarPose(0.5, 0.5, 0.0), math.nan, "the robot leans"),
    ],
)
def test_it_stands_and_says_why(pose: PlanarPose, tilt: float, words: str) -> None:
    found = settled(navigator(), pose, tilt=tilt)
    assert (found.activity, found.command) == (Activity.STOPPED, STANDS)
    assert words in found.reason


def test_a_policy_that_leads_nowhere_is_said_and_not_followed() -> None:
    guide = Navigator(GridPolicy(grid_of(), np.tile([3.0, 2.0, 1.0, 0.0], (16, 1))), SPEC)
    found = settled(guide, PlanarPose(4.5, 0.5, 0.0))
    assert (found.activity, found.command) == (Activity.STOPPED, STANDS)
    assert "after 5 moves it is at (4.50, 3.50) again" in found.reason


def test_without_odometry_it_waits_and_without_news_it_stands_at_once() -> None:
    guide = navigator()
    assert guide.decide(0).activity is Activity.WAITING
    walking = settled(guide, PlanarPose(0.5, 0.5, math.pi / 2.0))
    last_ns = 100 * STEP_NS
    assert guide.decide(last_ns + S // 2).command == walking.command
    late = guide.decide(last_ns + S // 2 + 1)
    assert (late.activity, late.command, late.reason) == (Activity.STOPPED, STANDS, "no new odometry for 0.5 s")


def test_one_stamp_again_and_again_is_no_news() -> None:
    guide = navigator()
    place = RobotPlace(0, PlanarPose(0.5, 0.5, 1.5))
    for i in range(100):
        found = guide.see(place, i * STEP_NS)
    assert (found.activity, found.command) == (Activity.STOPPED, STANDS)


def test_a_place_that_cannot_be_used_stands_the_robot_until_one_comes_that_can() -> None:
    guide = navigator()
    settled(guide, PlanarPose(0.5, 0.5, 1.5))
    assert guide.refuse("not finite").command == STANDS
    assert (guide.decide(3 * S).reason, guide.refused) == ("not finite", 1)
    assert guide.see(RobotPlace(3 * S, PlanarPose(0.5, 0.5, 1.5)), 3 * S).activity is Activity.WALKING


def test_after_a_clock_that_was_set_back_it_starts_from_standing() -> None:
    guide = navigator()
    settled(guide, PlanarPose(0.5, 0.5, math.pi / 2.0), start_ns=100 * S)
    assert guide.see(RobotPlace(0, PlanarPose(0.5, 0.5, math.pi / 2.0)), 200 * S).command == STANDS


@given(
    st.lists(
        st.tuples(
            st.floats(-1.0, 6.0), st.floats(-1.0, 5.0), st.floats(-4.0, 4.0), st.floats(0.0, 1.0), st.integers(-2, 10)
        ),
        min_size=1,
        max_size=40,
    )
)
def test_commands_keep_speeds_and_accelerations_whatever_comes(
    places: list[tuple[float, float, float, float, int]],
) -> None:
    """Faster than the accelerations a command changes only to zero, when the robot must stand."""
    guide, before, now_ns, stamp_ns = navigator(), STANDS, 0, 10 * S
    for x, y, yaw, tilt, steps in places:
        now_ns += abs(steps) * STEP_NS
        stamp_ns += steps * STEP_NS
        command = guide.see(RobotPlace(stamp_ns, PlanarPose(x, y, yaw), tilt), now_ns).command
        assert 0.0 <= command.linear_x <= SPEC.linear_speed
        assert abs(command.angular_z) <= SPEC.angular_speed
        assert command.linear_y == 0.0
        if command != STANDS:
            passed = min(max(steps, 0) * STEP_NS / S, 0.1) + 1e-9
            assert abs(command.linear_x - before.linear_x) <= SPEC.linear_acceleration * passed
            assert abs(command.angular_z - before.angular_z) <= SPEC.angular_acceleration * passed
        before = command


@settings(max_examples=15)
@given(st.integers(0, 2**31 - 1), st.sampled_from([4, 8]), st.sampled_from([0.25, 0.4]))
def test_a_point_on_wheels_reaches_the_goal_of_any_floor_without_touching_anything(
    seed: int, moves: int, cell: float
) -> None:
    """It does what it is told, 50 times a second; nothing of a map comes nearer to it than the robot's radius."""
    rng = np.random.default_rng(seed)
    squares = np.zeros((40, 50), dtype=np.int8)
    for _ in range(rng.integers(1, 6)):
        rows, columns, row, column = rng.integers([2, 2, 0, 0], [20, 20, 40, 50])
        squares[row : row + rows, column : column + columns] = OCCUPIED
    frame = PlanarPose(*rng.uniform(-3.0, 3.0, 3))
    floor = OccupancyMap(squares, 0.1, frame)
    radius = 0.3
    try:
        grid = floor_grid(floor, tuple(frame.outward(rng.uniform(0.4, 3.6, 2))), cell=cell, radius=radius, moves=moves)
    except ConfigError:
        assume(False)
    guide = Navigator(best(grid), SPEC)
    (x, y), yaw = grid.centres[rng.integers(len(grid.states))], rng.uniform(-math.pi, math.pi)
    rectangles = floor.rectangles()
    for step in range(9000):
        now_ns = step * STEP_NS
        decision = guide.see(RobotPlace(now_ns, PlanarPose(x, y, yaw)), now_ns)
        assert decision.activity is not Activity.STOPPED
        if decision.activity is Activity.ARRIVED:
            break
        x += decision.command.linear_x * math.cos(yaw) * STEP_NS / S
        y += decision.command.linear_x * math.sin(yaw) * STEP_NS / S
        yaw = wrapped(yaw + decision.command.angular_z * STEP_NS / S)
        if step % 10 == 0:
            apart = np.abs(frame.inward(np.array([x, y])) - rectangles[:, :2]) - rectangles[:, 2:]
            assert np.linalg.norm(np.maximum(apart, 0.0), axis=1).min(initial=math.inf) >= radius
    assert decision.activity is Activity.ARRIVED
    assert math.hypot(x - grid.goal[0], y - grid.goal[1]) <= SPEC.tolerance


def test_steering_is_slower_next_to_the_goal() -> None:
    """At 0.25 m of the 0.5 m on which it slows down: half; at 0.05 m the slowest, 0.3."""
    speeds = []
    for left in (5.0, 0.25, 0.05):
        steering = Steering(SPEC)
        for _ in range(100):
            command = steering.towards(PlanarPose(), (1.0, 0.0), left, 0.02)
        speeds.append(command.linear_x / SPEC.linear_speed)
    assert speeds == pytest.approx([1.0, 0.5, 0.3])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"linear_speed": 0.0}, "linear_speed"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"turn_in_place": 2.0}, "angle"),
    ],
)
def test_steering_that_cannot_be_is_refused(values: dict[str, float], words: str, refuses: Refuses) -> None:
    with refuses(ConfigError, words):
        SteeringSpec(**values)


def test_a_floor_without_obstacles_has_a_way_everywhere() -> None:
    grid = floor_grid(floor_of(("....",) * 4), (0.5, 0.5), cell=1.0, radius=0.0)
    assert settled(Navigator(best(grid), SPEC), PlanarPose(3.5, 3.5, -2.356)).target == pytest.approx((2.5, 2.5))
