"""What each robot of a formation is paid: a part for itself, a part that the team shares."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.envs.formation_spec import FormationRewards
from humanoid_rl_ros.envs.formation_step import FormationStep

REWARDS = ("slot", "team_slot", "distance", "team_velocity", "team_turn", "heading", "closeness", "change", "fall")
FAR = 2.0
"""Beyond this a slot error is taken for no larger [m]."""


def formation_rewards(step: FormationStep, spec: FormationRewards, period: float) -> FloatArray:
    """Every term of every robot, in the order of `REWARDS`.

    Args:
        step: what happened.
        spec: weights and widths.
        period: of a decision [s].

    Returns:
        [Shape (w, n, terms)].
    """
    error = np.linalg.norm(step.slot_error, axis=-1)
    own = np.exp(-np.square(error / spec.slot_width))
    missing = step.team_velocity - step.view.command
    speed = np.hypot(missing[:, 0], missing[:, 1])
    change = np.square(step.view.last_command - step.command_before).sum(axis=-1)
    everyone = np.ones_like(error)
    terms = {
        "slot": own,
        "team_slot": own.mean(axis=-1, keepdims=True) * everyone,
        "distance": -np.minimum(error, FAR),
        "team_velocity": np.exp(-np.square(speed / spec.velocity_width))[:, None] * everyone,
        "team_turn": np.exp(-np.square(missing[:, 2] / spec.turn_width))[:, None] * everyone,
        "heading": np.exp(-np.square(step.heading_error / spec.heading_width)),
        "closeness": -np.maximum(0.0, 1.0 - step.nearest / spec.safe_distance),
        "change": -change,
    }
    paid = [period * getattr(spec, name) * terms[name] for name in REWARDS[:-1]]
    paid.append(-spec.fall * step.fallen.any(axis=-1, keepdims=True) * everyone)
    found = np.stack(paid, axis=-1)
    found[step.diverged] = 0.0
    return found
