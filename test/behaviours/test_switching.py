"""Changing from one policy to another: when it is allowed, and how the efforts lead over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from humanoid_rl_ros.behaviours.conductor import Conductor, Goal, Task
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.action import plain_action
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.core.observation_spec import BlockSpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import DrivenJoint, PolicyBundle, WeightsSpec

Refuses = Callable[..., AbstractContextManager[None]]
MS = 1_000_000
ROBOT = RobotSpec("one", (JointSpec("hip", -2.0, 2.0, 100.0),))
STILL = VelocityCommand()
ACTIVE = Goal(Task.POLICY, follows_velocity=True, entry=("1",))


class Constant:
    """A network that always wants the same; it fails while `broken`."""

    def __init__(self, action: float) -> None:
        self.action, self.resets, self.calls, self.broken = action, 0, 0, False

    def infer(self, observation: Float32Array) -> Float32Array:
        self.calls += 1
        if self.broken:
            raise PolicyError("broken")
        return np.array([self.action], dtype=np.float32)

    def reset(self) -> None:
        self.resets += 1


def behaviour(network: Constant, kp: float, period: float = 0.02, kind: str = "position_offset") -> PolicyBehaviour:
    bundle = PolicyBundle(
        name=f"wants {network.action}",
        robot="one",
        weights=WeightsSpec(Path("policy.onnx")),
        joints={"hip": DrivenJoint(0.0, kp, 0.0, 100.0)},
        held={},
        observation=ObservationSpec(("hip",), (0.0,), (BlockSpec((TermSpec("joint_pos_rel"),)),)),
        action=replace(plain_action(("hip",), (0.0,), 1.0), kind=kind),
        control_period=period,
        pd_rate=500.0,
        entry_blend=1.0,
    )
    return PolicyBehaviour(bundle, ROBOT, network)


class Scene:
    """One policy running: it wants 1 rad at 10 N·m/rad; another that wants −0.5 rad at 40 N·m/rad."""

    def __init__(self, kind: str = "position_offset") -> None:
        self.first, self.second = Constant(1.0), Constant(-0.5)
        self.old, self.new = behaviour(self.first, 10.0), behaviour(self.second, 40.0, 0.01, kind)
        self.conductor = Conductor(self.old, None)

    def answer(self, at_ns: int) -> float:
        state = RobotState(at_ns, np.zeros(1), np.zeros(1), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3))
        due = self.conductor.due(state)
        assert due is not None
        return float(self.conductor.update(due, state, STILL).effort[0])

    def walk(self, until_ns: int) -> Scene:
        self.conductor.follow(ACTIVE)
        for at_ns in range(0, until_ns + 1, 10 * MS):
            self.effort = self.answer(at_ns)
        return self


def test_while_it_stands_by_the_change_is_immediate_and_the_new_one_is_entered_as_usual() -> None:
    scene = Scene()
    scene.answer(0)
    scene.conductor.switch(scene.new, blend=0.0)
    assert scene.conductor.policy is scene.new
    calls = scene.first.calls
    scene.answer(2 * MS)  # at once, not only after the old one's period
    scene.conductor.follow(ACTIVE)
    assert scene.answer(20 * MS) == 0.0  # its own entry blend, from the measured pose
    assert scene.first.calls == calls


def test_the_pace_of_standing_by_is_that_of_the_policy_that_is_chosen() -> None:
    scene = Scene()
    scene.conductor.switch(scene.new, blend=0.0)
    scene.answer(0)
    assert scene.answer(10 * MS) is not None


def test_while_it_runs_the_efforts_lead_over_and_both_policies_go_on() -> None:
    scene = Scene().walk(2000 * MS)
    assert scene.effort == 10.0
    scene.conductor.switch(scene.new, blend=0.4)
    efforts = [scene.answer(at * MS) for at in range(2010, 2431, 10)]
    assert efforts[0] == 10.0  # no jump
    assert efforts[20] == pytest.approx(0.5 * (10.0 - 20.0))  # half-way of 10 and −20 N·m
    assert efforts[40:] == [-20.0] * 3
    assert all(later <= earlier for earlier, later in pairwise(efforts))
    calls = scene.first.calls
    scene.answer(2440 * MS)
    assert scene.first.calls == calls  # it has left
    assert (scene.first.resets, scene.second.resets) == (1, 1)


def test_what_the_effort_is_to_reach_leads_over_too() -> None:
    scene = Scene().walk(2000 * MS)
    scene.conductor.switch(scene.new, blend=0.4)
    targets = []
    for at in range(2010, 2421, 10):
        scene.answer(at * MS)
        assert scene.conductor.target_position is not None
        targets.append(float(scene.conductor.target_position[0]))
    assert (targets[0], targets[20], targets[40]) == (1.0, pytest.approx(0.25), -0.5)


def test_there_is_no_target_on_the_way_to_or_from_a_policy_of_efforts() -> None:
    scene = Scene("effort").walk(2000 * MS)
    scene.conductor.switch(scene.new, blend=0.2)
    for at in range(2010, 2231, 10):
        effort = scene.answer(at * MS)
        assert scene.conductor.target_position is None
    assert effort == -0.5


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (Goal(Task.GET_UP, entry=("1",)), "on its way up"),
        (Goal(Task.POLICY, follows_velocity=False, resumes=True, entry=("1",)), "on its way up"),
    ],
)
def test_on_its_way_up_nothing_changes(goal: Goal, words: str, refuses: Refuses) -> None:
    scene = Scene()
    scene.conductor.follow(goal)
    with refuses(PolicyError, words):
        scene.conductor.switch(scene.new, blend=1.0)
    assert scene.conductor.policy is scene.old


def test_while_it_runs_a_change_without_a_blend_is_refused(refuses: Refuses) -> None:
    scene = Scene().walk(100 * MS)
    with refuses(PolicyError, "without a blend", "disarm"):
        scene.conductor.switch(scene.new, blend=0.0)
    assert scene.answer(110 * MS) > 0.0
    assert scene.second.calls == 0


def test_during_a_change_another_is_refused(refuses: Refuses) -> None:
    scene = Scene().walk(2000 * MS)
    scene.conductor.switch(scene.new, blend=0.4)
    for at in (2000, 2010, 2200):
        if at > 2000:
            scene.answer(at * MS)
        with refuses(PolicyError, "taking over"):
            scene.conductor.switch(scene.old, blend=0.4)
    scene.answer(2420 * MS)
    scene.conductor.switch(scene.old, blend=0.4)
    assert scene.conductor.policy is scene.old


def test_the_policy_that_runs_is_no_other(refuses: Refuses) -> None:
    scene = Scene()
    with refuses(PolicyError, "chosen already"):
        scene.conductor.switch(scene.old, blend=0.4)
    scene.walk(100 * MS)
    with refuses(PolicyError, "runs already"):
        scene.conductor.switch(scene.old, blend=0.4)
    assert scene.first.resets == 1


def test_a_fall_ends_the_change_and_the_new_policy_begins_afresh() -> None:
    scene = Scene().walk(2000 * MS)
    scene.conductor.switch(scene.new, blend=10.0)
    scene.answer(2010 * MS)
    scene.conductor.follow(Goal(Task.STAND_BY, since_ns=2020 * MS))
    scene.conductor.follow(replace(ACTIVE, since_ns=2030 * MS, entry=("2",)))
    calls = scene.first.calls
    scene.answer(2030 * MS)
    assert scene.first.calls == calls
    assert scene.second.resets == 2


@pytest.mark.parametrize("which", ["first", "second"])
def test_an_error_of_either_is_an_error(which: str, refuses: Refuses) -> None:
    scene = Scene().walk(2000 * MS)
    scene.conductor.switch(scene.new, blend=1.0)
    scene.answer(2010 * MS)
    getattr(scene, which).broken = True
    with refuses(PolicyError, "broken"):
        scene.answer(2040 * MS)
