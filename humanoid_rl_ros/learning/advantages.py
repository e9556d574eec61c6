"""Generalised advantage estimation (Schulman et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_advantages(
    reward: Tensor,
    value: Tensor,
    final_value: Tensor,
    terminated: Tensor,
    done: Tensor,
    discount: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """Advantages of what was done, and the returns that the values should have foretold.

    Args:
        reward: r_t [Shape (T, n)].
        value: V(s_t) [Shape (T, n)].
        final_value: V(s'_t) of the state that the step led to, before any reset [Shape (T, n)].
        terminated: s'_t has no future; its value does not count [Shape (T, n); bool].
        done: the episode ended with the step, terminated or cut [Shape (T, n); bool].
        discount: γ.
        gae_lambda: λ.

    Returns:
        Advantages and returns [Shape (T, n)].
    """
    # δ_t = r_t + γ V(s'_t) − V(s_t), without the second term where s'_t is terminal (equation 10).
    error = reward + discount * final_value.masked_fill(terminated, 0.0) - value
    # A_t = δ_t + γ λ A_{t+1}, within an episode (equation 16).
    carried = (discount * gae_lambda) * (~done).to(error.dtype)
    advantage = torch.empty_like(error)
    after = torch.zeros_like(error[0])
    for t in reversed(range(len(error))):
        after = torch.addcmul(error[t], carried[t], after, out=advantage[t])
    return advantage, advantage + value
