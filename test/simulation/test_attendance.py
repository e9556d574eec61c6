"""Whom a world waits for: everybody at the beginning, and nobody for ever."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.simulation.attendance import Attendance, Presence
from humanoid_rl_ros.simulation.pacing import Pacer

S = 1_000_000_000


def team(names: Sequence[str] = ("left", "right"), **options: bool) -> Attendance:
    return Attendance(names, timeout_ns=5 * S, start_timeout_ns=60 * S, **options)


def started(names: Sequence[str] = ("left", "right")) -> Attendance:
    """All have answered the first state, at 1 s."""
    it = team(names)
    for name in names:
        it.answer(name, S)
    assert it.may_pass()
    it.pass_time(S)
    return it


def test_nothing_moves_until_every_robot_has_been_told_to() -> None:
    it = team()
    assert not it.may_pass()
    assert it.overdue(1000 * S) == ()  # nobody is armed: nobody waits
    it.answer("right", 1000 * S)
    assert it.missing() == ("left",)
    assert not it.may_pass()
    assert it.overdue(1059 * S) == ()
    it.answer("left", 1060 * S)
    assert it.may_pass()


def test_the_first_does_not_wait_for_ever_and_the_other_joins_when_it_comes() -> None:
    it = team()
    it.answer("right", 10 * S)
    assert it.overdue(70 * S) == ()
    assert it.overdue(71 * S) == ("left",)
    assert it.presence("left") is Presence.HELD
    assert it.may_pass()
    it.pass_time(71 * S)
    assert it.missing() == ("right",)
    it.answer("left", 71 * S)
    it.answer("right", 71 * S)
    it.pass_time(71 * S)
    assert it.missing() == ("left", "right")


def test_who_does_not_answer_in_time_is_left_out_and_its_answer_brings_it_back() -> None:
    it = started()
    it.answer("left", 2 * S)
    assert it.overdue(6 * S) == ()
    assert it.overdue(6 * S + 1) == ("right",)
    assert it.absent() == ("right",)
    assert it.may_pass()
    it.pass_time(7 * S)
    assert it.missing() == ("left",)
    it.come_back("right")
    assert it.missing() == ("left", "right")
    it.answer("left", 7 * S)
    assert not it.may_pass()
    it.answer("right", 7 * S)
    assert it.may_pass()


def test_time_goes_on_without_anybody_but_not_where_all_are_held() -> None:
    it = started()
    assert it.overdue(7 * S) == ("left", "right")
    assert it.may_pass()
    it.hold("left")
    it.hold("right")
    assert not it.may_pass()


def test_a_robot_put_back_to_its_start_is_not_waited_for() -> None:
    it = started()
    it.hold("left")
    it.answer("right", 2 * S)
    assert it.may_pass()
    it.reset(3 * S)
    assert it.missing() == ("left", "right")


def test_robots_that_nobody_holds_are_waited_for_from_the_first_state() -> None:
    it = team(held=False)
    assert it.missing() == ("left", "right")
    assert it.overdue(6 * S) == ("left", "right")


@given(st.lists(st.sampled_from(["a", "b", "c", "pass", "late", "hold a", "back b"]), max_size=60))
def test_a_robot_that_answers_keeps_the_world_going_whatever_the_others_do(events: list[str]) -> None:
    """'good' answers every state; time passes at the latest two time-outs after."""
    it, now = team(("good", "a", "b", "c")), 0
    it.answer("good", now)
    for event in events:
        now += S // 2
        if event in ("a", "b", "c"):
            it.answer(event, now)
        elif event == "hold a":
            it.hold("a")
        elif event == "back b":
            it.come_back("b")
        elif event == "late":
            it.overdue(now)
        elif it.may_pass():
            it.pass_time(now)
            it.answer("good", now)
    it.overdue(now + 61 * S)  # those that never came
    it.overdue(now + 67 * S)  # and those that came and went
    assert it.may_pass()
    assert it.presence("good") is Presence.PRESENT


def test_steps_are_due_by_the_clock_and_no_burst_makes_good_what_was_lost() -> None:
    pacer = Pacer(500.0)
    pacer.begin(S)
    assert pacer.due(S + 1_999_999) == 0
    assert pacer.due(S + 4_000_000) == 2
    pacer.made()
    assert pacer.due(S + 4_000_000) == 1
    pacer.made()
    assert pacer.due(2 * S) == 10  # 20 ms of 998 ms
    assert pacer.late == 488
    for _ in range(10):
        pacer.made()
    assert pacer.due(2 * S) == 0
