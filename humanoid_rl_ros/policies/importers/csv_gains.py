"""Exports that are known to be broken are recognised by the gains they carry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from humanoid_rl_ros.core.errors import ConfigError

_SIDES = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
_SIDE = re.compile(r"(?:^|(?<=_))(left|Left|LEFT|l|L)(?=_|$)")
_ROUNDING = 2e-3
"""Twice what three decimals can be off."""


def partner(joint: str) -> str:
    """The same joint on the right of one on the left; empty for any other."""
    found = _SIDE.search(joint)
    return "" if found is None else f"{joint[: found.start()]}{_SIDES[found[1]]}{joint[found.end() :]}"


def side_by_side(joints: Sequence[str]) -> bool:
    """Whether the joints are in Isaac Lab's order, the right one of a pair behind the left one.

    In the order of a model file all joints of one limb follow each other.
    """
    pairs = [joint for joint in joints if partner(joint) in joints]
    adjacent = [left for left, right in pairwise(joints) if partner(left) == right]
    return bool(pairs) and 2 * len(adjacent) > len(pairs)


def refuse_broken_exports(where: str, kp: Mapping[str, float], kd: Mapping[str, float]) -> None:
    """Refuse gains that an exporter got wrong.

    Args:
        where: the file, at the head of every error.
        kp, kd: by joint, as the file says them.

    Raises:
        ConfigError: the gains are those of a passive actuator, or a pair of joints has two different ones.
    """
    if set(kp.values()) == {1.0} and set(kd.values()) == {0.0}:
        raise ConfigError(
            f"{where}: all 'joint_stiffness' are 1 and all 'joint_damping' 0: the exporter does not know the gains of "
            "actuators that compute their PD law themselves; import it as 'plain' and give the gains of the training"
        )
    for key, gains in (("joint_stiffness", kp), ("joint_damping", kd)):
        for left, right in ((joint, partner(joint)) for joint in gains):
            if right in gains and abs(gains[left] - gains[right]) > _ROUNDING * (1.0 + abs(gains[left])):
                raise ConfigError(
                    f"{where}: '{key}' is {gains[left]:g} for '{left}' and {gains[right]:g} for '{right}': the "
                    "exporter listed the gains in another order than the joints, or took randomised ones; export again"
                )
