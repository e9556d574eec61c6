"""One of several processes that learn together, started as torchrun starts them: ``learning_process.py OUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from toy_envs import Cliff, PointMass

from humanoid_rl_ros.learning.distributed import init_from_environment
from humanoid_rl_ros.learning.ppo import PPO, PPOConfig

ITERATIONS = 3
CONFIG = PPOConfig(steps_per_iteration=6, epochs=3, minibatches=2, actor_hidden=(16,), critic_hidden=(16,))
ENVS = {"PointMass": PointMass, "Cliff": Cliff}
ROBOTS = 6


def threads() -> list[str]:
    """The names of this process's threads."""
    return sorted(Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())


def main(out: str) -> None:
    torch.set_num_threads(1)
    others = init_from_environment()
    assert others is not None
    found = {}
    for name, kind in ENVS.items():
        env = kind(ROBOTS, first_robot=others.rank * ROBOTS, episode_steps=4)
        learner = PPO(env, CONFIG, 3, distributed=others)
        metrics = [learner.iterate() for _ in range(ITERATIONS)][-1]
        found[name] = {
            "actor": learner.actor().state_dict(),
            "std": learner.std,
            "steps": learner.steps,
            "learning_rate": metrics["policy/learning_rate"],
        }
    others.close()
    torch.save({**found, "threads": threads()}, out)


if __name__ == "__main__":
    main(sys.argv[1])
