"""A training that begins with what a shipped policy knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from toy_envs import PointMass

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.learning.ppo import PPO, PPOConfig
from humanoid_rl_ros.resources import find_policy

pytestmark = pytest.mark.usefixtures("one_thread")
Refuses = Callable[..., AbstractContextManager[None]]
SETTINGS: dict[str, Any] = {"activation": "silu", "minibatches": 1, "steps_per_iteration": 4, "epochs": 1}
PLAIN = {"randomisation": None, "terrain": None, "curriculum": None}


@pytest.fixture
def batch() -> Iterator[HumanoidBatch]:
    made = make_batch("walk_adaptive", "reference", 2, threads=1, overrides=PLAIN)
    yield made
    made.close()


def test_the_first_actor_does_what_the_policy_does_and_the_past_says_nothing(batch: HumanoidBatch) -> None:
    learner = PPO(batch, PPOConfig(begin_from="walk", **SETTINGS), seed=1)
    network, width = find_policy("walk").load_network(), 52
    seen = batch.reset(0).policy
    for _ in range(5):
        wanted = network.infer_batch(np.ascontiguousarray(seen[:, :width]))  # the newest frame comes first
        with torch.inference_mode():
            acts = learner.actor()(torch.from_numpy(seen)).numpy()
            forgotten = torch.from_numpy(seen).clone()
            forgotten[:, width:] = 3.0
            np.testing.assert_array_equal(learner.actor()(forgotten).numpy(), acts)
        np.testing.assert_allclose(acts, wanted, atol=1e-4)
        seen = batch.step(acts).observation.policy
    assert np.abs(acts).max() > 0.1
    mean = learner.policy.normaliser.mean
    np.testing.assert_array_equal(mean[:width], mean[width : 2 * width])  # an older frame is no other quantity
    before = learner.actor()
    learner.iterate()  # and it learns, the past too
    past = [actor.layers[0].weight[:, width:].abs().max().item() for actor in (before, learner.actor())]
    assert past[0] == 0.0 < past[1]
    learner.close()


def test_what_does_not_fit_is_refused(batch: HumanoidBatch, refuses: Refuses) -> None:
    with refuses(ConfigError, "'begin_from' get_up", "gains, scales and joints differ"):
        PPO(batch, PPOConfig(begin_from="get_up", **SETTINGS), seed=1)
    with refuses(ConfigError, "'begin_from' walk", "not the one that is to be trained", "size mismatch"):
        PPO(batch, PPOConfig(begin_from="walk", actor_hidden=(64, 64, 64), **SETTINGS), seed=1)
    with refuses(ConfigError, "'begin_from' walk", "activation and clip"):
        PPO(batch, PPOConfig(begin_from="walk", **{**SETTINGS, "activation": "elu"}), seed=1)
    with refuses(ConfigError, "no policy named 'wakl'", "did you mean 'walk'?"):
        PPO(batch, PPOConfig(begin_from="wakl", **SETTINGS), seed=1)
    with refuses(ConfigError, "for the tasks of a robot"):
        PPO(PointMass(4), PPOConfig(begin_from="walk", **SETTINGS), seed=1)
    less = {**PLAIN, "observation.terms": [{"term": "base_ang_vel", "scale": 0.25}], "observation.history": None}
    other = make_batch("walk_adaptive", "reference", 2, threads=1, overrides=less)
    with refuses(ConfigError, "it sees 'projected_gravity[0]'", "the task has it not"):
        PPO(other, PPOConfig(begin_from="walk", **SETTINGS), seed=1)
    other.close()
    scaled = {**PLAIN, "observation.terms": [{"term": "base_ang_vel", "scale": 0.5}], "observation.history": None}
    other = make_batch("walk_adaptive", "reference", 2, threads=1, overrides=scaled)
    with refuses(ConfigError, "'base_ang_vel' in another way"):
        PPO(other, PPOConfig(begin_from="walk", **SETTINGS), seed=1)
    other.close()


def test_the_critic_may_learn_alone_first() -> None:
    learner = PPO(PointMass(8), PPOConfig(policy_from=64, **SETTINGS), seed=1)
    for steps, learns in ((32, False), (64, False), (96, True)):
        actor = [p.clone() for p in learner.actor().layers.parameters()]
        critic = [p.detach().clone() for p in learner.value.network.parameters()]
        learner.iterate()
        learner.state_dict()  # waits for the critic
        assert learner.steps == steps
        moved = any(not torch.equal(a, b) for a, b in zip(actor, learner.actor().layers.parameters(), strict=True))
        assert moved == learns
        assert any(not torch.equal(a, b) for a, b in zip(critic, learner.value.network.parameters(), strict=True))
    learner.close()
