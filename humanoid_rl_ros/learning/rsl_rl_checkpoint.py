"""The deterministic actor in a ``model_*.pt`` of rsl_rl, 1.0 to 5.5: perceptrons, LSTM and GRU, distilled students."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.learning.actor_stages import BetaMean, FirstHalf, Memory, Normalise
from humanoid_rl_ros.learning.foreign_actor import ACTIVATIONS, Bounds, ForeignActor, perceptron
from humanoid_rl_ros.learning.inert_pickle import as_mapping, kind, shown
from humanoid_rl_ros.learning.torch_archive import LARGEST_FILE, StateDict, TorchArchive, read_file, state_dict

HEADS = "mean, mean-and-std, beta:LOWER:UPPER"
"""What the last layer may give: actions; means, then deviations; α, then β of actions within a range."""
_EPSILON = 1e-2  # of the normaliser, added to the deviation, in every release
_ACTIVATIONS = {name: name for name in ACTIVATIONS} | {"lrelu": "leaky_relu", "swish": "silu"}
_DEVIATIONS = ("std", "log_std", "distribution.std_param", "distribution.log_std_param")
_OTHERS = ("critic.", "memory_c.", "critic_obs_normalizer.", "teacher.", "memory_t.", "teacher_obs_normalizer.")


@dataclass(frozen=True)
class _Layout:
    """What names begin with: of the perceptron, the recurrent layers and the normaliser."""

    layers: str
    memory: str
    normaliser: str

    def known(self) -> tuple[str, ...]:
        return (self.layers, self.memory, self.normaliser, *_DEVIATIONS)


_ACTOR = _Layout("actor.", "memory_a.rnn.", "actor_obs_normalizer.")
_STUDENT = _Layout("student.", "memory_s.rnn.", "student_obs_normalizer.")
_SPLIT = _Layout("mlp.", "rnn.rnn.", "obs_normalizer.")  # since 4.0, which keeps actor and critic apart


def read_rsl_rl(path: Path, activation: str | None, head: str | None) -> ForeignActor:
    """Read a checkpoint.

    Args:
        path: the file.
        activation: between the layers, as rsl_rl names it; the file does not say it.
        head: one of `HEADS`; needed only where the standard deviation is not a parameter of its own.

    Raises:
        PolicyError: the file is damaged, or its policy is more than this.
        ConfigError: the activation or the head is needed and not given, or is none.
    """
    archive = TorchArchive(read_file(path, LARGEST_FILE), str(path))
    tensors, layout, statistics = _find(archive, path)
    choices = ", ".join(_ACTIVATIONS)
    if activation is None:
        raise ConfigError(f"{path}: does not say its activation; give --activation elu (the usual) or one of {choices}")
    if activation == "crelu":
        raise ConfigError(f"{path}: 'crelu' is ReLU in rsl_rl 1 and CELU since 2.2; give --activation relu or celu")
    if activation not in _ACTIVATIONS:
        raise ConfigError(f"{path}: activation '{shown(activation)}' is unknown, expected one of {choices}")
    layers, recurrent = tensors.below(layout.layers).linear_layers(), tensors.below(layout.memory)
    memory = _memory(recurrent) if len(recurrent) else None
    size = memory.rnn.input_size if memory else layers[0][0].shape[-1] if layers and layers[0][0].ndim else 0
    width = memory.rnn.hidden_size if memory else size
    stages: list[nn.Module] = [_normaliser(statistics, size)] if len(statistics) else []
    stages += [memory] if memory else []
    stages += perceptron(layers, _ACTIVATIONS[activation], width, str(path))
    ends, count, bounds = _head(tensors, layers[-1][1].size, head, path)
    return ForeignActor(
        (*stages, *ends),
        size,
        count,
        bounds,
        {"activation": f"{activation}, as given: the checkpoint does not say it"}
        | ({"head": f"{head}, as given: the checkpoint does not say it"} if head else {}),
        ("The checkpoint does not say whether actions were clipped; what clips them is the environment.",),
    )


def _find(archive: TorchArchive, path: Path) -> tuple[StateDict, _Layout, StateDict]:
    """The tensors, how they are named, and those of the normaliser; a distilled student before anything else."""
    saved = as_mapping(archive.data)
    if saved is None:
        raise PolicyError(f"{path}: expected a checkpoint of rsl_rl, found {kind(archive.data)}")
    what = "a perceptron or recurrent policy of rsl_rl"
    for key in ("student_state_dict", "actor_state_dict"):
        if key in saved:
            tensors = state_dict(archive, saved[key], key)
            tensors.require_known(_SPLIT.known(), what)
            return tensors, _SPLIT, tensors.below(_SPLIT.normaliser)
    if "model_state_dict" not in saved:
        found = shown(", ".join(key for key in saved if isinstance(key, str)) or "nothing")
        raise PolicyError(f"{path}: expected a checkpoint of rsl_rl with a model_state_dict, found {found}")
    tensors = state_dict(archive, saved["model_state_dict"], "model_state_dict")
    layout = _STUDENT if len(tensors.below(_STUDENT.layers)) else _ACTOR
    tensors.require_known((*layout.known(), *_OTHERS), what)
    statistics = tensors.below(layout.normaliser)
    beside = saved.get("obs_norm_state_dict")  # of 2.x
    if beside is not None:
        if len(statistics):
            raise PolicyError(f"{path}: holds two normalisers, in model_state_dict and in obs_norm_state_dict")
        statistics = state_dict(archive, beside, "obs_norm_state_dict")
    return tensors, layout, statistics


def _memory(tensors: StateDict) -> Memory:
    """LSTM or GRU, told apart by the number of gates."""
    count = len(tensors) // 4
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = {name: tensors[name] for name in (f"{part}_l{i}" for i in range(count) for part in parts)}
    if not found or len(found) != len(tensors):
        raise PolicyError(f"{tensors.where}: the recurrent layers are not those of an LSTM or a GRU")
    inputs, weights = found["weight_ih_l0"], found["weight_hh_l0"]
    size = inputs.shape[1] if inputs.ndim == 2 else 0
    rows, hidden = weights.shape if weights.ndim == 2 else (0, 1)
    modes = {4 * hidden: nn.LSTM, 3 * hidden: nn.GRU}
    for i in range(count):
        wanted = ((rows, hidden if i else size), (rows, hidden), (rows,), (rows,))
        if rows not in modes or any(found[f"{p}_l{i}"].shape != shape for p, shape in zip(parts, wanted, strict=True)):
            shapes = ", ".join(str(found[f"{part}_l{i}"].shape) for part in parts)
            raise PolicyError(f"{tensors.where}: recurrent layer {i} has shapes that do not fit: {shapes}")
    rnn = modes[rows](size, hidden, count)
    rnn.load_state_dict({name: torch.tensor(values) for name, values in found.items()})
    return Memory(rnn)


def _normaliser(tensors: StateDict, size: int) -> Normalise:
    """(x − mean) / (std + ε), not clipped."""
    mean, std = tensors["_mean"].ravel(), tensors["_std"].ravel()
    for name, values in (("_mean", mean), ("_std", std)):
        if values.size != size:
            raise PolicyError(f"{tensors.where}: the normaliser's {name} has {values.size} numbers, expected {size}")
    if std.min() < 0.0:
        raise PolicyError(f"{tensors.where}: the normaliser's _std is negative")
    return Normalise(torch.tensor(mean), torch.tensor(std + np.float32(_EPSILON)), math.inf)


def _head(tensors: StateDict, outputs: int, head: str | None, path: Path) -> tuple[list[nn.Module], int, Bounds | None]:
    """What follows the last layer, the size of an action, and its bounds."""
    deviations = [name for name in _DEVIATIONS if name in tensors]
    if deviations:
        size = tensors[deviations[0]].size
        if head not in (None, "mean"):
            raise ConfigError(f"{path}: holds '{deviations[0]}', so its last layer gives the mean, not '{shown(head)}'")
        if size != outputs:
            raise PolicyError(f"{path}: the last layer gives {outputs} numbers, but '{deviations[0]}' has {size}")
        return [], outputs, None
    if head is None:
        raise ConfigError(
            f"{path}: holds no standard deviation, so what its {outputs} outputs are is not known; "
            f"give --head, one of {HEADS}"
        )
    if head == "mean":
        return [], outputs, None
    if outputs % 2:
        raise ConfigError(f"{path}: {outputs} outputs cannot be '{shown(head)}', which needs an even number")
    size = outputs // 2
    if head == "mean-and-std":
        return [FirstHalf(size)], size, None
    lower, upper = _beta_range(head, path)
    return [BetaMean(size, lower, upper)], size, ((lower,) * size, (upper,) * size)


def _beta_range(head: str, path: Path) -> tuple[float, float]:
    name, *edges = head.split(":")
    try:
        lower, upper = map(float, edges)
    except ValueError:
        lower, upper = math.nan, math.nan
    if name != "beta" or not -math.inf < lower < upper < math.inf:
        raise ConfigError(f"{path}: head '{shown(head)}' is none of {HEADS}")
    return lower, upper
