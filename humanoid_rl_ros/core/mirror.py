"""The left-right mirror: what joints and actions become when left and right change places.

The mirror is the x-z plane of the base. A joint takes the place of its partner, found by name, with a sign that its
axis decides (`humanoid_rl_ros.simulation.symmetry.joint_signs`). Lengths and velocities turn their y round, rotations
and rates their x and z.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from humanoid_rl_ros.core.action import ActionSpec
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray, IndexArray, frozen
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.joints import indices_of

# Numbers written for both sides are the same or differ at once; this is room for rounding in float32.
TOLERANCE = 1e-6

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}

Vector = TypeVar("Vector", FloatArray, Float32Array)


@dataclass(frozen=True, eq=False)
class Mirroring:
    """How a vector looks in the mirror: ``mirrored = sign * vector[..., index]``; applied twice it is the identity.

    Attributes:
        index: where each element comes from [Shape (k,)].
        sign: +1 or −1 for each element [Shape (k,)].
    """

    index: IndexArray
    sign: Float32Array

    def __post_init__(self) -> None:
        index, sign = np.array(self.index, dtype=np.intp), np.array(self.sign, dtype=np.float32)
        k = len(index)
        back = index[index] if ((index >= 0) & (index < k)).all() else index
        undone = sign.shape == (k,) and np.array_equal(back, np.arange(k)) and np.array_equal(sign, sign[index])
        if not (undone and (np.abs(sign) == 1.0).all()):
            raise ConfigError(f"a mirror of {k} elements and {sign.size} signs does not undo itself when applied twice")
        for name, array in (("index", index), ("sign", sign)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def apply(self, vector: Vector) -> Vector:
        """The mirror image, in the vector's own precision [Shape (..., k)]."""
        image: Vector = np.multiply(vector[..., self.index], self.sign, dtype=vector.dtype)
        return image


@dataclass(frozen=True, eq=False)
class JointMirror:
    """The mirror of an array with one number for each of some joints.

    Attributes:
        joints: their names, in order.
        partner: where the joint on the other side stands; a joint in the middle is its own partner [Shape (n,)].
        sign: +1 where a positive angle mirrors to a positive one of the partner, else −1 [Shape (n,)].
        mirroring: the same as a `Mirroring`.
    """

    joints: tuple[str, ...]
    partner: IndexArray
    sign: FloatArray
    mirroring: Mirroring = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sign", frozen(self.sign))
        object.__setattr__(self, "mirroring", Mirroring(self.partner, self.sign.astype(np.float32)))
        object.__setattr__(self, "partner", self.mirroring.index)

    def apply(self, values: FloatArray) -> FloatArray:
        """The mirror image of positions, velocities or efforts [Shape (..., n)]."""
        return self.mirroring.apply(values)

    def over(self, joints: Sequence[str]) -> JointMirror:
        """The mirror of some of these joints, in this order.

        Raises:
            ContractError: one of them is not there, or its partner is not among them.
        """
        at = indices_of(joints, self.joints, what="mirrored joint", where="those with a known mirror image")
        return JointMirror(tuple(joints), partners(joints), self.sign[at])


def mirror_name(name: str) -> str:
    """The name on the other side, such as ``right_knee`` for ``left_knee``, ``RHipYaw`` or ``knee_r``.

    A side is a word (between underscores, digits or changes of case) left or right or, where there is none, l or r;
    the first one counts. A name without a side is its own mirror image.
    """
    sides = [word for word in _WORD.finditer(name) if word.group().lower() in _OTHER_SIDE]
    if not sides:
        return name
    side = next((word for word in sides if len(word.group()) > 1), sides[0])
    found, other = side.group(), _OTHER_SIDE[side.group().lower()]
    if found.isupper():
        other = other.upper()
    elif found[0].isupper():
        other = other.capitalize()
    return name[: side.start()] + other + name[side.end() :]


def partners(joints: Sequence[str]) -> IndexArray:
    """Where the partner of each joint stands [Shape (n,)].

    Raises:
        ContractError: a partner is missing; names both.
    """
    at = {joint: i for i, joint in enumerate(joints)}
    for joint in joints:
        if mirror_name(joint) not in at:
            raise ContractError(f"joint '{joint}' has no mirror image here: joint '{mirror_name(joint)}' is missing")
    return np.array([at[mirror_name(joint)] for joint in joints], dtype=np.intp)


def joint_mirror(joints: Sequence[str], signs: Mapping[str, float]) -> JointMirror:
    """The mirror of joints whose signs are known.

    Args:
        joints: in the order of the arrays.
        signs: +1 or −1 by name, the same for both sides.

    Raises:
        ContractError: a joint's partner or sign is missing, or the signs of two partners differ.
    """
    partner = partners(joints)
    for joint in joints:
        if abs(signs.get(joint, 0.0)) != 1.0:
            raise ContractError(f"joint '{joint}' needs a mirror sign of 1 or -1, found {signs.get(joint, 'none')}")
        if signs.get(mirror_name(joint), signs[joint]) != signs[joint]:
            raise ContractError(f"mirror signs of joints '{joint}' and '{mirror_name(joint)}' differ")
    return JointMirror(tuple(joints), partner, np.array([signs[joint] for joint in joints]))


def mirror_action(spec: ActionSpec, mirror: JointMirror) -> Mirroring:
    """How the network's output looks in the mirror.

    Args:
        spec: how it is read.
        mirror: of the robot's joints.

    Raises:
        ContractError: a driven joint has no partner, or its scale, offset or a bound is not the partner's mirrored.
    """
    joints = mirror.over(spec.joints)
    scale = np.asarray(spec.scale)
    require_image("action scale", joints, scale, scale[joints.partner])
    if spec.kind == "position_offset":
        require_image("action offset", joints, np.asarray(spec.offset), joints.apply(np.asarray(spec.offset)))
    for what in ("clip", "target"):
        lower, upper = np.asarray(getattr(spec, f"{what}_lower")), np.asarray(getattr(spec, f"{what}_upper"))
        image = np.where(joints.sign > 0.0, lower[joints.partner], -upper[joints.partner])
        require_image(f"lower {what} bound of the action", joints, lower, image)
        image = np.where(joints.sign > 0.0, upper[joints.partner], -lower[joints.partner])
        require_image(f"upper {what} bound of the action", joints, upper, image)
    return joints.mirroring


def require_image(what: str, mirror: JointMirror, values: FloatArray, image: FloatArray) -> None:
    """Refuse what differs from side to side.

    Args:
        what: what the numbers are, for the error.
        mirror: of the joints that they belong to.
        values: one for each joint [Shape (n,)].
        image: what the other side's make of them in the mirror [Shape (n,)].

    Raises:
        ContractError: they differ; names the first joint.
    """
    for i in np.flatnonzero(~np.isclose(values, image, rtol=TOLERANCE, atol=TOLERANCE)):
        joint, partner = mirror.joints[i], mirror.joints[mirror.partner[i]]
        raise ContractError(
            f"{what} of joint '{joint}' is {values[i]:g}, "
            f"and the mirror image of joint '{partner}' asks for {image[i]:g}"
        )
