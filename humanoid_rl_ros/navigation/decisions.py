"""A floor grid as a Markov decision process."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.navigation.floor_grid import FloorGrid

Outcome = tuple[float, int, float, bool]
"""Probability, next state, reward, and whether the episode ends there."""
Outcomes = dict[int, dict[int, list[Outcome]]]


@dataclass(frozen=True)
class MoveRules:
    """What a move costs, and how sure it is.

    Attributes:
        slip: probability that the robot goes to one of the two directions beside the one it chose.
        bump: cost of a move that something is in the way of; the robot stays where it is.
    """

    slip: float = 0.0
    bump: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.slip < 1.0:
            raise ConfigError(f"'slip' must be at least 0 and below 1, found {self.slip:g}")
        if not (math.isfinite(self.bump) and self.bump > 0.0):  # of no cost, to stand still would be the best
            raise ConfigError(f"'bump' must be finite and above 0, found {self.bump:g}")


def outcomes(grid: FloorGrid, rules: MoveRules) -> Outcomes:
    """What can come of each move in each state, in the layout of Gymnasium's toy_text environments.

    A move costs its length in cells, so that without slip and discount the value of a state is minus the length of its
    shortest way. The goal ends the episode; what follows it costs nothing.
    """
    goal, moves = grid.goal_state, grid.moves
    table: Outcomes = {}
    for state, row in enumerate(grid.successors):
        table[state] = {}
        for action in range(moves):
            if state == goal:
                table[state][action] = [(1.0, goal, 0.0, True)]
                continue
            chances = {action: 1.0 - rules.slip}
            if rules.slip > 0.0:
                for beside in ((action - 1) % moves, (action + 1) % moves):
                    chances[beside] = 0.5 * rules.slip
            table[state][action] = [
                (
                    chance,
                    int(row[done]),
                    -rules.bump if row[done] == state else -float(grid.lengths[done]),
                    bool(row[done] == goal),
                )
                for done, chance in chances.items()
            ]
    return table
