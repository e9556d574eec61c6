"""Checkpoints of Stable-Baselines3 and rsl_rl as ONNX, converted without either and without running their pickles."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, PolicyError
from humanoid_rl_ros.learning.actor_onnx import (
    recurrent_tensors,
    require_same_actions,
    trial_observations,
    write_onnx,
)
from humanoid_rl_ros.learning.actor_stages import Normalise
from humanoid_rl_ros.learning.foreign_actor import Bounds, ForeignActor
from humanoid_rl_ros.learning.rsl_rl_checkpoint import read_rsl_rl
from humanoid_rl_ros.learning.sb3_checkpoint import read_sb3
from humanoid_rl_ros.policies.weights_file import archive_members

INPUT, OUTPUT = "obs", "actions"
_SAMPLES = 256


@dataclass(frozen=True)
class ConvertedNetwork:
    """A checkpoint's actor.

    Attributes:
        onnx: the file.
        observation_size, action_size: numbers in an observation and an action.
        action_bounds: what the algorithm clips its actions to, which the file does not do, or unscales them within,
            which it does; lower and upper. None for nothing.
        recurrent: for each input that carries state, the output that gives its next value.
        input_name, output_name: of the tensors.
        inferred: what no file says, by a short key: what was taken, and why.
        notes: what a person should know, one sentence each.
    """

    onnx: bytes
    observation_size: int
    action_size: int
    action_bounds: Bounds | None
    recurrent: Mapping[str, str]
    input_name: str
    output_name: str
    inferred: Mapping[str, str]
    notes: tuple[str, ...]


def is_checkpoint(path: Path) -> bool:
    """Whether a file is such a checkpoint, by the names in the zip alone; TorchScript is none."""
    try:
        members = archive_members(path, "no zip")
    except PolicyError:
        return False
    return _is_sb3(members) or _is_torch(members)


def _is_sb3(members: tuple[str, ...]) -> bool:
    return "data" in members and bool({"policy.pth", "_stable_baselines3_version"} & set(members))


def _is_torch(members: tuple[str, ...]) -> bool:
    roots = {name.partition("/")[0] for name in members}
    code = [name for name in members if name.endswith("/constants.pkl") or "/code/" in name]
    return len(roots) == 1 and f"{roots.pop()}/data.pkl" in members and not code


def convert_checkpoint(
    path: Path,
    *,
    trust: bool,
    normaliser: Path | None = None,
    activation: str | None = None,
    head: str | None = None,
) -> ConvertedNetwork:
    """Write a checkpoint's deterministic actor as ONNX, and compare it with what torch answers.

    Args:
        path: a ``.zip`` of Stable-Baselines3 or a ``model_*.pt`` of rsl_rl.
        trust: whether the user knows where the files come from. They hold pickles, which can hide commands; even so
            nothing of them is run.
        normaliser: of Stable-Baselines3: VecNormalize's file, or ``none`` where observations were not normalised.
        activation: of rsl_rl, which does not store it.
        head: of rsl_rl, where it cannot be seen: one of `humanoid_rl_ros.learning.rsl_rl_checkpoint.HEADS`.

    Raises:
        ConfigError: something is not said that the file does not hold, or is said that it contradicts.
        PolicyError: the file is damaged or hostile, or its policy cannot be written, or ONNX answers otherwise.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    members = archive_members(path, "not a checkpoint of Stable-Baselines3 or rsl_rl")
    if not trust:
        raise ConfigError(
            f"{path}: holds pickled Python, and unpickling can run anything; nothing of it will be run here, but "
            "add --trust only if you know where it comes from"
        )
    if _is_sb3(members):
        if head is not None:
            raise ConfigError(f"{path}: of Stable-Baselines3, which takes no --head")
        actor = read_sb3(path, normaliser, activation)
    elif _is_torch(members):
        if normaliser is not None:
            raise ConfigError(f"{path}: of rsl_rl, which keeps its normaliser in the file; --normaliser is not for it")
        actor = read_rsl_rl(path, activation, head)
    else:
        raise PolicyError(f"{path}: not a checkpoint of Stable-Baselines3 or rsl_rl")
    sizes = actor.observation_size, actor.action_size
    content = write_onnx(actor.stages, *sizes, input_name=INPUT, output_name=OUTPUT)
    recurrent = recurrent_tensors(actor.stages)
    _compare(actor, content, recurrent, str(path))
    return ConvertedNetwork(content, *sizes, actor.bounds, recurrent, INPUT, OUTPUT, actor.inferred, actor.notes)


def _compare(actor: ForeignActor, content: bytes, recurrent: Mapping[str, str], what: str) -> None:
    try:
        from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy
    except ModuleNotFoundError:
        raise MissingDependencyError("checking a written policy needs onnxruntime: pip install onnxruntime") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policy.onnx"
        file.write_bytes(content)
        policy = OnnxPolicy(
            file,
            observation_size=actor.observation_size,
            action_size=actor.action_size,
            input_name=INPUT,
            output_name=OUTPUT,
            recurrent=recurrent,
        )

    def infer(observations: Float32Array) -> Float32Array:
        if not recurrent:
            return policy.infer_batch(observations)
        policy.reset()
        return np.stack([policy.infer(row) for row in observations])

    mean, std = torch.zeros(actor.observation_size), torch.ones(actor.observation_size)
    for stage in actor.stages:
        if isinstance(stage, Normalise):
            mean, std = stage.mean, stage.std
    names = [f"number {i}" for i in range(actor.action_size)]
    observations = trial_observations(mean, std, _SAMPLES)
    require_same_actions(nn.Sequential(*actor.stages), infer, observations, what, names)
