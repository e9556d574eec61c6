"""From the network's output to targets: order of operations, limits, filter, delay, batches."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humanoid_rl_ros.core.action import ActionProcessor, ActionSpec, plain_action
from humanoid_rl_ros.core.errors import ConfigError, PolicyError

Refuses = Callable[..., AbstractContextManager[None]]
JOINTS = ("knee", "hip")
INF = math.inf


def _spec(**changes: Any) -> ActionSpec:
    spec = ActionSpec(
        JOINTS, "position_offset", (0.5, 2.0), (0.1, -0.2), (-INF, -INF), (INF, INF), (-INF, -INF), (INF, INF)
    )
    return dataclasses.replace(spec, **changes)


def _steps(spec: ActionSpec, *raw: tuple[float, float]) -> list[list[float]]:
    processor = ActionProcessor(spec)
    return [processor.apply(np.array(action)).tolist() for action in raw]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("position_offset", [0.1 + 0.5 * 3.0, -0.2 + 2.0 * -1.0]),
        ("position_absolute", [1.5, -2.0]),
        ("effort", [1.5, -2.0]),
    ],
)
def test_each_kind_by_hand(kind: str, target: list[float]) -> None:
    np.testing.assert_allclose(_steps(_spec(kind=kind), (3.0, -1.0))[0], target)


def test_clip_comes_before_scale_and_limits_after() -> None:
    spec = _spec(clip_lower=(-1.0, -INF), clip_upper=(1.0, INF), target_lower=(-INF, -1.0), target_upper=(INF, 1.0))
    # knee: clip(3) = 1 → 0.1 + 0.5; hip: −0.2 + 2·4 = 7.8 → 1.
    np.testing.assert_allclose(_steps(spec, (3.0, 4.0))[0], [0.6, 1.0])


def test_the_last_action_is_raw_or_clipped_and_never_limited() -> None:
    limited = {"clip_lower": (-1.0, -1.0), "clip_upper": (1.0, 1.0), "target_upper": (0.2, 0.2)}
    for kind, seen in (("raw", [3.0, -0.5]), ("clipped", [1.0, -0.5]), ("after_effort_clip", [1.0, -0.5])):
        processor = ActionProcessor(_spec(last_action=kind, **limited))
        assert processor.last_action.tolist() == [0.0, 0.0]
        processor.apply(np.array([3.0, -0.5]))
        assert processor.last_action.tolist() == seen


def test_after_effort_clip_keeps_the_target_reachable_even_with_negative_scale() -> None:
    processor = ActionProcessor(_spec(last_action="after_effort_clip", scale=(0.5, -2.0)))
    target = processor.apply(np.array([10.0, 10.0]), lower=np.array([-1.0, -1.0]), upper=np.array([1.0, 1.0]))
    np.testing.assert_allclose(target, [1.0, -1.0])
    # The actions that give those targets: (1 − 0.1)/0.5 and (−1 + 0.2)/−2.
    np.testing.assert_allclose(processor.last_action, [1.8, 0.4])


def test_a_joint_of_scale_zero_stays_at_its_offset() -> None:
    processor = ActionProcessor(_spec(last_action="after_effort_clip", scale=(0.0, 1.0)))
    with np.errstate(all="ignore"):
        target = processor.apply(np.array([5.0, 0.0]), lower=np.array([0.1, -9.0]), upper=np.array([0.3, 9.0]))
    np.testing.assert_allclose(target, [0.1, -0.2])
    assert np.isfinite(processor.last_action).all()


def test_the_filter_starts_at_the_first_target() -> None:
    spec = _spec(low_pass=0.25, scale=(1.0, 1.0), offset=(0.0, 0.0))
    assert _steps(spec, (8.0, 0.0), (0.0, 4.0), (0.0, 4.0)) == [[8.0, 0.0], [6.0, 1.0], [4.5, 1.75]]


def test_delay_repeats_the_first_target_and_is_late_by_its_steps() -> None:
    spec = _spec(delay=2, scale=(1.0, 1.0), offset=(0.0, 0.0))
    seen = [target[0] for target in _steps(spec, *[(float(i), 0.0) for i in range(1, 6)])]
    assert seen == [1.0, 1.0, 1.0, 2.0, 3.0]


def test_reset_forgets_action_filter_and_delay() -> None:
    spec = _spec(low_pass=0.5, delay=1)
    processor = ActionProcessor(spec)
    first = processor.apply(np.array([1.0, 1.0])).copy()
    processor.apply(np.array([5.0, 5.0]))
    processor.reset()
    assert processor.last_action.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(processor.apply(np.array([1.0, 1.0])), first)


number = st.floats(-100.0, 100.0)
scale = st.floats(0.01, 10.0) | st.floats(-10.0, -0.01)


@given(
    st.sampled_from(["position_offset", "position_absolute", "effort"]),
    *[st.tuples(number, number)] * 2,
    st.tuples(scale, scale),
)
def test_invert_undoes_apply(
    kind: str, raw: tuple[float, float], offset: tuple[float, float], gain: tuple[float, float]
) -> None:
    processor = ActionProcessor(_spec(kind=kind, offset=offset, scale=gain))
    np.testing.assert_allclose(processor.invert(processor.apply(np.array(raw))), raw, rtol=1e-9, atol=1e-8)


@given(
    st.lists(st.tuples(*[st.floats(-1e12, 1e12)] * 2), min_size=1, max_size=6), st.floats(0.01, 1.0), st.integers(0, 3)
)
def test_targets_stay_within_their_limits(raw: list[tuple[float, float]], low_pass: float, delay: int) -> None:
    spec = _spec(target_lower=(-0.5, -INF), target_upper=(0.5, 1.0), low_pass=low_pass, delay=delay)
    targets = np.array(_steps(spec, *raw))
    assert (np.abs(targets[:, 0]) <= 0.5 + 1e-9).all()
    assert (targets[:, 1] <= 1.0 + 1e-9).all()


def _check_batch(spec: ActionSpec, steps: list[tuple[list[float], int]]) -> None:
    batch = ActionProcessor(spec, (3,))
    singles = [ActionProcessor(spec) for _ in range(3)]
    for numbers, mask_bits in steps:
        raw = np.array(numbers).reshape(3, 2)
        mask = np.array([bool(mask_bits >> i & 1) for i in range(3)])
        batch.reset(mask)
        for processor, reset in zip(singles, mask, strict=True):
            if reset:
                processor.reset()
        together = batch.apply(raw)
        for i, processor in enumerate(singles):
            np.testing.assert_array_equal(together[i], processor.apply(raw[i]))
            np.testing.assert_array_equal(batch.last_action[i], processor.last_action)


steps = st.lists(st.tuples(st.lists(number, min_size=6, max_size=6), st.integers(0, 7)), min_size=1, max_size=8)


@given(st.sampled_from(["raw", "clipped"]), steps)
def test_a_batch_equals_single_robots(last_action: str, steps: list[tuple[list[float], int]]) -> None:
    _check_batch(
        _spec(last_action=last_action, clip_lower=(-1.0, -1.0), clip_upper=(1.0, 1.0), target_upper=(0.5, INF)), steps
    )


@given(steps)
@example(steps=[([1.0] * 6, 0), ([2.0] * 6, 2)])
def test_a_filtered_and_late_batch_equals_single_robots(steps: list[tuple[list[float], int]]) -> None:
    _check_batch(_spec(low_pass=0.5, delay=2), steps)


@given(steps)
def test_a_filtered_and_late_batch_without_resets_equals_single_robots(steps: list[tuple[list[float], int]]) -> None:
    _check_batch(_spec(low_pass=0.5, delay=2), [(numbers, 0) for numbers, _ in steps])


def test_a_caller_may_reuse_its_array() -> None:
    processor = ActionProcessor(_spec())
    raw = np.array([1.0, 2.0])
    processor.apply(raw)
    raw[:] = 99.0
    assert processor.last_action.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2), ()])
def test_the_wrong_width_is_refused(shape: tuple[int, ...], refuses: Refuses) -> None:
    with refuses(PolicyError, str(shape), "expected (2,)"):
        ActionProcessor(_spec()).apply(np.zeros(shape))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_action_that_is_not_finite_is_refused_before_any_clip(bad: float, refuses: Refuses) -> None:
    processor = ActionProcessor(_spec(clip_lower=(-1.0, -1.0), clip_upper=(1.0, 1.0)))
    with refuses(PolicyError, "'hip'", "not finite"):
        processor.apply(np.array([0.5, bad]))
    assert processor.last_action.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joints": ("hip", "hip")}, ["'hip' is listed twice"]),
        ({"scale": (1.0,)}, ["2 joints", "1 values of scale"]),
        ({"kind": "torque"}, ["position_offset", "effort", "'torque'"]),
        ({"last_action": "squashed"}, ["last_action", "raw", "'squashed'"]),
        ({"low_pass": 0.0}, ["low_pass", "(0, 1]"]),
        ({"low_pass": 1.5}, ["low_pass", "1.5"]),
        ({"low_pass": math.nan}, ["low_pass"]),
        ({"delay": -1}, ["delay", "-1"]),
        ({"clip_lower": (0.0, 1.0), "clip_upper": (1.0, 1.0)}, ["clip", "'hip'", "[1, 1]"]),
        ({"target_lower": (2.0, 0.0), "target_upper": (1.0, 1.0)}, ["target limits", "'knee'", "[2, 1]"]),
        ({"target_lower": (math.nan, 0.0)}, ["target limits", "'knee'"]),
    ],
)
def test_a_wrong_action_is_refused(changes: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, "action", *words):
        _spec(**changes)


@pytest.mark.parametrize("name", ["scale", "offset"])
def test_a_scale_or_offset_that_is_not_finite_is_refused(name: str, refuses: Refuses) -> None:
    with refuses(ConfigError, "action", name, "'hip'"):
        _spec(**{name: (1.0, math.nan)})


def test_a_plain_action_is_an_offset_to_the_default_pose() -> None:
    spec = plain_action(JOINTS, (0.1, -0.2), 0.25)
    assert spec.size == 2
    np.testing.assert_allclose(_steps(spec, (400.0, -4.0))[0], [100.1, -1.2])
