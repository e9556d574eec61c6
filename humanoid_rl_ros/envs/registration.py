"""The environments' names in Gymnasium's registry."""

from __future__ import annotations

import gymnasium

TASKS = {
    "Walk": "walk",
    "WalkAdaptive": "walk_adaptive",
    "Stand": "stand",
    "GetUp": "get_up",
    "Reach": "reach",
}
ROS_TASKS = {"RosWalk": "walk", "RosStand": "stand"}
"""Over ROS; nobody bears the weight of a robot there that learns to get up."""
GRID_TASKS = {"Navigate": "navigation_env:NavigationEnv"}
"""On a grid, without a robot; their arguments say which."""
NAMESPACE = "humanoid_rl_ros"


def register() -> None:
    """Make ``humanoid_rl_ros/Walk-v0`` and all the others of `TASKS` known; twice does no harm.

    ``RosWalk-v0`` and ``RosStand-v0`` are the same over ROS. ``Navigate-v0`` is a floor to be crossed.

    Importing this module does it. Gymnasium does so itself for a name with the module in front, such as
    ``gymnasium.make("humanoid_rl_ros.envs.registration:humanoid_rl_ros/Walk-v0")``.
    """
    for tasks, single, vector in (
        (TASKS, "humanoid_env:HumanoidEnv", "vector_env:HumanoidVectorEnv"),
        (ROS_TASKS, "ros_env:RosHumanoidEnv", "ros_env:RosHumanoidVectorEnv"),
    ):
        for name, task in tasks.items():
            identity = f"{NAMESPACE}/{name}-v0"
            if identity not in gymnasium.registry:
                gymnasium.register(
                    identity,
                    entry_point=f"humanoid_rl_ros.envs.{single}",
                    vector_entry_point=f"humanoid_rl_ros.envs.{vector}",
                    kwargs={"task": task},
                )
    for name, entry_point in GRID_TASKS.items():
        if f"{NAMESPACE}/{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"{NAMESPACE}/{name}-v0", entry_point=f"humanoid_rl_ros.envs.{entry_point}")


register()
