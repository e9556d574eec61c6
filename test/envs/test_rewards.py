"""Every reward by hand, their sum, and what a task YAML may not say of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.rewards import (
    RewardParameters,
    RewardSum,
    register_reward,
    reward_names,
    rewards_from_section,
)
from humanoid_rl_ros.envs.step import TaskStep

Refuses = Callable[..., AbstractContextManager[None]]
JOINTS = ("left_hip", "left_knee", "right_hip")
INF = math.inf
ONLY_HERE = "reward_of_a_test"


def _two(*rows: object) -> FloatArray:
    """One row for both robots, or one for each."""
    return np.array(rows if len(rows) == 2 else rows * 2, dtype=np.float64)


_STILL = TaskStep(
    command=np.zeros((2, 3)),
    standing=np.array([False, False]),
    mean_velocity=np.zeros((2, 3)),
    linear_velocity=np.zeros((2, 3)),
    angular_velocity=np.zeros((2, 3)),
    gravity=_two([0.0, 0.0, -1.0]),
    height=np.full(2, 0.7),
    nominal_height=0.7,
    joint_position=np.zeros((2, 3)),
    joint_velocity=np.zeros((2, 3)),
    default_position=np.zeros(3),
    lower=np.array([-1.0, -0.5, -INF]),
    upper=np.array([1.0, 2.0, INF]),
    effort=np.zeros((2, 3)),
    effort_limit=np.array([20.0, 40.0, 10.0]),
    velocity_limit=np.array([10.0, 20.0, INF]),
    action=np.zeros((2, 2)),
    last_action=np.zeros((2, 2)),
    foot_height=np.zeros((2, 2)),
    foot_velocity=np.zeros((2, 2, 3)),
    foot_up=np.ones((2, 2)),
    foot_force=np.full((2, 2), 100.0),
    foot_distance=np.full(2, 0.2),
    phase=_two([0.0, math.pi]),
    fallen=np.array([False, False]),
    period=0.02,
)


def rate(name: str, numbers: dict[str, Any], step: TaskStep) -> list[float]:
    """What a weight of 1 earns in a second."""
    specs = rewards_from_section(Section({name: {"weight": 1.0, **numbers}}, "task"))
    return [float(v) for v in RewardSum(specs, JOINTS).terms(step, 1.0)[:, 0] / step.period]


Case = tuple[str, tuple[float, float], dict[str, Any], dict[str, Any]]


def case(name: str, expected: tuple[float, float], numbers: dict[str, Any] | None = None, /, **differs: Any) -> Case:
    """A reward, the rates of the two robots, its numbers, and what is not as at rest; one row is for both."""
    alike = {key: isinstance(value[0], list) and len(value) == 1 for key, value in differs.items()}
    return name, expected, numbers or {}, {k: np.array(v * 2 if alike[k] else v) for k, v in differs.items()}


FAST = {"linear_velocity": [[0.5, 0.1, 9.0], [0.3, 0.0, 0.0]]}
TURN = {"angular_velocity": [[1.0, 2.0, 0.3], [0.0, 0.0, -0.5]]}
# What is compared with the command is the mean, whatever the velocity is now.
STRAIGHT = {"mean_velocity": [[0.5, 0.1, 9.0], [0.3, 0.0, 0.0]], "command": [[0.3, 0.0, 1.0]], **TURN}
ROUND = {"mean_velocity": [[9.0, 2.0, 0.3], [0.0, 0.0, -0.5]], "command": [[1.0, 1.0, 0.0]], **FAST}
TILTED = [[math.sin(0.4), 0.0, -math.cos(0.4)], [0.0, math.sin(0.6), -math.cos(0.6)]]
# Left in the middle of its swing or at its quarter; right in the part of the clock in which it stands.
SWING = 2.0 * math.pi * 0.45
STRIDE = [[0.5 * SWING, -math.pi], [0.25 * SWING, 0.5 * SWING + math.pi]]
LIFTED = [[0.08, 0.0], [0.04, 0.0]]
HIGH = [[0.1, 0.0], [0.05, 0.0]]
# What feet on the ground would earn where 8 cm are wanted, and 4 cm.
MID, QUARTER = math.exp(-(0.08**2) / 0.002), math.exp(-(0.04**2) / 0.002)
STAND = [True, True]
PUSHED = {"linear_velocity": [[0.1, -0.1, 9.0], [0.0, 0.16, 0.0]]}
LATE = [[SWING, 1.9 * math.pi]]
SLIDING = [[[0.3, 0.4, 9.0], [1.0, 0.0, 0.0]]] * 2
BENT = [[0.1, 0.2, 0.3]]
# The left hand there and the right one 5 cm off; both 10 cm off.
TARGETS = [[[0.3, 0.2, 0.1], [0.3, -0.2, 0.1]]] * 2
HANDS = [[[0.3, 0.2, 0.1], [0.27, -0.2, 0.14]], [[0.36, 0.2, 0.02], [0.3, -0.1, 0.1]]]
AT_STOPS = [[-0.97, 2.1, 50.0], [0.94, -0.45, -50.0]]

CASES = [
    case("alive", (1.0, 0.0), fallen=[False, True]),
    case("fall", (0.0, 50.0), fallen=[False, True]),
    case("track_linear_velocity", (math.exp(-0.5), 1.0), **STRAIGHT),
    case("track_linear_velocity", (math.exp(-1.0), 1.0), {"sigma": 0.05}, **STRAIGHT),
    case("track_angular_velocity", (math.exp(-0.6), math.exp(-0.25 / 0.15)), **ROUND),
    case("track_angular_velocity", (math.exp(-0.18), math.exp(-0.5)), {"sigma": 0.5}, **ROUND),
    case("forward_velocity", (0.5, 0.3), **FAST),
    case("hands_on_target", (0.5 + 0.5 * math.exp(-0.5), math.exp(-1.0)), hand_position=HANDS, hand_target=TARGETS),
    case(
        "hands_on_target",
        (0.5 + 0.5 * math.exp(-1.0), math.exp(-2.0)),
        {"scale": 0.05},
        **{"hand_position": HANDS, "hand_target": TARGETS},
    ),
    case("hand_distance", (0.025, 0.1), hand_position=HANDS, hand_target=TARGETS),
    case("feet_phase", (1.0 - MID, 1.0 - QUARTER), phase=STRIDE, foot_height=LIFTED),
    case("feet_phase", (0.0, 0.0), phase=STRIDE),
    case("feet_phase", (math.exp(-4.0) - MID, 0.0), phase=STRIDE, foot_height=[[0.04, 0.08], [0.0, 0.0]]),
    case("feet_phase", (1.0 - MID**0.1, 1.0 - QUARTER**0.1), {"sigma": 0.02}, phase=STRIDE, foot_height=LIFTED),
    case(
        "feet_phase",
        (1.0 - math.exp(-5.0), 1.0 - math.exp(-1.25)),
        {"swing_height": 0.1},
        phase=STRIDE,
        foot_height=HIGH,
    ),
    case("feet_phase", (1.0 - MID, 1.0 - MID), {"swing_share": 0.9}, phase=LATE, foot_height=[[0.08, 0.0]]),
    case("feet_phase", (0.0, QUARTER - 1.0), phase=STRIDE, standing=STAND, foot_height=[[0.0, 0.0], [0.0, 0.04]]),
    case("feet_phase", (QUARTER - 1.0, 0.0), phase=STRIDE, standing=STAND, foot_height=[[0.0, 0.04]], **PUSHED),
    case(
        "feet_phase",
        (0.0, 0.0),
        {"still_speed": 0.1},
        phase=STRIDE,
        standing=STAND,
        foot_height=[[0.0, 0.04]],
        **PUSHED,
    ),
    case("upright", (math.sin(0.4) ** 2, math.sin(0.6) ** 2), gravity=TILTED),
    case("upright_share", (0.0, 0.75), gravity=[[0.0, 0.0, 1.0], [math.sqrt(0.75), 0.0, -0.5]]),
    case("height_share", (0.5, 1.0), height=[0.35, 0.84]),
    case("height_share", (0.0, 1.1), {"reach": 1.1}, height=[-0.1, 0.84]),
    case("standing_up", (1.0, 0.0), gravity=TILTED, height=[0.6, 0.7]),
    case("standing_up", (0.0, 1.0), height=[0.59, 0.6]),
    case("rising", (0.0, 0.375), gravity=[[0.0, 0.0, 1.0], [math.sqrt(0.75), 0.0, -0.5]], height=[0.7, 0.35]),
    case("rising", (1.0, 0.0), height=[0.9, -0.1]),
    case("standing_in_pose", (math.exp(-0.14), 0.0), joint_position=BENT, height=[0.7, 0.5]),
    case(
        "standing_in_pose",
        (math.exp(-0.1), 0.0),
        {"sigma": 0.5, "joints": {"left*": 1.0}},
        joint_position=BENT,
        gravity=TILTED,
    ),
    case(
        "standing_at_rest", (math.exp(-1.0), 0.0), {"sigma": 0.26}, linear_velocity=[[0.5, 0.1, 0.0]], height=[0.7, 0.5]
    ),
    case(
        "standing_at_rest",
        (math.exp(-5.0), math.exp(-0.25)),
        {"sigma": 1.0},
        angular_velocity=[[1.0, 2.0, 0.0], [0.0, 0.0, -0.5]],
    ),
    case("standing_up", (0.0, 1.0), {"tilt": 0.7, "height": 0.5}, gravity=TILTED, height=[0.3, 0.4]),
    case("still", (math.exp(-0.26 / 0.05), math.exp(-0.09 / 0.05)), **FAST),
    case("still", (math.exp(-0.26), math.exp(-0.09)), {"sigma": 1.0}, **FAST),
    case("roll_pitch_rate", (5.0, 0.0), **TURN),
    case("vertical_velocity", (0.25, 9.0), linear_velocity=[[1.0, 2.0, -0.5], [0.0, 0.0, 3.0]]),
    case("base_height", (0.01, 0.04), height=[0.6, 0.9]),
    case("effort", (0.5, 10.0), effort=[[10.0, -20.0, 0.0], [20.0, 0.0, 30.0]]),
    case("power", (55.0, 4.0), effort=[[10.0, -20.0, 5.0], [1.0, 1.0, 1.0]], joint_velocity=[[1.0, 2.0, -1.0]]),
    case("action_rate", (4.25, 0.0), action=[[1.0, -1.0], [0.5, 0.0]], last_action=[[0.5, 1.0], [0.5, 0.0]]),
    case("joint_speed", (0.02, 0.01), joint_velocity=[[-8.0, 16.0, 99.0], [7.0, -16.0, 0.0]]),
    case("joint_speed", (0.25, 0.0), {"share": 0.5}, joint_velocity=[[10.0, 0.0, 0.0], [5.0, 10.0, 0.0]]),
    case("joint_velocity", (14.0, 0.25), joint_velocity=[[1.0, -2.0, 3.0], [0.0, 0.0, 0.5]]),
    case("joint_velocity", (20.0, 20.0), {"joints": {"*hip": 2.0}}, joint_velocity=[[1.0, -2.0, 3.0]]),
    case("pose", (0.08, 0.08), joint_position=BENT, default_position=[0.1, 0.0, 0.5]),
    case("pose", (0.9, 0.9), {"joints": {"left_hip": 5.0, "left_*": 1.0, "*": 9.0}}, joint_position=BENT),
    case("joint_limits", (0.17, 0.0), joint_position=AT_STOPS),
    case("joint_limits", (0.47, 0.29), {"margin": 0.2}, joint_position=AT_STOPS),
    case("feet_level", (math.sin(0.2) ** 2, 1.0), foot_up=[[1.0, math.cos(0.2)], [1.0 + 1e-9, 0.0]]),
    case("feet_slip", (0.25, 1.25), foot_velocity=SLIDING, foot_force=[[6.0, 4.0], [6.0, 6.0]]),
    case("feet_slip", (1.0, 1.0), {"force": 1.0}, foot_velocity=SLIDING, foot_force=[[0.5, 4.0]]),
    case("feet_close", (0.5, 0.0), foot_distance=[0.07, 0.3]),
    case("feet_close", (1.0, 0.1), {"distance": 0.1}, foot_distance=[0.0, 0.09]),
    case("feet_lifted_while_standing", (2.0, 0.0), standing=[True, False], foot_force=[[0.0, 0.0]]),
    case(
        "feet_lifted_while_standing", (0.0, 1.0), {"force": 20.0}, standing=STAND, foot_force=[[30.0] * 2, [9.0, 30.0]]
    ),
]


@pytest.mark.parametrize(("name", "expected", "numbers", "differs"), CASES, ids=[c[0] for c in CASES])
def test_a_reward_by_hand(
    name: str, expected: tuple[float, float], numbers: dict[str, Any], differs: dict[str, Any]
) -> None:
    np.testing.assert_allclose(rate(name, numbers, replace(_STILL, **differs)), expected, rtol=1e-9, atol=1e-12)


def test_no_reward_is_left_out() -> None:
    assert {c[0] for c in CASES} == set(reward_names()) - {ONLY_HERE}


def test_a_step_earns_its_share_of_a_second_and_penalties_are_scaled_alone() -> None:
    specs = rewards_from_section(Section({"alive": 2.0, "power": -0.5, "forward_velocity": 3}, "task"))
    step = replace(
        _STILL,
        linear_velocity=_two([1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]),
        effort=_two([10.0, 0.0, 0.0]),
        joint_velocity=_two([1.0, 0.0, 0.0], [2.0, 0.0, 0.0]),
    )
    total = RewardSum(specs, JOINTS)
    assert total.names == ("alive", "power", "forward_velocity")
    np.testing.assert_allclose(total.terms(step, 1.0), [[0.04, -0.1, 0.06], [0.04, -0.2, -0.12]])
    np.testing.assert_allclose(total.terms(step, 0.1), [[0.04, -0.01, 0.06], [0.04, -0.02, -0.12]])
    halved = total.terms(replace(step, period=0.01), 1.0)
    np.testing.assert_allclose(2.0 * halved, total.terms(step, 1.0))


def test_a_reward_of_ones_own_is_weighed_like_the_others(refuses: Refuses) -> None:
    @register_reward(ONLY_HERE, gain=2.0)
    def sideways(step: TaskStep, p: RewardParameters) -> FloatArray:
        return p["gain"] * step.linear_velocity[:, 1]

    moving = replace(_STILL, linear_velocity=_two([0.0, 0.5, 0.0], [0.0, -1.0, 0.0]))
    assert rate(ONLY_HERE, {}, moving) == pytest.approx([1.0, -2.0])
    assert rate(ONLY_HERE, {"gain": 4}, moving) == pytest.approx([2.0, -4.0])
    with refuses(ConfigError, f"reward '{ONLY_HERE}' is registered already"):
        register_reward(ONLY_HERE)(sideways)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"uprigth": 1.0}, ["task", "unknown reward 'uprigth'", "did you mean 'upright'?"]),
        ({"still": {"weight": 1.0, "sigm": 0.1}}, ["still", "unknown key 'sigm'", "did you mean 'sigma'?"]),
        ({"still": {"sigma": 0.1}}, ["still", "'weight' is missing"]),
        ({"alive": "much"}, ["'alive' must be a number", "'much'"]),
        ({"alive": math.nan}, ["'alive' must be finite"]),
        ({"pose": {"weight": 1.0, "joints": {"*": -1.0}}}, ["joints", "'*' must be at least 0"]),
    ],
)
def test_a_wrong_reward_is_refused(data: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        rewards_from_section(Section(data, "task"))


def test_patterns_that_match_nothing_are_refused(refuses: Refuses) -> None:
    specs = rewards_from_section(Section({"pose": {"weight": -1.0, "joints": {"*ankle*": 1.0}}}, "task"))
    with refuses(ConfigError, "reward 'pose'", "*ankle*", "left_knee"):
        RewardSum(specs, JOINTS)
