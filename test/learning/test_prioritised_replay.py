"""The sum tree against sums, and what is drawn against its priorities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep  # noqa: E402
from humanoid_rl_ros.learning.prioritised_replay import PrioritisedReplay  # noqa: E402
from humanoid_rl_ros.learning.sum_tree import SumTree  # noqa: E402


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=40), st.floats(0.0, 1.0, exclude_max=True))
def test_a_lot_falls_where_the_running_sum_passes_it(numbers: list[float], lot: float) -> None:
    tree = SumTree(len(numbers))
    tree.put(np.arange(len(numbers)), np.array(numbers))
    assert tree.total == pytest.approx(sum(numbers))
    if tree.total > 0.0:
        (place,) = tree.find(np.array([lot * tree.total]))
        assert numbers[place] > 0.0
        slack = 1e-9 * tree.total
        assert sum(numbers[:place]) - slack <= lot * tree.total <= sum(numbers[: place + 1]) + slack


def test_the_sum_stays_exact_however_often_numbers_change() -> None:
    tree, random = SumTree(5), np.random.default_rng(0)
    for _ in range(200):
        tree.put(random.integers(5, size=3), random.random(3) * 1e9)
    tree.put(np.arange(5), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert tree.total == 15.0
    tree.put(np.arange(5), 0.0)
    assert tree.total == 0.0


def _filled(steps: int, *, capacity: int = 8, n_steps: int = 1, exponent: float = 1.0) -> PrioritisedReplay:
    """One robot that sees 0, 1, 2, ... and never falls."""
    buffer = PrioritisedReplay(
        capacity,
        1,
        observation_size=1,
        critic_size=1,
        action_size=1,
        n_steps=n_steps,
        discount=0.5,
        shared=True,
        exponent=exponent,
    )
    no = np.zeros(1, dtype=bool)

    def seen(t: int) -> BatchObservation:
        array = np.array([[float(t)]], dtype=np.float32)
        return BatchObservation(array, array)

    for t in range(steps):
        buffer.add(seen(t), torch.zeros(1, 1), BatchStep(seen(t + 1), np.array([1.0]), no, no, seen(t + 1)))
    return buffer


def _shares(buffer: PrioritisedReplay, draws: int = 20_000) -> dict[float, float]:
    seen = buffer.draw(draws, torch.Generator().manual_seed(0), 1.0).transitions.observation[:, 0]
    return {value: float((seen == value).float().mean()) for value in sorted(set(seen.tolist()))}


def _surprise(buffer: PrioritisedReplay, by: Any) -> None:
    """Give every transition that is held the error that its observation has."""
    drawn = buffer.draw(2000, torch.Generator().manual_seed(1), 1.0)
    buffer.surprise(drawn.places, by(drawn.transitions.observation[:, 0]))


def test_what_is_new_is_drawn_evenly() -> None:
    assert _shares(_filled(4)) == pytest.approx(dict.fromkeys((0.0, 1.0, 2.0, 3.0), 0.25), abs=0.01)


def test_what_surprised_more_is_drawn_more_often_and_counts_less() -> None:
    buffer = _filled(4)
    _surprise(buffer, lambda seen: seen + 1.0)
    assert _shares(buffer) == pytest.approx({0.0: 0.1, 1.0: 0.2, 2.0: 0.3, 3.0: 0.4}, abs=0.01)
    drawn = buffer.draw(200, torch.Generator().manual_seed(0), 1.0)
    # (N P)^−1 over the largest of them: 1, 1/2, 1/3, 1/4
    assert drawn.weight.tolist() == pytest.approx(
        (1.0 / (drawn.transitions.observation[:, 0] + 1.0)).tolist(), rel=1e-5
    )
    assert buffer.draw(50, torch.Generator().manual_seed(0), 0.0).weight.tolist() == [1.0] * 50


def test_the_exponent_flattens() -> None:
    buffer = _filled(2, exponent=0.5)
    _surprise(buffer, lambda seen: 1.0 + 8.0 * seen)
    assert _shares(buffer) == pytest.approx({0.0: 0.25, 1.0: 0.75}, abs=0.01)  # 1 : √9


def test_what_is_pushed_out_or_not_yet_whole_is_never_drawn() -> None:
    """Room for 8, of which the last two have no three steps after them."""
    assert sorted(_shares(_filled(13, n_steps=3))) == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


def test_what_comes_new_counts_as_the_greatest_surprise() -> None:
    buffer = _filled(3)
    _surprise(buffer, lambda seen: torch.full_like(seen, 3.0))
    no = np.zeros(1, dtype=bool)
    seen = [BatchObservation(*([np.array([[t]], dtype=np.float32)] * 2)) for t in (3.0, 4.0)]
    _surprise(buffer, lambda _: torch.full_like(_, 1.0))
    buffer.add(seen[0], torch.zeros(1, 1), BatchStep(seen[1], np.ones(1), no, no, seen[1]))
    assert _shares(buffer)[3.0] == pytest.approx(0.5, abs=0.01)  # 3 of 3 + 1 + 1 + 1
