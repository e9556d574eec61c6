"""The observation statistics of Stable-Baselines3's VecNormalize, read without running its pickle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.learning.actor_stages import Normalise
from humanoid_rl_ros.learning.inert_pickle import (
    LARGEST,
    as_array,
    as_mapping,
    as_number,
    as_state,
    kind,
    read_pickle,
    shown,
)
from humanoid_rl_ros.learning.torch_archive import read_file

_VEC_NORMALIZE = "stable_baselines3.common.vec_env.vec_normalize.VecNormalize"
_STATISTICS = "stable_baselines3.common.running_mean_std.RunningMeanStd"


def read_vec_normalize(path: Path, widths: Mapping[str, int]) -> Normalise | None:
    """What the observations were normalised with.

    float32(clip((x − mean) / √(variance + ε), ±clip)), computed in float64; entries of a dict observation that were
    left alone pass unchanged.

    Args:
        path: a file of ``VecNormalize.save``.
        widths: numbers in each entry of the observation, in the network's order; one entry without a name where the
            observation is no dict.

    Returns:
        The statistics in float64; None where observations were not normalised.

    Raises:
        PolicyError: it is another file, or its statistics are of other observations.
    """
    content = read_pickle(read_file(path, LARGEST), str(path))
    saved = as_state(content, _VEC_NORMALIZE)
    if saved is None:
        raise PolicyError(f"{path}: expected a VecNormalize of Stable-Baselines3, found {kind(content)}")
    if saved.get("norm_obs") is False:
        return None
    epsilon = as_number(saved.get("epsilon"), f"{path}: epsilon")
    clip = as_number(saved.get("clip_obs"), f"{path}: clip_obs")
    if epsilon <= 0.0 or clip <= 0.0:
        raise PolicyError(f"{path}: epsilon and clip_obs must be above 0, found {epsilon} and {clip}")
    entries = _entries(saved, widths, path)
    parts = []
    for name, width in widths.items():
        mean, variance, bound = np.zeros(width), np.ones(width), math.inf
        if name in entries:
            mean, variance = _mean_and_variance(entries[name], width, f"{path}: {name or 'obs_rms'}")
            variance, bound = variance + epsilon, clip
        parts.append((mean, np.sqrt(variance), np.full(width, bound)))
    means, stds, clips = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
    return Normalise(means, stds, clip if bool((clips == clip).all()) else clips)


def _entries(saved: Mapping[object, object], widths: Mapping[str, int], path: Path) -> dict[str, object]:
    """The statistics of each entry of the observation that is normalised."""
    statistics, names = saved.get("obs_rms"), saved.get("norm_obs_keys")
    by_name = as_mapping(statistics)
    if by_name is None:
        if list(widths) != [""]:
            raise PolicyError(f"{path}: statistics of one vector, expected those of {shown(', '.join(widths))}")
        return {"": statistics}
    entries = {name: by_name[name] for name in widths if name in by_name}
    if len(entries) < len(by_name) or list(widths) == [""]:
        found = shown(", ".join(name for name in by_name if isinstance(name, str)))
        raise PolicyError(
            f"{path}: statistics of a dict of {found}, expected {shown(', '.join(widths)) or 'one vector'}"
        )
    if isinstance(names, list) and {name for name in names if isinstance(name, str)} != set(by_name):
        raise PolicyError(f"{path}: its statistics are not those of its norm_obs_keys")
    return entries


def _mean_and_variance(statistics: object, width: int, where: str) -> tuple[FloatArray, FloatArray]:
    held = as_state(statistics, _STATISTICS)
    if held is None:
        raise PolicyError(f"{where}: expected statistics of observations, found {kind(statistics)}")
    found = {name: as_array(held.get(name), f"{where}: {name}").astype(np.float64).ravel() for name in ("mean", "var")}
    for name, values in found.items():
        if values.size != width:
            raise PolicyError(f"{where}: {name} of {values.size} numbers, but {width} are observed")
        if not np.isfinite(values).all():
            raise PolicyError(f"{where}: {name} holds NaN or infinity")
    if found["var"].min() < 0.0:
        raise PolicyError(f"{where}: var is negative")
    return found["mean"], found["var"]
