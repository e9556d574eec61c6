"""Which behaviour answers which state, how it is entered, and which velocity it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from humanoid_rl_ros.behaviours.conductor import Conductor, Goal, Task
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.action import plain_action
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.observation_spec import BlockSpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import DrivenJoint, PolicyBundle, WeightsSpec

Refuses = Callable[..., AbstractContextManager[None]]
MS = 1_000_000
PERIOD = 20 * MS
ROBOT = RobotSpec("one", (JointSpec("hip", -2.0, 2.0, 100.0),))
WALK = VelocityCommand(0.5, -0.25, 1.0)
TOLD, STAND = [0.5, -0.25, 1.0], [0.0, 0.0, 0.0]


class Recorder:
    """A network that wants 1 rad, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []
        self.resets = 0

    def infer(self, observation: Float32Array) -> Float32Array:
        self.seen.append(observation.tolist())
        return np.array([1.0], dtype=np.float32)

    def reset(self) -> None:
        self.resets += 1


def behaviour(network: Recorder, name: str, blend: float = 0.0) -> PolicyBehaviour:
    """Sees the velocity asked for; 10 N·m/rad, no damping."""
    bundle = PolicyBundle(
        name=name,
        robot="one",
        weights=WeightsSpec(Path("policy.onnx")),
        joints={"hip": DrivenJoint(0.0, 10.0, 0.0, 100.0)},
        held={},
        observation=ObservationSpec(("hip",), (0.0,), (BlockSpec((TermSpec("velocity_commands"),)),)),
        action=plain_action(("hip",), (0.0,), 1.0),
        control_period=0.02,
        pd_rate=500.0,
        entry_blend=blend,
    )
    return PolicyBehaviour(bundle, ROBOT, network)


class Scene:
    """A conductor with two recorded networks."""

    def __init__(self, *, get_up: bool = True, blend: float = 0.0, **options: float) -> None:
        self.walking, self.rising = Recorder(), Recorder()
        policy = behaviour(self.walking, "walk", blend)
        self.conductor = Conductor(policy, behaviour(self.rising, "rise") if get_up else None, **options)

    def answer(self, at_ns: int, command: VelocityCommand = WALK) -> str:
        """Which behaviour answered; empty for none."""
        state = at(at_ns)
        due = self.conductor.due(state)
        if due is None:
            return ""
        effort = self.conductor.update(due, state, command)
        assert effort.stamp_ns == at_ns
        self.effort = float(effort.effort[0])
        return due.bundle.name


def at(stamp_ns: int) -> RobotState:
    return RobotState(stamp_ns, np.zeros(1), np.zeros(1), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3))


def run(since_ns: int = 0, *, follows: bool = True, resumes: bool = False, entry: str = "1") -> Goal:
    return Goal(Task.POLICY, follows, resumes, since_ns, (entry,))


# Who answers.


def test_at_first_it_stands_by() -> None:
    scene = Scene()
    assert scene.conductor.goal == Goal(Task.STAND_BY, follows_velocity=False, resumes=False, since_ns=0, entry=())


def test_standing_by_the_policy_shows_itself_once_a_period_and_afresh_each_time() -> None:
    scene = Scene()
    stamps = [0, 1, PERIOD - 1, PERIOD, PERIOD + 5, 2 * PERIOD + 3]
    assert [scene.answer(at_ns) for at_ns in stamps] == ["walk", "", "", "walk", "", "walk"]
    assert scene.walking.seen == 3 * [TOLD]
    assert scene.walking.resets == 3


def test_a_clock_that_went_back_by_a_period_is_shown_again() -> None:
    scene = Scene()
    scene.answer(10 * PERIOD)
    assert scene.answer(9 * PERIOD + 1) == ""
    assert scene.answer(9 * PERIOD) == "walk"


def test_standing_by_goes_on_in_its_period_when_the_goal_changes() -> None:
    scene = Scene()
    scene.answer(0)
    assert scene.conductor.follow(Goal(Task.STAND_BY, since_ns=1, entry=("2",)))
    assert scene.answer(PERIOD - 1) == ""


def test_the_policy_answers_every_state_and_infers_once_a_period() -> None:
    scene = Scene()
    assert scene.conductor.follow(run()) is False
    assert [scene.answer(2 * MS * k) for k in range(20)] == 20 * ["walk"]
    assert len(scene.walking.seen) == 2
    assert scene.walking.resets == 1
    assert scene.rising.seen == []


def test_what_gets_the_robot_up_answers_while_it_is_to() -> None:
    scene = Scene()
    scene.conductor.follow(Goal(Task.GET_UP))
    assert [scene.answer(2 * MS * k) for k in range(20)] == 20 * ["rise"]
    assert scene.walking.seen == []
    assert scene.rising.seen == 2 * [TOLD]  # what is asked is its own to leave


def test_without_one_nobody_gets_it_up() -> None:
    scene = Scene(get_up=False)
    assert scene.conductor.get_up is None
    scene.conductor.follow(Goal(Task.GET_UP))
    assert scene.answer(0) == ""
    scene.conductor.leave()
    scene.conductor.follow(run())
    assert scene.answer(PERIOD) == "walk"


