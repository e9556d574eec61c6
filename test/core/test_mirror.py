"""Names, joints and actions in the mirror: by hand, twice, and through the code that reads actions."""

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

from humanoid_rl_ros.core.action import ActionProcessor, ActionSpec
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.mirror import JointMirror, Mirroring, joint_mirror, mirror_action, mirror_name, partners

Refuses = Callable[..., AbstractContextManager[None]]
INF = math.inf
# Legs that roll to their own side, and a waist that turns: axes x, y on both sides, z in the middle.
SIGNS = {"left_roll": -1.0, "left_knee": 1.0, "waist": -1.0, "right_roll": -1.0, "right_knee": 1.0}
DRIVEN = ("right_knee", "waist", "left_roll", "left_knee", "right_roll")


def _mirror() -> JointMirror:
    return joint_mirror(tuple(SIGNS), SIGNS)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_hip_pitch_joint", "right_hip_pitch_joint"),
        ("Left_Shoulder_Roll", "Right_Shoulder_Roll"),
        ("J_LEFT_KNEE", "J_RIGHT_KNEE"),
        ("hip-roll-left", "hip-roll-right"),
        ("leg_left_1_joint", "leg_right_1_joint"),
        ("leftKnee", "rightKnee"),
        ("kneeLeft", "kneeRight"),
        ("LeftHipYaw", "RightHipYaw"),
        ("l_arm_shx", "r_arm_shx"),
        ("knee_l", "knee_r"),
        ("arm_l_joint", "arm_r_joint"),
        ("leg_l1_joint", "leg_r1_joint"),
        ("L_KNEE", "R_KNEE"),
        ("LHipYawPitch", "RHipYawPitch"),
        ("kneeL", "kneeR"),
        ("left_hip_r", "right_hip_r"),  # r is roll where the side is written out
        ("hip_r_left", "hip_r_right"),
        ("l_hip_r", "r_hip_r"),  # and where a side came before it
    ],
)
def test_the_name_on_the_other_side(left: str, right: str) -> None:
    assert mirror_name(left) == right
    assert mirror_name(right) == left


@pytest.mark.parametrize("name", ["waist_yaw_joint", "upright", "AAHead_yaw", "cleft", "roll", "all_lr", "Torso", ""])
def test_a_name_without_a_side_is_its_own(name: str) -> None:
    assert mirror_name(name) == name


@given(st.lists(st.sampled_from(["left", "Right", "LEFT", "l", "R", "_", "1", "hip", "Yaw", "é", "X"])).map("".join))
@example("lEFTRightl")
def test_a_name_mirrored_twice_is_the_same(name: str) -> None:
    assert mirror_name(mirror_name(name)) == name


@given(st.lists(st.floats(-10, 10), min_size=5, max_size=5))
def test_joints_change_places_and_signs(values: list[float]) -> None:
    roll, knee, waist, other_roll, other_knee = values
    image = _mirror().apply(np.array(values))
    assert image.tolist() == [-other_roll, other_knee, -waist, -roll, knee]
    assert _mirror().apply(image).tolist() == values


def test_a_batch_and_its_precision_are_kept() -> None:
    mirroring = _mirror().mirroring
    batch = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    image = mirroring.apply(batch)
    assert image.dtype == np.float32
    assert mirroring.apply(batch.astype(np.float64)).dtype == np.float64
    np.testing.assert_array_equal(image[1, 2], [-28, 29, -27, -25, 26])


def test_some_joints_in_another_order() -> None:
    some = _mirror().over(("right_knee", "waist", "left_knee"))
    assert some.apply(np.array([1.0, 2.0, 3.0])).tolist() == [3.0, -2.0, 1.0]


def test_joints_without_a_mirror_image_are_refused(refuses: Refuses) -> None:
    with refuses(ContractError, "'left_knee'", "'right_knee' is missing"):
        partners(("left_knee", "waist"))
    with refuses(ContractError, "'left_knee'", "'right_knee' is missing"):
        _mirror().over(("left_knee", "waist"))
    with refuses(ContractError, "'left_kne'", "did you mean 'left_knee'?"):
        _mirror().over(("left_kne", "right_kne"))
    with refuses(ContractError, "'waist'", "found none"):
        joint_mirror(("waist",), {})
    with refuses(ContractError, "'waist'", "found 0.5"):
        joint_mirror(("waist",), {"waist": 0.5})
    with refuses(ContractError, "'left_roll'", "'right_roll'", "differ"):
        joint_mirror(("left_roll", "right_roll"), {"left_roll": 1.0, "right_roll": -1.0})


