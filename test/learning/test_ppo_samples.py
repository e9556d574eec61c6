"""What an update learns from, and the order of an epoch: every sample once, half of them as their mirror images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from toy_envs import PointMass

from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.ppo_samples import minibatches, samples_of, standardised
from humanoid_rl_ros.learning.rollout import Collector, Rollout


def _generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("seeds", [(1,), (1, 2), (1, 2, 3)])
def test_an_epoch_goes_through_every_sample_once(seeds: tuple[int, ...]) -> None:
    batches = list(minibatches(_generators(*seeds), 7, 6, 4, images=False))
    assert len(batches) == 4
    rows = torch.cat([rows for rows, _ in batches])
    assert sorted(rows.tolist()) == list(range(7 * 6))
    assert rows.tolist() != list(range(7 * 6))
    assert all(torch.equal(rows, sources) for rows, sources in batches)


def test_every_epoch_has_an_order_of_its_own() -> None:
    generators = _generators(1)
    first, second = (torch.cat([r for r, _ in minibatches(generators, 8, 4, 2, images=False)]) for _ in range(2))
    assert not torch.equal(first, second)


def test_half_of_the_samples_give_way_to_their_images_anew_in_every_epoch() -> None:
    generators, count = _generators(3), 100 * 40
    images = []
    for _ in range(2):
        epoch = torch.zeros(count, dtype=torch.bool)
        for rows, sources in minibatches(generators, 100, 40, 4, images=True):
            away = sources - rows
            assert set(away.tolist()) == {0, count}
            epoch[rows] = away > 0
        images.append(epoch)
    # 2000 ± 32 of 4000 tosses, five deviations allowed; two epochs agree in as many.
    assert abs(images[0].sum().item() - 2000) < 160
    assert abs((images[0] == images[1]).sum().item() - 2000) < 160


def test_a_shard_orders_its_robots_as_it_would_alone() -> None:
    both = list(minibatches(_generators(1, 2), 5, 6, 3, images=True))
    alone = list(minibatches(_generators(2), 5, 3, 3, images=True))
    for (rows, sources), (own_rows, own_sources) in zip(both, alone, strict=True):
        second = rows % 6 >= 3
        step, robot = rows[second] // 6, rows[second] % 6 - 3
        assert torch.equal(step * 3 + robot, own_rows)
        assert torch.equal(sources[second] > rows[second], own_sources > own_rows)


class _Age(nn.Module):
    """Calls a state worth three times its x, and ten times the part of the episode that is over."""

    def forward(self, critic: Tensor) -> Tensor:
        return critic @ torch.tensor([[3.0], [0.0], [10.0]])


def _rollout(env: PointMass, steps: int) -> Rollout:
    actor = ActorNetwork(nn.Sequential(nn.Linear(2, 1)), torch.tensor([0.5, 0.0]), torch.tensor([2.0, 1.0]), clip=1.0)
    return Collector(env, 0, steps, _generators(1)).collect(actor, torch.zeros(1))


def test_a_step_is_worth_its_reward_and_the_state_it_led_to() -> None:
    env = PointMass(2, episode_steps=2)
    rollout = _rollout(env, 4)
    samples = samples_of(rollout, _Age(), RunningNormaliser(3), None, 0.5, 0.0)
    # Step by step: half over, whole, half over, whole; what comes after a cut belongs to the next episode.
    x_after = torch.stack(
        [rollout.critic[1, :, 0], rollout.cut_critic[:, 0], rollout.critic[3, :, 0], rollout.critic[4, :, 0]]
    )
    after = 3.0 * x_after + 10.0 * torch.tensor([0.5, 1.0, 0.5, 1.0]).unsqueeze(1)
    torch.testing.assert_close(samples.target, (rollout.reward + 0.5 * after).flatten())
    torch.testing.assert_close(
        samples.value, (3.0 * rollout.critic[:4, :, 0] + 10.0 * rollout.critic[:4, :, 2]).flatten()
    )
    torch.testing.assert_close(samples.advantage, samples.target - samples.value)


def test_images_stand_below_what_they_mirror() -> None:
    env = PointMass(3, episode_steps=4)
    rollout, normaliser = _rollout(env, 5), RunningNormaliser(3)
    normaliser.update(rollout.critic.flatten(0, 1))
    samples = samples_of(rollout, _Age(), normaliser, env.mirror, 0.9, 0.9)
    plain = samples_of(rollout, _Age(), normaliser, None, 0.9, 0.9)
    for name in ("observation", "critic", "action"):
        assert torch.equal(getattr(samples, name)[:15], getattr(plain, name)), name
    seen, state = rollout.observation.flatten(0, 1), rollout.critic[:5].flatten(0, 1)
    # Of the actor's normaliser, (x − 0.5) / 2 within ±1.
    expected = ((-seen - torch.tensor([0.5, 0.0])) / torch.tensor([2.0, 1.0])).clamp(-1.0, 1.0)
    torch.testing.assert_close(samples.observation[15:], expected)
    torch.testing.assert_close(samples.critic[15:], normaliser.normalise(state * torch.tensor([-1.0, -1.0, 1.0])))
    torch.testing.assert_close(samples.action[15:], -samples.action[:15])
    for name in ("log_prob", "advantage", "value", "target"):
        assert torch.equal(getattr(samples, name), getattr(plain, name)), name


def test_standardised_advantages_by_hand() -> None:
    # Mean 3, mean square deviation (4 + 0 + 4) / 3.
    found = standardised(torch.tensor([1.0, 3.0, 5.0]), None)
    torch.testing.assert_close(found, torch.tensor([-1.0, 0.0, 1.0]) * 1.5**0.5)
    assert not standardised(torch.full((4,), 7.0), None).any()
