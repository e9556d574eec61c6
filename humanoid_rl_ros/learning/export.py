"""A trained actor as a policy bundle, `policy.onnx` and `policy.yaml`; or its network alone."""

from __future__ import annotations

import copy
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, PolicyError
from humanoid_rl_ros.learning.actor_onnx import require_same_actions, trial_observations, write_onnx
from humanoid_rl_ros.learning.actor_stages import Normalise, Squash
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.policies.bundle import FILE_NAME, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.bundle_writer import dump_bundle
from humanoid_rl_ros.policies.signature import SIGNATURE

WEIGHTS = "policy.onnx"


def export_policy(
    network: ActorNetwork, contract: PolicyBundle, folder: Path, *, comment: str = "", samples: int = 1000
) -> PolicyBundle:
    """Write a bundle and compare its network with torch's.

    Whatever stands in the folder is replaced at the end, when all is found good: the weights, then the `policy.yaml`
    that names their digest, so that there is no moment in which another network would pass for this one.

    Args:
        network: the policy; where it is and its gradients are left alone.
        contract: everything but the weights.
        folder: made if it is not there.
        comment: written above `policy.yaml`.
        samples: random observations to compare on, at least 1, half of them extreme.

    Returns:
        The bundle, as read back.

    Raises:
        PolicyError: the sizes do not fit the contract, a layer is unknown, or ONNX gives other actions than torch.
        ConfigError: the contract cannot be written, or the folder cannot.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    _require_sizes(network, contract)
    content = _onnx(network)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as name:
            stage = Path(name)
            weights = WeightsSpec(stage / WEIGHTS, hashlib.sha256(content).hexdigest())
            (stage / WEIGHTS).write_bytes(content)
            text = dump_bundle(replace(contract, weights=weights, folder=stage), comment=comment)
            (stage / FILE_NAME).write_text(text, encoding="utf-8")
            bundle = load_bundle(stage)
            joints = [f"joint '{joint}'" for joint in bundle.action.joints]
            observations = trial_observations(network.mean, network.std, samples)
            _require_same_actions(network, bundle.weights.path, f"policy '{bundle.name}'", joints, observations)
            (folder / SIGNATURE).unlink(missing_ok=True)  # of the policy that is replaced
            os.replace(stage / WEIGHTS, folder / WEIGHTS)
            os.replace(stage / FILE_NAME, folder / FILE_NAME)
    except OSError as error:
        raise ConfigError(f"policy folder {folder}: {error.strerror or error}") from None
    return load_bundle(folder)


def export_network(
    network: ActorNetwork, folder: Path, *, samples: int = 1000, observations: Float32Array | None = None
) -> Path:
    """Write the network alone, for what drives no robot, and compare it with torch's.

    Args:
        network: the policy; where it is and its gradients are left alone.
        folder: made if it is not there; a network there is replaced when this one is found good.
        samples: random observations to compare on, at least 1, half of them extreme.
        observations: to compare on instead, where these are all there are [Shape (b, observation_size)].

    Returns:
        The file, `policy.onnx`: ``observation`` in, ``action`` out.

    Raises:
        PolicyError: a layer is unknown, or ONNX gives other actions than torch.
        ConfigError: the folder cannot be written.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    content = _onnx(network)
    numbers = [f"number {i}" for i in range(_last_linear(network).out_features)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as name:
            weights = Path(name) / WEIGHTS
            weights.write_bytes(content)
            if observations is None:
                observations = trial_observations(network.mean, network.std, samples)
            _require_same_actions(network, weights, str(folder / WEIGHTS), numbers, observations)
            os.replace(weights, folder / WEIGHTS)
    except OSError as error:
        raise ConfigError(f"policy folder {folder}: {error.strerror or error}") from None
    return folder / WEIGHTS


def _require_sizes(network: ActorNetwork, contract: PolicyBundle) -> None:
    found = network.mean.numel(), _last_linear(network).out_features
    expected = contract.observation_size(), contract.action.size
    if found != expected:
        raise PolicyError(
            f"policy '{contract.name}': the network turns {found[0]} numbers into {found[1]}, "
            f"but {expected[0]} are observed and {expected[1]} joints are driven"
        )


def _last_linear(network: ActorNetwork) -> nn.Linear:
    return [layer for layer in network.layers if isinstance(layer, nn.Linear)][-1]


def _onnx(network: ActorNetwork) -> bytes:
    """`ActorNetwork.forward` as an ONNX file."""
    stages = [Normalise(network.mean, network.std, network.clip), *network.layers]
    if network.squashed:
        stages.append(Squash(network.centre, network.half_range))
    return write_onnx(stages, network.mean.numel(), _last_linear(network).out_features)


def _require_same_actions(
    network: ActorNetwork, weights: Path, what: str, action_names: Sequence[str], observations: Float32Array
) -> None:
    """Compare a written network with the one it was written from."""
    try:
        from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy
    except ModuleNotFoundError:
        raise MissingDependencyError("checking a written policy needs onnxruntime: pip install onnxruntime") from None
    policy = OnnxPolicy(weights, observation_size=network.mean.numel(), action_size=len(action_names))
    require_same_actions(network, policy.infer_batch, observations, what, action_names)
