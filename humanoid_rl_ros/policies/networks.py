"""The network of a bundle: found, compared with its digest, loaded, and tried before anything relies on it."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, PolicyError
from humanoid_rl_ros.policies.bundle import PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.normaliser import NormalisedPolicy
from humanoid_rl_ros.policies.policy import Policy
from humanoid_rl_ros.policies.signature import require_signature
from humanoid_rl_ros.policies.weights_file import LARGEST, external_files, limited_memory, require_torchscript

TORCHSCRIPT = (".pt", ".pth", ".jit", ".ts")


def load_network(bundle: PolicyBundle) -> Policy:
    """Read the weights of a bundle.

    Args:
        bundle: the policy.

    Returns:
        The network, reset.

    Raises:
        ConfigError: a file is missing, its digest or the bundle's signature differs, or it is no network's.
        PolicyError: the network cannot be loaded, its sizes do not fit, or it gives NaN.
        MissingDependencyError: onnxruntime or torch is not installed.
    """
    weights = bundle.weights
    require_signature(bundle.folder, bundle.files())
    _require_digest(weights)
    with limited_memory():
        network = _load(bundle)
        if weights.normaliser is not None:
            network = NormalisedPolicy(network, weights.normaliser, bundle.observation_size())
        _require_finite(network, bundle)
    return network


def _require_digest(weights: WeightsSpec) -> None:
    digest = weights.digest()
    if weights.sha256 and digest != weights.sha256.lower():
        raise ConfigError(
            f"weights {weights.path}: digest {digest[:12]}… is not the {weights.sha256[:12]}… "
            "that policy.yaml names; the file was changed"
        )


def _load(bundle: PolicyBundle) -> Policy:
    weights = bundle.weights
    sizes = {"observation_size": bundle.observation_size(), "action_size": len(bundle.joints)}
    if weights.path.stat().st_size > LARGEST:
        raise PolicyError(f"weights {weights.path}: larger than {LARGEST} bytes; not opened")
    if weights.path.suffix == ".onnx":
        _require_listed(weights)
        try:
            from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy
        except ModuleNotFoundError:
            raise MissingDependencyError(f"{weights.path} needs onnxruntime: pip install onnxruntime") from None
        return OnnxPolicy(
            weights.path,
            input_name=weights.input_name,
            output_name=weights.output_name,
            inputs=weights.inputs,
            recurrent=weights.recurrent,
            **sizes,
        )
    if weights.path.suffix in TORCHSCRIPT:
        if weights.inputs:
            raise ConfigError(f"weights {weights.path}: 'inputs' are tensors of ONNX; TorchScript takes one")
        try:
            from humanoid_rl_ros.policies.torchscript_policy import TorchScriptPolicy
        except ModuleNotFoundError:
            raise MissingDependencyError(f"{weights.path} needs torch: pip install torch") from None
        require_torchscript(weights.path)
        return TorchScriptPolicy(weights.path, **sizes)
    raise ConfigError(f"weights {weights.path}: expected a .onnx or TorchScript .pt file")


def _require_listed(weights: WeightsSpec) -> None:
    """The digest covers what policy.yaml lists, so nothing else may be read."""
    listed = {path.resolve() for path in weights.external_data}
    for name in external_files(weights.path.read_bytes()):
        if (weights.path.parent / name).resolve() not in listed:
            raise ConfigError(f"weights {weights.path}: tensors are in '{name}'; list it under 'external_data'")


def _require_finite(network: Policy, bundle: PolicyBundle) -> None:
    size = bundle.observation_size()
    trials = {"zeros": np.zeros(size), "ones": np.ones(size), "minus ones": -np.ones(size)}
    for what, observation in trials.items():
        if not np.isfinite(network.infer(observation.astype(np.float32))).all():
            raise PolicyError(f"{bundle.weights.path}: gives NaN or Inf for an observation of {what}: broken weights")
    network.reset()
