"""The past that an off-policy learner draws from, with n-step returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep


@dataclass(frozen=True, eq=False)
class ReplayBatch:
    """Transitions of up to n steps, b of them; m ≤ n is how many steps each has before its episode ended.

    Attributes:
        observation: what the actor saw [Shape (b, observation_size)].
        critic: what the critic saw then [Shape (b, critic_size)].
        action: what was done [Shape (b, action_size)].
        reward: Σ_{k<m} γᵏ r_k [Shape (b,)].
        next_observation, next_critic: m steps later; the last of the episode where it ended.
        discount: γᵐ, or 0 where the m-th step terminated the episode [Shape (b,)].
    """

    observation: Tensor
    critic: Tensor
    action: Tensor
    reward: Tensor
    next_observation: Tensor
    next_critic: Tensor
    discount: Tensor

    def split(self, size: int) -> Iterator[ReplayBatch]:
        """In parts of that size."""
        for parts in zip(*(getattr(self, field.name).split(size) for field in fields(self)), strict=True):
            yield ReplayBatch(*parts)


class ReplayBuffer:
    """The newest transitions of a batch of robots, in a ring of rows of one step of every robot.

    An observation is stored once: the one after a step is the one before the next, and where an episode ended its last
    observation lies apart. Memory is taken as it fills.

    Args:
        capacity: transitions of all robots together.
        n_envs: robots.
        observation_size, critic_size, action_size: widths.
        n_steps: n of the returns.
        discount: γ.
        shared: the critic sees what the actor sees, which is then stored once.

    Raises:
        ConfigError: the capacity does not hold n steps of every robot.
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        *,
        observation_size: int,
        critic_size: int,
        action_size: int,
        n_steps: int,
        discount: float,
        shared: bool,
    ) -> None:
        if capacity < n_steps * n_envs:
            raise ConfigError(f"a replay buffer of {capacity} transitions does not hold {n_steps} of {n_envs} robots")
        self._n_envs, self._n_steps, self._discount = n_envs, n_steps, discount
        # One row more than transitions, for the observation after the newest.
        self._rows = capacity // n_envs + 1
        widths = {"policy": observation_size} if shared else {"policy": observation_size, "critic": critic_size}
        self._seen = {name: torch.empty(self._rows, n_envs, width) for name, width in widths.items()}
        self._last = {name: torch.empty(self._rows * n_envs, width) for name, width in widths.items()}
        self._action = torch.empty(self._rows, n_envs, action_size)
        self._reward = torch.empty(self._rows, n_envs)
        self._terminated = torch.zeros(self._rows, n_envs, dtype=torch.bool)
        # Where in `_last` the last observation of the episode lies that this step ended; −1 where it ended none.
        self._slot = torch.full((self._rows, n_envs), -1, dtype=torch.long)
        self._free: list[int] = []
        self._slots_used = 0
        self._oldest = self._filled = 0
        self._powers = discount ** torch.arange(n_steps + 1, dtype=torch.float64)

    def __len__(self) -> int:
        """Transitions held."""
        return self._filled * self._n_envs

    @property
    def ready(self) -> bool:
        """Whether there is an n-step transition to draw."""
        return self._filled >= self._n_steps

    def add(self, observation: BatchObservation, action: Tensor, step: BatchStep) -> None:
        """Take in one step of every robot; it pushes out the oldest when there is no room.

        Args:
            observation: before the step; that of the step before it.
            action: [Shape (n, action_size)].
            step: what came of it.
        """
        row = (self._oldest + self._filled) % self._rows
        after = (row + 1) % self._rows
        if self._filled == self._rows - 1:
            self._forget_oldest()
        for name, seen in self._seen.items():
            seen[row] = torch.from_numpy(getattr(observation, name))
            seen[after] = torch.from_numpy(getattr(step.observation, name))
        self._action[row] = action
        self._reward[row] = torch.from_numpy(step.reward)
        self._terminated[row] = torch.from_numpy(step.terminated)
        ended = torch.from_numpy(step.terminated | step.truncated)
        self._slot[row] = -1
        if ended.any():
            robots = ended.nonzero()[:, 0]
            slots = torch.tensor([self._take_slot() for _ in robots])
            self._slot[row, robots] = slots
            for name, last in self._last.items():
                last[slots] = torch.from_numpy(getattr(step.final, name))[robots]
        self._filled += 1

    def sample(self, size: int, generator: torch.Generator) -> ReplayBatch:
        """Draw with replacement, each start that has n steps after it equally likely.

        Args:
            size: how many.
            generator: draws.
        """
        starts = (self._filled - self._n_steps + 1) * self._n_envs
        drawn = torch.randint(starts, (size,), generator=generator)
        return self.transitions((drawn // self._n_envs + self._oldest) % self._rows, drawn % self._n_envs)

    def transitions(self, row: Tensor, robot: Tensor) -> ReplayBatch:
        """Those that start in given rows of the ring, of given robots [Shape (b,), (b,)]."""
        first = row * self._n_envs + robot
        slot = self._slot.view(-1)
        steps = torch.ones(len(row), dtype=torch.long)
        reward, last = self._reward.view(-1)[first], first
        goes_on = slot[first] < 0
        for k in range(1, self._n_steps):
            step = (row + k) % self._rows * self._n_envs + robot
            reward = reward + goes_on * (self._discount**k * self._reward.view(-1)[step])
            last = torch.where(goes_on, step, last)
            steps += goes_on
            goes_on = goes_on & (slot[step] < 0)
        after = (row + steps) % self._rows * self._n_envs + robot
        discount = (self._powers[steps] * ~self._terminated.view(-1)[last]).float()
        seen = {name: self._at(name, first) for name in self._seen}
        following = {name: self._at(name, after) for name in self._seen}
        ended = (~goes_on).nonzero()[:, 0]
        for name, value in following.items():
            value[ended] = self._last[name][slot[last[ended]]]
        return ReplayBatch(
            observation=seen["policy"],
            critic=seen.get("critic", seen["policy"]),
            action=self._action.view(-1, self._action.shape[-1])[first],
            reward=reward,
            next_observation=following["policy"],
            next_critic=following.get("critic", following["policy"]),
            discount=discount,
        )

    def state_dict(self) -> dict[str, Any]:
        """What is held, oldest first; a copy."""
        rows = (self._oldest + torch.arange(self._filled + 1)) % self._rows
        held = rows[:-1]
        slots = self._slot[held]
        ended = slots >= 0
        return {
            "seen": {name: seen[rows] for name, seen in self._seen.items()},
            "last": {name: last[slots[ended]] for name, last in self._last.items()},
            "action": self._action[held],
            "reward": self._reward[held],
            "terminated": self._terminated[held],
            "ended": ended,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hold what a buffer held; draws go on as from that one.

        Raises:
            ConfigError: it is of other widths or another number of robots, or holds more than there is room for.
        """
        found = {name: tuple(value.shape[1:]) for name, value in (*state["seen"].items(), ("action", state["action"]))}
        expected = {name: tuple(value.shape[1:]) for name, value in (*self._seen.items(), ("action", self._action))}
        if found != expected:
            raise ConfigError(f"the saved replay buffer holds (robots, width) {found}, expected {expected}")
        filled = len(state["action"])
        if filled >= self._rows:
            raise ConfigError(
                f"the saved replay buffer holds {filled * self._n_envs} transitions, "
                f"but there is room for {(self._rows - 1) * self._n_envs}"
            )
        self._oldest, self._filled, self._free = 0, filled, []
        for name, seen in self._seen.items():
            seen[: filled + 1] = state["seen"][name]
            self._last[name][: len(state["last"][name])] = state["last"][name]
        self._action[:filled] = state["action"]
        self._reward[:filled] = state["reward"]
        self._terminated[:filled] = state["terminated"]
        ended = state["ended"]
        self._slots_used = int(ended.sum())
        self._slot[:] = -1
        self._slot[:filled][ended] = torch.arange(self._slots_used)

    def _at(self, name: str, index: Tensor) -> Tensor:
        seen = self._seen[name]
        return seen.view(-1, seen.shape[-1]).index_select(0, index)

    def _take_slot(self) -> int:
        """A slot that was freed, so that no more are ever touched than were needed at once."""
        if self._free:
            return self._free.pop()
        self._slots_used += 1
        return self._slots_used - 1

    def _forget_oldest(self) -> None:
        slots = self._slot[self._oldest]
        self._free.extend(slots[slots >= 0].tolist())
        self._oldest = (self._oldest + 1) % self._rows
        self._filled -= 1
