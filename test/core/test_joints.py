"""Joints are matched by name, whatever the order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError, ContractError, StateError
from humanoid_rl_ros.core.joints import JointMatcher, indices_of, refuse_repeated, repeated_name

Refuses = Callable[..., AbstractContextManager[None]]
JOINTS = ("hip", "knee", "ankle", "arm")


@given(st.permutations([*JOINTS, "left_finger", "right_finger"]))
def test_any_order_becomes_the_robots(listed: list[str]) -> None:
    values = np.array([len(name) for name in listed]) * 10 + np.array([ord(name[0]) for name in listed]) / 1000.0
    matcher = JointMatcher(JOINTS, ignored=("left_finger", "right_finger"))
    found = values[matcher.permutation(listed)]
    assert found.tolist() == [len(name) * 10 + ord(name[0]) / 1000.0 for name in JOINTS]


def test_a_new_order_is_noticed_after_the_first() -> None:
    matcher = JointMatcher(JOINTS)
    names = list(JOINTS)
    assert matcher.permutation(names).tolist() == [0, 1, 2, 3]
    names.reverse()  # in place, as a driver that reuses its message would
    assert matcher.permutation(names).tolist() == [3, 2, 1, 0]
    assert matcher.permutation(names) is matcher.permutation(names)


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (["hip", "knee", "ankle"], ["'arm' is missing"]),
        (["hip", "knee"], ["'ankle' is missing", "1 more"]),
        (["hip", "knee", "ankle", "arm", "hip"], ["'hip' is listed twice"]),
        (["hip", "knee", "ankle", "arm", "head"], ["'head' is unknown"]),
        (["hip", "knee", "ankle", "arm", "kneee"], ["'kneee' is unknown", "did you mean 'knee'?"]),
        (["hip", "knee", "ankle", "armm"], ["'arm' is missing", "'armm' is unknown"]),
        ([], ["'hip' is missing", "3 more"]),
    ],
)
def test_a_wrong_list_of_joints_is_refused(listed: list[str], words: list[str], refuses: Refuses) -> None:
    with refuses(StateError, *words):
        JointMatcher(JOINTS).permutation(listed)


def test_a_refused_list_is_refused_again(refuses: Refuses) -> None:
    matcher = JointMatcher(JOINTS)
    matcher.permutation(JOINTS)
    for _ in range(2):
        with refuses(StateError, "'arm' is missing"):
            matcher.permutation(["hip", "knee", "ankle"])


def test_indices_point_into_the_list_of_joints() -> None:
    assert indices_of(("arm", "hip"), JOINTS, what="joint", where="robot").tolist() == [3, 0]


def test_an_unknown_joint_names_the_nearest(refuses: Refuses) -> None:
    with refuses(ContractError, "driven joint 'ancle'", "robot 'biped'", "did you mean 'ankle'?"):
        indices_of(("ancle",), JOINTS, what="driven joint", where="robot 'biped'")


def test_the_first_repetition_is_found(refuses: Refuses) -> None:
    assert repeated_name(["a", "b", "c"]) is None
    assert repeated_name(["a", "b", "b", "a"]) == "b"
    with refuses(ConfigError, "robot", "'b' is listed twice"):
        refuse_repeated(["a", "b", "b"], "robot", ConfigError)
    refuse_repeated(["a", "b"], "robot", ConfigError)
