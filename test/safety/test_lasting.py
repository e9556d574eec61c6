"""How long, and how often in a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from humanoid_rl_ros.safety.lasting import Lasting, LastingEach, RunEach

S = 1_000_000_000
YES, NO = True, False


def test_it_lasts_from_the_first_time_and_a_break_ends_it() -> None:
    lasting = Lasting()
    assert [lasting.update(at, so) for at, so in [(5, YES), (7, YES), (12, YES)]] == [0, 2, 7]
    assert lasting.update(13, NO) == 0
    assert [lasting.update(at, YES) for at in (20, 24)] == [0, 4]


def test_it_may_begin_at_time_zero() -> None:
    lasting = Lasting()
    assert [lasting.update(at, YES) for at in (0, 3)] == [0, 3]


def test_reset_is_a_break() -> None:
    lasting = Lasting()
    lasting.update(5, YES)
    lasting.reset()
    assert lasting.update(9, YES) == 0


def test_each_lasts_by_itself() -> None:
    each = LastingEach(3)
    assert each.update(1 * S, np.array([NO, NO, NO])) is None
    found = each.update(2 * S, np.array([YES, NO, YES]))
    assert found is not None
    assert found.tolist() == [0.0, 0.0, 0.0]
    assert each.update(3 * S, np.array([YES, NO, NO])) == pytest.approx([1.0, 0.0, 0.0])
    assert each.update(5 * S, np.array([YES, NO, NO])) == pytest.approx([3.0, 0.0, 0.0])


def test_one_that_begins_later_begins_at_none() -> None:
    each = LastingEach(2)
    each.update(2 * S, np.array([YES, NO]))
    assert each.update(3 * S, np.array([YES, YES])) == pytest.approx([1.0, 0.0])
    assert each.update(5 * S, np.array([NO, YES])) == pytest.approx([0.0, 2.0])
    assert each.update(6 * S, np.array([YES, YES])) == pytest.approx([0.0, 3.0])


def test_each_begins_with_the_very_first_time() -> None:
    found = LastingEach(2).update(7 * S, np.array([YES, NO]))
    assert found is not None
    assert found.tolist() == [0.0, 0.0]


def test_times_since_the_epoch_are_told_apart_to_the_nanosecond() -> None:
    each, epoch = LastingEach(2), 1_700_000_000_000_000_001
    each.update(epoch, np.array([YES, NO]))
    found = each.update(epoch + 100, np.array([YES, YES]))
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.float64, pytest.approx([1e-7, 0.0]))


@pytest.mark.parametrize("end", [lambda each: each.update(2 * S, np.array([NO, NO])), lambda each: each.reset()])
def test_a_break_or_a_reset_of_all_ends_each(end: Callable[[LastingEach], object]) -> None:
    each = LastingEach(2)
    each.update(1 * S, np.array([YES, YES]))
    assert end(each) is None
    found = each.update(4 * S, np.array([YES, NO]))
    assert found is not None
    assert found.tolist() == [0.0, 0.0]


def test_runs_are_counted_for_each() -> None:
    runs = RunEach(3)
    assert runs.run.tolist() == [0, 0, 0]
    assert runs.update(np.array([NO, NO, NO])) is False
    assert runs.run.tolist() == [0, 0, 0]
    assert runs.update(np.array([YES, YES, NO])) is True
    assert runs.run.tolist() == [1, 1, 0]
    assert runs.update(np.array([YES, NO, YES])) is True
    assert runs.run.tolist() == [2, 0, 1]
    assert runs.update(np.array([NO, NO, NO])) is False
    assert runs.run.tolist() == [0, 0, 0]
    assert runs.update(np.array([NO, NO, YES])) is True
    assert runs.run.tolist() == [0, 0, 1]


def test_reset_of_runs_counts_from_the_beginning() -> None:
    runs = RunEach(2)
    for _ in range(3):
        runs.update(np.array([YES, NO]))
    runs.reset()
    assert runs.run.tolist() == [0, 0]
    assert runs.update(np.array([NO, NO])) is False
    assert runs.run.tolist() == [0, 0]
    runs.update(np.array([YES, YES]))
    assert runs.run.tolist() == [1, 1]
