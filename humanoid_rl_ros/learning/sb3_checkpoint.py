"""The deterministic actor in a ``.zip`` of Stable-Baselines3: PPO, A2C, SAC, TD3 and DDPG with perceptrons."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.learning.actor_stages import Normalise, Squash
from humanoid_rl_ros.learning.foreign_actor import ACTIVATIONS, Bounds, ForeignActor, perceptron
from humanoid_rl_ros.learning.inert_pickle import Name, as_array, as_mapping, as_state, kind, read_pickle, shown
from humanoid_rl_ros.learning.torch_archive import (
    LARGEST_FILE,
    StateDict,
    StoredArchive,
    TorchArchive,
    read_file,
    state_dict,
)
from humanoid_rl_ros.learning.vec_normalize import read_vec_normalize

NO_NORMALISER = Path("none")
"""Given instead of statistics: the observations were not normalised."""
_LARGEST_DATA = 64 * 2**20  # bytes of the JSON; it grows with the number of environments
_POLICIES = {
    "stable_baselines3.common.policies.ActorCriticPolicy": "ppo",
    "stable_baselines3.common.policies.MultiInputActorCriticPolicy": "ppo",
    "stable_baselines3.sac.policies.SACPolicy": "sac",
    "stable_baselines3.sac.policies.MultiInputPolicy": "sac",
    "stable_baselines3.td3.policies.TD3Policy": "td3",
    "stable_baselines3.td3.policies.MultiInputPolicy": "td3",
}
_ACTORS = {  # what names in policy.pth may begin with
    "ppo": ("mlp_extractor.policy_net.", "mlp_extractor.value_net.", "action_net.", "value_net.", "log_std"),
    "sac": ("actor.latent_pi.", "actor.mu.", "actor.log_std", "actor.log_std.", "critic.", "critic_target."),
    "td3": ("actor.mu.", "actor_target.", "critic.", "critic_target."),
}
_DEFAULT_ACTIVATION = {"ppo": "tanh", "sac": "relu", "td3": "relu"}
_ACTIVATIONS = {layer.__name__: name for name, layer in ACTIVATIONS.items()}
_EXTRACTORS = re.compile(r"<class 'stable_baselines3\.common\.torch_layers\.(Flatten|Combined)Extractor'>")
_BOX, _DICT = "spaces.box.Box", "spaces.dict.Dict"
_GYMS = ("gymnasium", "gym")


def read_sb3(path: Path, normaliser: Path | None, activation: str | None) -> ForeignActor:
    """Read a checkpoint.

    Args:
        path: the zip.
        normaliser: VecNormalize's statistics, `NO_NORMALISER`, or None where nothing was said.
        activation: what the user takes it to be; the file says it.

    Raises:
        PolicyError: a file is damaged, or its policy is more than a perceptron.
        ConfigError: the statistics are needed and not given, or the activation is another.
    """
    archive = StoredArchive(read_file(path, LARGEST_FILE), str(path))
    if "policy.pth" not in archive.names:
        raise PolicyError(f"{path}: holds no policy.pth, so it is not of Stable-Baselines3 (SBX writes such files)")
    saved = _Saved.read(archive, path)
    weights = TorchArchive(archive.read("policy.pth"), f"{path}: policy.pth")
    tensors = state_dict(weights, weights.data, "")
    tensors.require_known(_ACTORS[saved.family], f"a perceptron policy of {saved.family.upper()}")
    hidden, last, stretch = _layers(tensors, saved)
    inferred: dict[str, str] = {}
    notes: list[str] = []
    name = saved.activation(activation, inferred)
    widths = saved.observation_widths(notes)
    size = sum(widths.values())
    stages: list[nn.Module] = perceptron([*hidden, last], name, size, f"{path}: policy.pth")
    lower, upper = saved.action_bounds()
    if last[1].shape != lower.shape:
        raise PolicyError(f"{path}: policy.pth gives {last[1].size} numbers, but an action has {lower.size}")
    stages += [*stretch, *_squash(lower, upper, path)] if saved.squashed else stretch
    statistics = _normaliser(path, normaliser, widths, saved, inferred)
    bounds: Bounds = tuple(lower.tolist()), tuple(upper.tolist())
    return ForeignActor(
        (*([statistics] if statistics is not None else []), *stages),
        size,
        lower.size,
        bounds if np.isfinite([lower, upper]).any() else None,
        inferred,
        tuple(notes),
    )


@dataclass(frozen=True)
class _Saved:
    """The member ``data``: plain JSON, with pickles of what JSON cannot hold.

    Attributes:
        data: the JSON.
        path: the zip.
        family: key of `_ACTORS`.
    """

    data: Mapping[str, Any]
    path: Path
    family: str

    @classmethod
    def read(cls, archive: StoredArchive, path: Path) -> _Saved:
        content = archive.read("data")
        if len(content) > _LARGEST_DATA:
            raise PolicyError(f"{path}: data is larger than {_LARGEST_DATA} bytes; not read")
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise PolicyError(f"{path}: data is not JSON: {shown(error)}") from None
        if not isinstance(data, dict):
            raise PolicyError(f"{path}: data: expected a mapping, found a {type(data).__name__}")
        policy = _pickled(data, "policy_class", path)
        family = _POLICIES.get(policy.text) if isinstance(policy, Name) else None
        if family is None:
            raise PolicyError(
                f"{path}: its policy is a {kind(policy)}; "
                "only the perceptrons of PPO, A2C, SAC, TD3 and DDPG can be read"
            )
        return cls(data, path, family)

    @property
    def squashed(self) -> bool:
        """Whether actions pass a tanh and are unscaled."""
        asked = self.option("squash_output", bool, False)
        if self.family == "ppo" and asked and not self.explores_by_state:
            raise PolicyError(
                f"{self.path}: squash_output without use_sde, which releases of the library read otherwise"
            )
        return asked or self.family != "ppo"

    @property
    def explores_by_state(self) -> bool:
        """Whether it is of gSDE."""
        return self.data.get("use_sde") is True

    def option(self, name: str, expected: type | tuple[type, ...], default: Any) -> Any:
        """One of ``policy_kwargs``."""
        options = self.data.get("policy_kwargs")
        if not isinstance(options, dict):
            raise PolicyError(f"{self.path}: data: policy_kwargs must be a mapping, found {type(options).__name__}")
        value = options.get(name, default)
        wrong = isinstance(value, bool) and expected is not bool
        if wrong or not isinstance(value, expected):
            raise PolicyError(
                f"{self.path}: data: policy_kwargs: {name} is a {type(value).__name__}, which is not read"
            )
        return value

    def activation(self, given: str | None, inferred: dict[str, str]) -> str:
        """Key of `ACTIVATIONS`."""
        printed = self.option("activation_fn", str, "")
        found = _DEFAULT_ACTIVATION[self.family]
        if printed:
            match = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", printed)
            if match is None or match[1] not in _ACTIVATIONS:
                known = ", ".join(_ACTIVATIONS)
                raise PolicyError(f"{self.path}: its activation is {shown(printed)}, expected torch's {known}")
            found = _ACTIVATIONS[match[1]]
        else:
            inferred["activation"] = f"{found}, the library's default for {self.family.upper()}: the file names none"
        if given is not None and given != found:
            raise ConfigError(f"{self.path}: its activation is {found}, not the given '{shown(given)}'")
        return found

    def observation_widths(self, notes: list[str]) -> dict[str, int]:
        """Numbers in each entry of the observation, in the network's order; one without a name where it is no dict."""
        space = _pickled(self.data, "observation_space", self.path)
        extractor = self.option("features_extractor_class", str, "")
        if extractor and not _EXTRACTORS.fullmatch(extractor):
            raise PolicyError(f"{self.path}: its features extractor is {shown(extractor)}, which cannot be read")
        entries = as_state(space, *(f"{gym}.{_DICT}" for gym in _GYMS))
        if entries is None:
            return {"": self._width(space, "observation_space")}
        spaces = as_mapping(entries.get("spaces"))
        if not spaces or not all(isinstance(name, str) and name for name in spaces):
            raise PolicyError(f"{self.path}: observation_space: a dict without entries by name")
        widths = {str(name): self._width(space, f"observation_space: {shown(name)}") for name, space in spaces.items()}
        parts = ", ".join(f"{shown(name)} ({width})" for name, width in widths.items())
        notes.append(f"The observation was a dict; the network takes its entries one after the other: {parts}.")
        return widths

    def action_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of each number of an action."""
        space = _pickled(self.data, "action_space", self.path)
        where = f"{self.path}: action_space"
        self._width(space, "action_space")
        held = as_state(space, *(f"{gym}.{_BOX}" for gym in _GYMS)) or {}
        lower, upper = (
            as_array(held.get(side), f"{where}: {side}").astype(np.float64).ravel() for side in ("low", "high")
        )
        if lower.shape != upper.shape or not (lower <= upper).all():
            raise PolicyError(f"{where}: low must not be above high")
        return lower, upper

    def _width(self, space: object, name: str) -> int:
        where = f"{self.path}: {name}"
        held = as_state(space, *(f"{gym}.{_BOX}" for gym in _GYMS))
        if held is None:
            raise PolicyError(f"{where} is a {kind(space)}, expected a Box")
        low = as_array(held.get("low"), f"{where}: low")
        if low.dtype.kind != "f":
            raise PolicyError(f"{where} is of {low.dtype}, expected a floating type")
        return low.size


def _pickled(data: Mapping[str, Any], name: str, path: Path) -> object:
    """What a pickled entry of ``data`` holds."""
    entry = data.get(name)
    text = entry.get(":serialized:") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        raise PolicyError(f"{path}: data: {name} is missing, or not as Stable-Baselines3 writes it")
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise PolicyError(f"{path}: data: {name} is not base64") from None
    return read_pickle(content, f"{path}: data: {name}")


_Layer = tuple[Float32Array, Float32Array]


def _layers(tensors: StateDict, saved: _Saved) -> tuple[list[_Layer], _Layer, list[nn.Module]]:
    """Hidden layers, the last, and what follows it before any tanh."""
    if saved.family == "ppo":
        if "log_std" not in tensors:
            raise PolicyError(f"{tensors.where}: 'log_std' is missing: its actions are not continuous")
        return tensors.below("mlp_extractor.policy_net.").linear_layers(), _linear(tensors.below("action_net.")), []
    if saved.family == "td3":
        layers = tensors.below("actor.mu.").linear_layers()
        if not layers:
            raise PolicyError(f"{tensors.where}: holds no layer of an actor")
        return layers[:-1], layers[-1], []
    hidden, mean = tensors.below("actor.latent_pi.").linear_layers(), tensors.below("actor.mu.")
    if "0.weight" not in mean:
        return hidden, _linear(mean), []
    bound = float(saved.option("clip_mean", (int, float), 2.0))  # of gSDE, whose last layer is then clipped
    if not saved.explores_by_state or not 0.0 < bound < math.inf:
        raise PolicyError(f"{tensors.where}: 'actor.mu.0.weight' is of a clipped mean, but clip_mean is {bound}")
    return hidden, _linear(mean.below("0.")), [nn.Hardtanh(-bound, bound)]


def _linear(tensors: StateDict) -> _Layer:
    tensors.require_known(("weight", "bias"), "a linear layer")
    return tensors["weight"], tensors["bias"]


def _squash(lower: FloatArray, upper: FloatArray, path: Path) -> list[nn.Module]:
    """low + (tanh(x) + 1)/2 · (high − low)."""
    if not np.isfinite([lower, upper]).all():
        raise PolicyError(f"{path}: action_space is unbounded, but the actions are unscaled to its bounds")
    centre, half_range = (
        torch.tensor(values, dtype=torch.float32) for values in ((upper + lower) / 2, (upper - lower) / 2)
    )
    return [Squash(centre, half_range)]


def _normaliser(
    path: Path, given: Path | None, widths: Mapping[str, int], saved: _Saved, inferred: dict[str, str]
) -> Normalise | None:
    """The statistics; refuses to go on where they are likely needed and nobody said anything."""
    if given is not None:
        return None if given == NO_NORMALISER else read_vec_normalize(given, widths)
    ask = f"give them with --normaliser FILE, or say --normaliser {NO_NORMALISER} if observations were not normalised"
    if saved.family == "ppo":
        if saved.data.get("_last_original_obs") is not None:
            raise ConfigError(f"{path}: was trained behind a VecNormalize, whose statistics are in another file; {ask}")
        return None
    if found := sorted(path.parent.glob("*vecnormalize*.pkl")):
        raise ConfigError(f"{path}: {found[0].name} beside it may be its VecNormalize statistics; {ask}")
    inferred["normaliser"] = "none: the file does not say whether a VecNormalize stood before it, and none was given"
    return None
