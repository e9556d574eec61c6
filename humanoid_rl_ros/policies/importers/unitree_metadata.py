"""What the metadata of an ONNX says beside a `deploy.yaml`: names, and values that may be others than the file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from humanoid_rl_ros.core.joints import repeated_name
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.source import Source

KEYS = {"kp": "joint_stiffness", "kd": "joint_damping", "default_joint_pos": "default_joint_pos"} | {
    "action scale": "action_scale"
}
"""Values per joint, separated by commas, in the order of ``joint_names``."""
ROUNDING = 0.1
"""A difference that files written by hand come to by rounding, relative."""
LEAST = 0.005
"""A difference that they always come to by rounding."""
SHOWN = 3


def joint_names(draft: Draft, source: Source, count: int) -> list[str] | None:
    """The joints in the network's order, or None where the metadata does not say them."""
    names = _split(source, "joint_names")
    if names is None:
        return None
    twice = repeated_name(names)
    if len(names) != count or twice is not None or "" in names:
        why = f"'{twice}' is there twice" if twice else f"there are {len(names)}, the file has {count} joints"
        draft.notes.append(f"The joint names in the metadata of the weights are not used: {why}.")
        return None
    return names


def shows_phase(source: Source) -> bool:
    """Whether the observation has a term named ``phase``."""
    return "phase" in (_split(source, "observation_names") or [])


def compare(draft: Draft, source: Source, file: str, names: Sequence[str], said: Mapping[str, Sequence[float]]) -> None:
    """Note where the metadata contradicts the file, whose values the origin's runner takes.

    Args:
        draft: takes the notes.
        source: of the metadata.
        file: name of the file.
        names: joints in its order.
        said: values by one of `KEYS`.
    """
    order = _split(source, "joint_names")
    for what, values in said.items():
        texts = _split(source, KEYS[what])
        if order is None or texts is None or len(texts) != len(order):
            continue
        others = dict(zip(order, texts, strict=True))
        differing = [
            f"{name} {value:g} and {others[name]}"
            for name, value in zip(names, values, strict=True)
            if name in others and _differ(value, others[name])
        ]
        if differing:
            more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            draft.notes.append(
                f"{file} and the metadata of the weights contradict each other about the {what} of "
                f"{', '.join(differing[:SHOWN])}{more}: {file} is followed, as by the origin's runner."
            )


def _differ(value: float, text: str) -> bool:
    try:
        other = float(text)
    except ValueError:
        return True
    return not abs(value - other) <= max(LEAST, ROUNDING * abs(other))


def _split(source: Source, key: str) -> list[str] | None:
    return [word.strip() for word in source.metadata[key].split(",")] if source.metadata.get(key) else None
