"""Advantages by hand, and by the two laws at the ends of λ."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.learning.advantages import generalised_advantages


def _column(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1)


def _flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool).unsqueeze(1)


def test_within_an_episode_by_hand() -> None:
    advantage, target = generalised_advantages(
        _column(1, 2, 3), _column(1, 1, 1), _column(1, 1, 4), _flags(0, 0, 0), _flags(0, 0, 0), 0.5, 0.5
    )
    # δ = 1 + ½·1 − 1, 2 + ½·1 − 1, 3 + ½·4 − 1 = 0.5, 1.5, 4; γλ = ¼: 4, 1.5 + 1, 0.5 + 0.625.
    assert advantage.flatten().tolist() == [1.125, 2.5, 4.0]
    assert target.flatten().tolist() == [2.125, 3.5, 5.0]


def test_both_ends_of_an_episode_by_hand() -> None:
    # Cut after the first step in a state worth 10; fallen after the second, in a state that the critic calls 100.
    advantage, _ = generalised_advantages(
        _column(1, 2, 3), _column(1, 1, 1), _column(10, 100, 4), _flags(0, 1, 0), _flags(1, 1, 0), 0.5, 0.5
    )
    # δ = 1 + ½·10 − 1, 2 − 1, 3 + ½·4 − 1, and nothing comes from beyond an end.
    assert advantage.flatten().tolist() == [5.0, 1.0, 4.0]


def test_a_fall_at_the_last_step_is_worth_its_reward() -> None:
    advantage, target = generalised_advantages(
        _column(-3), _column(2), _column(float("nan")), _flags(1), _flags(1), 0.9, 0.9
    )
    assert (advantage.item(), target.item()) == (-5.0, -3.0)


def test_robots_do_not_mix() -> None:
    both = [torch.cat([_column(1, 2), _column(5, 6)], dim=1) for _ in range(3)]
    flags = torch.zeros(2, 2, dtype=torch.bool)
    ends = torch.tensor([[True, False], [False, False]])
    together, _ = generalised_advantages(*both, flags, ends, 0.9, 0.8)
    for i in range(2):
        alone, _ = generalised_advantages(*(x[:, [i]] for x in both), flags[:, [i]], ends[:, [i]], 0.9, 0.8)
        assert torch.equal(together[:, [i]], alone)


_rollouts = st.tuples(
    st.integers(1, 12), st.integers(1, 4), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 2**31)
)


def _random(steps: int, n: int, seed: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    reward, value, final_value = (torch.tensor(rng.normal(size=(steps, n))) for _ in range(3))
    terminated = torch.tensor(rng.random((steps, n)) < 0.2)
    done = terminated | torch.tensor(rng.random((steps, n)) < 0.2)
    return reward, value, final_value, terminated, done


@given(_rollouts)
def test_lambda_1_is_the_discounted_return_less_the_value(case: tuple[int, int, float, float, int]) -> None:
    steps, n, discount, _, seed = case
    reward, value, final_value, terminated, done = _random(steps, n, seed)
    # Where no episode ends, a step leads to the state of the next.
    final_value[:-1] = torch.where(done[:-1], final_value[:-1], value[1:])
    advantage, target = generalised_advantages(reward, value, final_value, terminated, done, discount, 1.0)
    for robot in range(n):
        for start in range(steps):
            end = next((t for t in range(start, steps) if done[t, robot]), steps - 1)
            total = sum(discount ** (t - start) * reward[t, robot] for t in range(start, end + 1))
            if not terminated[end, robot]:
                total += discount ** (end + 1 - start) * final_value[end, robot]
            np.testing.assert_allclose(target[start, robot], total, atol=1e-9)
    np.testing.assert_allclose(advantage, target - value, atol=1e-9)


@given(_rollouts)
def test_lambda_0_is_the_error_of_one_step(case: tuple[int, int, float, float, int]) -> None:
    steps, n, discount, _, seed = case
    reward, value, final_value, terminated, done = _random(steps, n, seed)
    advantage, _ = generalised_advantages(reward, value, final_value, terminated, done, discount, 0.0)
    after = final_value.masked_fill(terminated, 0.0)
    np.testing.assert_allclose(advantage, reward + discount * after - value, atol=1e-12)


@given(_rollouts)
def test_a_perfect_critic_of_a_sure_world_leaves_no_advantage(case: tuple[int, int, float, float, int]) -> None:
    steps, n, discount, gae_lambda, seed = case
    _, value, final_value, terminated, done = _random(steps, n, seed)
    reward = value - discount * final_value.masked_fill(terminated, 0.0)
    advantage, _ = generalised_advantages(reward, value, final_value, terminated, done, discount, gae_lambda)
    np.testing.assert_allclose(advantage, 0.0, atol=1e-12)
