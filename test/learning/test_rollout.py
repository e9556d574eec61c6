"""What is remembered of what was done, in environments whose numbers are known."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_envs import Cliff, Pair, PointMass, ToyEnv

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.rollout import Collector

Refuses = Callable[..., AbstractContextManager[None]]


def _actor(env: ToyEnv) -> ActorNetwork:
    torch.manual_seed(1)
    layer = nn.Linear(env.observation_size, env.n_actions)
    mean, std = torch.full((env.observation_size,), 0.2), torch.full((env.observation_size,), 2.0)
    return ActorNetwork(nn.Sequential(layer), mean, std, clip=5.0)


def _generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_actions_are_normal_about_the_actor_and_their_probability_is_theirs() -> None:
    env = Pair(50)
    actor, log_std = _actor(env), torch.tensor([-1.0, 0.5])
    rollout = Collector(env, 3, 20, _generators(1)).collect(actor, log_std)
    expected = torch.distributions.Normal(actor(rollout.observation), log_std.exp())
    torch.testing.assert_close(rollout.log_prob, expected.log_prob(rollout.action).sum(dim=-1))
    noise = (rollout.action - expected.mean) / expected.stddev
    assert abs(noise.mean().item()) < 0.1
    assert noise.std(dim=(0, 1)).tolist() == pytest.approx([1.0, 1.0], abs=0.1)
    assert torch.equal(rollout.mean, actor.mean)
    assert not rollout.log_prob.requires_grad


def test_rewards_belong_to_the_actions_beside_them() -> None:
    env = Pair(4)
    rollout = Collector(env, 3, 6, _generators(1)).collect(_actor(env), torch.zeros(2))
    by_hand = -np.square(rollout.action.numpy() - env.targets(rollout.observation.numpy())).sum(axis=-1)
    np.testing.assert_allclose(rollout.reward, by_hand, rtol=1e-5)
    assert rollout.terminated.all()
    assert len(rollout.cut) == 0


def test_where_an_episode_was_cut_the_critic_saw_its_last_state() -> None:
    env = PointMass(3, episode_steps=3)
    rollout = Collector(env, 0, 6, _generators(1)).collect(_actor(env), torch.zeros(1))
    # The critic's last number is the part of the episode that is over.
    np.testing.assert_allclose(rollout.critic[:, 0, 2], [0.0, 1 / 3, 2 / 3, 0.0, 1 / 3, 2 / 3, 1.0], rtol=1e-6)
    assert rollout.done[:, 0].tolist() == [False, False, True] * 2
    assert not rollout.terminated.any()
    # Step 2 is among the others; where the last step led stands at the end of `critic`.
    assert rollout.cut.tolist() == [2 * 3, 2 * 3 + 1, 2 * 3 + 2]
    assert rollout.cut_critic[:, 2].tolist() == [1.0, 1.0, 1.0]
    x, u = rollout.critic[2, 1, :2].double().numpy(), rollout.action[2, 1].double().numpy()
    np.testing.assert_allclose(rollout.cut_critic[1, :2], env.dynamics @ x + env.force @ u, rtol=1e-5, atol=1e-6)


def test_falls_are_no_cuts() -> None:
    env = Cliff(40, episode_steps=4)
    rollout = Collector(env, 0, 12, _generators(1)).collect(_actor(env), torch.full((1,), 0.5))
    assert rollout.terminated.any()
    cut = rollout.done & ~rollout.terminated
    assert rollout.cut.tolist() == torch.nonzero(cut[:-1].flatten()).flatten().tolist()
    assert len(rollout.cut) > 0
    assert (rollout.cut_critic[:, 0].abs() <= 1.0).all()


def test_two_rollouts_are_one_long_one() -> None:
    long_env, env = Cliff(4), Cliff(4)
    actor = _actor(env)
    long = Collector(long_env, 5, 8, _generators(1)).collect(actor, torch.zeros(1))
    collector = Collector(env, 5, 4, _generators(1))
    first, second = (collector.collect(actor, torch.zeros(1)) for _ in range(2))
    for name in ("observation", "action", "reward", "done"):
        assert torch.equal(torch.cat([getattr(first, name), getattr(second, name)]), getattr(long, name)), name


def test_a_block_of_robots_draws_its_own_noise() -> None:
    both = Collector(Pair(6), 0, 5, _generators(1, 2)).collect(_actor(Pair(6)), torch.zeros(2))
    second = Collector(Pair(3, first_robot=3), 0, 5, _generators(2)).collect(_actor(Pair(3)), torch.zeros(2))
    torch.testing.assert_close(both.action[:, 3:], second.action)


def test_an_environment_may_write_over_what_it_gave() -> None:
    class Reusing(PointMass):
        def _observed(self) -> BatchObservation:
            fresh = super()._observed()
            if not hasattr(self, "buffers"):
                self.buffers = fresh
            self.buffers.policy[...], self.buffers.critic[...] = fresh.policy, fresh.critic
            return self.buffers

        def step(self, action: Float32Array) -> BatchStep:
            step = super().step(action)
            action[...] = np.nan
            return step

    plain, reusing = PointMass(3, episode_steps=99), Reusing(3, episode_steps=99)
    actor = _actor(plain)
    expected = Collector(plain, 0, 5, _generators(1)).collect(actor, torch.zeros(1))
    found = Collector(reusing, 0, 5, _generators(1)).collect(actor, torch.zeros(1))
    for name in ("observation", "critic", "action", "reward"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


class _Broken(Pair):
    """Gives something that is not finite in its fourth step."""

    def __init__(self, what: str) -> None:
        super().__init__(3)
        self.what = what

    def step(self, action: Float32Array) -> BatchStep:
        step = super().step(action)
        if self.steps_taken != 4:
            return step
        if self.what == "reward":
            step.reward[1] = np.nan
        elif self.what == "observation":
            step.observation.policy[2, 0] = np.inf
        else:
            step = replace(
                step, observation=BatchObservation(step.observation.policy, step.observation.critic * np.nan)
            )
        return step


@pytest.mark.parametrize("what", ["reward", "observation", "critic"])
def test_what_is_not_finite_stops_it(refuses: Refuses, what: str) -> None:
    env = _Broken(what)
    collector = Collector(env, 0, 6, _generators(1))
    with refuses(TrainingError, what, "at step"):
        collector.collect(_actor(env), torch.zeros(2))
    # The actor never saw it.
    assert env.steps_taken == (6 if what == "critic" else 4)


def test_a_state_of_other_robots_is_refused(refuses: Refuses) -> None:
    state = Collector(Pair(4), 0, 5, _generators(1)).state_dict()
    with refuses(ConfigError, "(4, 2)", "(3, 2)"):
        Collector(Pair(3), 0, 5, _generators(1)).load_state_dict(state)
