"""`humanoid_rl_ros/Navigate-v0`: from anywhere on a floor to a goal, a cell at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.occupancy import OccupancyMap
from humanoid_rl_ros.navigation.decisions import MoveRules, outcomes
from humanoid_rl_ros.navigation.drawing import draw_grid, text_of
from humanoid_rl_ros.navigation.floor_grid import floor_grid
from humanoid_rl_ros.resources import find_map

LEAST_STEPS = 50
FURTHER = 4.0
"""Times the longest of the shortest ways: the moves of an episode, where nobody says how many."""
DEFAULT_MAP, DEFAULT_GOAL = "rooms", (7.0, 4.75)


class NavigationEnv(gymnasium.Env[np.int64, np.int64]):
    """Free cells are the observations, moves the actions; every move costs its length, and the goal ends it.

    Args:
        map: a shipped map's name, a map's YAML, or an `OccupancyMap`.
        goal: x, y in the map's frame [m].
        cell: edge of a cell [m].
        radius: of the robot; cells nearer to an obstacle are not free [m].
        moves: 4 or 8 directions.
        slip: probability that a move goes to one of the directions beside the one that was chosen.
        bump: cost of a move that something is in the way of.
        max_steps: moves after which an episode is truncated; 0: four times the longest of the shortest ways.
        start: where every episode starts [m; map frame]; None: on any free cell.
        render_mode: ``rgb_array`` or ``ansi``.

    Attributes:
        grid: the `FloorGrid`; its states are the observations.
        P: ``{state: {action: [(probability, next state, reward, terminated), ...]}}``, as of toy_text.
        initial_state_distrib: probability of each state at the start.
        map: the `OccupancyMap`.
        name: of the map.

    Raises:
        ConfigError: map, goal or a number cannot be.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10}  # noqa: RUF012  # Gymnasium's form

    def __init__(
        self,
        map: str | OccupancyMap = DEFAULT_MAP,  # what users write
        goal: Sequence[float] = DEFAULT_GOAL,
        *,
        cell: float = 0.25,
        radius: float = 0.3,
        moves: int = 8,
        slip: float = 0.0,
        bump: float = 2.0,
        max_steps: int = 0,
        start: Sequence[float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.map = map if isinstance(map, OccupancyMap) else find_map(map)
        self.name = "floor" if isinstance(map, OccupancyMap) else Path(map).stem
        self.rules = MoveRules(float(slip), float(bump))
        self.radius = float(radius)
        self.grid = floor_grid(self.map, _point(goal, "goal"), cell=float(cell), radius=self.radius, moves=moves)
        self.P = outcomes(self.grid, self.rules)
        n = len(self.grid.states)
        if max_steps < 0:
            raise ConfigError(f"'max_steps' must be at least 0, found {max_steps}")
        self.max_steps = max_steps or max(LEAST_STEPS, round(FURTHER * float(self.grid.distances.max())))
        self.initial_state_distrib = self._starts(start)
        self.observation_space = gymnasium.spaces.Discrete(n)
        self.action_space = gymnasium.spaces.Discrete(self.grid.moves)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(f"no render_mode '{render_mode}'; known: {', '.join(self.metadata['render_modes'])}")
        self.render_mode = render_mode
        self.greedy: IndexArray | None = None
        """A move for each state that `render` draws as arrows, or None."""
        self._state = int(np.argmax(self.initial_state_distrib))
        self._steps = 0

    def _starts(self, start: Sequence[float] | None) -> FloatArray:
        n = len(self.grid.states)
        chances = np.zeros(n)
        if start is None:
            chances[:] = 1.0 / (n - 1)
            chances[self.grid.goal_state] = 0.0
            return chances
        point = _point(start, "start")
        state = self.grid.state_of(np.array(point))
        if state is None or state == self.grid.goal_state:
            where = "is the goal" if state is not None else "is in no cell from which the goal can be reached"
            raise ConfigError(f"the start ({point[0]:g}, {point[1]:g}) {where}")
        chances[state] = 1.0
        return chances

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Put the robot somewhere; option ``state`` says where.

        Raises:
            ConfigError: an option is unknown, or there is no such state.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        state = options.pop("state", None)
        if options:
            raise ConfigError(f"no reset option '{next(iter(options))}'; known: state")
        if state is not None and not 0 <= int(state) < len(self.grid.states):
            raise ConfigError(f"reset option 'state' must be 0 to {len(self.grid.states) - 1}, found {state}")
        chosen = self.np_random.choice(len(self.grid.states), p=self.initial_state_distrib) if state is None else state
        self._state = int(chosen)
        self._steps = 0
        return np.int64(self._state), {"prob": 1.0}

    def step(self, action: np.int64 | int) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """One move."""
        possible = self.P[self._state][int(action)]
        which = 0 if len(possible) == 1 else self.np_random.choice(len(possible), p=[chance for chance, *_ in possible])
        chance, self._state, reward, terminated = possible[int(which)]
        self._steps += 1
        truncated = not terminated and self._steps >= self.max_steps
        return np.int64(self._state), reward, terminated, truncated, {"prob": chance}

    def render(self) -> NDArray[np.uint8] | str | None:
        """The grid from above."""
        if self.render_mode == "rgb_array":
            return draw_grid(self.grid, self._state, self.greedy)
        return text_of(self.grid, self._state) if self.render_mode == "ansi" else None


def _point(values: Sequence[float], what: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in values)
    except (TypeError, ValueError):
        raise ConfigError(f"'{what}' must be two numbers, x and y [m], found {values!r}") from None
    return x, y
