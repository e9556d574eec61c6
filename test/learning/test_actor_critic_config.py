"""What the actor's loss has beside the critic, by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from humanoid_rl_ros.learning.actor_critic_config import ActorCriticConfig  # noqa: E402

NOW = [[0.5, -1.0], [0.0, 2.0]]
LATER = [[0.5, 1.0], [0.25, 2.0]]


def penalty(steps: int = 0, **weights: float) -> float:
    config = ActorCriticConfig(**weights)  # type: ignore[arg-type]
    return float(config.actor_penalty(torch.tensor(NOW), lambda: torch.tensor(LATER), steps))


def test_large_means_and_quick_changes_cost() -> None:
    changes = ((math.tanh(1.0) - math.tanh(-1.0)) ** 2 + math.tanh(0.25) ** 2) / 2
    squares = (0.25 + 1.0 + 4.0) / 2
    assert penalty() == 0.0
    assert penalty(mean_penalty=0.1) == pytest.approx(0.1 * squares)
    assert penalty(smoothness=0.3) == pytest.approx(0.3 * changes)
    assert penalty(99, smoothness=0.3, smoothness_from=100) == 0.0
    assert penalty(100, smoothness=0.3, smoothness_from=100) == pytest.approx(0.3 * changes)
    assert penalty(mean_penalty=0.1, smoothness=0.3) == pytest.approx(0.1 * squares + 0.3 * changes)


def test_what_comes_later_is_asked_for_only_where_it_counts() -> None:
    asked: list[bool] = []

    def later() -> torch.Tensor:
        asked.append(True)
        return torch.tensor(LATER)

    for weight in (0.0, 0.3):
        ActorCriticConfig(smoothness=weight).actor_penalty(torch.tensor(NOW), later, 0)
    assert asked == [True]
