"""One vector for all parameters, which its owners go on using."""

from __future__ import annotations

import torch
from torch import nn

from humanoid_rl_ros.learning.flat_parameters import FlatParameters


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def test_a_step_on_the_vector_is_a_step_on_every_parameter() -> None:
    flat_net, net = _network(), _network()
    flat = FlatParameters(flat_net[0].parameters(), flat_net[2].parameters())
    one, other = torch.optim.Adam([flat.vector], lr=0.1), torch.optim.Adam(net.parameters(), lr=0.1)
    x = torch.linspace(-1.0, 1.0, 12).view(4, 3)
    for _ in range(5):
        flat.gradient.zero_()
        flat_net(x).square().sum().backward()
        one.step()
        other.zero_grad()
        net(x).square().sum().backward()
        other.step()
    torch.testing.assert_close(flat_net(x), net(x))
    assert not torch.equal(net(x), _network()(x))


def test_groups_hold_the_gradient_of_their_parameters_and_nothing_else() -> None:
    net = _network()
    flat = FlatParameters(net[0].parameters(), net[2].parameters())
    net[2](torch.ones(1, 5)).sum().backward()
    first, second = flat.groups
    assert not flat.gradient[first].any()
    # Each of the two outputs has weights whose gradient is the input, 1, and a bias of gradient 1.
    assert flat.gradient[second].sum().item() == 2 * (5 + 1)
    assert second.stop == len(flat.vector)


def test_loading_writes_through_to_the_vector() -> None:
    net, source = _network(), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    flat = FlatParameters(net.parameters())
    net.load_state_dict(source.state_dict())
    assert flat.vector.sum().item() == torch.cat([p.flatten() for p in source.parameters()]).sum().item()
