"""The environments' names in Gymnasium's registry."""

from __future__ import annotations

import gymnasium

TASKS = {"Walk": "walk", "Stand": "stand", "GetUp": "get_up"}
NAMESPACE = "humanoid_rl_ros"


def register() -> None:
    """Make ``humanoid_rl_ros/Walk-v0``, ``Stand-v0`` and ``GetUp-v0`` known; twice does no harm.

    Importing this module does it. Gymnasium does so itself for a name with the module in front, such as
    ``gymnasium.make("humanoid_rl_ros.envs.registration:humanoid_rl_ros/Walk-v0")``.
    """
    for name, task in TASKS.items():
        identity = f"{NAMESPACE}/{name}-v0"
        if identity not in gymnasium.registry:
            gymnasium.register(
                identity,
                entry_point="humanoid_rl_ros.envs.humanoid_env:HumanoidEnv",
                vector_entry_point="humanoid_rl_ros.envs.vector_env:HumanoidVectorEnv",
                kwargs={"task": task},
            )


register()