@pytest.mark.parametrize("task", list(Task))
def test_a_state_older_than_the_goal_is_answered_by_nobody(task: Task) -> None:
    scene = Scene()
    scene.conductor.follow(Goal(task, since_ns=100))
    assert scene.answer(99) == ""
    assert scene.answer(100) != ""


# How it is entered.


def test_the_policy_begins_anew_with_another_entry_and_goes_on_with_the_same() -> None:
    scene = Scene()
    scene.conductor.follow(run(entry="1"))
    scene.answer(0)
    assert scene.conductor.follow(run(5, follows=False, entry="1"))
    scene.answer(PERIOD)
    assert scene.walking.resets == 1
    assert scene.conductor.follow(run(6, entry="2")) is False
    scene.answer(2 * PERIOD)
    assert scene.walking.resets == 2


def test_what_was_shown_is_not_gone_on_with() -> None:
    scene = Scene()
    scene.answer(0)
    assert scene.conductor.follow(run()) is False
    scene.answer(2 * MS)
    assert scene.walking.resets == 2
    assert scene.conductor.follow(Goal()) is False
    # Nor has it been shown in this period.
    assert scene.answer(4 * MS) == "walk"
    assert scene.walking.resets == 3


def test_each_try_to_get_up_begins_anew() -> None:
    scene = Scene()
    for k, entry in enumerate(("1", "1", "2")):
        scene.conductor.follow(Goal(Task.GET_UP, entry=(entry,)))
        scene.answer(k * PERIOD)
    assert scene.rising.resets == 2


def test_leave_enters_the_next_afresh() -> None:
    scene = Scene()
    scene.conductor.follow(run())
    scene.answer(0)
    scene.conductor.leave()
    scene.answer(PERIOD)
    assert scene.walking.resets == 2
    scene.conductor.follow(Goal(Task.GET_UP))
    scene.answer(2 * PERIOD)
    scene.conductor.leave()
    scene.answer(3 * PERIOD)
    assert scene.rising.resets == 2


def test_after_an_error_it_is_entered_afresh(refuses: Refuses) -> None:
    scene = Scene()
    scene.conductor.follow(run())
    scene.answer(PERIOD)
    with refuses(StateError, "went back"):
        scene.answer(PERIOD)
    assert scene.answer(PERIOD) == "walk"
    assert scene.walking.resets == 2


@pytest.mark.parametrize(
    ("resumes", "seconds"),
    [(False, 0.1), (True, 0.4)],
)
def test_a_robot_that_has_got_up_is_taken_over_in_a_time_of_its_own(resumes: bool, seconds: float) -> None:
    # From 0 to 1 rad at 10 N·m/rad: nothing at entry, half of it in the middle, all of it at the end.
    scene = Scene(blend=0.1, resume_blend=0.4)
    scene.conductor.follow(run(resumes=resumes))
    efforts = []
    for share in (0.0, 0.5, 1.0):
        scene.answer(round(share * seconds * 1e9))
        efforts.append(scene.effort)
    assert efforts == pytest.approx([0.0, 5.0, 10.0])


def test_that_time_is_three_tenths_of_a_second_unless_given() -> None:
    scene = Scene(blend=0.1)
    scene.conductor.follow(run(resumes=True))
    scene.answer(0)
    scene.answer(150 * MS)
    assert scene.effort == pytest.approx(5.0)


def test_it_is_over_when_the_robot_walks_on() -> None:
    scene = Scene(blend=0.0, resume_blend=0.4)
    scene.conductor.follow(run(resumes=True))
    scene.answer(0)
    assert scene.conductor.follow(run(200 * MS))  # in the middle of it, and it goes on
    scene.answer(200 * MS)
    assert scene.effort == pytest.approx(5.0)
    scene.conductor.follow(run(210 * MS, entry="2"))
    scene.answer(210 * MS)
    assert scene.effort == pytest.approx(10.0)


# Which velocity it is told.


def told(scene: Scene, at_ns: int) -> list[float]:
    scene.answer(at_ns)
    return scene.walking.seen[-1]


def test_a_policy_that_is_entered_may_follow_from_its_first_state_on() -> None:
    scene = Scene()
    scene.conductor.follow(run(100))
    assert told(scene, 100) == TOLD
    assert told(scene, 100 + PERIOD) == TOLD


@pytest.mark.parametrize("resumes", [False, True])
def test_one_that_may_not_follow_stands(resumes: bool) -> None:
    scene = Scene()
    scene.conductor.follow(run(follows=False, resumes=resumes))
    assert [told(scene, k * PERIOD) for k in range(3)] == 3 * [STAND]


def test_one_that_runs_and_may_follow_again_stands_for_one_state_more() -> None:
    scene = Scene()
    scene.conductor.follow(run())
    told(scene, 0)
    scene.conductor.follow(run(PERIOD, follows=False))
    assert told(scene, PERIOD) == STAND
    assert told(scene, 2 * PERIOD) == STAND
    scene.conductor.follow(run(3 * PERIOD))
    assert told(scene, 3 * PERIOD) == STAND
    assert told(scene, 4 * PERIOD) == TOLD
