"""Slots and frames of formations, and what robots see of them."""

from dataclasses import replace

import numpy as np
import pytest

from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import SHAPES, formation_frame, slots, turned
from humanoid_rl_ros.core.formation_view import (
    OBSERVATION_SIZE,
    TERMS,
    ProportionalGains,
    TeamView,
    corrected,
    heading_error,
    nearest_slots,
    observe,
    proportional,
    slot_error,
    slot_velocity,
    team_velocity,
)

RANGES = CommandSpec((-0.6, 1.0), (-0.4, 0.4), (-1.0, 1.0))


def team(slot, *, at=(0.0, 0.0), heading=0.0, command=(0.0, 0.0, 0.0), offset=0.0, velocity=0.0, turn=0.0):
    """Robots on their slots, but for an offset [m; formation's axes] and a turn [rad] of each."""
    n = len(slot)
    facing = np.full(n, heading) + turn
    place = np.asarray(at) + turned(slot + offset, np.full(n, heading))
    return TeamView(place, facing, np.zeros((n, 3)) + velocity, slot, np.array(command), np.zeros((n, 3)))


def part(name):
    """Where a term stands in the observation."""
    edges = np.cumsum([0, *TERMS.values()])
    i = list(TERMS).index(name)
    return slice(edges[i], edges[i + 1])


def test_slots_by_hand():
    assert slots("line", 3, 1.0) == pytest.approx(np.array([[0.0, 1.0], [0.0, 0.0], [0.0, -1.0]]))
    assert slots("column", 3, 0.5) == pytest.approx(np.array([[0.5, 0.0], [0.0, 0.0], [-0.5, 0.0]]))
    wedge = np.array([[2.0, 0.0], [-1.0, 3.0], [-1.0, -3.0]]) / 3.0
    assert slots("wedge", 3, np.sqrt(2.0)) == pytest.approx(wedge)
    assert slots("ring", 4, np.sqrt(2.0)) == pytest.approx(
        np.array([[1.0, 0], [0, 1.0], [-1.0, 0], [0, -1.0]]), abs=1e-12
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("robots", [2, 3, 5])
def test_nobody_is_nearer_than_the_spacing(shape, robots):
    slot = slots(shape, robots, 1.1)
    apart = np.linalg.norm(slot[:, None] - slot[None], axis=-1) + 9.0 * np.eye(robots)
    assert apart.min() == pytest.approx(1.1)
    assert slot.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "robots", "spacing", "said"),
    [
        ("lien", 3, 1.0, "line"),
        ("line", 1, 1.0, "at least 2"),
        ("line", 3, 0.0, "above 0"),
        ("line", 3, np.nan, "above"),
    ],
)
def test_what_is_no_formation_is_refused(shape, robots, spacing, said):
    with pytest.raises(ConfigError, match=said):
        slots(shape, robots, spacing)


def test_robots_on_their_slots_have_no_error_wherever_the_team_is():
    view = team(slots("wedge", 4, 1.2), at=(3.0, -2.0), heading=2.4)
    assert view.frame.centre == pytest.approx([3.0, -2.0])
    assert view.frame.heading == pytest.approx(2.4)
    assert slot_error(view) == pytest.approx(np.zeros((4, 2)), abs=1e-12)
    assert heading_error(view) == pytest.approx(np.zeros(4), abs=1e-12)


def test_the_others_of_a_team_keep_its_frame_when_one_is_missing():
    slot = slots("column", 4, 1.0)
    view = team(slot, at=(1.0, 5.0), heading=-0.7)
    frame = formation_frame(view.position[1:], view.heading[1:], slot[1:])
    assert frame.centre == pytest.approx([1.0, 5.0])
    assert frame.heading == pytest.approx(-0.7)


def test_error_of_one_robot_by_hand():
    # One of two robots side by side is 0.2 m ahead: the middle is 0.1 m ahead, and each is 0.1 m from its slot.
    view = team(slots("line", 2, 1.0), heading=0.5, offset=np.array([[0.2, 0.0], [0.0, 0.0]]))
    assert slot_error(view) == pytest.approx(np.array([[-0.1, 0.0], [0.1, 0.0]]))


