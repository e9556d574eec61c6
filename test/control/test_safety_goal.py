"""What the safety monitor's status asks of the policy node."""

from __future__ import annotations

import pytest

from humanoid_rl_ros.behaviours.conductor import Goal, Task
from humanoid_rl_ros.control.safety_goal import goal_for, state_and_goal
from humanoid_rl_ros.safety.status import SafetyState

# State, task, whether the policy follows the velocity asked of it, whether it takes over from a robot that got up.
GOALS = [
    (SafetyState.DISARMED, Task.STAND_BY, False, False),
    (SafetyState.READY, Task.STAND_BY, False, False),
    (SafetyState.ACTIVE, Task.POLICY, True, False),
    (SafetyState.DEGRADED, Task.POLICY, False, False),
    (SafetyState.FALLING, Task.STAND_BY, False, False),
    (SafetyState.FALLEN, Task.STAND_BY, False, False),
    (SafetyState.RECOVERING, Task.GET_UP, False, False),
    (SafetyState.VERIFYING, Task.POLICY, False, True),
    (SafetyState.ESTOP, Task.STAND_BY, False, False),
]


def test_every_state_has_its_goal() -> None:
    assert [row[0] for row in GOALS] == list(SafetyState)


@pytest.mark.parametrize(("state", "task", "follows", "resumes"), GOALS)
def test_the_goal_of_each_state(state: SafetyState, task: Task, follows: bool, resumes: bool) -> None:
    goal = Goal(task, follows_velocity=follows, resumes=resumes, since_ns=7, entry=("1", "2"))
    assert goal_for(state, 7, ("1", "2")) == goal
    values = {"state": state.value, "since_ns": "7", "armings": "1", "falls": "2", "reason": "tilt"}
    assert state_and_goal(values) == (state, goal)


def test_armings_and_falls_are_kept_apart() -> None:
    goal = state_and_goal({"state": "ACTIVE", "since_ns": "1000000000000000123", "armings": "3", "falls": "4"})[1]
    assert (goal.since_ns, goal.entry) == (1000000000000000123, ("3", "4"))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"since_ns": "5", "armings": "1", "falls": "0"},
        {"state": "", "since_ns": "5"},
        {"state": "active", "since_ns": "5"},
        {"state": "WALKING", "since_ns": "5"},
        {"state": "ACTIVE", "since_ns": ""},
        {"state": "ACTIVE", "since_ns": "soon"},
        {"state": "ACTIVE", "since_ns": "1.5"},
    ],
)
def test_what_is_not_known_asks_to_stand_by(values: dict[str, str]) -> None:
    assert state_and_goal(values) == (None, Goal(Task.STAND_BY))


def test_what_is_left_out_of_a_status_is_from_the_beginning() -> None:
    assert state_and_goal({"state": "ACTIVE"}) == (
        SafetyState.ACTIVE,
        Goal(Task.POLICY, follows_velocity=True, since_ns=0, entry=("", "")),
    )


# What goes on when the status changes.

PATHS = [
    # The policy goes on in another state of the same life, and begins anew when it was armed again or had fallen.
    (("ACTIVE", "1", "0"), ("DEGRADED", "1", "0"), True),
    (("DEGRADED", "1", "0"), ("ACTIVE", "1", "0"), True),
    (("VERIFYING", "1", "1"), ("ACTIVE", "1", "1"), True),
    (("ACTIVE", "1", "0"), ("ACTIVE", "2", "0"), False),
    (("VERIFYING", "1", "1"), ("VERIFYING", "1", "2"), False),
    (("RECOVERING", "1", "1"), ("VERIFYING", "1", "1"), False),
    (("RECOVERING", "1", "1"), ("RECOVERING", "1", "1"), True),
    (("RECOVERING", "1", "1"), ("RECOVERING", "1", "2"), False),
    (("READY", "0", "0"), ("ACTIVE", "1", "0"), False),
    (("ACTIVE", "1", "0"), ("DISARMED", "1", "0"), False),
    # Standing by goes on whatever is counted.
    (("READY", "0", "0"), ("DISARMED", "1", "0"), True),
    (("FALLING", "1", "1"), ("ESTOP", "1", "2"), True),
]


@pytest.mark.parametrize(("before", "after", "goes_on"), PATHS)
def test_what_goes_on(before: tuple[str, ...], after: tuple[str, ...], goes_on: bool) -> None:
    goals = [
        state_and_goal(dict(zip(("state", "armings", "falls"), status, strict=True)))[1] for status in (before, after)
    ]
    assert goals[1].goes_on_from(goals[0]) is goes_on
