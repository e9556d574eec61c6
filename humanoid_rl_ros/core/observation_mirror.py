"""How an observation looks in the left-right mirror, term by term."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from humanoid_rl_ros.core import hand_targets
from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.gait import GaitSpec
from humanoid_rl_ros.core.mirror import TOLERANCE, JointMirror, Mirroring, require_image
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_spec import HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import TermLayout, find_term

PHASE_TOLERANCE = 1e-3
_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, eq=False)
class MirrorLayout:
    """What the mirror image of a term may depend on.

    Attributes:
        observed, driven: mirrors of the observed and of the driven joints, in the network's order.
        gait: the gait clock, or None.
        term: what the term itself is bound to; its `joints` count the observed ones.
        width: numbers the term gives.
    """

    observed: JointMirror
    driven: JointMirror
    gait: GaitSpec | None
    term: TermLayout
    width: int


MirrorFunction = Callable[[MirrorLayout], Mirroring]
_REGISTRY: dict[str, MirrorFunction] = {}


def register_mirror(term: str, mirror: MirrorFunction | Sequence[float]) -> None:
    """Say how a registered observation term looks in the mirror.

    Args:
        term: the term's name.
        mirror: a function of the layout, or the signs of elements that keep their places.

    Raises:
        ConfigError: the mirror of that term is known already.
    """
    if term in _REGISTRY:
        raise ConfigError(f"the mirror image of observation term '{term}' is registered already")
    _REGISTRY[term] = mirror if callable(mirror) else lambda _layout: _in_place(mirror)


def mirror_observation(
    spec: ObservationSpec, mirror: JointMirror, *, driven: Sequence[str], gait: GaitSpec | None = None
) -> Mirroring:
    """How the vector of an `ObservationBuilder` looks in the mirror.

    Args:
        spec: the observation.
        mirror: of the robot's joints.
        driven: the joints of the action, in the network's order.
        gait: the gait clock, if the policy has one.

    Raises:
        ConfigError: the specification is malformed, or a term, the clock or the clip has no mirror image.
        ContractError: an observed or driven joint has no partner, or what is done to it (scale, clip, mask, default
            position) is not done to the partner; names it.
    """
    n_phases = len(gait.phases) if gait else 0
    ObservationBuilder(spec, spec.joints, n_actions=len(driven), n_phases=n_phases)  # refuses what is malformed
    observed, acting = mirror.over(spec.joints), mirror.over(driven)
    joints, default = np.arange(len(spec.joints)), np.asarray(spec.default_position, dtype=np.float64)

    def bind(term: TermSpec) -> list[_Element]:
        value = np.asarray(term.value, dtype=np.float64)
        layout = TermLayout(joints, default, len(driven), n_phases, value, spec.stand_threshold)
        return _elements(term, MirrorLayout(observed, acting, gait, layout, find_term(term.term).width(layout)))

    blocks = [_block([bind(term) for term in block.terms], block.history) for block in spec.blocks]
    starts = np.cumsum([0, *(len(block.index) for block in blocks)])[:-1]
    index = np.concatenate([block.index + start for block, start in zip(blocks, starts, strict=True)])
    sign = np.concatenate([block.sign for block in blocks])
    low, high = spec.clip or _UNBOUNDED
    if low != -high and (sign < 0.0).any():
        raise ConfigError(f"the observation's clip [{low:g}, {high:g}] is not the same for both signs")
    return Mirroring(index, sign)


@dataclass(frozen=True)
class _Element:
    """One number of a frame: element `number` of a term, whose mirror image is element `image` of the same term."""

    term: str
    number: int
    image: int
    sign: float
    name: str
    image_name: str
    treatment: dict[str, tuple[float, ...]]

    def require_image(self, partner: _Element) -> None:
        """Refuse a partner that is scaled, clipped or masked otherwise."""
        for what, own in self.treatment.items():
            asked = partner.treatment[what]
            if self.sign < 0.0 and what.startswith("clip"):
                asked = (-asked[1], -asked[0])
            if not np.allclose(own, asked, rtol=TOLERANCE, atol=0.0):
                raise ContractError(
                    f"observation term '{self.term}': {what} of {self.name} is {_text(own)}, "
                    f"and the mirror image of {self.image_name} asks for {_text(asked)}"
                )


def _elements(spec: TermSpec, layout: MirrorLayout) -> list[_Element]:
    if spec.term not in _REGISTRY:
        raise ConfigError(f"how observation term '{spec.term}' looks in the mirror is not known; use register_mirror")
    image = _REGISTRY[spec.term](layout)
    if len(image.index) != layout.width:
        raise ConfigError(
            f"the mirror image of observation term '{spec.term}' has {len(image.index)} elements, "
            f"expected {layout.width}"
        )
    over = find_term(spec.term).over
    joints = {"observed": layout.observed.joints, "driven": layout.driven.joints}.get(over, ())
    names = [f"joint '{joint}'" for joint in joints] or [f"element {i}" for i in range(layout.width)]
    numbers = spec.elements or range(layout.width)
    elements = []
    for number, scale in zip(numbers, np.broadcast_to(spec.scale, (len(numbers),)), strict=True):
        source = int(image.index[number])
        treatment = {
            "scale": (float(scale),),
            "clip": spec.clip or _UNBOUNDED,
            "clip_scaled": spec.clip_scaled or _UNBOUNDED,
            "mask": (float(bool(joints) and joints[number] in spec.masked_joints),),
            "zero_when_standing": (float(spec.zero_when_standing),),
        }
        sign = float(image.sign[number])
        elements.append(_Element(spec.term, number, source, sign, names[number], names[source], treatment))
    return elements


def _block(terms: list[list[_Element]], history: HistorySpec | None) -> Mirroring:
    frame = [element for term in terms for element in term]
    at: dict[tuple[str, int], list[int]] = {}
    ranks = []
    for i, element in enumerate(frame):
        places = at.setdefault((element.term, element.number), [])
        ranks.append(len(places))  # a term may stand twice, treated differently
        places.append(i)
    source = []
    for element, rank in zip(frame, ranks, strict=True):
        places = at.get((element.term, element.image), [])
        if rank >= len(places):
            raise ContractError(
                f"observation term '{element.term}': {element.name} is in a block without its mirror image, "
                f"{element.image_name}"
            )
        element.require_image(frame[places[rank]])
        source.append(places[rank])
    positions = _positions([len(term) for term in terms], history)
    index, sign = np.empty(positions.size, dtype=np.intp), np.empty(positions.size, dtype=np.float32)
    index[positions] = positions[:, source]
    sign[positions] = [element.sign for element in frame]
    return Mirroring(index, sign)


def _positions(widths: Sequence[int], history: HistorySpec | None) -> IndexArray:
    """Where each element of each frame stands in a block of terms of these widths [Shape (frames, elements)]."""
    frame, length = sum(widths), history.length if history else 1
    if history is None or history.layout == "time_major":
        return np.arange(length * frame).reshape(length, frame)
    starts = np.cumsum([0, *widths])[:-1]
    parts = [
        length * start + np.arange(length * width).reshape(length, width)
        for start, width in zip(starts, widths, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _text(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _in_place(signs: ArrayLike) -> Mirroring:
    sign = np.asarray(signs, dtype=np.float32)
    return Mirroring(np.arange(sign.size), sign)


def _unchanged(layout: MirrorLayout) -> Mirroring:
    return _in_place(np.ones(layout.width))


def _relative_position(layout: MirrorLayout) -> Mirroring:
    default = layout.term.default_position
    require_image("default position", layout.observed, default, layout.observed.apply(default))
    return layout.observed.mirroring


def _phases(layout: MirrorLayout) -> Mirroring:
    """Two legs change places; one phase, that of one leg, becomes that of the other, half a stride later."""
    phases = layout.gait.phases if layout.gait else ()
    if layout.gait is not None and len(phases) == 1:
        if layout.gait.when_standing in ("hold", "show"):
            raise ConfigError(
                f"a gait of one phase that stands at {layout.gait.standing_phase:g} rad has no mirror image; "
                "give it two phases, or when_standing run or zero"
            )
        return _in_place([-1.0])
    if len(phases) == 2 and abs(math.remainder(2.0 * (phases[1] - phases[0]), 2.0 * math.pi)) <= PHASE_TOLERANCE:
        return Mirroring(np.array([1, 0]), np.ones(2, dtype=np.float32))
    if not phases:
        return _in_place([])
    raise ConfigError(
        f"gait phases {_text(phases)} rad have no mirror image; expected one, or two, equal or half a turn apart"
    )


_POLAR, _AXIAL = (1.0, -1.0, 1.0), (-1.0, 1.0, -1.0)
_BUILT_IN: dict[str, MirrorFunction | Sequence[float]] = {
    "base_ang_vel": _AXIAL,
    "projected_gravity": _POLAR,
    "base_lin_vel": _POLAR,
    "base_lin_acc": _POLAR,
    "base_orientation": (1.0, *_AXIAL),
    "base_roll_pitch": _AXIAL[:2],
    "base_roll_pitch_yaw": _AXIAL,
    "velocity_commands": (1.0, -1.0, -1.0),
    "velocity_commands_linear": (1.0, -1.0),
    "velocity_commands_angular": (-1.0,),
    "hand_targets": lambda layout: hand_targets.MIRROR,
    "joint_pos_rel": _relative_position,
    "joint_pos": lambda layout: layout.observed.mirroring,
    "joint_vel_rel": lambda layout: layout.observed.mirroring,
    "last_action": lambda layout: layout.driven.mirroring,
    "gait_phase_sin": _phases,
    "gait_phase_cos": _phases,
    "constant": _unchanged,
    "standing": _unchanged,
    "moving": _unchanged,
}
for _term, _mirror in _BUILT_IN.items():
    register_mirror(_term, _mirror)
