"""The PD law and the entry blend."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.controller import EntryBlend, PDController, PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.state import JointTarget, RobotState

Refuses = Callable[..., AbstractContextManager[None]]
wide = st.floats(-1e12, 1e12)
pair = st.tuples(wide, wide).map(np.array)


def _state(position: object, velocity: object, stamp_ns: int = 0) -> RobotState:
    return RobotState(stamp_ns, np.array(position), np.array(velocity), np.array([1.0, 0, 0, 0]), np.zeros(3))


def _gains(limit: tuple[float, float] = (100.0, 5.0), low_pass: float = 1.0) -> PDGains:
    return PDGains(np.array([10.0, 4.0]), np.array([2.0, 0.5]), np.array(limit), low_pass)


def test_effort_is_spring_damper_and_feed_forward_within_the_limit() -> None:
    target = JointTarget(np.array([1.0, 2.0]), np.array([0.5, 0.0]))
    # 10·(1 − 0.5) − 2·3 + 0.5 = −0.5; 4·(2 − 0) − 0.5·(−1) = 8.5, limited to 5.
    assert PDController(_gains()).effort(target, _state([0.5, 0.0], [3.0, -1.0])).tolist() == [-0.5, 5.0]


@given(pair, pair, pair, pair)
def test_effort_is_within_the_limits_for_all_numbers(
    q: np.ndarray, v: np.ndarray, to: np.ndarray, extra: np.ndarray
) -> None:
    effort = PDController(_gains()).effort(JointTarget(to, extra), _state(q, v))
    assert (np.abs(effort) <= [100.0, 5.0]).all()


@given(st.lists(st.tuples(pair, pair), min_size=1, max_size=6))
def test_filtered_effort_is_within_the_limits(states: list[tuple[np.ndarray, np.ndarray]]) -> None:
    pd = PDController(_gains(low_pass=0.3))
    for q, v in states:
        assert (np.abs(pd.effort(JointTarget(np.zeros(2), np.zeros(2)), _state(q, v))) <= [100.0, 5.0]).all()


def test_the_filter_starts_at_the_first_effort_and_forgets_at_reset() -> None:
    pd = PDController(PDGains([1.0], [0.0], [100.0], low_pass=0.25))  # type: ignore[arg-type]  # lists are copied in
    state = _state([0.0], [0.0])
    efforts = [pd.effort(JointTarget(np.array([x]), np.zeros(1)), state)[0] for x in (8.0, 0.0, 0.0)]
    assert efforts == [8.0, 6.0, 4.5]
    pd.reset()
    assert pd.effort(JointTarget(np.array([1.0]), np.zeros(1)), state)[0] == 1.0


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 2), st.tuples(*[st.floats(-10.0, 10.0)] * 2))
def test_reachable_targets_ask_for_exactly_the_limits(q: tuple[float, ...], v: tuple[float, ...]) -> None:
    pd, state = PDController(_gains()), _state(q, v)
    lower, upper = pd.reachable(state)
    free = PDController(_gains((1e9, 1e9)))
    np.testing.assert_allclose(free.effort(JointTarget(lower, np.zeros(2)), state), [-100.0, -5.0], rtol=1e-9)
    np.testing.assert_allclose(free.effort(JointTarget(upper, np.zeros(2)), state), [100.0, 5.0], rtol=1e-9)


def test_without_stiffness_every_target_is_reachable() -> None:
    pd = PDController(PDGains(np.zeros(1), np.ones(1), np.ones(1)))
    lower, upper = pd.reachable(_state([1.0], [0.0]))
    assert (lower.tolist(), upper.tolist()) == ([-math.inf], [math.inf])


def test_a_batch_equals_single_robots() -> None:
    rng = np.random.default_rng(1)
    q, v, to = rng.normal(size=(3, 5, 2))
    together = PDController(_gains()).effort(JointTarget(to, np.zeros((5, 2))), _state(q, v))
    for i in range(5):
        single = PDController(_gains()).effort(JointTarget(to[i], np.zeros(2)), _state(q[i], v[i]))
        np.testing.assert_array_equal(together[i], single)


@pytest.mark.parametrize("name", ["kp", "kd", "effort_limit"])
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_wrong_gains_are_refused(name: str, bad: float, refuses: Refuses) -> None:
    gains = {"kp": [1.0, 1.0], "kd": [1.0, 1.0], "effort_limit": [1.0, 1.0]}
    gains[name][1] = bad
    with refuses(ConfigError, name):
        PDGains(**{key: np.array(value) for key, value in gains.items()})


@pytest.mark.parametrize("low_pass", [0.0, -0.1, 1.1, math.nan])
def test_a_wrong_filter_is_refused(low_pass: float, refuses: Refuses) -> None:
    with refuses(ConfigError, "low_pass", "(0, 1]"):
        _gains(low_pass=low_pass)


def test_the_blend_leads_from_the_measured_pose_to_the_target() -> None:
    blend = EntryBlend(2.0)
    target = JointTarget(np.array([1.0, -3.0]), np.array([4.0, 0.0]))
    blend.enter(_state([0.0, 1.0], [0.0, 0.0], stamp_ns=10**9))
    start = blend.apply(target, 10**9)
    assert (start.position.tolist(), start.feedforward_effort.tolist()) == ([0.0, 1.0], [0.0, 0.0])
    middle = blend.apply(target, 2 * 10**9)  # halfway by symmetry
    assert (middle.position.tolist(), middle.feedforward_effort.tolist()) == ([0.5, -1.0], [2.0, 0.0])
    assert blend.apply(target, 3 * 10**9).position.tolist() == [1.0, -3.0]
    assert blend.apply(target, 9 * 10**9).position.tolist() == [1.0, -3.0]
    assert blend.apply(target, 0).position.tolist() == [0.0, 1.0]


@given(st.floats(0.05, 10.0), st.floats(0.0, 1.0))
def test_the_blend_is_symmetric_and_never_fast(duration: float, share: float) -> None:
    blend = EntryBlend(duration)
    blend.enter(_state([0.0], [0.0]))
    total = round(duration * 1e9)
    now = round(share * total)
    assert blend.weight(now) + blend.weight(total - now) == pytest.approx(1.0, abs=1e-9)
    step = round(total * 1e-3)
    slope = (blend.weight(now + step) - blend.weight(now)) / 1e-3
    # The quintic's slope 30 s²(1 − s)² is largest in the middle: 15/8.
    assert -1e-9 <= slope <= 1.875 + 1e-3


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_blend_is_still_at_both_ends(end: float) -> None:
    blend = EntryBlend(1.0)
    blend.enter(_state([0.0], [0.0]))
    h = 10**6
    near, at = blend.weight(round(end * 1e9) + (h if end == 0.0 else -h)), blend.weight(round(end * 1e9))
    assert at == end
    assert abs(near - at) < 1.1e-8  # 10 h³: neither velocity (h) nor acceleration (h²)


def test_without_duration_or_entry_the_target_is_taken_as_it_is() -> None:
    target = JointTarget(np.array([1.0]), np.array([2.0]))
    blend = EntryBlend(0.0)
    blend.enter(_state([0.0], [0.0]))
    assert blend.apply(target, 0) is target
    assert EntryBlend(1.0).apply(target, 0) is target


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf])
def test_a_wrong_blend_is_refused(duration: float, refuses: Refuses) -> None:
    with refuses(ConfigError, "blend time"):
        EntryBlend(duration)
