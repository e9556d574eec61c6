"""The part of `humanoid_rl policy import` that needs torch: checkpoints become ONNX first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.learning.foreign_checkpoint import ConvertedNetwork, convert_checkpoint, is_checkpoint
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.registry import read_source
from humanoid_rl_ros.policies.importers.source import open_source

if TYPE_CHECKING:
    from humanoid_rl_ros.cli.policy_import import ImportOptions

__all__ = ["draft_checkpoint", "is_checkpoint"]


def draft_checkpoint(options: ImportOptions, onnx: Path, configs: tuple[Path, ...], robot: RobotSpec | None) -> Draft:
    """Convert a checkpoint, and read the configurations that go with it.

    Args:
        options: what was asked.
        onnx: where the network is written.
        configs: files that say what the checkpoint does not.
        robot: of the person who imports, or None.

    Returns:
        The draft; its weights are the new file.

    Raises:
        HumanoidError: the checkpoint is not trusted, malformed, or of a network that cannot be converted.
    """
    converted = convert_checkpoint(
        options.weights,
        trust=options.trust,
        normaliser=options.normaliser,
        activation=options.activation,
        head=options.head,
    )
    onnx.write_bytes(converted.onnx)
    draft, _ = read_source(open_source(onnx, configs, robot), options.format)
    draft.say("weights.input", converted.input_name)
    draft.say("weights.output", converted.output_name)
    if converted.recurrent:
        draft.say("weights.recurrent", dict(converted.recurrent))
    if not draft.known("origin"):
        draft.say("origin", f"checkpoint {options.weights.name}")
    for key, why in converted.inferred.items():
        draft.inferred[f"weights ({key})"] = why
    draft.notes += converted.notes
    draft.n_joints = converted.action_size
    _clip(draft, converted)
    return draft


def _clip(draft: Draft, converted: ConvertedNetwork) -> None:
    """What the algorithm clips its actions to is the action's clip, unless a file says another."""
    if converted.action_bounds is None or draft.known("action.clip"):
        return
    lower, upper = converted.action_bounds
    if len(set(lower)) == len(set(upper)) == 1:
        draft.say("action.clip", [float(lower[0]), float(upper[0])])
    elif draft.joints is None:
        pairs = ", ".join(f"[{low:g}, {high:g}]" for low, high in zip(lower, upper, strict=True))
        draft.ask("action.clip", f"lower and upper by joint; the checkpoint clips its actions to {pairs}")
    elif len(draft.joints) != len(lower):
        raise ConfigError(f"the checkpoint has {len(lower)} actions, but {len(draft.joints)} joints are driven")
    else:
        bounds = {"lower": lower, "upper": upper}
        draft.say(
            "action.clip", {side: dict(zip(draft.joints, map(float, b), strict=True)) for side, b in bounds.items()}
        )
    if any(math.isinf(bound) for bound in (*lower, *upper)):
        draft.notes.append("The checkpoint's action space is not bounded on every side.")
