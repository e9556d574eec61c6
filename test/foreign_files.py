"""Checkpoints as other libraries write them, made without those: pickles of stand-in classes, zips of their layout."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

Layers = Sequence[tuple[np.ndarray, np.ndarray]]

_CLASSES: dict[str, type] = {}


class Command:
    """A pickle that runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def stand_in(name: str) -> type:
    """A class that pickles as the one of that module and name."""
    if name not in _CLASSES:
        module, _, last = name.rpartition(".")
        _CLASSES[name] = type(last, (), {"__module__": module, "__qualname__": last})
    return _CLASSES[name]


def instance(name: str, **state: Any) -> Any:
    """An object of such a class."""
    made = stand_in(name)()
    made.__dict__.update(state)
    return made


def dump(value: Any, protocol: int = 4) -> bytes:
    """Pickle, with the modules of the stand-ins there for as long as that takes."""
    modules: dict[str, types.ModuleType] = {}
    for name, made in _CLASSES.items():
        module, _, last = name.rpartition(".")
        parts = module.split(".")
        for i in range(len(parts)):
            path = ".".join(parts[: i + 1])
            modules.setdefault(path, types.ModuleType(path))
        setattr(modules[module], last, made)
    with patch.dict(sys.modules, modules):
        return pickle.dumps(value, protocol)


def box(low: Any, high: Any, dtype: Any = np.float32) -> Any:
    low, high = np.array(low, dtype), np.array(high, dtype)
    return instance("gymnasium.spaces.box.Box", dtype=low.dtype, _shape=low.shape, low=low, high=high, low_repr=None)


def unbounded(size: int) -> Any:
    return box([-np.inf] * size, [np.inf] * size)


def dict_space(**spaces: Any) -> Any:
    return instance("gymnasium.spaces.dict.Dict", spaces=spaces, _shape=None, dtype=None)


def pickled(value: Any, **mirror: Any) -> dict[str, Any]:
    """An entry of Stable-Baselines3's JSON that JSON cannot hold."""
    return {":type:": str(type(value)), ":serialized:": base64.b64encode(dump(value, 5)).decode(), **mirror}


def torch_file(value: Any, **options: Any) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def tensors(arrays: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """A state dict."""
    import torch

    return OrderedDict((name, torch.tensor(np.asarray(values))) for name, values in arrays.items())


def sb3_data(policy: str, observation_space: Any, action_space: Any, **entries: Any) -> dict[str, Any]:
    """The JSON of a checkpoint; ``policy`` is a class below `stable_baselines3`."""
    return {
        "policy_class": pickled(stand_in(f"stable_baselines3.{policy}")),
        "policy_kwargs": {},
        "use_sde": False,
        "observation_space": pickled(observation_space),
        "action_space": pickled(action_space),
        "_last_original_obs": None,
        "gamma": 0.99,
    } | entries


def sb3_zip(path: Path, data: Any, weights: Mapping[str, Any] | bytes) -> Path:
    content = weights if isinstance(weights, bytes) else torch_file(tensors(weights))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", data if isinstance(data, bytes) else json.dumps(data))
        archive.writestr("policy.pth", content)
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return path


def statistics(mean: Any, var: Any) -> Any:
    return instance(
        "stable_baselines3.common.running_mean_std.RunningMeanStd",
        mean=np.array(mean, np.float64),
        var=np.array(var, np.float64),
        count=100.0,
    )


def vec_normalize(path: Path, protocol: int = 4, **state: Any) -> Path:
    """A file of VecNormalize.save."""
    held = {"norm_obs": True, "norm_obs_keys": None, "clip_obs": 10.0, "epsilon": 1e-8, "num_envs": 2} | state
    name = "stable_baselines3.common.vec_env.vec_normalize.VecNormalize"
    path.write_bytes(dump(instance(name, **held), protocol))
    return path


def random_layers(rng: np.random.Generator, *sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (rng.normal(0, 1 / np.sqrt(a), (b, a)).astype(np.float32), rng.normal(0, 0.3, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]


def named(prefix: str, layers: Layers) -> dict[str, np.ndarray]:
    """Layers as ``nn.Sequential`` names them, with an activation after each."""
    found: dict[str, np.ndarray] = {}
    for i, (weight, bias) in enumerate(layers):
        found |= {f"{prefix}{2 * i}.weight": weight, f"{prefix}{2 * i}.bias": bias}
    return found


def forward(x: np.ndarray, layers: Layers, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """W_n·act(… act(W_1·x + b_1) …) + b_n, in float64."""
    x = x.astype(np.float64)
    for i, (weight, bias) in enumerate(layers):
        x = (activation(x) if i else x) @ weight.T.astype(np.float64) + bias
    return x


def repack(content: bytes, change: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with some members' content changed; a name is matched at its end."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", method) as new:
        for name in old.namelist():
            ending = next((end for end in change if name.endswith(end)), None)
            new.writestr(name, old.read(name) if ending is None else change[ending])
    return stream.getvalue()
