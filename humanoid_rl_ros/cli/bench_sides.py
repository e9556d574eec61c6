"""What `humanoid_rl bench training` lets learn in turns, and what it remembers of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium

from humanoid_rl_ros import __version__
from humanoid_rl_ros.cli.bench_instruments import RecordedPhysics, Stopwatch
from humanoid_rl_ros.cli.bench_peers import AS_SHIPPED, PEERS, PROCESSES, make_peer
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.ppo import PPO
from humanoid_rl_ros.learning.ppo_config import PPOConfig

PHYSICS, ENVIRONMENT, INFERENCE, CRITIC = "physics", "environment", "inference", "critic"


class Robots(Protocol):
    """What a side learns in, and ends."""

    def close(self) -> None:
        """End its threads or processes."""


class Side:
    """A learner with robots of its own.

    Args:
        title, version: of the library.
        how: its robots and settings.
        robots: what it learns in.
        samples: steps of all robots in an iteration.

    Attributes:
        title, version, how: as given.
        steps_per_second: of each turn, of all robots together.
        cpu_per_step: of each turn, the time that all cores together spent on a step of one robot [s].
        episode_seconds: mean length of the episodes that ended in each turn, which says how alike the sides' robots
            did and how many were reset [s].
    """

    def __init__(self, title: str, version: str, how: str, robots: Robots, samples: int) -> None:
        self.title, self.version, self.how = title, version, how
        self.steps_per_second: list[float] = []
        self.cpu_per_step: list[float] = []
        self.episode_seconds: list[float] = []
        self._robots, self._samples = robots, samples

    def iterate(self) -> None:
        """Collect and update once."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait for what it does beside."""

    def turn(self, seconds: float) -> None:
        """Learn for so long at least."""
        taken = 0
        self._begin()
        began, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            self.iterate()
            taken += self._samples
        self.settle()
        passed = time.perf_counter() - began
        self.steps_per_second.append(taken / passed)
        self.cpu_per_step.append((time.process_time() - cpu) / taken)
        self._end(taken, passed)

    def close(self) -> None:
        """End its robots."""
        self._robots.close()

    def _begin(self) -> None:
        """Forget what was before a turn."""

    def _end(self, taken: int, passed: float) -> None:
        """Look at a turn that is over: steps of all robots, and the time [s]."""


class PeerSide(Side):
    """One of `PEERS` in our batch.

    Args:
        name: which.
        env: its robots.
        config: of our own PPO, after which its own is made.
        seed: of everything.
    """

    def __init__(self, name: str, env: HumanoidBatch, config: PPOConfig, seed: int) -> None:
        peer = PEERS[name]
        config = peer.settings(config)
        super().__init__(peer.title, peer.version or "", peer.how, env, env.n_envs * config.steps_per_iteration)
        self._env = env
        self._learner = make_peer(name, env, config, seed)

    def iterate(self) -> None:
        """Collect and update once."""
        self._learner.iterate()

    def _begin(self) -> None:
        self._env.statistics()

    def _end(self, taken: int, passed: float) -> None:
        length = self._env.statistics().get("episode/length", math.nan)
        self.episode_seconds.append(length * self._env.control_period)


class ShippedSide(Side):
    """Stable-Baselines3 as its documentation begins: ``gymnasium.make`` in processes, every setting at its default.

    Args:
        make: makes one environment.
        period: of control [s].
        seed: of everything.
    """

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]], period: float, seed: int) -> None:
        from humanoid_rl_ros.cli.bench_sb3 import StableBaselinesAsShipped

        peer = PEERS[AS_SHIPPED]
        self._learner = StableBaselinesAsShipped(make, PROCESSES, seed)
        self._period = period
        super().__init__(peer.title, peer.version or "", peer.how, self._learner, self._learner.samples)

    def iterate(self) -> None:
        """Collect and update once."""
        self._learner.iterate()

    def _end(self, taken: int, passed: float) -> None:
        self.episode_seconds.append(self._learner.episode_steps() * self._period)
        # The processes' own time is not in it.
        self.cpu_per_step[-1] = math.nan


class OwnSide(Side):
    """Our PPO, and where its time goes.

    Args:
        env: its robots, whose methods are replaced by timed ones.
        config: of the learner.
        seed: of everything.

    Attributes:
        seconds_per_step: what each part of each turn took, for a step of one robot; what is beside the others is no
            part of their sum [s].
        bare_physics: after each turn, steps per second of the physics alone from the same states.
        collecting_share: pace of each turn's collecting as a share of that.
    """

    def __init__(self, env: HumanoidBatch, config: PPOConfig, seed: int) -> None:
        super().__init__("humanoid_rl_ros", __version__, "", env, env.n_envs * config.steps_per_iteration)
        self._env = env
        self.seconds_per_step: dict[str, list[float]] = {}
        self.bare_physics: list[float] = []
        self.collecting_share: list[float] = []
        self._beside = config.overlap
        self._watch = Stopwatch(PHYSICS, ENVIRONMENT, INFERENCE, CRITIC)
        self._watch.attach(env.simulation, "step", PHYSICS)
        self._watch.attach(env, "step", ENVIRONMENT)
        self._learner = PPO(env, config, seed)
        self._watch.attach(self._learner.value, "learn", CRITIC)
        self._physics = RecordedPhysics(env.simulation)
        self._begin()
        actor_now = self._learner.actor

        def timed_actor() -> ActorNetwork:
            actor = actor_now()
            self._watch.attach(actor, "forward", INFERENCE)
            return actor

        setattr(self._learner, "actor", timed_actor)  # noqa: B010  # mypy lets no method be assigned to

    def iterate(self) -> None:
        """Collect and update once."""
        metrics = self._learner.iterate()
        self._collecting += metrics["time/collect"]
        self._updating += metrics["time/update"]
        self._episodes += metrics.get("episode/count", 0.0)
        self._episode_steps += metrics.get("episode/count", 0.0) * metrics.get("episode/length", 0.0)

    def settle(self) -> None:
        """Wait for the critic, which may learn in a thread of its own, as a saved state does."""
        self._learner.state_dict()

    def turn(self, seconds: float) -> None:
        """Learn for so long at least, then do the physics of one more iteration again and again for as long."""
        super().turn(seconds)
        self._physics.record(self._iterate_alone)
        self.bare_physics.append(self._physics.replay(seconds))
        self.collecting_share.append(self._collecting_pace / self.bare_physics[-1])

    def close(self) -> None:
        """End its threads."""
        self._learner.close()
        super().close()

    def _iterate_alone(self) -> None:
        self.iterate()
        self.settle()

    def _begin(self) -> None:
        self._watch.restart()
        self._collecting = self._updating = self._episodes = self._episode_steps = 0.0

    def _end(self, taken: int, passed: float) -> None:
        length = self._episode_steps / self._episodes if self._episodes else math.nan
        self.episode_seconds.append(length * self._env.control_period)
        self._collecting_pace = taken / self._collecting
        spent = self._watch.seconds
        updates = {"update": self._updating, "critic, beside these": spent[CRITIC]}
        if not self._beside:
            updates = {"update of the policy": self._updating - spent[CRITIC], "update of the critic": spent[CRITIC]}
        parts = {
            "physics": spent[PHYSICS],
            "observation, reward, reset": spent[ENVIRONMENT] - spent[PHYSICS],
            "inference": spent[INFERENCE],
            "rest of collecting": self._collecting - spent[ENVIRONMENT] - spent[INFERENCE],
            **updates,
            "all": passed,
        }
        for part, seconds in parts.items():
            self.seconds_per_step.setdefault(part, []).append(seconds / taken)