def test_slots_move_as_a_rigid_body():
    slot, dt, command = slots("ring", 3, 1.0), 1e-6, np.array([0.4, 0.1, 0.3])
    view = team(slot, heading=0.9, command=command, turn=np.array([0.2, -0.2, 0.0]))
    before = turned(slot, np.full(3, 0.9))
    after = dt * turned(command[:2], np.array(0.9)) + turned(slot, np.full(3, 0.9 + 0.3 * dt))
    moved = turned((after - before) / dt, -view.heading)
    assert slot_velocity(view)[:, :2] == pytest.approx(moved, abs=1e-5)
    assert slot_velocity(view)[:, 2] == pytest.approx([0.3] * 3)


def test_a_team_that_moves_with_its_slots_moves_as_commanded():
    view = team(slots("line", 3, 1.0), heading=1.0, command=(0.5, 0.1, -0.2))
    assert team_velocity(replace(view, velocity=slot_velocity(view))) == pytest.approx([0.5, 0.1, -0.2])


def test_what_is_seen_does_not_depend_on_the_common_frame():
    rng = np.random.default_rng(0)
    n = 4
    view = TeamView(
        rng.normal(size=(n, 2)),
        rng.normal(size=n),
        rng.normal(size=(n, 3)),
        slots("wedge", n, 1.0),
        np.array([0.3, 0.0, 0.2]),
        rng.normal(size=(n, 3)),
    )
    elsewhere = turned(view.position, np.full(n, 2.0)) + np.array([7.0, -4.0])
    moved = replace(view, position=elsewhere, heading=view.heading + 2.0)
    assert observe(moved) == pytest.approx(observe(view), abs=1e-5)
    assert observe(view).shape == (n, OBSERVATION_SIZE)


def test_a_batch_of_teams_is_seen_as_each_alone():
    rng = np.random.default_rng(1)
    views = [
        TeamView(
            rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(3, 3)), slots(shape, 3, 1.0),
            rng.normal(size=3), rng.normal(size=(3, 3)),
        )
        for shape in ("line", "wedge")
    ]  # fmt: skip
    names = ("position", "heading", "velocity", "slot", "command", "last_command")
    together = TeamView(*(np.stack([getattr(view, name) for view in views]) for name in names))
    assert observe(together) == pytest.approx(np.stack([observe(view) for view in views]), abs=1e-6)


def test_neighbours_are_those_with_the_nearest_slots():
    assert nearest_slots(slots("column", 4, 1.0)).tolist() == [[1, 2], [0, 2], [1, 3], [2, 1]]
    assert nearest_slots(slots("line", 2, 1.0)).tolist() == [[1], [0]]


def test_of_two_robots_each_sees_one_neighbour():
    view = team(slots("column", 2, 1.0), offset=np.array([[0.0, 0.0], [0.0, 0.3]]))
    seen = observe(view)[:, part("neighbours")].reshape(2, 2, 8)
    assert seen[:, 1] == pytest.approx(np.zeros((2, 8)))
    # The second is 1 m behind and 0.3 m to the left of the first; it belongs 1 m behind.
    assert seen[0, 0] == pytest.approx([1.0, -1.0, 0.3, 0.0, -0.3, 0.0, 0.0, 0.0])


def test_the_law_by_hand():
    # 0.1 m to go ahead: 0.1 m times 2 /s on top of the formation's 0.3 m/s.
    view = team(slots("line", 2, 1.0), command=(0.3, 0.0, 0.0), offset=np.array([[-0.2, 0.0], [0.0, 0.0]]))
    told = proportional(view, ProportionalGains(2.0, 1.0, 0.5), RANGES)
    assert told == pytest.approx(np.array([[0.5, 0.0, 0.0], [0.1, 0.0, 0.0]]))


def test_the_law_keeps_its_reach_and_the_ranges():
    view = team(slots("line", 2, 1.0), command=(0.8, 0.0, 0.0), offset=np.array([[-4.0, 0.0], [0.0, 0.0]]))
    told = proportional(view, ProportionalGains(2.0, 1.0, 0.5), RANGES)
    assert told[:, 0] == pytest.approx([1.0, 0.3])


def test_an_action_corrects_the_velocity_of_the_slot():
    view = team(slots("line", 2, 1.0), command=(0.3, 0.0, 0.0))
    action = np.array([[0.5, -1.0, 0.0], [9.0, 0.0, 0.25]])
    told = corrected(view, action, np.array([0.4, 0.3, 0.6]), RANGES)
    assert told == pytest.approx(np.array([[0.5, -0.3, 0.0], [0.7, 0.0, 0.15]]))
