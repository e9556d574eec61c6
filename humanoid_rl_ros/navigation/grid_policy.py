"""What a learned policy says on every cell, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.navigation.floor_grid import FloorGrid

BATCH = 512


@dataclass(frozen=True, eq=False)
class GridPolicy:
    """The greedy policy of action values, or of preferences, among the moves that nothing is in the way of.

    Attributes:
        grid: the grid.
        values: of each move in each state [Shape (n, moves)].
    """

    grid: FloorGrid
    values: FloatArray

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        expected = (len(self.grid.states), self.grid.moves)
        if values.shape != expected:
            raise PolicyError(f"the policy has values of shape {values.shape}, the grid needs {expected}")
        if not np.isfinite(values).all():
            state, move = np.argwhere(~np.isfinite(values))[0]
            raise PolicyError(f"the policy's value of move {move} in state {state} is not finite")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @cached_property
    def actions(self) -> IndexArray:
        """The greedy move of each state; the first of equals [Shape (n,)]."""
        stays = self.grid.successors == np.arange(len(self.values))[:, None]
        return np.asarray(np.argmax(np.where(stays, -np.inf, self.values), axis=1))

    @cached_property
    def following(self) -> IndexArray:
        """The state after the greedy move; the goal stays [Shape (n,)]."""
        following = self.grid.successors[np.arange(len(self.values)), self.actions]
        following[self.grid.goal_state] = self.grid.goal_state
        return following

    @cached_property
    def arrives(self) -> BoolArray:
        """Whether the greedy moves lead from each state to the goal [Shape (n,)]."""
        return np.isfinite(self.lengths)

    def way(self, state: int) -> IndexArray:
        """The states that the greedy moves lead through: to the goal, or up to the first that comes again."""
        seen = {state: None}
        while (state := int(self.following[state])) not in seen:
            seen[state] = None
        return np.array(list(seen), dtype=np.intp)

    def points(self, state: int) -> FloatArray:
        """The cells' centres of that way, the goal itself at its end [m; map frame; Shape (n, 2)]."""
        states = self.way(state)
        points = self.grid.centres[states]
        if states[-1] == self.grid.goal_state:
            points[-1] = self.grid.goal
        return points

    @cached_property
    def lengths(self) -> FloatArray:
        """Of the ways from each state to the goal; inf where they do not lead there [m; Shape (n,)]."""
        step = self.grid.lengths[self.actions] * self.grid.cell
        lengths = np.full(len(self.values), np.inf)
        lengths[self.grid.goal_state] = step[self.grid.goal_state] = 0.0
        while True:
            longer = step + lengths[self.following]
            if np.array_equal(longer, lengths):
                return lengths
            lengths = longer


def policy_of(grid: FloorGrid, infer: Callable[[Float32Array], Float32Array]) -> GridPolicy:
    """Ask a network for every state.

    Args:
        grid: the grid.
        infer: takes states one-hot [Shape (b, n)], gives a value for each move [Shape (b, moves)].

    Raises:
        PolicyError: the network fails, or its values have another shape or are not finite.
    """
    n = len(grid.states)
    rows = []
    for start in range(0, n, BATCH):
        states = np.arange(start, min(start + BATCH, n))
        one_hot = np.zeros((len(states), n), dtype=np.float32)
        one_hot[np.arange(len(states)), states] = 1.0
        rows.append(np.asarray(infer(one_hot), dtype=np.float64))
    return GridPolicy(grid, np.concatenate(rows))
