"""A trained formation policy as a team bundle: `policy.onnx` and `team.yaml`."""

from __future__ import annotations

import copy
import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.formation_view import OBSERVATION_SIZE
from humanoid_rl_ros.learning.actor_onnx import require_same_actions, trial_observations, write_onnx
from humanoid_rl_ros.learning.actor_stages import Normalise, Squash
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.policies.signature import SIGNATURE
from humanoid_rl_ros.policies.team_bundle import ACTION_SIZE, TEAM_FILE, TeamBundle, dump_team, load_team

WEIGHTS = "policy.onnx"
_ACTIONS = ("the forward velocity", "the velocity to the left", "the turn rate")


def export_team(
    network: ActorNetwork, contract: TeamBundle, folder: Path, *, comment: str = "", samples: int = 1000
) -> TeamBundle:
    """Write a bundle and compare its network with torch's; what stands in the folder is replaced when all is good.

    Args:
        network: the policy.
        contract: everything but the weights.
        folder: made if it is not there.
        comment: written above `team.yaml`.
        samples: random observations to compare on.

    Returns:
        The bundle, as read back.

    Raises:
        PolicyError: the network is of other sizes, or ONNX gives other actions than torch.
        ConfigError: the folder cannot be written.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    if network.mean.numel() != OBSERVATION_SIZE:
        raise PolicyError(
            f"team '{contract.name}': the network takes {network.mean.numel()} numbers, a robot of a team observes "
            f"{OBSERVATION_SIZE}"
        )
    stages = [Normalise(network.mean, network.std, network.clip), *network.layers]
    if network.squashed:
        stages.append(Squash(network.centre, network.half_range))
    content = write_onnx(stages, OBSERVATION_SIZE, ACTION_SIZE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as name:
            stage = Path(name)
            (stage / WEIGHTS).write_bytes(content)
            bundle = replace(contract, weights=stage / WEIGHTS, sha256=hashlib.sha256(content).hexdigest())
            (stage / TEAM_FILE).write_text(dump_team(bundle, comment=comment), encoding="utf-8")
            observations = trial_observations(network.mean, network.std, samples)
            infer = load_team(stage).load_network()
            require_same_actions(network, infer, observations, f"team '{contract.name}'", _ACTIONS)
            (folder / SIGNATURE).unlink(missing_ok=True)  # of the policy that is replaced
            os.replace(stage / WEIGHTS, folder / WEIGHTS)
            os.replace(stage / TEAM_FILE, folder / TEAM_FILE)
    except OSError as error:
        raise ConfigError(f"team folder {folder}: {error.strerror or error}") from None
    return load_team(folder)
