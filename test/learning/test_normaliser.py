"""Running statistics against NumPy's over everything at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.normaliser import RunningNormaliser


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**31),
)
def test_parts_merge_to_the_mean_and_variance_of_the_whole(
    lengths: list[int], offset: float, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [offset + scale * rng.standard_normal((length, 3)) for length in lengths]
    normaliser = RunningNormaliser(3)
    for part in parts:
        normaliser.update(torch.tensor(part))
    whole = np.concatenate(parts)
    np.testing.assert_allclose(normaliser.mean, whole.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(normaliser.var, whole.var(axis=0), rtol=1e-6, atol=1e-9 * scale**2)
    assert normaliser.count.item() == len(whole)


def test_update_tells_what_it_took_in() -> None:
    normaliser = RunningNormaliser(1)
    normaliser.update(torch.tensor([[5.0]]))
    mean, var, count = normaliser.update(torch.tensor([[1.0], [3.0]]))
    assert (mean.tolist(), var.tolist(), count) == ([2.0], [1.0], 2.0)


def test_it_is_the_identity_before_anything_was_seen() -> None:
    x = torch.tensor([[-3.0, 0.5], [2.0, 9.0]])
    assert torch.equal(RunningNormaliser(2).normalise(x), x)


def test_what_was_seen_comes_out_with_mean_0_and_std_1() -> None:
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(1)) * 7.0 + 100.0
    normaliser = RunningNormaliser(4)
    normaliser.update(x)
    normal = normaliser.normalise(x)
    assert normal.dtype == torch.float32
    np.testing.assert_allclose(normal.mean(dim=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(normal.std(dim=0, correction=0), 1.0, atol=1e-4)


def test_what_never_changed_is_not_blown_up_and_the_result_is_clipped() -> None:
    normaliser = RunningNormaliser(2, clip=5.0, epsilon=0.1)
    normaliser.update(torch.tensor([[2.0, -1.0], [2.0, 1.0]]))
    # var = (0, 1): std = (0.1, √1.01).
    np.testing.assert_allclose(normaliser.std, [0.1, 1.01**0.5], rtol=1e-6)
    np.testing.assert_allclose(normaliser.normalise(torch.tensor([2.3, -100.0])), [3.0, -5.0], rtol=1e-5)


def test_the_input_is_left_as_it_was() -> None:
    x = torch.full((1, 2), 50.0)
    RunningNormaliser(2).normalise(x)
    assert x.tolist() == [[50.0, 50.0]]


def test_state_goes_on_counting_where_it_was() -> None:
    first, second = RunningNormaliser(2), RunningNormaliser(2)
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(2))
    first.update(x[:10])
    second.load_state_dict(first.state_dict())
    first.update(x[10:])
    second.update(x[10:])
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.var, second.var)
    assert second.count.item() == 20


def test_the_exported_actor_normalises_in_the_same_way() -> None:
    normaliser = RunningNormaliser(3, clip=2.0)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(3)) * 4.0 + 1.0
    normaliser.update(x)
    actor = ActorNetwork(nn.Sequential(nn.Identity()), normaliser.mean.float(), normaliser.std, clip=2.0)
    assert torch.equal(actor(x), normaliser.normalise(x))


class _TwoProcesses:
    """What a process hears when the other saw this."""

    rank, world_size = 0, 2

    def __init__(self, *others: torch.Tensor) -> None:
        self._others = list(others)

    def mean_(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.copy_(0.5 * (tensor + self._others.pop(0)))

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        raise AssertionError


def test_processes_take_in_what_all_of_them_saw() -> None:
    here, there = torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [16.0]])
    # Means 1 and 13, so 7 of all; the other says var 9 and (13 − 7)² = 36.
    others = _TwoProcesses(torch.tensor([13.0], dtype=torch.float64), torch.tensor([45.0], dtype=torch.float64))
    normaliser = RunningNormaliser(1)
    normaliser.update(here, distributed=others)
    whole = torch.cat([here, there]).numpy()
    assert normaliser.mean.item() == pytest.approx(whole.mean())
    assert normaliser.var.item() == pytest.approx(whole.var())
    assert normaliser.count.item() == 4
