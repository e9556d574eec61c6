"""Hand targets: what is clamped, how a target travels, and what a YAML may not say."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.hand_targets import (
    HandRange,
    HandTargetBounds,
    HandTargetFilter,
    HandTargetSpec,
    hand_targets_from_section,
    hand_targets_mapping,
)

Refuses = Callable[..., AbstractContextManager[None]]
LEFT = HandRange((0.1, 0.4), (0.0, 0.4), (-0.1, 0.5), (0.0, 0.3, -0.2), (0.0, 0.2, 0.4), (0.2, 0.5))
SPEC = HandTargetSpec("pelvis", LEFT, LEFT.mirrored(), speed=0.5)
INSIDE = np.array([[0.3, 0.2, 0.4], [0.3, -0.2, 0.4]])
coordinates = st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6)


def test_the_mirror_image_of_a_hand_turns_left_and_right_round() -> None:
    box = (0.1, 0.4), (-0.4, 0.0), (-0.1, 0.5)
    assert SPEC.right == HandRange(*box, (0.0, -0.3, -0.2), (0.0, -0.2, 0.4), (0.2, 0.5))
    SPEC.require_symmetric()
    with pytest.raises(ContractError, match="not the mirror image"):
        replace(SPEC, right=replace(SPEC.right, x=(0.1, 0.3))).require_symmetric()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((0.3, 0.2, 0.4), (0.3, 0.2, 0.4)),
        ((0.9, 0.2, 0.4), (0.4, 0.2, 0.4)),  # out of the box
        ((0.3, -1.0, 0.4), (0.3, 0.0, 0.4)),
        # 0.64 m from the shoulder, in front and below: back along the arm to 0.5 m
        ((0.4, 0.2, -0.1), (0.5 * 0.4 / math.hypot(0.4, 0.5), 0.2, 0.4 - 0.5 * 0.5 / math.hypot(0.4, 0.5))),
        ((0.1, 0.2, 0.4), (0.2, 0.2, 0.4)),  # too near: moved away from the shoulder
        # 0.14 m from the shoulder, and 0.2 m along the arm is above the box: the box is kept
        ((0.1, 0.2, 0.5), (0.2 * 0.1 / math.hypot(0.1, 0.1), 0.2, 0.5)),
    ],
)
def test_a_target_is_brought_into_the_box_and_along_the_arm(
    asked: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    bounds = HandTargetBounds(SPEC)
    pair = np.array([asked, (asked[0], -asked[1], asked[2])])
    found = bounds.clamp(pair)
    np.testing.assert_allclose(found, [expected, (expected[0], -expected[1], expected[2])], atol=1e-12)


@given(coordinates)
def test_a_clamped_target_is_never_out_of_the_box_and_one_inside_stays(numbers: list[float]) -> None:
    bounds = HandTargetBounds(SPEC)
    asked = np.array(numbers).reshape(2, 3)
    found = bounds.clamp(asked)
    low, high = SPEC.bounds()
    assert ((found >= low) & (found <= high)).all()
    stays = bounds.contain(asked)
    np.testing.assert_array_equal(found[stays], asked[stays])


def test_a_target_travels_on_a_straight_line_at_its_speed_from_the_neutral_one() -> None:
    moving = HandTargetFilter(SPEC, 0.02)
    way = INSIDE[0] - SPEC.left.neutral
    length = float(np.linalg.norm(way))
    for k in range(1, 5):
        now = moving.apply(INSIDE)
        np.testing.assert_allclose(now[0], np.array(SPEC.left.neutral) + way * (0.01 * k / length), atol=1e-12)
    for _ in range(round(length / 0.01)):
        now = moving.apply(INSIDE)
    np.testing.assert_array_equal(now, INSIDE)
    assert np.linalg.norm(moving.apply(None)[1] - INSIDE[1]) == pytest.approx(0.01)
    moving.reset()
    np.testing.assert_array_equal(moving.current, SPEC.neutral)


def test_without_a_speed_it_is_there_at_once() -> None:
    np.testing.assert_array_equal(HandTargetFilter(replace(SPEC, speed=math.inf), 0.02).apply(INSIDE), INSIDE)


def test_a_batch_moves_as_single_robots_do_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    together, alone = HandTargetFilter(SPEC, 0.02, (3,)), [HandTargetFilter(SPEC, 0.02) for _ in range(3)]
    for step in range(60):
        asked = rng.normal(size=(3, 2, 3))
        some = np.array([0, 2]) if step % 7 == 3 else np.arange(3)
        together.apply(asked[some], some)
        for i in some:
            alone[i].apply(asked[i])
        if step == 30:
            together.reset(np.array([1]))
            alone[1].reset()
        np.testing.assert_array_equal(together.current, [one.current for one in alone])


def test_what_is_written_is_read_back() -> None:
    for spec in (SPEC, HandTargetSpec("torso", replace(LEFT, distance=(0.0, math.inf), shoulder=(0.0,) * 3), LEFT)):
        section = Section(hand_targets_mapping(spec), "file")
        assert hand_targets_from_section(section) == spec
        section.finish()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame": ""}, ["'frame' must name a link"]),
        ({"speed": 0}, ["'speed' must be above 0"]),
        ({"left": {"x": [0.4, 0.1]}}, ["range of a hand's x contradicts itself: [0.4, 0.1]"]),
        ({"left": {"distance": [-0.1, 0.4]}}, ["distance must be at least 0, found -0.1"]),
        ({"left": {"neutral": [0.0, 0.1]}}, ["left", "'neutral' must be 3 numbers"]),
        ({"left": {"shouder": [0.0, 0.1, 0.0]}}, ["unknown key 'shouder'", "did you mean 'shoulder'?"]),
        ({"right": None}, ["'right' must be a mapping"]),
    ],
)
def test_what_a_file_may_not_say(change: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    data: dict[str, Any] = dict(hand_targets_mapping(SPEC))
    for key, value in change.items():
        data[key] = {**data[key], **value} if isinstance(value, dict) else value
    with refuses(ConfigError, *words):
        hand_targets_from_section(Section(data, "file"))
