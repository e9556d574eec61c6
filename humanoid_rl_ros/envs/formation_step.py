"""What rewards, statistics and measurements of a formation look at: one decision of all robots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.formation_view import TeamView, heading_error, slot_error, team_velocity


@dataclass(frozen=True, eq=False)
class FormationStep:
    """The truth about w teams of n robots at the end of a decision's time.

    Attributes:
        view: as ideal odometry would tell it; its `last_command` are the commands of this step.
        command_before: those of the step before [m/s, m/s, rad/s; Shape (w, n, 3)].
        fallen: [Shape (w, n)].
        diverged: the physics of a world left the finite [Shape (w,)].
        slot_error: from each robot to its slot [m; formation's axes; Shape (w, n, 2)].
        heading_error: from each robot's heading to the formation's [rad; Shape (w, n)].
        team_velocity: of the formation [m/s, m/s, rad/s; Shape (w, 3)].
        nearest: distance to the nearest other robot [m; Shape (w, n)].
        factor: what a robot's velocity is of its command [Shape (w, n)].
        tension: largest of a sling in this time, 0 where nothing is carried [N; Shape (w,)].
        clearance: least of the beam above the floor, inf where nothing is carried [m; Shape (w,)].
    """

    view: TeamView
    command_before: FloatArray
    fallen: BoolArray
    diverged: BoolArray
    slot_error: FloatArray
    heading_error: FloatArray
    team_velocity: FloatArray
    nearest: FloatArray
    factor: FloatArray
    tension: FloatArray
    clearance: FloatArray


def formation_step(
    view: TeamView,
    command_before: FloatArray,
    fallen: BoolArray,
    diverged: BoolArray,
    factor: FloatArray,
    tension: FloatArray | None = None,
    clearance: FloatArray | None = None,
) -> FormationStep:
    """Work out what follows from the view; see `FormationStep`."""
    apart = np.linalg.norm(view.position[:, :, None] - view.position[:, None], axis=-1)
    n = apart.shape[-1]
    apart[:, np.arange(n), np.arange(n)] = np.inf
    return FormationStep(
        view=view,
        command_before=command_before,
        fallen=fallen,
        diverged=diverged,
        slot_error=slot_error(view),
        heading_error=heading_error(view),
        team_velocity=team_velocity(view),
        nearest=apart.min(axis=-1),
        factor=factor,
        tension=np.zeros(len(apart)) if tension is None else tension,
        clearance=np.full(len(apart), np.inf) if clearance is None else clearance,
    )
