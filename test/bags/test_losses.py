from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.bags.losses import PUBLISHERS, SequenceGaps


@given(st.integers(1, 10**6), st.lists(st.booleans(), min_size=1, max_size=200))
def test_every_message_that_is_missing_between_two_is_counted(first: int, arrives: list[bool]) -> None:
    gaps = SequenceGaps()
    arrived = [first, *(first + 1 + i for i, here in enumerate(arrives) if here)]
    for number in arrived:
        gaps.see(b"a", number)
    assert gaps.lost == (arrived[-1] - arrived[0] + 1) - len(arrived)


def test_publishers_are_counted_apart() -> None:
    gaps = SequenceGaps()
    for publisher, number in ((b"a", 1), (b"b", 100), (b"a", 2), (b"b", 103), (b"a", 4)):
        gaps.see(publisher, number)
    assert gaps.lost == 3  # b: 101, 102; a: 3


def test_what_comes_again_is_no_loss() -> None:
    gaps = SequenceGaps()
    for number in (5, 6, 5, 6, 7):
        gaps.see(b"a", number)
    assert gaps.lost == 0


def test_without_numbers_nothing_is_known() -> None:
    gaps = SequenceGaps()
    for number in (None, 0):
        gaps.see(b"a", number)
    assert not gaps.numbered
    gaps.see(b"a", 3)
    assert gaps.numbered


def test_publishers_that_come_and_go_take_no_more_room() -> None:
    gaps = SequenceGaps()
    for i in range(10 * PUBLISHERS):
        gaps.see(str(i).encode(), 1)
    assert len(gaps._last) == PUBLISHERS
