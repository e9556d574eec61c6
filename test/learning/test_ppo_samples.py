"""The order of an epoch: every sample once, half of them as their mirror images, each shard for itself."""

from __future__ import annotations

import pytest
import torch

from humanoid_rl_ros.learning.ppo_samples import minibatches


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
