"""Perceptrons and the actor as it is exported."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import nn

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.networks import ACTIVATIONS, ActorNetwork, mlp

Refuses = Callable[..., AbstractContextManager[None]]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_layers_stand_in_order(activation: str) -> None:
    layers = mlp((5, 8, 3), activation, layer_norm=True, generator=_generator(), last_gain=1.0)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.LayerNorm, ACTIVATIONS[activation], nn.Linear]
    assert layers(torch.zeros(7, 5)).shape == (7, 3)


def test_weights_are_orthogonal_with_their_gain_and_biases_zero() -> None:
    first, _, last = mlp((6, 9, 4), "elu", generator=_generator(), last_gain=0.01).requires_grad_(False)
    np.testing.assert_allclose(first.weight.T @ first.weight, 2.0 * np.eye(6), atol=1e-5)
    np.testing.assert_allclose(last.weight @ last.weight.T, 1e-4 * np.eye(4), atol=1e-8)
    assert not first.bias.any()
    assert not last.bias.any()


def test_the_generator_alone_draws_the_weights() -> None:
    torch.manual_seed(5)
    one = mlp((3, 4, 2), "tanh", generator=_generator(1), last_gain=1.0)
    torch.manual_seed(6)
    same = mlp((3, 4, 2), "tanh", generator=_generator(1), last_gain=1.0)
    other = mlp((3, 4, 2), "tanh", generator=_generator(2), last_gain=1.0)
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_an_unknown_activation_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "gelu", "elu"):
        mlp((3, 2), "gelu", generator=_generator(), last_gain=1.0)


def _doubling() -> nn.Sequential:
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(2.0 * torch.eye(2))
        layer.bias.zero_()
    return nn.Sequential(layer)


def test_the_actor_by_hand() -> None:
    actor = ActorNetwork(_doubling(), torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.5]), clip=3.0)
    # (3 − 1) / 2 = 1 → 2; 10 / 0.5 = 20, clipped to 3 → 6.
    assert actor(torch.tensor([[3.0, 10.0]])).tolist() == [[2.0, 6.0]]


def test_a_squashed_actor_by_hand_and_within_its_bounds() -> None:
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([3.0, 4.0])
    actor = ActorNetwork(_doubling(), torch.zeros(2), torch.ones(2), clip=50.0, low=low, high=high)
    assert actor(torch.zeros(1, 2)).tolist() == [[1.0, 2.0]]
    np.testing.assert_allclose(
        actor(torch.tensor([[0.5, -0.5]])).detach(), [[1.0 + 2.0 * np.tanh(1.0), 2.0 - 2.0 * np.tanh(1.0)]], rtol=1e-6
    )
    assert actor(torch.tensor([[50.0, -50.0]])).tolist() == [[3.0, 0.0]]


def test_the_statistics_are_its_own() -> None:
    mean = torch.zeros(2)
    actor = ActorNetwork(_doubling(), mean, torch.ones(2), clip=9.0)
    mean += 5.0
    assert actor(torch.ones(1, 2)).tolist() == [[2.0, 2.0]]
    assert {"mean", "std"} <= set(actor.state_dict())
