"""A training that begins with what another policy knows, even one that sees less."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.envs.batch_env import BatchEnv
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.learning.ppo_parts import PolicyPart
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy

# Observations that the statistics taken over count for: what is seen anew moves them slowly.
_SEEN = 1e6
_TRIALS = 64
_TOLERANCE = 1e-3
_AGE = re.compile(r"@-\d+$")


def begin_from(policy: PolicyPart, env: BatchEnv, name: str) -> None:
    """Give a new actor the weights and the normaliser of a policy that this package exported.

    What the policy saw may be a part of what is seen now: it is found by its label, in a history in the newest frame;
    everything else begins with weights of 0, and older frames with the normaliser of the newest. So the actor does at
    first, to rounding, what the policy did.

    Args:
        policy: changed in place.
        env: what it is to learn in.
        name: a shipped policy or a bundle folder.

    Raises:
        ConfigError: there is no such policy, or it does not fit.
    """
    if not isinstance(env, HumanoidBatch):
        raise ConfigError("ppo: 'begin_from' is for the tasks of a robot in this process")
    bundle, contract = find_policy(name), env.contract
    what = f"ppo: 'begin_from' {name}"
    if bundle.action != contract.action or dict(bundle.joints) != dict(contract.joints):
        raise ConfigError(f"{what}: it moves the joints in another way than the task; gains, scales and joints differ")
    known = {term.term: term for block in bundle.observation.blocks for term in block.terms}
    for block in contract.observation.blocks:
        for term in block.terms:
            if term.term in known and known[term.term] != term:
                raise ConfigError(f"{what}: it sees term '{term.term}' in another way than the task")
    joints = env.robot.joint_names
    before = bundle.observation_builder(joints).labels()
    now = contract.observation_builder(joints).labels()
    at = [_found(label, now, what) for label in before]
    weights = _weights(bundle)
    try:
        mean, std = weights["mean"], weights["std"]
        first = torch.zeros(weights["layer_0.weight"].shape[0], len(now))
        first[:, at] = weights["layer_0.weight"]
        weights["layer_0.weight"] = first
        policy.set_layers({key.removeprefix("layer_"): value for key, value in weights.items() if "layer_" in key})
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{what}: its network is not the one that is to be trained: {reason}") from None
    newest = {_AGE.sub("", label): i for i, label in enumerate(before)}
    source = [newest.get(_AGE.sub("", label), -1) for label in now]
    every_mean, every_std = (torch.cat([part, part.new_tensor([empty])]) for part, empty in ((mean, 0.0), (std, 1.0)))
    policy.normaliser.mean.copy_(every_mean[source].double())
    policy.normaliser.var.copy_((every_std[source].double().square() - policy.normaliser.epsilon**2).clamp_min(0.0))
    policy.normaliser.count.fill_(_SEEN)
    _require_same(policy, bundle, at, len(now), mean, std, what)


def _found(label: str, now: list[str], what: str) -> int:
    """Where an element stands now; of a history, the newest."""
    for wanted in (label, f"{_AGE.sub('', label)}@-0"):
        if wanted in now:
            return now.index(wanted)
    raise ConfigError(f"{what}: it sees '{label}', and the task has it not")


def _weights(bundle: PolicyBundle) -> dict[str, Tensor]:
    """The constants of an exported network by name."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingDependencyError("reading a policy needs onnx, which is not installed; pip install onnx") from None
    graph = onnx.load_model_from_string(bundle.weights.path.read_bytes()).graph
    return {item.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(item))) for item in graph.initializer}


def _require_same(
    policy: PolicyPart, bundle: PolicyBundle, at: list[int], size: int, mean: Tensor, std: Tensor, what: str
) -> None:
    """The actor must do what the policy does, whatever the elements say that the policy did not see."""
    generator = torch.Generator().manual_seed(0)
    seen = mean + std * torch.randn(_TRIALS, len(mean), generator=generator)
    shown = torch.randn(_TRIALS, size, generator=generator)
    shown[:, at] = seen
    network = bundle.load_network()
    with torch.inference_mode():
        found = policy.actor()(shown).numpy()
    wanted = network.infer_batch(seen.numpy())
    if not np.allclose(found, wanted, atol=_TOLERANCE, rtol=_TOLERANCE):
        raise ConfigError(
            f"{what}: its network does otherwise with the same weights; are activation and clip the same?"
        )
