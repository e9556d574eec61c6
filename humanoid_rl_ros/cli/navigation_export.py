"""What was learned in `Navigate-v0` as a navigation bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from humanoid_rl_ros.envs.gymnasium_task import gymnasium_arguments
from humanoid_rl_ros.learning.export import export_network
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.run_folder import RunRecord
from humanoid_rl_ros.navigation.bundle import NavigationBundle, write_navigation


def export_navigation(actor: ActorNetwork, record: RunRecord, steps: int, folder: Path) -> NavigationBundle:
    """Write the bundle of a run, and compare its network with torch's.

    Args:
        actor: what it learned.
        record: of the run, whose settings say the floor.
        steps: it learned from.
        folder: made if it is not there; what stands there is replaced when all is found good.

    Raises:
        HumanoidError: the map is not what it was, the network does not fit, or the folder cannot be written.
    """
    from humanoid_rl_ros.envs.navigation_env import NavigationEnv  # Gymnasium; a robot's training needs none

    env = NavigationEnv(**gymnasium_arguments(record.overrides))
    with tempfile.TemporaryDirectory() as where:
        cells = np.eye(actor.mean.numel(), dtype=np.float32)  # all that it will ever see
        onnx = export_network(actor, Path(where), observations=cells).read_bytes()
    slip = f", slip {env.rules.slip:g}" if env.rules.slip else ""
    return write_navigation(
        folder,
        onnx,
        name=f"{env.name}_{record.algorithm}",
        grid=env.grid,
        map=env.map,
        radius=env.radius,
        origin=f"humanoid_rl_ros {record.version}: {record.algorithm}, seed {record.seed}, {steps} steps{slip}",
    )


def leads(bundle: NavigationBundle) -> str:
    """From how many cells the moves lead to the goal, in words."""
    policy = bundle.load_policy()
    there = policy.arrives
    text = f"the moves lead to the goal from {int(there.sum())} of {len(there)} cells"
    shortest = policy.grid.cell * float(policy.grid.distances[there].sum())
    if shortest == 0.0:  # of the goal itself
        return text
    longer = float(policy.lengths[there].sum()) / shortest - 1.0
    return f"{text}, by ways {100.0 * longer:.1f} % longer than the shortest"
