"""What a learner needs of many robots that are stepped together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.mirror import Mirroring


@dataclass(frozen=True, eq=False)
class BatchMirror:
    """The left-right mirror of a task: what its observations and actions become when left and right change places.

    Attributes:
        policy, critic, action: of the vectors of those names.
    """

    policy: Mirroring
    critic: Mirroring
    action: Mirroring


@dataclass(frozen=True, eq=False)
class BatchObservation:
    """What is seen of every robot.

    Attributes:
        policy: what the actor sees, from sensors alone [Shape (n, observation_size); float32].
        critic: what the critic sees, truth of the simulation included [Shape (n, critic_size); float32].
    """

    policy: Float32Array
    critic: Float32Array

    def copy(self) -> BatchObservation:
        """What an environment may overwrite, kept."""
        return BatchObservation(np.array(self.policy, dtype=np.float32), np.array(self.critic, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class BatchStep:
    """One control step of every robot.

    A robot whose episode ended is reset in the same step: `observation` is the first of its next episode, `final` the
    last of the one that ended.

    Attributes:
        observation: to act on next.
        reward: [Shape (n,)].
        terminated: the episode ended in a state without future (a fall) [Shape (n,)].
        truncated: the episode was cut, by time as a rule; its future is worth `final`'s value [Shape (n,)].
        final: the observation before any reset; the same as `observation` where no episode ended.
    """

    observation: BatchObservation
    reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray
    final: BatchObservation


class SteppedEnv(Protocol):
    """Many robots that are stepped together and reset themselves, whatever their actions are."""

    @property
    def n_envs(self) -> int:
        """Robots."""

    @property
    def observation_size(self) -> int:
        """Width of what the actor sees."""

    @property
    def critic_size(self) -> int:
        """Width of what the critic sees."""

    def reset(self, seed: int) -> BatchObservation:
        """Start every robot anew, with all randomness drawn from this seed."""

    def statistics(self) -> dict[str, float]:
        """Means over what happened since the last call, by name; clears them.

        ``episode/return``, ``episode/length`` [steps] and ``episode/count`` are there whenever an episode ended.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs to go on as if nothing had happened.

        Arrays as NumPy arrays, and plain numbers, text, lists and dicts.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is not one of this task, robot and number of robots.
        """

    def close(self) -> None:
        """End the threads of the physics."""


class BatchEnv(SteppedEnv, Protocol):
    """Many robots whose actions are vectors."""

    @property
    def action_low(self) -> FloatArray:
        """Lower bounds of the action [Shape (action_size,)]."""

    @property
    def action_high(self) -> FloatArray:
        """Upper bounds of the action [Shape (action_size,)]."""

    @property
    def mirror(self) -> BatchMirror | None:
        """The mirror of the task, or None where it has none."""

    def step(self, action: Float32Array) -> BatchStep:
        """One control step [Shape (n, action_size)]."""


class ChoiceEnv(SteppedEnv, Protocol):
    """Many robots whose actions are choices among finitely many."""

    @property
    def n_actions(self) -> int:
        """How many choices there are."""

    @property
    def n_states(self) -> int | None:
        """How many states there are, each seen one-hot; None where a vector is seen."""

    def step(self, action: IndexArray) -> BatchStep:
        """One step, each robot by the number of its choice, from 0 [Shape (n,)]."""
