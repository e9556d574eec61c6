"""Soft actor-critic against laws: densities, optimal policies that are known, values that are known; exact resuming."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from humanoid_rl_ros.core.errors import ConfigError, TrainingError  # noqa: E402
from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep, Mirroring  # noqa: E402
from humanoid_rl_ros.learning.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from humanoid_rl_ros.learning.sac import SAC, SACConfig  # noqa: E402
from humanoid_rl_ros.learning.sac_networks import TwinCritic, sample_squashed  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]

SMALL = SACConfig(
    actor_hidden=(32,),
    critic_hidden=(32, 32),
    batch_size=64,
    buffer_size=4000,
    learning_starts=400,
    steps_per_iteration=50,
    updates_per_step=1,
    actor_learning_rate=1e-2,
    critic_learning_rate=1e-2,
    temperature_learning_rate=1e-2,
    target_rate=0.2,
    normalise_observations=False,
)
QUICK = dataclasses.replace(SMALL, tune_temperature=False, actor_learning_rate=3e-3, critic_learning_rate=3e-3)
"""For what is told by where the policy comes to rest."""


class _Toy:
    """Eight robots in episodes of so many steps that pay 1 a step; they see the step of the episode, one-hot."""

    mirror: BatchMirror | None = None

    def __init__(self, length: int = 1, *, falls: bool = True, bound: float = 1.0, actions: int = 1) -> None:
        self.n_envs, self.length, self.falls = 8, length, falls
        self.action_low, self.action_high = np.full(actions, -bound), np.full(actions, bound)
        self.taken: list[tuple[Any, Any]] = []
        seen = self.reset(0)
        self.observation_size, self.critic_size = seen.policy.shape[1], seen.critic.shape[1]

    def begin(self, which: Any) -> None:
        """Start new episodes of the robots of a mask."""

    def pay(self, action: Any) -> Any:
        """One step of every robot: its reward."""
        return np.ones(self.n_envs)

    def see(self) -> BatchObservation:
        hot = np.eye(self.length + 1, dtype=np.float32)[self.age]
        return BatchObservation(hot, hot)

    def reset(self, seed: int) -> BatchObservation:
        self.random = np.random.default_rng(seed)
        self.age = np.arange(self.n_envs) % self.length
        self.begin(np.ones(self.n_envs, dtype=bool))
        self.seen = self.see()
        return self.seen

    def step(self, action: Any) -> BatchStep:
        self.taken.append((self.seen.policy, action.copy()))
        reward = self.pay(action)
        self.age = self.age + 1
        final, ended = self.see(), self.age == self.length
        self.age[ended] = 0
        self.begin(ended)
        self.seen = self.see()
        return BatchStep(self.seen, reward, ended & self.falls, ended & (not self.falls), final)

    def statistics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"age": self.age.copy(), "random": self.random.bit_generator.state, "taken": len(self.taken)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.age = state["age"].copy()
        self.random.bit_generator.state = state["random"]
        self.taken = [(None, None)] * state["taken"]

    def close(self) -> None:
        pass


class _Target(_Toy):
    """The reward is −½ (a − 1)² summed over the actions, in the units of the environment."""

    def pay(self, action: Any) -> Any:
        return -0.5 * np.square(action - 1.0).sum(1)


class _Clock(_Toy):
    """They see a clock of four positions that runs through the episodes; the last pays 5, the others 1."""

    def begin(self, which: Any) -> None:
        fresh = self.random.integers(4, size=self.n_envs)
        self.position = fresh if which.all() else np.where(which, fresh, self.position)

    def pay(self, action: Any) -> Any:
        reward = np.where(self.position == 3, 5.0, 1.0)
        self.position = (self.position + 1) % 4
        return reward

    def see(self) -> BatchObservation:
        hot = np.eye(4, dtype=np.float32)[self.position]
        return BatchObservation(hot, hot)


class _Walk(_Toy):
    """They see noise, and the critic sees more of it; rewards are noisy too."""

    def begin(self, which: Any) -> None:
        fresh = self.random.normal(3.0, size=(self.n_envs, 5)).astype(np.float32)
        self.noise = fresh if which.all() else np.where(which[:, None], fresh, self.noise)

    def pay(self, action: Any) -> Any:
        return self.random.normal(size=self.n_envs) + self.noise[:, 0] - np.square(action).sum(1)

    def see(self) -> BatchObservation:
        noise = self.noise + self.age[:, None].astype(np.float32)
        return BatchObservation(noise[:, :3].copy(), noise)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "noise": self.noise.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.noise = state["noise"].copy()


def _train(learner: SAC, steps: int) -> dict[str, float]:
    shown = {}
    while learner.steps < steps:
        shown = learner.iterate()
    return shown


def _values(learner: SAC, critic: Any, action: float = 0.0) -> Any:
    """Both values of the same action after each observation [Shape (2, b)]."""
    seen = torch.as_tensor(np.asarray(critic), dtype=torch.float32)
    network = TwinCritic(
        seen.shape[1], 1, learner._config.critic_hidden, "relu", layer_norm=True, generator=torch.Generator()
    )
    network.load_state_dict(learner.state_dict()["critic"])
    with torch.no_grad():
        return network(seen, torch.full((len(seen), 1), action)).numpy()


def test_the_squashed_density_is_the_slope_of_its_distribution() -> None:
    mean, log_std = torch.full((5000, 1), 0.4, dtype=torch.float64), torch.full((5000, 1), -0.3, dtype=torch.float64)
    action, log_pi = sample_squashed(mean, log_std, torch.Generator().manual_seed(0))

    def distribution(a: Any) -> Any:
        # P(tanh u ≤ a) = Φ((artanh a − μ) / σ)
        return torch.special.ndtr((torch.atanh(a) - 0.4) / math.exp(-0.3))

    a, h = action[:, 0], 1e-6
    inner = a.abs() < 0.999
    slope = (distribution(a + h) - distribution(a - h))[inner] / (2.0 * h)
    torch.testing.assert_close(log_pi[inner].exp(), slope, rtol=1e-5, atol=1e-6)
    in_order = a.argsort()
    assert torch.trapezoid(log_pi.exp()[in_order], a[in_order]).item() == pytest.approx(1.0, abs=1e-3)


def test_the_density_of_several_actions_is_the_product() -> None:
    mean, log_std = torch.tensor([[0.2, -1.0]]), torch.tensor([[-0.5, 0.1]])
    action, log_pi = sample_squashed(mean, log_std, torch.Generator().manual_seed(0))
    u, std = torch.atanh(action.double()), log_std.double().exp()
    each = torch.exp(-0.5 * ((u - mean) / std) ** 2) / (std * math.sqrt(2.0 * math.pi)) / (1.0 - action.double() ** 2)
    assert log_pi.exp().item() == pytest.approx(each.prod().item(), rel=1e-4)


def test_the_density_keeps_its_digits_where_tanh_has_none() -> None:
    action, log_pi = sample_squashed(torch.tensor([[20.0]]), torch.tensor([[-9.0]]), torch.Generator().manual_seed(0))
    noise = torch.randn((1, 1), generator=torch.Generator().manual_seed(0)).item()
    assert action.item() == 1.0
    # 1 − tanh² u → 4 exp(−2u)
    expected = (
        -0.5 * noise**2 + 9.0 - 0.5 * math.log(2.0 * math.pi) - math.log(4.0) + 2.0 * (20.0 + noise * math.exp(-9))
    )
    assert log_pi.item() == pytest.approx(expected, abs=1e-4)


def test_both_critics_in_one_pass_are_the_two_alone() -> None:
    critic = TwinCritic(3, 2, (4, 5), "tanh", layer_norm=True, generator=torch.Generator().manual_seed(0))
    random = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.copy_(torch.from_numpy(random.normal(size=parameter.shape)))
    seen, action = random.normal(size=(6, 3)), random.normal(size=(6, 2))
    together = critic(torch.from_numpy(seen).float(), torch.from_numpy(action).float()).detach().numpy()
    p = {name: parameter.detach().numpy().astype(float) for name, parameter in critic.named_parameters()}
    for i in range(2):
        x = seen @ p["from_observation"][i] + action @ p["from_action"][i] + p["biases.0"][i]
        for layer in range(2):
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
            x = np.tanh(x * p[f"gains.{layer}"][i] + p[f"shifts.{layer}"][i])
            x = x @ p[f"weights.{layer}"][i] + p[f"biases.{layer + 1}"][i]
        np.testing.assert_allclose(together[i], x[:, 0], rtol=1e-4, atol=1e-5)


def _spread(learner: SAC, env: _Toy) -> tuple[float, float]:
    """Mean and standard deviation of the actions that the environment is given from here on."""
    env.taken.clear()
    for _ in range(3):
        learner.iterate()
    actions = np.concatenate([action for _, action in env.taken])
    return float(actions.mean()), float(actions.std())


@pytest.mark.slow
def test_the_policy_of_most_entropy_for_a_quadratic_reward() -> None:
    """π* ∝ exp(r/α): for r = −½ (a − 1)² a Gaussian of mean 1 and variance α, the bounds of ±10 being far away."""
    env = _Target(bound=10.0)
    learner = SAC(env, dataclasses.replace(QUICK, temperature=0.5), 0)
    _train(learner, 2800)
    mean, std = _spread(learner, env)
    assert mean == pytest.approx(1.0, abs=0.1)
    assert std == pytest.approx(math.sqrt(0.5), rel=0.1)


@pytest.mark.slow
def test_a_penalty_on_the_mean_holds_it_back() -> None:
    """a = 10 tanh u ≈ 10 u: the least of ½ (10 μ − 1)² + 50 μ² is at 10 μ = ½."""
    env = _Target(bound=10.0)
    learner = SAC(env, dataclasses.replace(QUICK, temperature=0.5, mean_penalty=50.0), 0)
    _train(learner, 2800)
    assert _spread(learner, env)[0] == pytest.approx(0.5, abs=0.08)


class _ToAndFro(_Toy):
    """The reward is −½ (a ∓ 1)²; the sign, which the robots see, is another in every step."""

    def see(self) -> BatchObservation:
        hot = np.eye(2, dtype=np.float32)[self.age % 2]
        return BatchObservation(hot, hot)

    def pay(self, action: Any) -> Any:
        return -0.5 * np.square(action[:, 0] - np.where(self.age % 2, -1.0, 1.0))


@pytest.mark.slow
def test_smoothness_holds_back_what_goes_to_and_fro() -> None:
    """a = ±10 t by side: the least of ½ (10 t − 1)² + w (2 t)² is at 10 t = 1 / (1 + 0.08 w)."""
    for weight, expected in ((0.0, 1.0), (12.5, 0.5)):
        config = dataclasses.replace(QUICK, discount=0.5, temperature=0.05, smoothness=weight)
        learner = SAC(_ToAndFro(50, falls=False, bound=10.0), config, 0)
        _train(learner, 2800)
        with torch.no_grad():
            there, back = learner.actor()(torch.eye(2))[:, 0].tolist()
        assert 0.5 * (there - back) == pytest.approx(expected, abs=0.15)


@pytest.mark.slow
def test_the_temperature_brings_the_entropy_to_its_target() -> None:
    """In units of the range r = −½·25 (y − 0.2)², so that a Gaussian of entropy H = ln(σ √(2πe)) has α = 25 σ²."""
    config = dataclasses.replace(SMALL, temperature=0.05, target_entropy_scale=1.2)
    learner = SAC(_Target(bound=5.0), config, 0)
    _train(learner, 4800)
    shown = learner.iterate()
    assert shown["policy/entropy"] == pytest.approx(-1.2, abs=0.08)
    variance = math.exp(-2.4) / (2.0 * math.pi * math.e)
    assert shown["policy/temperature"] == learner.temperature == pytest.approx(25.0 * variance, rel=0.15)


NO_ENTROPY = {"temperature": 1e-6, "tune_temperature": False}


@pytest.mark.parametrize("n_steps", [1, 3])
def test_what_is_cut_by_time_goes_on(n_steps: int) -> None:
    """1 for ever is worth 1/(1 − γ), whenever the clock cuts; 4 more every fourth step, 4 γᵏ/(1 − γ⁴)."""
    learner = SAC(_Clock(7, falls=False), dataclasses.replace(SMALL, discount=0.8, n_steps=n_steps, **NO_ENTROPY), 0)
    _train(learner, 2000)
    expected = 5.0 + 4.0 * 0.8 ** np.array([3, 2, 1, 0]) / (1.0 - 0.8**4)
    np.testing.assert_allclose(_values(learner, np.eye(4)), np.tile(expected, (2, 1)), atol=0.15)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_what_falls_has_no_future(n_steps: int) -> None:
    """1 for k more steps is worth (1 − γᵏ)/(1 − γ)."""
    learner = SAC(_Toy(10), dataclasses.replace(SMALL, discount=0.8, n_steps=n_steps, **NO_ENTROPY), 0)
    _train(learner, 2000)
    expected = (1.0 - 0.8 ** np.arange(10, 0, -1)) / 0.2
    np.testing.assert_allclose(_values(learner, np.eye(11)[:10]), np.tile(expected, (2, 1)), atol=0.15)


def test_the_value_holds_the_entropy_to_come() -> None:
    """With no reward at all the optimum is even over (−1, 1): Q = γ/(1 − γ) α ln 2."""

    class Free(_Clock):
        def pay(self, action: Any) -> Any:
            return 0.0 * super().pay(action)

    config = dataclasses.replace(SMALL, discount=0.8, temperature=0.5, tune_temperature=False)
    learner = SAC(Free(7, falls=False), config, 0)
    shown = _train(learner, 2400)
    # A squashed Gaussian comes within 0.02 of the entropy ln 2 of the even distribution.
    assert shown["policy/entropy"] == pytest.approx(math.log(2.0), abs=0.05)
    np.testing.assert_allclose(_values(learner, np.eye(4)), 4.0 * 0.5 * math.log(2.0), atol=0.12)


def test_the_critic_sees_what_the_actor_does_not() -> None:
    class Hidden(_Toy):
        def begin(self, which: Any) -> None:
            self.sign = np.where(np.arange(self.n_envs) % 2, 1.0, -1.0)

        def pay(self, action: Any) -> Any:
            return 0.5 + 2.5 * self.sign

        def see(self) -> BatchObservation:
            sign = self.sign[:, None].astype(np.float32)
            return BatchObservation(np.zeros_like(sign), sign)

    learner = SAC(Hidden(), SMALL, 0)
    _train(learner, 1600)
    np.testing.assert_allclose(_values(learner, [[1.0], [-1.0]]), [[3.0, -2.0]] * 2, atol=0.15)


def test_the_future_is_the_lesser_of_the_targets() -> None:
    """Targets that say 10 and 6 whatever they see: Q = 1 + γ · 6."""
    learner = SAC(_Toy(falls=False), dataclasses.replace(SMALL, discount=0.5, target_rate=1e-9, **NO_ENTROPY), 0)
    state = learner.state_dict()
    state["target"]["weights.1"].zero_()
    state["target"]["biases.2"].copy_(torch.tensor([10.0, 6.0]).view(2, 1, 1))
    learner.load_state_dict(state)
    _train(learner, 1600)
    np.testing.assert_allclose(_values(learner, [[1.0, 0.0]]), [[4.0]] * 2, atol=0.1)


def test_targets_follow_by_their_rate() -> None:
    config = dataclasses.replace(SMALL, steps_per_iteration=1, learning_starts=0, target_rate=0.25)
    learner = SAC(_Walk(5), config, 0)
    for _ in range(3):
        before = learner.state_dict()
        learner.iterate()
        after = learner.state_dict()
        for name, target in after["target"].items():
            assert not torch.equal(after["critic"][name], before["critic"][name])
            expected = 0.75 * before["target"][name] + 0.25 * after["critic"][name]
            torch.testing.assert_close(target, expected, rtol=1e-5, atol=1e-7)


def test_the_actor_waits_for_the_critics() -> None:
    config = dataclasses.replace(SMALL, steps_per_iteration=1, learning_starts=0, policy_delay=2)
    learner = SAC(_Walk(5), config, 0)
    moved = []
    for _ in range(4):
        before = learner.state_dict()
        learner.iterate()
        after = learner.state_dict()
        moved.append(not torch.equal(before["actor"]["0.weight"], after["actor"]["0.weight"]))
        assert moved[-1] != torch.equal(before["log_temperature"], after["log_temperature"])
    assert moved == [False, True, False, True]


def test_first_actions_are_even_over_the_bounds_and_teach_nothing() -> None:
    env = _Walk(5, bound=4.0, actions=2)
    learner = SAC(env, dataclasses.replace(SMALL, learning_starts=4008, steps_per_iteration=500), 0)
    before = learner.state_dict()
    learner.iterate()
    assert learner.steps == 4000
    _assert_same(before["actor"], learner.state_dict()["actor"])
    actions = np.concatenate([action for _, action in env.taken])
    counts, _ = np.histogram(actions, np.linspace(-4.0, 4.0, 9))
    assert counts.sum() == actions.size
    assert (np.abs(counts - 1000) < 150).all()


def test_the_statistics_of_the_environment_are_shown() -> None:
    env = _Walk(5)
    env.statistics = lambda: {"episode/return": 7.0}
    assert SAC(env, SMALL, 0).iterate()["episode/return"] == 7.0


def test_the_exported_actor_is_the_one_that_acts() -> None:
    """With next to no noise in the policy, and what the environment was told to do."""
    config = dataclasses.replace(
        SMALL, log_std_low=-20.0, log_std_high=-18.0, learning_starts=0, steps_per_iteration=1, n_steps=100
    )
    env = _Walk(5, bound=3.0, actions=2)
    env.action_high = np.array([3.0, 9.0])
    learner = SAC(env, config, 0)
    state = learner.state_dict()
    state["actor"]["2.weight"] *= 100.0  # away from the small actions of the beginning
    state["policy_normaliser"]["mean"] += 2.0
    state["policy_normaliser"]["count"] += 1.0
    learner.load_state_dict(state)
    learner.iterate()
    ((seen, action),) = env.taken
    with torch.no_grad():
        expected = learner.actor()(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(action, expected, rtol=1e-4, atol=1e-4)
    assert (np.ptp(action, axis=0) > 0.1).all()


def test_the_seed_decides_every_bit() -> None:
    def digest(seed: int) -> list[float]:
        learner = SAC(_Walk(5), dataclasses.replace(SMALL, normalise_observations=True), seed)
        _train(learner, 800)
        state = learner.state_dict()
        return [value.double().sum().item() for part in ("actor", "critic", "target") for value in state[part].values()]

    assert digest(1) == digest(1) != digest(2)


def _assert_same(one: Any, other: Any, where: str = "state") -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            _assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, list | tuple):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            _assert_same(a, b, f"{where}[{i}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        np.testing.assert_array_equal(one, other, where)


@pytest.mark.parametrize("shared", [True, False])
def test_a_resumed_run_is_the_run(shared: bool, tmp_path: Path) -> None:
    """Saved before its buffer is full, and gone on past the seam."""
    config = dataclasses.replace(
        SMALL, buffer_size=1000, n_steps=2, normalise_observations=not shared, policy_delay=4, updates_per_step=2
    )
    kind = _Target if shared else _Walk
    original, resumed = (SAC(kind(5), config, seed) for seed in (3, 4))
    _train(original, 800)
    save_checkpoint(tmp_path / "checkpoint.pt", original.state_dict())
    _train(original, 1200)
    resumed.iterate()
    resumed.load_state_dict(load_checkpoint(tmp_path / "checkpoint.pt"))
    assert resumed.steps == 800
    _train(resumed, 1200)
    _assert_same(original.state_dict(), resumed.state_dict())


def test_learning_rates_are_those_of_the_configuration() -> None:
    state = SAC(_Walk(5), SMALL, 0).state_dict()
    learner = SAC(_Walk(5), dataclasses.replace(SMALL, learning_starts=0, actor_learning_rate=1e-12), 0)
    learner.load_state_dict(state)
    learner.iterate()
    after = learner.state_dict()
    torch.testing.assert_close(after["actor"], state["actor"], rtol=1e-6, atol=1e-8)
    assert not torch.equal(after["critic"]["weights.0"], state["critic"]["weights.0"])


def test_each_network_is_normalised_by_what_it_sees() -> None:
    """Noise of mean 3 and variance 1 above ages of 0 to 4: mean 5 and variance 1 + 2."""
    learner = SAC(_Walk(5), dataclasses.replace(SMALL, normalise_observations=True, learning_starts=10**6), 0)
    _train(learner, 4000)
    state = learner.state_dict()
    for name, width in (("policy_normaliser", 3), ("critic_normaliser", 5)):
        np.testing.assert_allclose(state[name]["mean"].numpy(), [5.0] * width, atol=0.2)
        np.testing.assert_allclose(state[name]["var"].numpy(), [3.0] * width, atol=0.4)


def test_a_state_of_another_network_or_environment_is_refused(refuses: Refuses) -> None:
    state = SAC(_Walk(5), SMALL, 0).state_dict()
    with refuses(ConfigError, "actor_hidden [32]", "expected [16]"):
        SAC(_Walk(5), dataclasses.replace(SMALL, actor_hidden=(16,)), 0).load_state_dict(state)
    with refuses(ConfigError, "critic_layer_norm True"):
        SAC(_Walk(5), dataclasses.replace(SMALL, critic_layer_norm=False), 0).load_state_dict(state)
    with refuses(ConfigError, "action_size 1", "expected 2"):
        SAC(_Walk(5, actions=2), SMALL, 0).load_state_dict(state)
    with refuses(ConfigError, "'ppo'", "expected 'sac'"):
        SAC(_Walk(5), SMALL, 0).load_state_dict({**state, "algorithm": "ppo"})
    del state["generator"]
    with refuses(ConfigError, "lacks 'generator'"):
        SAC(_Walk(5), SMALL, 0).load_state_dict(state)


def test_a_reward_that_is_not_finite_stops_before_it_is_stored(refuses: Refuses) -> None:
    env = _Walk(5)
    learner = SAC(env, SMALL, 0)
    _train(learner, 800)
    before = learner.state_dict()
    env.pay = lambda action: np.array([0.0] * 5 + [math.nan] + [0.0] * 2)
    with refuses(TrainingError, "reward of robot 5", "step 800"):
        learner.iterate()
    after = learner.state_dict()
    for part in ("actor", "critic", "target", "buffer", "log_temperature"):
        _assert_same(before[part], after[part])


@pytest.mark.parametrize(("part", "layer", "what"), [("critic", "weights.1", "value"), ("actor", "2.weight", "policy")])
def test_a_loss_that_is_not_finite_changes_nothing(part: str, layer: str, what: str, refuses: Refuses) -> None:
    """A value of 1e33 overflows when it is squared; a mean of 1e33 before tanh, when its gradient is."""
    learner = SAC(_Target(), dataclasses.replace(SMALL, steps_per_iteration=1), 0)
    _train(learner, 400)
    state = learner.state_dict()
    state[part][layer] *= 1e35
    learner.load_state_dict(state)
    with refuses(TrainingError, f"the {what} loss", "at step 408"):
        learner.iterate()
    _assert_same(state[part], learner.state_dict()[part])


def test_an_action_that_is_not_finite_moves_nobody(refuses: Refuses) -> None:
    env = _Target()
    learner = SAC(env, dataclasses.replace(SMALL, learning_starts=0), 0)
    state = learner.state_dict()
    state["actor"]["2.bias"][0] = math.nan
    learner.load_state_dict(state)
    with refuses(TrainingError, "action of robot 0"):
        learner.iterate()
    assert env.taken == []


def test_long_gradients_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[float] = []
    step = torch.optim.Adam.step

    def watch(self: Any, *args: Any) -> Any:
        gradients = [parameter.grad for parameter in self.param_groups[0]["params"]]
        lengths.append(math.sqrt(sum(gradient.double().square().sum().item() for gradient in gradients)))
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", watch)
    for limit in (None, 0.05):
        lengths.clear()
        _train(SAC(_Walk(5), dataclasses.replace(SMALL, max_gradient_norm=limit), 0), 500)
        assert (max(lengths) <= 0.05 * 1.0001) == (limit is not None)


class _Sided(_Toy):
    """They see only their left (+1), where (0.5, −0.3) is best; the mirror exchanges the actions and their signs."""

    mirror = BatchMirror(
        policy=Mirroring(np.array([0]), np.array([-1.0], dtype=np.float32)),
        critic=Mirroring(np.array([0]), np.array([-1.0], dtype=np.float32)),
        action=Mirroring(np.array([1, 0]), np.array([-1.0, -1.0], dtype=np.float32)),
    )

    def pay(self, action: Any) -> Any:
        return -10.0 * np.square(action - [0.5, -0.3]).sum(1)

    def see(self) -> BatchObservation:
        seen = np.ones((self.n_envs, 1), dtype=np.float32)
        return BatchObservation(seen, seen)


@pytest.mark.slow
def test_what_is_learned_on_one_side_holds_on_the_other() -> None:
    config = dataclasses.replace(SMALL, temperature=0.02, tune_temperature=False)
    learner = SAC(_Sided(actions=2), config, 0)
    _train(learner, 2400)
    with torch.no_grad():
        left, right = learner.actor()(torch.tensor([[1.0], [-1.0]])).tolist()
    assert left == pytest.approx([0.5, -0.3], abs=0.12)
    assert right == pytest.approx([0.3, -0.5], abs=0.12)


def test_the_image_is_normalised_like_what_it_is_of() -> None:
    """They see 1 only; with the images, −1 half of the time, that is mean 0 and variance 1."""
    config = dataclasses.replace(SMALL, normalise_observations=True)
    learner = SAC(_Sided(actions=2), config, 0)
    learner.iterate()
    state = learner.state_dict()["policy_normaliser"]
    assert state["mean"].item() == pytest.approx(0.0, abs=1e-12)
    assert state["var"].item() == pytest.approx(1.0)


def test_bounds_that_the_mirror_changes_are_refused(refuses: Refuses) -> None:
    env = _Sided(actions=2)
    env.action_high = np.array([1.0, 2.0])
    with refuses(ConfigError, "mirror", "bounds"):
        SAC(env, SMALL, 0)
    SAC(env, dataclasses.replace(SMALL, mirror=False), 0)
    # The left knee's upper bound is the right one's lower: what the signs ask for.
    env.action_low, env.action_high = np.array([-1.0, -2.0]), np.array([2.0, 1.0])
    SAC(env, SMALL, 0)


def test_an_action_without_bounds_is_refused(refuses: Refuses) -> None:
    env = _Toy(actions=2)
    env.action_high = np.array([1.0, math.inf])
    with refuses(ConfigError, "finite bounds", "[-1, inf]", "number 1"):
        SAC(env, SMALL, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actor_hidden": ()}, ["'actor_hidden'", "[]"]),
        ({"critic_hidden": (8, 0)}, ["critic_hidden", "[8, 0]"]),
        ({"batch_size": 0}, ["batch_size", "0"]),
        ({"learning_starts": -1}, ["learning_starts", "-1"]),
        ({"policy_delay": 0}, ["policy_delay"]),
        ({"n_steps": 0}, ["n_steps"]),
        ({"temperature": 0.0}, ["temperature", "above 0"]),
        ({"actor_learning_rate": math.nan}, ["actor_learning_rate", "nan"]),
        ({"max_gradient_norm": 0.0}, ["max_gradient_norm"]),
        ({"discount": 1.0}, ["discount", "[0, 1)"]),
        ({"target_rate": 0.0}, ["target_rate", "(0, 1]"]),
        ({"target_entropy_scale": math.inf}, ["target_entropy_scale"]),
        ({"mean_penalty": -0.1}, ["mean_penalty", "at least 0"]),
        ({"smoothness": -0.1}, ["smoothness", "at least 0"]),
        ({"log_std_low": 2.0}, ["log_std_low", "[2, 2]"]),
        ({"log_std_high": math.inf}, ["'log_std_high'", "inf"]),
        ({"activation": "gelu"}, ["'activation'", "relu", "'gelu'"]),
    ],
)
def test_a_wrong_configuration_is_refused(changes: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, "sac", *words):
        dataclasses.replace(SMALL, **changes)


def test_an_unknown_activation_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "activation", "'gelu'"):
        TwinCritic(1, 1, (4,), "gelu", layer_norm=False, generator=torch.Generator())


@pytest.mark.slow
def test_pendulum_swings_up() -> None:
    pytest.importorskip("gymnasium")
    from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumBatch

    config = dataclasses.replace(
        SMALL,
        actor_hidden=(64, 64),
        critic_hidden=(64, 64),
        batch_size=128,
        buffer_size=20000,
        learning_starts=1000,
        updates_per_step=2,
        steps_per_iteration=200,
        actor_learning_rate=1e-3,
        critic_learning_rate=1e-3,
        temperature_learning_rate=1e-3,
        target_rate=0.01,
        normalise_observations=True,
    )
    learner = SAC(GymnasiumBatch("Pendulum-v1", 4), config, 0)
    _train(learner, 8000)
    actor, env = learner.actor(), GymnasiumBatch("Pendulum-v1", 20)
    observation = env.reset(1).policy
    for _ in range(200):
        with torch.no_grad():
            observation = env.step(actor(torch.from_numpy(observation)).numpy()).observation.policy
    statistics = env.statistics()
    assert statistics["episode/count"] == 20
    assert statistics["episode/return"] > -300.0
