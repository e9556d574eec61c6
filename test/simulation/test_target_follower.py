"""What a simulation makes of joint targets: which of them counts when, and by what effort it is followed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.simulation.placement import Placement
from humanoid_rl_ros.simulation.target_follower import TargetFollower

Refuses = Callable[..., AbstractContextManager[None]]
MS = 1_000_000
LAW = {"kp": np.array([10.0, 20.0]), "kd": np.array([1.0, 0.5]), "effort_limit": np.array([100.0, 3.0])}
A, B = np.array([0.1, 0.2]), np.array([-0.1, 0.5])


def follower() -> TargetFollower:
    it = TargetFollower(["hip", "knee"], 200.0)
    gains = it.gains_of(Placement(**LAW))
    assert gains is not None
    it.use(gains)
    return it


def test_each_target_counts_up_to_its_time() -> None:
    plan = follower().plan([(A, 10 * MS), (B, 20 * MS)])
    assert [target.position.tolist() for target in plan] == [A.tolist()] * 2 + [B.tolist()] * 2


def test_it_is_followed_by_the_law_within_the_limits() -> None:
    it = follower()
    (target,) = it.plan([(B, 5 * MS)])
    state = RobotState(0, np.array([0.1, 0.1]), np.array([2.0, -1.0]), np.array([1.0, 0, 0, 0]), np.zeros(3))
    # 10·(−0.1 − 0.1) − 1·2, and 20·(0.5 − 0.1) + 0.5·1 = 8.5, of which the motor gives 3
    np.testing.assert_allclose(it.effort(target, state), [-4.0, 3.0], rtol=1e-12)


def test_a_period_that_is_no_whole_number_of_nanoseconds_is_one() -> None:
    it = TargetFollower(["hip", "knee"], 300.0)
    it.use(follower().gains_of(Placement(**LAW)))  # type: ignore[arg-type]  # there are some
    assert len(it.plan([(A, round(1e9 / 300)), (B, round(6e9 / 300))])) == 6


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(A, 7 * MS)], "between two states at 200 Hz"),
        ([(A, 10 * MS), (B, 10 * MS)], "not after the one before it"),
        ([(A, 0)], "not after the one before it"),
        ([(A, -5 * MS)], "not after the one before it"),
        ([(A, 1005 * MS)], "after 1.005 s, expected 1 s at most"),
        ([(np.array([0.0, np.nan]), 5 * MS)], "target of joint 'knee' is not finite"),
    ],
)
def test_what_cannot_be_followed_is_refused(points: list[tuple[np.ndarray, int]], words: str, refuses: Refuses) -> None:
    with refuses(StateError, words):
        follower().plan(points)


def test_without_gains_nothing_is_followed(refuses: Refuses) -> None:
    it = follower()
    it.forget()
    with refuses(StateError, "no kp, kd, effort_limit are known"):
        it.plan([(A, 5 * MS)])
    assert it.gains_of(Placement()) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kp": None}, "given together or not at all"),
        ({"kd": np.array([1.0, -1.0])}, "kd must be at least 0, found -1"),
        ({"kp": np.array([1.0, np.inf])}, "kp must be finite"),
        ({"effort_limit": np.ones(3)}, "effort_limit has 3 numbers, the robot has 2 joints"),
    ],
)
def test_gains_that_are_none_are_refused(changed: dict[str, np.ndarray], words: str, refuses: Refuses) -> None:
    with refuses(StateError, words):
        follower().gains_of(Placement(**(LAW | changed)))
