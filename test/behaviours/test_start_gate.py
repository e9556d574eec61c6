"""May a policy take over from here: by hand, for joints that stand where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Refuses

from humanoid_rl_ros.behaviours.start_gate import StartGate
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.behaviours.warm_up import warm_up
from humanoid_rl_ros.core.action import plain_action
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.controller import PEAK_BLEND_RATE, blend_weight
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.observation_spec import BlockSpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.policies.bundle import DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec

ROBOT = RobotSpec("two", (JointSpec("hip", -2.0, 2.0, 100.0), JointSpec("arm", -2.0, 2.0, 10.0)))


class Counting:
    """A recurrent network: what it says is how often it was asked since its reset."""

    def __init__(self) -> None:
        self.calls = self.state = 0

    def infer(self, observation: Float32Array) -> Float32Array:
        self.calls += 1
        self.state += 1
        return np.array([self.state], dtype=np.float32)

    def reset(self) -> None:
        self.state = 0


def behaviour(blend: float, kind: str = "position_offset", network: Counting | None = None) -> PolicyBehaviour:
    """It drives the hip from 0.5 rad and holds the arm at −1 rad."""
    bundle = PolicyBundle(
        name="one",
        robot="two",
        weights=WeightsSpec(Path("policy.onnx")),
        joints={"hip": DrivenJoint(0.5, 10.0, 1.0, 100.0)},
        held={"arm": HeldJoint(-1.0, 5.0, 0.1, 10.0)},
        observation=ObservationSpec(("hip",), (0.0,), (BlockSpec((TermSpec("joint_pos_rel"),)),)),
        action=replace(plain_action(("hip",), (0.5,), 1.0), kind=kind),
        control_period=0.02,
        pd_rate=200.0,
        entry_blend=blend,
    )
    return PolicyBehaviour(bundle, ROBOT, network or Counting())


def refusal(position: Sequence[float], blend: float, kind: str = "position_offset", speed: float = 2.0) -> str:
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    state = RobotState(0, np.array(position), np.zeros(2), upright, np.zeros(3))
    return StartGate(speed, 0.1).refusal(behaviour(blend, kind), state)


def test_the_blend_is_fastest_in_its_middle() -> None:
    rates = [(blend_weight(t + 1, 1000) - blend_weight(t - 1, 1000)) * 500 for t in range(1, 1000)]
    assert max(rates) == pytest.approx(PEAK_BLEND_RATE, rel=1e-5) == rates[499]


def test_near_the_pose_no_blend_is_needed() -> None:
    assert refusal([0.59, -1.09], blend=0.0) == ""
    assert refusal([0.61, -1.0], blend=0.0) != ""


def test_a_blend_must_be_slow_enough_for_the_joint_that_is_farthest() -> None:
    # 1.875 · 1.6 rad / 1.5 s = 2 rad/s
    assert refusal([-0.1, 0.6], blend=1.51) == ""
    text = refusal([-0.1, 0.6], blend=1.2)
    assert text == (
        "arm is 1.60 rad from where 'one' starts (0.60, expected -1.00); with entry_blend 1.2 s it would go there at "
        "2.5 rad/s, limit 2: move it nearer, or set entry_blend to 1.5 s or more"
    )
    assert "without an entry_blend it would go there at once" in refusal([-0.1, 0.6], blend=0.0)
    assert refusal([-0.1, 0.6], blend=0.0, speed=math.inf) == ""  # as recorded before there was a limit


def test_a_joint_whose_effort_the_network_says_may_be_anywhere() -> None:
    assert refusal([-1.5, -1.0], blend=0.0, kind="effort") == ""
    assert "arm" in refusal([-1.5, 1.0], blend=0.0, kind="effort")


def test_a_gate_that_lets_nothing_through_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "above 0", "found 0"):
        StartGate(0.0)


def test_after_a_warm_up_a_policy_is_as_it_was() -> None:
    network = Counting()
    one = behaviour(0.0, network=network)
    warm_up(one, 5)
    assert (network.calls, network.state) == (5, 0)
    assert (one.steps, one.entered, one.last_step) == (0, False, None)
    warm_up(one, 0)
    assert network.calls == 5
