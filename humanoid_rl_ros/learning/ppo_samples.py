"""What a PPO update learns from, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.mirror import Mirroring
from humanoid_rl_ros.envs.batch_env import BatchMirror
from humanoid_rl_ros.learning.advantages import generalised_advantages
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.rollout import Rollout


@dataclass(frozen=True, eq=False)
class Samples:
    """B samples, and below them their mirror images where there are any.

    Attributes:
        observation, critic: normalised [Shape (B or 2 B, size)].
        action: [Shape (B or 2 B, action_size)].
        log_prob, advantage, value, target: the same for a sample and its image [Shape (B,)].
    """

    observation: Tensor
    critic: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    value: Tensor
    target: Tensor


@torch.no_grad()
def samples_of(
    rollout: Rollout,
    critic: nn.Module,
    normaliser: RunningNormaliser,
    mirror: BatchMirror | None,
    discount: float,
    gae_lambda: float,
) -> Samples:
    """A batch made ready for learning.

    Args:
        rollout: the batch.
        critic: values of normalised observations.
        normaliser: of the critic.
        mirror: of the task; None for no images.
        discount: γ.
        gae_lambda: λ.
    """
    steps, n = rollout.reward.shape
    states = rollout.critic.flatten(0, 1)
    normal = normaliser.normalise(states)
    value = critic(normal).view(steps + 1, n)
    final_value = value[1:].clone()
    if len(rollout.cut):
        final_value.view(-1)[rollout.cut] = critic(normaliser.normalise(rollout.cut_critic)).squeeze(1)
    value = value[:-1]
    advantage, target = generalised_advantages(
        rollout.reward, value, final_value, rollout.terminated, rollout.done, discount, gae_lambda
    )
    observation, action = rollout.observation.flatten(0, 1), rollout.action.flatten(0, 1)
    normal = normal[: steps * n]
    if mirror is not None:
        image = normaliser.normalise(mirrored(mirror.critic, states[: steps * n]))
        normal = torch.cat([normal, image])
        observation = torch.cat([observation, mirrored(mirror.policy, observation)])
        action = torch.cat([action, mirrored(mirror.action, action)])
    # With the statistics that the policy acted with, whatever has been seen since.
    observation = ((observation - rollout.mean) / rollout.std).clamp_(-rollout.clip, rollout.clip)
    return Samples(
        observation,
        normal,
        action,
        rollout.log_prob.flatten(),
        advantage.flatten(),
        value.flatten(),
        target.flatten(),
    )


def minibatches(
    generators: Sequence[torch.Generator], steps: int, robots: int, parts: int, *, images: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch over T steps of n robots.

    Every shard of the robots shuffles its own samples, and a minibatch takes an equal part of each.

    Args:
        generators: one for each shard.
        steps, robots: T and n.
        parts: minibatches.
        images: whether a sample gives way to its mirror image half of the time.

    Returns:
        For each minibatch its samples, as t·n + robot, and where they or their images stand in `Samples`.
    """
    own = robots // len(generators)
    shards = []
    for shard, generator in enumerate(generators):
        order = torch.randperm(steps * own, generator=generator)
        rows = order // own * robots + shard * own + order % own if len(generators) > 1 else order
        sources = rows
        if images:
            sources = rows + steps * robots * torch.randint(0, 2, rows.shape, generator=generator)
        shards.append((rows.tensor_split(parts), sources.tensor_split(parts)))
    for i in range(parts):
        yield torch.cat([rows[i] for rows, _ in shards]), torch.cat([sources[i] for _, sources in shards])


def mirrored(mirroring: Mirroring, x: Tensor) -> Tensor:
    """Mirror images [Shape (b, size)]."""
    return x.index_select(1, torch.tensor(mirroring.index)) * torch.tensor(mirroring.sign)


def standardised(advantage: Tensor, distributed: Distributed | None) -> Tensor:
    """(A − mean) / std, over all processes."""
    mean = advantage.double().mean()
    if distributed is not None:
        distributed.mean_(mean)
    deviation = advantage - mean.float()
    var = deviation.double().square().mean()
    if distributed is not None:
        distributed.mean_(var)
    return deviation / (var.sqrt().float() + 1e-8)
