"""Actors as ONNX: written stage by stage, and compared with what torch answers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import MissingDependencyError, PolicyError
from humanoid_rl_ros.learning.actor_stages import BetaMean, FirstHalf, Memory, Normalise, Squash

TOLERANCE = 1e-5
"""Largest difference between an action of the written network and of torch, as a share of max(1, |action|)."""

# ONNX of mid-2022: every onnxruntime that the package accepts reads it.
_IR_VERSION, _OPSET = 8, 17
_FLOAT, _DOUBLE = 1, 11  # onnx.TensorProto
_FURTHEST = 1e4  # of an extreme observation [standard deviations]
# Far from what it was trained on, a network loses more than TOLERANCE to float32 itself: this many times what torch
# loses against float64 is allowed on top.
_ROUNDINGS = 10.0
_MOSTLY = 0.9
# torch stacks the gates i f g o and r z n; ONNX wants i o f g and z r n.
_GATES: Mapping[str, tuple[int, ...]] = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
_STATES: Mapping[str, tuple[str, ...]] = {"LSTM": ("h", "c"), "GRU": ("h",)}


class _Graph:
    """Nodes of an ONNX graph, one after the other."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: float) -> str:
        """Append a node; gives the name of its output, or of the last where they are named."""
        outputs = list(outputs) or [f"{operator.lower()}_{len(self.nodes)}"]
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[-1]

    def constant(self, name: str, values: Tensor | float, dtype: torch.dtype = torch.float32) -> str:
        """Store a tensor; gives its name."""
        array = torch.as_tensor(values, dtype=dtype).detach().contiguous().numpy()
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def index(self, name: str, value: int) -> str:
        """Store a whole number; gives its name."""
        return self.constant(name, torch.tensor([value]), torch.int64)


