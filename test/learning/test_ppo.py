"""PPO on environments whose best policy is known, and what it promises about seeds, stops and numbers gone wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_envs import Cliff, Pair, PointMass, ToyEnv

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchStep
from humanoid_rl_ros.learning.checkpoint import load_checkpoint, save_checkpoint
from humanoid_rl_ros.learning.ppo import PPO, PPOConfig

pytestmark = pytest.mark.usefixtures("one_thread")
Refuses = Callable[..., AbstractContextManager[None]]
Make = Callable[..., PPO]
SMALL = PPOConfig(
    steps_per_iteration=8,
    epochs=4,
    minibatches=2,
    actor_hidden=(16, 16),
    critic_hidden=(16, 16),
    initial_std=0.5,
    entropy_coefficient=0.0,
)


@pytest.fixture
def make() -> Iterator[Make]:
    """A learner in an environment, with changes to the small configuration; closed in the end."""
    made: list[PPO] = []

    def build(env: ToyEnv, seed: int = 1, **changes: Any) -> PPO:
        made.append(PPO(env, dataclasses.replace(SMALL, **changes), seed))
        return made[-1]

    yield build
    for learner in made:
        learner.close()


def _vector(state: Any) -> list[Any]:
    """Everything in a state as plain numbers; NaN would not equal itself, and none may be there."""
    if isinstance(state, dict):
        return [part for key, value in state.items() if key != "seconds" for part in (key, *_vector(value))]
    if isinstance(state, list | tuple):
        return [part for value in state for part in _vector(value)]
    return state.flatten().tolist() if isinstance(state, torch.Tensor | np.ndarray) else [state]


def _weights(learner: PPO) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in learner.actor().parameters()]).detach()


def test_it_finds_the_best_action_of_a_bandit(make: Make) -> None:
    env = Pair(32)
    learner = make(env)
    for _ in range(40):
        learner.iterate()
    seen = np.random.default_rng(9).uniform(-1.0, 1.0, (200, 2))
    found = learner.actor()(torch.tensor(seen, dtype=torch.float32)).detach().numpy()
    # The best actions have a spread of 0.34; those of the untrained policy are near 0.
    assert np.sqrt(np.mean(np.square(found - env.targets(seen)))) < 0.05
    assert learner.std.max() < 0.25


def _lqr_gain(env: PointMass, discount: float) -> FloatArray:
    """K of the best force −K x, from the Riccati equation of the discounted problem."""
    a, b = np.sqrt(discount) * env.dynamics, np.sqrt(discount) * env.force
    p = env.state_cost
    for _ in range(500):
        k = np.linalg.solve(env.force_cost + b.T @ p @ b, b.T @ p @ a)
        p = env.state_cost + a.T @ p @ (a - b @ k)
    return k


def _cost(env: PointMass, act: Callable[[FloatArray], FloatArray], discount: float) -> float:
    x, total = np.random.default_rng(4).uniform(-1.0, 1.0, (100, 2)), 0.0
    for t in range(100):
        u = act(x)
        cost = np.sum((x @ env.state_cost) * x, axis=1) + np.sum((u @ env.force_cost) * u, axis=1)
        total += discount**t * float(cost.mean())
        x = x @ env.dynamics.T + u @ env.force.T
    return total


def test_it_finds_the_best_linear_controller(make: Make) -> None:
    env, discount = PointMass(32, episode_steps=40), 0.95
    learner = make(env, discount=discount, steps_per_iteration=24)
    for _ in range(80):
        learner.iterate()
    actor = learner.actor()
    gain = _lqr_gain(env, discount)
    best = _cost(env, lambda x: -x @ gain.T, discount)
    found = _cost(env, lambda x: actor(torch.tensor(x, dtype=torch.float32)).detach().double().numpy(), discount)
    still = _cost(env, lambda x: np.zeros((len(x), 1)), discount)
    assert best <= found < 1.1 * best
    assert still > 2.0 * best


def test_a_cut_episode_is_worth_what_would_have_come(make: Make) -> None:
    # 1 in every step for ever: 1 / (1 − 0.8) = 5. Counted to the cut it would be less than 3.4, as Σ 0.8ᵗ over five
    # steps is.
    class Floor(Cliff):
        def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
            return np.ones(self.n_envs), np.zeros(self.n_envs, dtype=bool)

    learner = make(Floor(16, episode_steps=5), discount=0.8, learning_rate=3e-3, desired_kl=None)
    for _ in range(60):
        metrics = learner.iterate()
    assert metrics["value/mean"] == pytest.approx(5.0, rel=0.02)


def test_a_fall_is_worth_nothing_more(make: Make) -> None:
    class Trapdoor(Cliff):
        def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
            return np.ones(self.n_envs), np.ones(self.n_envs, dtype=bool)

    learner = make(Trapdoor(16), discount=0.8, learning_rate=3e-3, desired_kl=None)
    for _ in range(30):
        metrics = learner.iterate()
    assert metrics["value/mean"] == pytest.approx(1.0, abs=0.03)


def test_the_first_minibatch_sees_what_the_acting_policy_saw(make: Make) -> None:
    # With every ratio at 1, the surrogate is the mean of normalised advantages, which is 0, and E[r − 1 − log r], about
    # half the mean square of log r, vanishes.
    learner = make(PointMass(32), epochs=1, minibatches=1, mirror=False)
    for _ in range(4):
        metrics = learner.iterate()
        assert abs(metrics["loss/policy"]) < 1e-5
        assert metrics["policy/kl"] < 0.5 * 1e-5**2
        assert metrics["policy/clip_fraction"] == 0.0


@pytest.mark.parametrize(("desired", "rate"), [(1e-9, 2e-4), (1e3, 1e-2), (None, 1e-3)])
def test_the_learning_rate_follows_the_divergence(make: Make, desired: float | None, rate: float) -> None:
    learner = make(Pair(8), desired_kl=desired)
    for _ in range(3):
        metrics = learner.iterate()
    assert metrics["policy/learning_rate"] == pytest.approx(rate)


def test_the_divergence_stays_about_what_is_desired(make: Make) -> None:
    learner = make(Pair(32))
    found = [learner.iterate()["policy/kl"] for _ in range(20)]
    assert 0.0025 < np.mean(found[5:]) < 0.03


class OneSided(Pair):
    """Only ever sees the left eye further right, and is to lift the hand on that side by the difference."""

    def targets(self, observation: FloatArray) -> FloatArray:
        left, right = observation[:, 0], observation[:, 1]
        return np.column_stack([np.maximum(left - right, 0.0), np.maximum(right - left, 0.0)])

    def _begin(self, which: BoolArray) -> None:
        super()._begin(which)
        self._state[which] = -np.sort(-self._state[which], axis=1)


@pytest.mark.parametrize("mirror", [True, False])
def test_mirror_images_teach_the_side_that_was_never_seen(make: Make, mirror: bool) -> None:
    env = OneSided(32)
    learner = make(env, mirror=mirror)
    for _ in range(40):
        learner.iterate()
    other_side = np.sort(np.random.default_rng(2).uniform(-1.0, 1.0, (200, 2)), axis=1)
    found = learner.actor()(torch.tensor(other_side, dtype=torch.float32)).detach().numpy()
    error = np.sqrt(np.mean(np.square(found - env.targets(other_side))))
    assert error < 0.1 if mirror else error > 0.3


def test_with_a_mirror_both_sides_explore_alike_and_count_alike(make: Make) -> None:
    class Lopsided(OneSided):
        def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
            reward, terminated = super()._advance(action)
            return reward - 5.0 * np.square(action[:, 0]), terminated

    alike, apart = make(Lopsided(16)), make(Lopsided(16), mirror=False)
    for _ in range(10):
        alike.iterate()
        apart.iterate()
    assert alike.std[0] == alike.std[1]
    assert apart.std[0] != apart.std[1]
    torch.testing.assert_close(alike.actor().mean[0], alike.actor().mean[1], atol=1e-6, rtol=0.0)
    assert apart.actor().mean[0] > apart.actor().mean[1] + 0.3


def test_exploration_stays_above_its_floor(make: Make) -> None:
    free, held = make(Pair(32)), make(Pair(32), std_floor=0.4)
    for _ in range(12):
        free.iterate()
        held.iterate()
    assert free.std.max() < 0.39
    assert held.std.min() >= 0.4 - 1e-6


def test_a_clipped_value_moves_little_and_is_free_by_default(make: Make) -> None:
    class Steady(Pair):
        def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
            return np.ones(self.n_envs), np.ones(self.n_envs, dtype=bool)

    settings: dict[str, Any] = {"epochs": 40, "desired_kl": None, "mirror": False}
    free, held = make(Steady(16), **settings), make(Steady(16), value_clip=0.05, **settings)
    before = held.iterate()["value/mean"]
    after = held.iterate()["value/mean"]
    # A sample stops where it has moved by the clip; the others drag it on a little.
    assert 0.0 < after - before < 0.2
    free.iterate()
    assert free.iterate()["value/mean"] > 0.7
    assert SMALL.value_clip is None


def test_the_clip_holds_the_policy_near_the_one_that_acted(make: Make) -> None:
    settings: dict[str, Any] = {"epochs": 20, "desired_kl": None, "learning_rate": 3e-3}
    held, free = make(Pair(16), clip=0.05, **settings), make(Pair(16), clip=1e3, **settings)
    assert 10.0 * held.iterate()["policy/kl"] < free.iterate()["policy/kl"]


class _Half(PointMass):
    def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
        reward, terminated = super()._advance(action)
        return 0.5 * reward, terminated


def test_scaled_rewards_teach_what_an_environment_of_such_rewards_does(make: Make) -> None:
    scaled, smaller, plain = make(PointMass(8), reward_scale=0.5), make(_Half(8)), make(PointMass(8))
    for learner in (scaled, smaller, plain):
        for _ in range(3):
            learner.iterate()
    values = [_vector(learner.state_dict()["value"]["parameters"]) for learner in (scaled, smaller, plain)]
    assert values[0] == values[1] != values[2]
    assert torch.equal(_weights(scaled), _weights(smaller))


def test_the_critic_may_have_a_learning_rate_of_its_own(make: Make) -> None:
    for own, expected in ((3e-3, 3e-3), (None, 1e-3)):
        learner = make(PointMass(8), epochs=1, minibatches=1, learning_rate=1e-3, critic_learning_rate=own)
        before = learner.state_dict()
        learner.iterate()
        after = learner.state_dict()
        moved = [after[part]["parameters"] - before[part]["parameters"] for part in ("policy", "value")]
        # The first step of Adam is as long as its rate, in every weight that has a gradient.
        assert [float(m.abs().max()) for m in moved] == pytest.approx([1e-3, expected], rel=1e-3)


def test_the_entropy_bonus_widens_the_exploration(make: Make) -> None:
    plain, rewarded = make(Pair(16)), make(Pair(16), entropy_coefficient=10.0)
    for _ in range(3):
        plain.iterate()
        rewarded.iterate()
    assert plain.std.max() < 0.5 < rewarded.std.min()


def test_gradients_of_actor_and_critic_are_clipped_each_for_itself(make: Make) -> None:
    class Costly(Pair):
        def _advance(self, action: FloatArray) -> tuple[FloatArray, BoolArray]:
            reward, terminated = super()._advance(action)
            return 1e3 * reward, terminated

    learner = make(Costly(16), epochs=1, minibatches=1, max_gradient_norm=1e-3, mirror=False)
    learner.iterate()
    # After one step Adam's first moment is (1 − β₁) = 0.1 of the gradient, which is of norm 1e-3 for each of the two.
    state = learner.state_dict()
    for part in ("policy", "value"):
        moment = state[part]["optimiser"]["state"][0]["exp_avg"]
        assert moment.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-4)


@pytest.mark.parametrize("overlap", [False, True])
def test_the_seed_decides_everything(make: Make, overlap: bool) -> None:
    runs = []
    for seed, global_seed in ((1, 5), (1, 6), (2, 5)):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  # to show that it does not matter
        learner = make(PointMass(8), seed=seed, overlap=overlap)
        for _ in range(3):
            learner.iterate()
        runs.append(_weights(learner))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_resumed_run_is_the_run_that_never_stopped(make: Make, tmp_path: Path, overlap: bool, stop: int) -> None:
    settings: dict[str, Any] = {"overlap": overlap, "steps_per_iteration": 7, "std_floor": 0.1}
    straight = make(Cliff(6, episode_steps=5), **settings)
    whole = [straight.iterate() for _ in range(5)]
    first = make(Cliff(6, episode_steps=5), **settings)
    parts = [first.iterate() for _ in range(stop)]
    save_checkpoint(tmp_path / "x.pt", first.state_dict())
    second = make(Cliff(6, episode_steps=5), seed=77, **settings)
    second.iterate()
    second.load_state_dict(load_checkpoint(tmp_path / "x.pt"))
    parts += [second.iterate() for _ in range(5 - stop)]
    assert _vector(second.state_dict()) == _vector(straight.state_dict())
    for one, other in zip(whole, parts, strict=True):
        assert {k: v for k, v in one.items() if "time" not in k} == {k: v for k, v in other.items() if "time" not in k}
    assert second.steps == straight.steps == 5 * 6 * 7
    # Saving does not disturb the one that was saved.
    for _ in range(5 - stop):
        first.iterate()
    assert torch.equal(_weights(first), _weights(straight))


def test_what_the_critic_learns_in_a_thread_is_what_it_learns_without(make: Make) -> None:
    one, other = make(PointMass(8), overlap=True), make(PointMass(8), overlap=False)
    for _ in range(4):
        one.iterate()
        other.iterate()
    assert torch.equal(_weights(one), _weights(other))
    assert _vector(one.state_dict()) == _vector(other.state_dict())


class Broken(Pair):
    """Pays something unpayable from a step on."""

    def __init__(self, n_envs: int, first_step: int, reward: float) -> None:
        super().__init__(n_envs)
        self._first_step, self._reward = first_step, reward

    def step(self, action: Float32Array) -> BatchStep:
        step = super().step(action)
        if self.steps_taken >= self._first_step:
            step.reward[-1] = self._reward
        return step


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(("reward", "what"), [(np.nan, "reward"), (np.inf, "reward"), (1e30, "value loss")])
def test_numbers_gone_wrong_stop_it_before_they_reach_the_weights(
    make: Make, refuses: Refuses, reward: float, what: str, overlap: bool
) -> None:
    learner = make(Broken(4, 2 * SMALL.steps_per_iteration + 3, reward), overlap=overlap)
    learner.iterate()
    learner.iterate()
    before = _weights(learner)
    with refuses(TrainingError, what, "at step"):
        learner.iterate()
        learner.state_dict()  # at the latest: what a thread ran into is never saved
    assert _weights(learner).isfinite().all()
    if not overlap or what == "reward":
        assert torch.equal(_weights(learner), before)


def test_an_environment_that_fails_in_the_thread_is_heard(make: Make) -> None:
    class Failing(Pair):
        def step(self, action: Float32Array) -> BatchStep:
            if self.steps_taken > 2 * SMALL.steps_per_iteration:
                raise ValueError("the physics gave up")
            return super().step(action)

    learner = make(Failing(4), overlap=True)
    learner.iterate()
    learner.iterate()
    with pytest.raises(ValueError, match="the physics gave up"):
        learner.iterate()


def test_closing_waits_for_the_thread(make: Make) -> None:
    learner = make(Pair(4), overlap=True)
    learner.iterate()
    learner.close()
    learner.close()
    assert learner.iterate()["loss/policy"] != 0.0


def test_it_says_what_happened(make: Make) -> None:
    learner = make(Pair(4))
    metrics = learner.iterate()
    assert metrics["episode/count"] == 4 * SMALL.steps_per_iteration
    assert {"time/collect", "time/update", "loss/policy", "loss/value", "policy/kl", "policy/learning_rate"} <= set(
        metrics
    )
    assert all(type(value) is float and np.isfinite(value) for value in metrics.values())
    # Σ log σ + ½ k (1 + log 2π) of two actions at the std that it has.
    normal = torch.distributions.Normal(torch.zeros(2), learner.std)
    assert metrics["policy/entropy"] == pytest.approx(normal.entropy().sum().item(), rel=1e-5)
    assert learner.steps == 4 * SMALL.steps_per_iteration


def test_the_actor_is_a_copy(make: Make) -> None:
    learner = make(Pair(4))
    actor = learner.actor()
    before = _vector(actor.state_dict())
    learner.iterate()
    assert _vector(actor.state_dict()) == before
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.zero_()
    assert _weights(learner).any()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"steps_per_iteration": 0}, "steps_per_iteration"),
        ({"epochs": 0}, "epochs"),
        ({"minibatches": -1}, "minibatches"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": 1.0}, "learning_rate"),
        ({"learning_rate_floor": 2e-3}, "learning_rate"),
        ({"critic_learning_rate": 0.0}, "critic_learning_rate"),
        ({"desired_kl": 0.0}, "desired_kl"),
        ({"reward_scale": 0.0}, "reward_scale"),
        ({"discount": 1.1}, "discount"),
        ({"gae_lambda": -0.1}, "gae_lambda"),
        ({"clip": float("nan")}, "clip"),
        ({"value_clip": 0.0}, "value_clip"),
        ({"entropy_coefficient": -1.0}, "entropy_coefficient"),
        ({"max_gradient_norm": float("inf")}, "max_gradient_norm"),
        ({"initial_std": 0.0}, "initial_std"),
        ({"initial_std": 0.1, "std_floor": 0.2}, "initial_std"),
        ({"actor_hidden": (16, 0)}, "actor_hidden"),
        ({"activation": "gelu"}, "activation"),
        ({"shards": 0}, "shards"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(refuses: Refuses, changes: dict[str, Any], word: str) -> None:
    with refuses(ConfigError, f"'{word}'", "found"):
        dataclasses.replace(SMALL, **changes)


def test_robots_that_cannot_be_shared_out_are_refused(make: Make, refuses: Refuses) -> None:
    with refuses(ConfigError, "5 robots", "2 'shards'"):
        make(Pair(5), shards=2)
    with refuses(ConfigError, "minibatches", "found 8"):
        make(Pair(1), minibatches=9)


@pytest.mark.parametrize(
    ("env", "changes", "words"),
    [
        (Pair(5), {}, ("robots 4", "expected 5")),
        (PointMass(4), {}, ("action_size 2", "expected 1")),
        (Pair(4), {"actor_hidden": (16, 17)}, ("actor_hidden [16, 16]", "[16, 17]")),
        (Pair(4), {"activation": "tanh"}, ("activation elu", "tanh")),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    make: Make, refuses: Refuses, env: ToyEnv, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    state = make(Pair(4)).state_dict()
    learner = make(env, **changes)
    before = _vector(learner.state_dict())
    with refuses(ConfigError, "checkpoint", *words):
        learner.load_state_dict(state)
    assert _vector(learner.state_dict()) == before


def test_a_state_of_another_learner_or_with_holes_is_refused(make: Make, refuses: Refuses) -> None:
    learner = make(Pair(4))
    with refuses(ConfigError, "'sac'", "'ppo'"):
        learner.load_state_dict({"algorithm": "sac"})
    state = learner.state_dict()
    del state["policy"]
    with refuses(ConfigError, "policy"):
        learner.load_state_dict(state)


def test_the_desired_divergence_falls_evenly_in_its_logarithm() -> None:
    config = PPOConfig(desired_kl=0.02, final_kl=0.0002, anneal_from=1000, anneal_to=3000)
    steps = (0, 1000, 2000, 3000, 9000)
    found = [config.kl_at(step) for step in steps]
    assert found == pytest.approx([0.02, 0.02, 0.002, 0.0002, 0.0002])
    assert PPOConfig(desired_kl=None, anneal_to=10).kl_at(5) is None
    assert PPOConfig(desired_kl=0.03).kl_at(10**9) == 0.03


def test_an_annealed_policy_comes_to_rest(make: Make) -> None:
    """Its last updates move it less than those of one that is not annealed, from the same seed."""
    settings: dict[str, Any] = {"desired_kl": 0.02, "learning_rate": 3e-4, "learning_rate_floor": 1e-5}
    restless = make(PointMass(16), **settings)
    annealed = make(PointMass(16), anneal_to=16 * 8 * 10, final_kl=1e-5, **settings)
    moved = []
    for learner in (restless, annealed):
        kls = [learner.iterate()["policy/kl"] for _ in range(20)]
        moved.append(np.mean(kls[-5:]))
    assert moved[1] < 0.1 * moved[0]


def test_an_annealing_that_ends_before_it_begins_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "'anneal_to'", "200", "100"):
        PPOConfig(anneal_from=200, anneal_to=100)
