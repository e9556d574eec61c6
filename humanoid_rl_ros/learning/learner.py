"""What every learner offers: collect, update, save, load, export."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.batch_env import BatchStep, SteppedEnv
from humanoid_rl_ros.learning.actor_state import actor_state
from humanoid_rl_ros.learning.checkpoint import load_checkpoint, save_checkpoint
from humanoid_rl_ros.learning.export import export_network, export_policy
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.policies.bundle import PolicyBundle

Experience = TypeVar("Experience")
_NOTHING: Mapping[str, Any] = {}
POLICY, LEARNER = "policy", "learner"


class Learner(ABC, Generic[Experience]):
    """Learns a policy iteration by iteration: acts, and learns from what came of it.

    All randomness comes from the seed it was made with: the same seed gives the same weights, bit for bit, on one
    machine and one version of the libraries.
    """

    @property
    @abstractmethod
    def steps(self) -> int:
        """Environment steps taken, of all robots together."""

    @abstractmethod
    def collect(self) -> Experience:
        """Act for a while with the policy as it is now.

        Raises:
            TrainingError: an action, a reward or an observation is not finite.
        """

    @abstractmethod
    def update(self, experience: Experience) -> dict[str, float]:
        """Learn from what `collect` gave.

        Returns:
            What there is to show, by name: losses, KL, learning rate.

        Raises:
            TrainingError: a loss or a weight is not finite.
        """

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """Collect and update, once or as often as an iteration has it.

        Returns:
            What there is to show, by name: what `update` gave, the environment's statistics, and the seconds spent in
            ``time/collect`` and ``time/update``.

        Raises:
            TrainingError: a loss, a weight or a reward is not finite; what was saved before is untouched.
        """

    @abstractmethod
    def actor(self) -> ActorNetwork:
        """The policy as it is now, normaliser included; it acts without exploration.

        Where actions are choices it gives a number for each of them, and the largest is taken.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next iteration depends on: weights, optimiser, normaliser, RNG, environment, counters."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`.

        Raises:
            ConfigError: it is of another network or another environment.
        """

    def save(self, path: Path) -> None:
        """Write a checkpoint that `load` goes on from as if nothing had happened.

        Raises:
            TrainingError: it cannot be written; a file that was there before stays.
        """
        save_checkpoint(path, {"steps": self.steps, POLICY: actor_state(self.actor()), LEARNER: self.state_dict()})

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of `save`, or of a run of ``humanoid_rl train``.

        Raises:
            TrainingError: the file is missing or damaged, or holds no learner.
            ConfigError: it is of another learner, network or environment.
        """
        state = load_checkpoint(path).get(LEARNER)
        if not isinstance(state, dict):
            raise TrainingError(f"{path}: the checkpoint holds no learner")
        self.load_state_dict(state)

    def export(self, folder: Path, contract: PolicyBundle | None = None) -> Path:
        """Write the policy as it is now, and compare ONNX with torch.

        Args:
            folder: made if it is not there.
            contract: everything of a bundle but the weights, for a policy that drives a robot; without, the network
                stands alone.

        Returns:
            What was written: the folder of the bundle, or the ONNX file.

        Raises:
            PolicyError: the sizes do not fit the contract, or ONNX gives other actions than torch.
            ConfigError: it cannot be written.
            MissingDependencyError: onnx or onnxruntime is not installed.
        """
        if contract is None:
            return export_network(self.actor(), folder)
        export_policy(self.actor(), contract, folder)
        return folder

    def close(self) -> None:
        """End what it does beside; the environment may be closed then."""


def require_own_state(state: Mapping[str, Any], algorithm: str, shape: Mapping[str, Any] = _NOTHING) -> None:
    """Refuse a state of another learner or network.

    Args:
        state: of a `Learner.state_dict`.
        algorithm: whose it must be.
        shape: what its ``shape`` must agree in.

    Raises:
        ConfigError: with the first difference.
    """
    if state.get("algorithm") != algorithm:
        raise ConfigError(f"the checkpoint is of {state.get('algorithm')!r}, expected '{algorithm}'")
    for name, expected in shape.items():
        if (found := state.get("shape", {}).get(name)) != expected:
            raise ConfigError(f"the checkpoint has {name} {found}, expected {expected}")


def require_finite_step(step: BatchStep, steps: int) -> None:
    """Refuse a step of which a number is not finite.

    Args:
        step: of every robot.
        steps: environment steps before it, for the message.

    Raises:
        TrainingError: with the robot.
    """
    for what, values in (
        ("reward", step.reward),
        ("observation", step.final.policy),
        ("critic's observation", step.final.critic),
    ):
        if not np.isfinite(values).all():
            robot = int(np.argwhere(~np.isfinite(values))[0][0])
            raise TrainingError(f"the {what} of robot {robot} is not finite at step {steps}")


class SteppingLearner(Learner[Experience]):
    """Collects one step of every robot at a time, and learns after each.

    Args:
        env: whose statistics are shown.
        steps_per_iteration: how often an iteration does so.
    """

    def __init__(self, env: SteppedEnv, steps_per_iteration: int) -> None:
        self._stepped, self._steps_per_iteration = env, steps_per_iteration

    def iterate(self) -> dict[str, float]:
        """Step every robot `steps_per_iteration` times, and update after each; what is shown are means over them.

        Raises:
            TrainingError: a loss, a gradient, an action, a reward or an observation is not finite.
        """
        shown: dict[str, list[float]] = defaultdict(list)
        collecting, began = 0.0, time.perf_counter()
        for _ in range(self._steps_per_iteration):
            before = time.perf_counter()
            experience = self.collect()
            collecting += time.perf_counter() - before
            for name, value in self.update(experience).items():
                shown[name].append(value)
        return {
            **self._stepped.statistics(),
            **{name: sum(values) / len(values) for name, values in shown.items()},
            **self.standing(),
            "time/collect": collecting,
            "time/update": time.perf_counter() - began - collecting,
        }

    def standing(self) -> dict[str, float]:
        """What there is to show of the learner as it stands now, by name."""
        return {}
