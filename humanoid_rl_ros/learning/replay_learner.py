"""What off-policy learners have in common: a replay buffer, normalisers, and an update now and then."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.batch_env import BatchObservation, BatchStep, SteppedEnv
from humanoid_rl_ros.learning.checked_config import ReplayConfig
from humanoid_rl_ros.learning.learner import SteppingLearner, require_finite_step, require_own_state
from humanoid_rl_ros.learning.normaliser import RunningNormaliser
from humanoid_rl_ros.learning.replay_buffer import ReplayBatch, ReplayBuffer
from humanoid_rl_ros.learning.transition_mirror import TransitionMirror

Shown = dict[str, list[float]]


class ReplayLearner(SteppingLearner[BatchStep]):
    """Acts, remembers, and learns from what it draws of its memories.

    Args:
        env: what it learns in. Nobody else steps it or asks for its statistics.
        config: what is chosen.
        seed: of all randomness.
        action_size: numbers in an action as the buffer holds it.

    Raises:
        ConfigError: the buffer is too small.
    """

    algorithm: ClassVar[str]
    networks: ClassVar[tuple[str, ...]]
    """Attributes, without the underscore in front, whose tensors make a checkpoint."""
    descents: ClassVar[tuple[str, ...]]
    """Those whose optimisers do."""

    _mirror: TransitionMirror | None = None

    def __init__(self, env: SteppedEnv, config: ReplayConfig, seed: int, action_size: int) -> None:
        super().__init__(env, config.steps_per_iteration)
        self._env, self._replay = env, config
        self._action_size = action_size
        self._generator = torch.Generator().manual_seed(seed)
        self._observation = env.reset(seed)
        # An environment whose critic sees no more than its actor gives one array for both.
        self._shared = self._observation.critic is self._observation.policy
        self._policy_normaliser = RunningNormaliser(env.observation_size, clip=config.observation_clip)
        self._critic_normaliser = (
            self._policy_normaliser
            if self._shared
            else RunningNormaliser(env.critic_size, clip=config.observation_clip)
        )
        self._buffer = self.make_buffer()
        self._steps = self._updates = 0

    def make_buffer(self) -> ReplayBuffer:
        """Where transitions are kept.

        Raises:
            ConfigError: it is too small.
        """
        config = self._replay
        return ReplayBuffer(
            config.buffer_size,
            self._env.n_envs,
            observation_size=self._env.observation_size,
            critic_size=self._env.critic_size,
            action_size=self._action_size,
            n_steps=config.n_steps,
            discount=config.discount,
            shared=self._shared,
        )

    @property
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""
        return self._steps

    @torch.no_grad()
    def collect(self) -> BatchStep:
        """One step of every robot, which the buffer remembers.

        Raises:
            TrainingError: an action, a reward or an observation is not finite.
        """
        self._see()
        action = self.explore(self._steps < self._replay.learning_starts)
        step = self.act(action)
        require_finite_step(step, self._steps)
        self._buffer.add(self._observation, action, step)
        self._observation = step.observation
        self._steps += self._env.n_envs
        return step

    def update(self, experience: BatchStep) -> dict[str, float]:
        """Draw `updates_per_step` batches and learn from each, once `learning_starts` steps are taken.

        Args:
            experience: the newest step; the buffer holds it already.

        Raises:
            TrainingError: a loss or a gradient is not finite.
        """
        config = self._replay
        if self._steps < config.learning_starts or not self._buffer.ready:
            return {}
        shown: Shown = defaultdict(list)
        self.learn(config.updates_per_step, shown)
        return {name: float(np.mean(values)) for name, values in shown.items()}

    def learn(self, updates: int, shown: Shown) -> None:
        """So many updates, each from a batch of its own."""
        size = self._replay.batch_size
        for batch in self.seen_by_networks(self._buffer.sample(updates * size, self._generator)).split(size):
            self.learn_from(batch, shown)

    @abstractmethod
    def explore(self, at_random: bool) -> Tensor:
        """Actions for what is seen now, as the buffer holds them [Shape (n, action_size)].

        Args:
            at_random: the policy knows nothing yet.
        """

    @abstractmethod
    def act(self, action: Tensor) -> BatchStep:
        """Step every robot with what `explore` chose."""

    @abstractmethod
    def learn_from(self, batch: ReplayBatch, shown: Shown) -> None:
        """One update; the losses go to `shown`."""

    @abstractmethod
    def shape(self) -> dict[str, Any]:
        """What a checkpoint must agree in, beside the environment's widths."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on, the replay buffer included."""
        networks = (*self.networks, "policy_normaliser", "critic_normaliser")
        return {
            "algorithm": self.algorithm,
            "shape": self._whole_shape(),
            "steps": self._steps,
            "updates": self._updates,
            **{name: _copied(getattr(self, f"_{name}").state_dict()) for name in networks},
            **{name: getattr(self, f"_{name}").state_dict() for name in self.descents},
            "generator": self._generator.get_state(),
            "buffer": self._buffer.state_dict(),
            "environment": self._env.state_dict(),
            "observation": {"policy": self._observation.policy.copy(), "critic": self._observation.critic.copy()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`; the learning rates are those of the configuration.

        Raises:
            ConfigError: it is of another learner, network or environment, or holds more than the buffer.
        """
        require_own_state(state, self.algorithm, self._whole_shape())
        try:
            self._buffer.load_state_dict(state["buffer"])
            self._env.load_state_dict(state["environment"])
            for name in (*self.networks, "policy_normaliser", "critic_normaliser", *self.descents):
                getattr(self, f"_{name}").load_state_dict(state[name])
            self._generator.set_state(state["generator"])
            policy, critic = (np.array(state["observation"][name], dtype=np.float32) for name in ("policy", "critic"))
            self._observation = BatchObservation(policy, policy if self._shared else critic)
            self._steps, self._updates = int(state["steps"]), int(state["updates"])
            self.load_more(state)
        except KeyError as error:
            raise ConfigError(f"the checkpoint lacks {error}") from None

    def load_more(self, state: dict[str, Any]) -> None:
        """Take what a learner has put into its state beside the rest."""

    def seen_by_networks(self, batch: ReplayBatch) -> ReplayBatch:
        """Transitions as the networks see them: half of them mirrored where there is a mirror, and normalised."""
        if self._mirror is not None:
            batch = self._mirror.flip(batch, self._generator)
        observation = self._policy_normaliser.normalise(batch.observation)
        after = self._policy_normaliser.normalise(batch.next_observation)
        return ReplayBatch(
            observation=observation,
            critic=observation if self._shared else self._critic_normaliser.normalise(batch.critic),
            action=batch.action,
            reward=batch.reward,
            next_observation=after,
            next_critic=after if self._shared else self._critic_normaliser.normalise(batch.next_critic),
            discount=batch.discount,
        )

    def seen_now(self) -> Tensor:
        """What the policy sees at this moment, normalised [Shape (n, observation_size)]."""
        return self._policy_normaliser.normalise(torch.from_numpy(self._observation.policy))

    def _whole_shape(self) -> dict[str, Any]:
        env = self._env
        return {
            "observation_size": env.observation_size,
            "critic_size": env.critic_size,
            "action_size": self._action_size,
            "robots": env.n_envs,
            **self.shape(),
        }

    def _see(self) -> None:
        """Take what is seen into the normalisers, and with it what its mirror image would have been."""
        if not self._replay.normalise_observations:
            return
        mirror = self._mirror
        parts = [(self._policy_normaliser, self._observation.policy, None if mirror is None else mirror.policy)]
        if not self._shared:
            parts.append((self._critic_normaliser, self._observation.critic, None if mirror is None else mirror.critic))
        for normaliser, seen, image in parts:
            mean, var, count = normaliser.update(torch.from_numpy(seen))
            if image is not None:
                image.merge(normaliser, mean, var, count)


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor for itself: these are parts of one, which a deep copy would copy whole."""
    return {name: tensor.clone() for name, tensor in tensors.items()}
