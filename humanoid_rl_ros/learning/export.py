"""A trained actor as a policy bundle: `policy.onnx` and `policy.yaml`."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, PolicyError
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.policies.bundle import FILE_NAME, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.bundle_writer import dump_bundle

WEIGHTS = "policy.onnx"
TOLERANCE = 1e-5
"""Largest difference between an action of the written network and of torch, as a share of max(1, |action|)."""

# ONNX of mid-2022: every onnxruntime that the package accepts reads it.
_IR_VERSION, _OPSET = 8, 17
_FURTHEST = 1e4  # of an extreme observation [standard deviations]
# Far from what it was trained on, a network loses more than TOLERANCE to float32 itself: this many times what torch
# loses against float64 is allowed on top.
_ROUNDINGS = 10.0


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
            _require_same_actions(network, load_bundle(stage), samples)
            os.replace(stage / WEIGHTS, folder / WEIGHTS)
            os.replace(stage / FILE_NAME, folder / FILE_NAME)
    except OSError as error:
        raise ConfigError(f"policy folder {folder}: {error.strerror or error}") from None
    return load_bundle(folder)


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


class _Graph:
    """Nodes of an ONNX graph, one after the other."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, **attributes: float) -> str:
        """Append a node; gives the name of its output."""
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Tensor | float) -> str:
        """Store a tensor; gives its name."""
        array = torch.as_tensor(values, dtype=torch.float32).detach().contiguous().numpy()
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name


def _onnx(network: ActorNetwork) -> bytes:
    """`ActorNetwork.forward` as an ONNX file."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingDependencyError("writing a policy needs onnx, which is not installed; pip install onnx") from None
    graph = _Graph(onnx)
    x = graph.add("Sub", "observation", graph.constant("mean", network.mean))
    x = graph.add("Div", x, graph.constant("std", network.std))
    x = graph.add("Clip", x, graph.constant("lower", -network.clip), graph.constant("upper", network.clip))
    for i, layer in enumerate(network.layers):
        x = _layer(graph, layer, x, f"layer_{i}")
    if network.squashed:
        x = graph.add("Mul", graph.add("Tanh", x), graph.constant("half_range", network.half_range))
        x = graph.add("Add", x, graph.constant("centre", network.centre))
    graph.nodes[-1].output[0] = "action"
    sizes = {"observation": network.mean.numel(), "action": _last_linear(network).out_features}
    observation, action = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
        for name, size in sizes.items()
    )
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "actor", [observation], [action], graph.constants),
        producer_name="humanoid_rl_ros",
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _layer(graph: _Graph, layer: nn.Module, x: str, name: str) -> str:
    match layer:
        case nn.Linear():
            weights = graph.constant(f"{name}.weight", layer.weight), graph.constant(f"{name}.bias", layer.bias)
            return graph.add("Gemm", x, *weights, transB=1)
        case nn.LayerNorm():
            weights = graph.constant(f"{name}.weight", layer.weight), graph.constant(f"{name}.bias", layer.bias)
            return graph.add("LayerNormalization", x, *weights, axis=-1, epsilon=layer.eps)
        case nn.ELU():
            return graph.add("Elu", x, alpha=layer.alpha)
        case nn.ReLU():
            return graph.add("Relu", x)
        case nn.Tanh():
            return graph.add("Tanh", x)
        case nn.SiLU():
            return graph.add("Mul", x, graph.add("Sigmoid", x))
    raise PolicyError(f"{name} of the network is a {type(layer).__name__}, which cannot be written as ONNX")


def _require_same_actions(network: ActorNetwork, bundle: PolicyBundle, samples: int) -> None:
    """Compare a written bundle with the network it was written from."""
    try:
        from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy
    except ModuleNotFoundError:
        raise MissingDependencyError("checking a written policy needs onnxruntime: pip install onnxruntime") from None
    policy = OnnxPolicy(bundle.weights.path, observation_size=bundle.observation_size(), action_size=bundle.action.size)
    observations = _observations(network, samples)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(torch.from_numpy(observations).double()).numpy()
        expected = network(torch.from_numpy(observations)).double().numpy()
    if not np.isfinite(expected).all():
        raise PolicyError(f"policy '{bundle.name}': the network's action is not finite")
    difference = np.abs(policy.infer_batch(observations) - exact)
    rounding = np.abs(expected - exact).max(axis=1, keepdims=True)
    allowed = TOLERANCE * np.maximum(1.0, np.abs(exact)) + _ROUNDINGS * rounding
    worst = np.unravel_index(np.argmax(difference / allowed), difference.shape)
    if not difference[worst] <= allowed[worst]:
        raise PolicyError(
            f"policy '{bundle.name}': the written network's action for joint '{bundle.action.joints[worst[1]]}' "
            f"differs from torch's by {difference[worst]:.3g}, allowed is {allowed[worst]:.3g}; nothing was written"
        )


def _observations(network: ActorNetwork, samples: int) -> Float32Array:
    """Half as the normaliser has seen them, half further out [Shape (samples, observation_size)]."""
    rng = np.random.default_rng(0)
    size = network.mean.numel()
    far = 10.0 ** rng.uniform(0.0, math.log10(_FURTHEST), (samples, 1))
    far[: samples // 2] = 1.0
    normal = rng.standard_normal((samples, size)) * far
    return np.asarray(network.mean.numpy() + network.std.numpy() * normal, dtype=np.float32)
