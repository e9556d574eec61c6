"""The ``actions`` of Unitree's deploy.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.fields import indices, per_joint

_POSITION, _VELOCITY = "JointPositionAction", "JointVelocityAction"


@dataclass(frozen=True)
class Action:
    """How the network's output is read, in its order.

    Attributes:
        scale: of each output [rad].
        offset: of each target [rad].
        lower, upper: bounds of each target [rad]; empty for none.
    """

    scale: list[float]
    offset: list[float]
    lower: list[float]
    upper: list[float]


def read_action(section: Section, joints: int) -> tuple[Action, list[int]]:
    """The one action, and which joint each output of the network is for.

    Raises:
        ConfigError: it is malformed, drives wheels, or is of another kind.
    """
    for name in section.keys():
        if name == _VELOCITY:
            raise ConfigError(f"{section.where}: '{name}' drives wheels, which no bundle can express")
        if name != _POSITION:
            raise ConfigError(f"{section.where}: action '{name}' is not known; expected {_POSITION} alone")
    own = section.section(_POSITION)
    own.raw("joint_names", None)  # patterns, which joint_ids is already the outcome of
    listed = own.raw("joint_ids", None)
    ids = list(range(joints))
    if listed is not None:
        ids = indices(own, "joint_ids", len(listed) if isinstance(listed, list) else 0, joints)
    if not ids:
        raise ConfigError(f"{own.where}: 'joint_ids' names no joint")
    scale, offset = (
        [default] * len(ids) if own.raw(key, None) is None else per_joint(own, key, len(ids))
        for key, default in (("scale", 1.0), ("offset", 0.0))
    )
    lower, upper = _limits(own, len(ids))
    own.finish()
    return Action(scale, offset, lower, upper), ids


def _limits(section: Section, length: int) -> tuple[list[float], list[float]]:
    """Bounds of the targets: a pair for each, or one pair for all."""
    value = section.raw("clip", None)
    if value is None:
        return [], []
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        pairs = [section.numbers("clip", length=2, infinite=True)] * length
    elif len(value) != length:
        raise ConfigError(f"{section.where}: 'clip' must be {length} pairs, found {len(value)}")
    else:
        rows = Section({f"clip[{i}]": pair for i, pair in enumerate(value)}, section.where)
        pairs = [rows.numbers(key, length=2, infinite=True) for key in rows.keys()]
    for low, high in pairs:
        if not low < high:
            raise ConfigError(f"{section.where}: 'clip' contradicts itself: [{low:g}, {high:g}]")
    return [float(low) for low, _ in pairs], [float(high) for _, high in pairs]