@pytest.mark.parametrize(
    ("index", "sign"),
    [
        ([1, 2, 0], [1, 1, 1]),  # a turn, not a swap
        ([1, 0], [1, -1]),
        ([0, 1], [1, 2]),
        ([0, 1], [1, math.nan]),
        ([0, 2], [1, 1]),
        ([-1, 0], [1, 1]),
        ([0, 1], [1]),
    ],
)
def test_what_does_not_undo_itself_is_no_mirror(index: list[int], sign: list[float], refuses: Refuses) -> None:
    with refuses(ConfigError, "twice"):
        Mirroring(np.array(index), np.array(sign, dtype=np.float32))


def test_a_mirror_keeps_copies() -> None:
    index = np.array([1, 0])
    mirroring = Mirroring(index, np.ones(2, dtype=np.float32))
    index[:] = 7
    assert mirroring.apply(np.array([3.0, 4.0])).tolist() == [4.0, 3.0]
    with pytest.raises(ValueError, match="read-only"):
        mirroring.sign[0] = 5.0


def _action(**changes: Any) -> ActionSpec:
    """In the order of DRIVEN: right knee, waist, left roll, left knee, right roll."""
    spec = ActionSpec(
        DRIVEN,
        "position_offset",
        scale=(0.5, 0.2, -0.3, 0.5, -0.3),
        offset=(0.4, 0.0, 0.1, 0.4, -0.1),
        clip_lower=(-2.0, -1.0, -3.0, -2.0, -1.5),
        clip_upper=(4.0, 1.0, 1.5, 4.0, 3.0),
        target_lower=(-0.1, -INF, -0.2, -0.1, -0.5),
        target_upper=(2.0, INF, 0.5, 2.0, 0.2),
    )
    return dataclasses.replace(spec, **changes)


@given(
    st.lists(st.lists(st.floats(-6, 6), min_size=5, max_size=5), min_size=1, max_size=4),
    st.sampled_from([("position_offset", 1.0, 0), ("position_absolute", 0.3, 1), ("effort", 1.0, 2)]),
)
def test_a_mirrored_action_asks_for_the_mirrored_target(
    actions: list[list[float]], kind: tuple[str, float, int]
) -> None:
    spec = _action(kind=kind[0], low_pass=kind[1], delay=kind[2])
    joints, mirroring = _mirror().over(DRIVEN), mirror_action(spec, _mirror())
    straight, mirrored = ActionProcessor(spec), ActionProcessor(spec)
    for action in map(np.array, actions):
        target = straight.apply(action)
        np.testing.assert_allclose(mirrored.apply(mirroring.apply(action)), joints.apply(target), atol=1e-12)
        np.testing.assert_array_equal(mirrored.last_action, mirroring.apply(straight.last_action))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": (0.5, 0.2, 0.3, 0.5, -0.3)}, ["scale", "'left_roll'", "0.3", "'right_roll'", "-0.3"]),
        ({"offset": (0.4, 0.0, 0.1, 0.5, -0.1)}, ["offset", "'right_knee'", "'left_knee'", "0.5"]),
        ({"offset": (0.4, 0.1, 0.1, 0.4, -0.1)}, ["offset", "'waist' is 0.1", "-0.1"]),
        ({"offset": (0.4, 0.0, 0.1, 0.4, 0.1)}, ["offset", "'left_roll'", "'right_roll'"]),
        ({"clip_lower": (-2.0, -0.9, -3.0, -2.0, -1.5)}, ["lower clip", "'waist'", "-0.9"]),
        ({"clip_upper": (4.0, 1.0, 1.5, 5.0, 3.0)}, ["upper clip", "'right_knee'", "'left_knee'"]),
        ({"target_lower": (-0.1, -0.5, -0.2, -0.1, -0.5)}, ["lower target", "'waist'", "-inf"]),
        ({"target_upper": (2.0, INF, 0.2, 2.0, 0.5)}, ["lower target", "'left_roll'"]),
    ],
)
def test_an_action_that_differs_from_side_to_side_is_refused(
    changes: dict[str, Any], words: list[str], refuses: Refuses
) -> None:
    with refuses(ContractError, "action", *words):
        mirror_action(_action(**changes), _mirror())


def test_an_offset_that_is_not_used_may_be_anything() -> None:
    mirror_action(_action(kind="effort", offset=(1.0, 2.0, 3.0, 4.0, 5.0)), _mirror())
