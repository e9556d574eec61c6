"""The policy inside a checkpoint: an actor that comes back without the learner and the robots it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.learning.networks import ACTIVATIONS, ActorNetwork

LINEAR, LAYER_NORM = "linear", "layer_norm"


def actor_state(actor: ActorNetwork) -> dict[str, Any]:
    """An actor as text, numbers and tensors."""
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    layers: list[tuple[str, int, int]] = []
    for layer in actor.layers:
        if isinstance(layer, nn.Linear):
            layers.append((LINEAR, layer.in_features, layer.out_features))
        elif isinstance(layer, nn.LayerNorm):
            layers.append((LAYER_NORM, layer.normalized_shape[0], 0))
        else:
            layers.append((names[type(layer)], 0, 0))
    tensors = {name: value.detach().cpu().clone() for name, value in actor.state_dict().items()}
    return {"layers": layers, "clip": actor.clip, "tensors": tensors}


def actor_from_state(state: dict[str, Any]) -> ActorNetwork:
    """An actor from what `actor_state` gave.

    Raises:
        TrainingError: it is not that.
    """
    try:
        tensors: dict[str, Tensor] = state["tensors"]
        layers = nn.Sequential(*(_layer(*layer) for layer in state["layers"]))
        bounds = {}
        if "half_range" in tensors:
            centre, half_range = tensors["centre"], tensors["half_range"]
            bounds = {"low": centre - half_range, "high": centre + half_range}
        actor = ActorNetwork(layers, tensors["mean"], tensors["std"], clip=state["clip"], **bounds)
        actor.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"the checkpoint's policy cannot be read: {type(error).__name__}: {reason}") from None
    return actor.eval()


def act_with(actor: ActorNetwork) -> Callable[[Float32Array], Float32Array]:
    """An actor for those who know no torch [Shape (b, observation_size) -> (b, action_size)]."""

    def act(observation: Float32Array) -> Float32Array:
        with torch.inference_mode():
            action: Float32Array = actor(torch.from_numpy(observation)).numpy()
        return action

    return act


def _layer(name: str, width_in: int, width_out: int) -> nn.Module:
    if name == LINEAR:
        return nn.Linear(width_in, width_out)
    return nn.LayerNorm(width_in) if name == LAYER_NORM else ACTIVATIONS[name]()