def write_onnx(
    stages: Sequence[nn.Module],
    observation_size: int,
    action_size: int,
    *,
    input_name: str = "observation",
    output_name: str = "action",
) -> bytes:
    """An actor as an ONNX file: it takes any number of observations at once, with a `Memory` one after the other.

    Args:
        stages: one after the other: those of `humanoid_rl_ros.learning.actor_stages`, linear layers, activations.
        observation_size, action_size: numbers in an observation and an action.
        input_name, output_name: of the tensors.

    Raises:
        PolicyError: a stage is none of those.
        MissingDependencyError: onnx is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingDependencyError("writing a policy needs onnx, which is not installed; pip install onnx") from None
    graph = _Graph(onnx)
    x, number = input_name, 0
    for stage in stages:
        x = _stage(graph, stage, x, f"layer_{number}")
        number += not isinstance(stage, Normalise)
    graph.nodes[-1].output[0] = output_name
    rnn = next((stage.rnn for stage in stages if isinstance(stage, Memory)), None)
    batch = "batch" if rnn is None else 1
    inputs, outputs = {input_name: [batch, observation_size]}, {output_name: [batch, action_size]}
    for before, after in recurrent_tensors(stages).items():
        inputs[before] = outputs[after] = [rnn.num_layers, 1, rnn.hidden_size] if rnn else []
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "actor",
            [onnx.helper.make_tensor_value_info(name, _FLOAT, shape) for name, shape in inputs.items()],
            [onnx.helper.make_tensor_value_info(name, _FLOAT, shape) for name, shape in outputs.items()],
            graph.constants,
        ),
        producer_name="humanoid_rl_ros",
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def recurrent_tensors(stages: Sequence[nn.Module]) -> dict[str, str]:
    """The input of every recurrent state and the output of its next value."""
    states = [name for stage in stages if isinstance(stage, Memory) for name in _STATES[stage.rnn.mode]]
    return {f"{name}_in": f"{name}_out" for name in states}


def _stage(graph: _Graph, stage: nn.Module, x: str, name: str) -> str:
    match stage:
        case Normalise():
            return _normalise(graph, stage, x)
        case Memory():
            return _recur(graph, stage.rnn, x, name)
        case nn.Linear():
            weights = graph.constant(f"{name}.weight", stage.weight), graph.constant(f"{name}.bias", stage.bias)
            return graph.add("Gemm", x, *weights, transB=1)
        case nn.LayerNorm():
            weights = graph.constant(f"{name}.weight", stage.weight), graph.constant(f"{name}.bias", stage.bias)
            return graph.add("LayerNormalization", x, *weights, axis=-1, epsilon=stage.eps)
        case Squash():
            x = graph.add("Mul", graph.add("Tanh", x), graph.constant("half_range", stage.half_range))
            return graph.add("Add", x, graph.constant("centre", stage.centre))
        case FirstHalf():
            return _part(graph, x, 0, stage.size, name)
        case BetaMean():
            both = graph.add("Add", graph.add("Softplus", x), graph.constant("one", 1.0))
            alpha = _part(graph, both, 0, stage.size, f"{name}.alpha")
            beta = _part(graph, both, stage.size, 2 * stage.size, f"{name}.beta")
            share = graph.add("Div", alpha, graph.add("Add", alpha, beta))
            x = graph.add("Mul", share, graph.constant("range", stage.upper - stage.lower))
            return graph.add("Add", x, graph.constant("lowest", stage.lower))
    return _activation(graph, stage, x, name)


def _activation(graph: _Graph, stage: nn.Module, x: str, name: str) -> str:
    match stage:
        case nn.ELU() | nn.CELU():
            return graph.add(type(stage).__name__.capitalize(), x, alpha=stage.alpha)
        case nn.ReLU() | nn.Tanh() | nn.Sigmoid() | nn.SELU():
            return graph.add(type(stage).__name__.capitalize(), x)
        case nn.LeakyReLU():
            return graph.add("LeakyRelu", x, alpha=stage.negative_slope)
        case nn.SiLU():
            return graph.add("Mul", x, graph.add("Sigmoid", x))
        case nn.Softplus(beta=1.0):
            return graph.add("Softplus", x)
        case nn.Mish():
            return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))
        case nn.GELU(approximate="none"):
            half, root = graph.constant(f"{name}.half", 0.5), graph.constant(f"{name}.root", math.sqrt(0.5))
            erf = graph.add("Mul", graph.add("Erf", graph.add("Mul", x, root)), half)
            return graph.add("Mul", x, graph.add("Add", erf, half))  # x · Φ(x)
        case nn.Hardtanh():
            bounds = graph.constant(f"{name}.lower", stage.min_val), graph.constant(f"{name}.upper", stage.max_val)
            return graph.add("Clip", x, *bounds)
        case nn.Identity():
            return x
    raise PolicyError(f"{name} of the network is a {type(stage).__name__}, which cannot be written as ONNX")


def _normalise(graph: _Graph, stage: Normalise, x: str) -> str:
    dtype = stage.mean.dtype
    wide = dtype == torch.float64
    if wide:
        x = graph.add("Cast", x, to=_DOUBLE)
    x = graph.add("Sub", x, graph.constant("mean", stage.mean, dtype))
    x = graph.add("Div", x, graph.constant("std", stage.std, dtype))
    if not bool(stage.clip.isinf().all()):
        lower, upper = graph.constant("lower", -stage.clip, dtype), graph.constant("upper", stage.clip, dtype)
        # Clip knows only one bound for all.
        x = (
            graph.add("Min", graph.add("Max", x, lower), upper)
            if stage.clip.ndim
            else graph.add("Clip", x, lower, upper)
        )
    return graph.add("Cast", x, to=_FLOAT) if wide else x


def _part(graph: _Graph, x: str, start: int, stop: int, name: str) -> str:
    """Some columns."""
    edges = graph.index(f"{name}.start", start), graph.index(f"{name}.stop", stop), graph.index(f"{name}.axis", 1)
    return graph.add("Slice", x, *edges)


def _recur(graph: _Graph, rnn: nn.LSTM | nn.GRU, x: str, name: str) -> str:
    """One step of every layer, each with its own part of the state."""
    count, states = rnn.num_layers, _STATES[rnn.mode]
    before = {state: [f"{state}_in"] for state in states}
    after = {state: [f"{state}_out"] for state in states}
    if count > 1:
        for state in states:
            before[state] = [f"{state}_in_{i}" for i in range(count)]
            after[state] = [f"{state}_out_{i}" for i in range(count)]
            graph.add("Split", f"{state}_in", outputs=before[state], axis=0)
    axis = graph.index(f"{name}.axis", 0)
    x = graph.add("Unsqueeze", x, axis)
    for i in range(count):
        weights = (graph.constant(f"{name}.{part}_{i}", values) for part, values in _rnn_weights(rnn, i).items())
        # From here a GRU's reset gate acts on R·h with its bias, as in torch.
        options = {"linear_before_reset": 1} if rnn.mode == "GRU" else {}
        was, becomes = ([names[state][i] for state in states] for names in (before, after))
        graph.add(rnn.mode, x, *weights, "", *was, outputs=["", *becomes], hidden_size=rnn.hidden_size, **options)
        x = after["h"][i]  # of one step, the output
    if count > 1:
        for state in states:
            graph.add("Concat", *after[state], outputs=[f"{state}_out"], axis=0)
    return graph.add("Squeeze", x, axis)


def _rnn_weights(rnn: nn.LSTM | nn.GRU, layer: int) -> dict[str, Tensor]:
    """W, R and both biases of a layer, as ONNX wants them."""

    def ordered(name: str) -> Tensor:
        gates = getattr(rnn, f"{name}_l{layer}").chunk(len(_GATES[rnn.mode]))
        return torch.cat([gates[i] for i in _GATES[rnn.mode]])[None]

    biases = torch.cat([ordered("bias_ih"), ordered("bias_hh")], dim=1)
    return {"W": ordered("weight_ih"), "R": ordered("weight_hh"), "B": biases}


def trial_observations(mean: Tensor, std: Tensor, samples: int) -> Float32Array:
    """Half as the normaliser has seen them, half further out.

    Args:
        mean, std: of the normaliser [Shape (observation_size,)].
        samples: how many.

    Returns:
        [Shape (samples, observation_size)].
    """
    rng = np.random.default_rng(0)
    far = 10.0 ** rng.uniform(0.0, math.log10(_FURTHEST), (samples, 1))
    far[: samples // 2] = 1.0
    normal = rng.standard_normal((samples, mean.numel())) * far
    return np.asarray(mean.numpy() + std.numpy() * normal, dtype=np.float32)


def require_same_actions(
    actor: nn.Module,
    infer: Callable[[Float32Array], Float32Array],
    observations: Float32Array,
    what: str,
    action_names: Sequence[str],
) -> None:
    """Compare a written network with the actor it was written from.

    Args:
        actor: what torch runs; with a `Memory` it takes the observations one after the other, and forgets first.
        infer: what runs the written network, from an empty memory.
        observations: [Shape (samples, observation_size)].
        what: the policy, for messages.
        action_names: what each number of an action is, for messages.

    Raises:
        PolicyError: an action differs by more than float32 explains, or is not finite.
    """
    actor = copy.deepcopy(actor)
    expected = _answers(actor, torch.from_numpy(observations))
    exact = _answers(actor.double(), torch.from_numpy(observations).double())
    if not np.isfinite(expected).all():
        raise PolicyError(f"{what}: the network's action is not finite")
    difference = np.abs(infer(observations) - exact)
    rounding = np.abs(expected - exact).max(axis=1, keepdims=True)
    # By luck torch may lose next to nothing of one observation: at least what it mostly loses of answers so large.
    size = np.abs(exact).max(axis=1, keepdims=True)
    rounding = np.maximum(rounding, np.quantile(rounding / np.maximum(size, 1.0), _MOSTLY) * np.maximum(size, 1.0))
    if any(isinstance(module, Memory) for module in actor.modules()):
        rounding = np.maximum.accumulate(rounding)  # what a state has lost, the next inherits
    allowed = TOLERANCE * np.maximum(1.0, np.abs(exact)) + _ROUNDINGS * rounding
    worst = np.unravel_index(np.argmax(difference / allowed), difference.shape)
    if not difference[worst] <= allowed[worst]:
        raise PolicyError(
            f"{what}: the written network's action for {action_names[int(worst[1])]} "
            f"differs from torch's by {difference[worst]:.3g}, allowed is {allowed[worst]:.3g}; nothing was written"
        )


def _answers(actor: nn.Module, observations: Tensor) -> FloatArray:
    memories = [module for module in actor.modules() if isinstance(module, Memory)]
    for memory in memories:
        memory.reset()
    rows = [observations[i : i + 1] for i in range(len(observations))] if memories else [observations]
    with torch.no_grad():
        answers: Tensor = torch.cat([actor(row) for row in rows]).double()
    return answers.numpy()
