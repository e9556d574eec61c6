"""Small worlds whose answers are known, for the learners' tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from humanoid_rl_ros.envs.batch_env import BatchMirror, BatchObservation, BatchStep


class TableWorld:
    """Copies of a world given as ``P[state][action] = [(probability, next, reward, terminated)]``, seen one-hot.

    Args:
        world: P.
        start: state in which every episode begins; None for any, each equally likely.
        copies: n.
        longest: steps after which an episode is cut.
    """

    def __init__(self, world: Any, start: int | None = 0, *, copies: int = 1, longest: int = 100) -> None:
        self._world, self._start, self._longest = world, start, longest
        self.n_envs, self.n_states, self.n_actions = copies, len(world), len(world[0])
        self.observation_size = self.critic_size = self.n_states
        self.ended: list[float] = []
        self.reset(0)

    def reset(self, seed: int) -> BatchObservation:
        self._rng = np.random.default_rng(seed)
        self._state = np.array([self._begin() for _ in range(self.n_envs)])
        self._age = np.zeros(self.n_envs, dtype=int)
        self._return = np.zeros(self.n_envs)
        return self._seen(self._state)

    def step(self, action: Any) -> BatchStep:
        assert action.shape == (self.n_envs,)
        assert action.dtype.kind == "i"
        reward, terminated = np.zeros(self.n_envs), np.zeros(self.n_envs, dtype=bool)
        for i in range(self.n_envs):
            outcomes = self._world[self._state[i]][int(action[i])]
            outcome = outcomes[0] if len(outcomes) == 1 else outcomes[self._drawn(outcomes)]
            _, self._state[i], reward[i], terminated[i] = outcome
        self._age += 1
        self._return += reward
        truncated = (self._age >= self._longest) & ~terminated
        final = self._seen(self._state)
        for i in np.flatnonzero(terminated | truncated):
            self.ended.append(self._return[i])
            self._state[i], self._age[i], self._return[i] = self._begin(), 0, 0.0
        return BatchStep(self._seen(self._state), reward, terminated, truncated, final)

    def statistics(self) -> dict[str, float]:
        ended, self.ended = self.ended, []
        return {"episode/return": float(np.mean(ended)), "episode/count": float(len(ended))} if ended else {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "random": self._rng.bit_generator.state,
            "state": self._state.copy(),
            "age": self._age.copy(),
            "return": self._return.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["random"]
        self._state, self._age, self._return = (np.array(state[name]) for name in ("state", "age", "return"))

    def close(self) -> None:
        pass

    def _drawn(self, outcomes: Any) -> int:
        lot, which = self._rng.random() - outcomes[0][0], 0
        while lot >= 0.0 and which < len(outcomes) - 1:
            which += 1
            lot -= outcomes[which][0]
        return which

    def _begin(self) -> int:
        return self._start if self._start is not None else int(self._rng.integers(self.n_states))

    def _seen(self, states: Any) -> BatchObservation:
        hot = np.eye(self.n_states, dtype=np.float32)[states]
        return BatchObservation(hot, hot)


def maze(rows: str, *, slip: float = 0.0, goal: float = 0.0, move: float = -1.0) -> dict[int, Any]:
    """A maze of ``.`` (free), ``#`` (wall) and ``G`` (goal), in lines; up, right, down and left cost one each.

    A move into a wall or out of the maze stays. With `slip`, a move goes to either side instead with half of it each.
    """
    lines = rows.split()
    cells = [(r, c) for r, line in enumerate(lines) for c, mark in enumerate(line) if mark != "#"]
    number = {cell: i for i, cell in enumerate(cells)}
    ways = ((-1, 0), (0, 1), (1, 0), (0, -1))

    def lead(cell: tuple[int, int], way: int) -> tuple[int, float, bool]:
        r, c = cell[0] + ways[way % 4][0], cell[1] + ways[way % 4][1]
        after = (r, c) if (r, c) in number else cell
        at_goal = lines[after[0]][after[1]] == "G"
        return number[after], goal if at_goal else move, at_goal

    return {
        number[cell]: {
            way: [
                (share, *lead(cell, way + turn))
                for turn, share in ((0, 1.0 - slip), (1, slip / 2), (-1, slip / 2))
                if share
            ]
            for way in range(4)
        }
        for cell in cells
    }


class Bandit:
    """Copies of a world without states: an action of (−1, 1)ᵏ pays −|a − best|², and every episode is one step."""

    mirror: BatchMirror | None = None

    def __init__(self, best: Any, *, bound: float = 1.0, copies: int = 8) -> None:
        self._best = np.asarray(best, dtype=np.float64)
        self.n_envs = copies
        self.action_low, self.action_high = (np.full(len(self._best), sign * bound) for sign in (-1.0, 1.0))
        self.observation_size = self.critic_size = 1

    def reset(self, seed: int) -> BatchObservation:
        return self._seen()

    def step(self, action: Any) -> BatchStep:
        reward = -((action - self._best) ** 2).sum(axis=1)
        over, no = np.ones(self.n_envs, dtype=bool), np.zeros(self.n_envs, dtype=bool)
        return BatchStep(self._seen(), reward, over, no, self._seen())

    def statistics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass

    def _seen(self) -> BatchObservation:
        seen = np.ones((self.n_envs, 1), dtype=np.float32)
        return BatchObservation(seen, seen)
