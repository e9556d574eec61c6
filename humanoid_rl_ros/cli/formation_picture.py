"""The paths of teams in formation as a picture: each way to decide in a row, the same teams below each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.envs.formation_evaluation import FormationRun

TEAMS = 3
"""Drawn, of all that walked."""
EVERY_S = 5.0
"""Time between two outlines of a formation [s]."""
COLOURS = ("#3566a8", "#c8553d", "#4c8c4a", "#8a5fa8", "#b8860b", "#2b8a8a", "#7a7a7a", "#a83566")
SLOW = "slow"


def draw_formations(runs: Mapping[str, FormationRun], file: Path) -> None:
    """Draw where robots walked: a line for each, a ring where it began, outlines of the team in between.

    Args:
        runs: by their names; of the same teams.
        file: PNG, SVG or PDF.

    Raises:
        ConfigError: the file cannot be written, or its ending says no picture.
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingDependencyError("a picture needs matplotlib: pip install matplotlib") from None
    first = next(iter(runs.values()))
    teams = min(TEAMS, first.position.shape[1])
    figure = Figure(figsize=(4.2 * teams, 3.8 * len(runs)), layout="constrained")
    grid = figure.subplots(len(runs), teams, squeeze=False)
    for row, (name, run) in zip(grid, runs.items(), strict=True):
        for team, axes in enumerate(row):
            stood = int(run.standing[:, team].sum())
            path = run.position[: max(stood, 1), team]
            for robot in range(path.shape[1]):
                label = f"{robot + 1}, {SLOW}" if robot == run.slowed[team] else f"{robot + 1}"
                colour = COLOURS[robot % len(COLOURS)]
                axes.plot(*path[:, robot].T, color=colour, linewidth=1.2, label=label)
                axes.plot(*path[0, robot], "o", color=colour, fillstyle="none", markersize=6)
            every = max(1, round(EVERY_S / run.period))
            for k in range(every, len(path), every):
                corners = path[k][_around(path[k])]
                axes.plot(*corners.T, color="0.55", linewidth=0.8, marker=".", markersize=5, zorder=0)
            fell = "" if stood == len(run.standing) else f", one fell after {stood * run.period:.0f} s"
            axes.set_title(f"{name}, team {team + 1}{fell}", fontsize=9)
            axes.set_aspect("equal", adjustable="datalim")
            axes.set_xlabel("x [m]", fontsize=8)
            axes.set_ylabel("y [m]", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.grid(color="0.9", linewidth=0.5)
            axes.legend(fontsize=7, frameon=False)
    try:
        figure.savefig(file, dpi=120)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"cannot write the picture {file}: {reason}") from None


def _around(points: np.ndarray) -> np.ndarray:
    """An order that goes once round the middle and back to its beginning."""
    offset = points - points.mean(axis=0)
    order = np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))
    return np.append(order, order[0])
