"""The ``observations`` of Unitree's deploy.yaml: one group of terms, or several groups for as many ONNX inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.fields import indices, per_joint, whole

VECTORS = {
    "base_ang_vel": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "velocity_commands": "velocity_commands",
    "keyboard_velocity_commands": "velocity_commands",
}
PER_JOINT = {"joint_pos_rel": "joint_pos_rel", "joint_pos": "joint_pos", "joint_vel_rel": "joint_vel_rel"}
LAST_ACTION = "last_action"
PHASE, MASKED_PHASE = "gait_phase", "gait_phase_my"
TERMS = (*VECTORS, *PER_JOINT, LAST_ACTION, PHASE, MASKED_PHASE)
MOTION = "motion_"
"""How the terms begin that show a recorded motion."""
MOST_FRAMES = 1000
SCALE_FIRST, BY_FRAME = "scale_first", "use_gym_history"
_KEYS = {"params", "clip", "scale", "history_length"}
_GAIT = ("gait_phase_sin", "gait_phase_cos")


@dataclass(frozen=True)
class Term:
    """A term of the file.

    Attributes:
        name: as the file names it.
        items: the terms of ours that it is.
        width: of one frame.
        length: frames.
        period: of the stride, of a gait phase [s]; None of other terms.
    """

    name: str
    items: tuple[dict[str, Any], ...]
    width: int
    length: int
    period: float | None = None


@dataclass(frozen=True)
class Group:
    """Terms that are one input of the network.

    Attributes:
        name: of the group; empty where the file has none.
        terms: in the file's order.
        by_frame: whether all terms of the oldest frame come first, then those of the next; else all frames of the
            first term, then those of the second.
        where: file and key path.
    """

    name: str
    terms: tuple[Term, ...]
    by_frame: bool
    where: str

    @property
    def width(self) -> int:
        """Numbers it makes."""
        return sum(term.width * term.length for term in self.terms)

    def require_width(self, tensor: str, width: int | None) -> None:
        """Refuse another width than this tensor takes, unless that is free."""
        if width is not None and width != self.width:
            terms = ", ".join(f"{t.name} {t.width}{f'×{t.length}' if t.length > 1 else ''}" for t in self.terms)
            raise ConfigError(
                f"{self.where}: the terms make {self.width} numbers ({terms}), but the network's input '{tensor}' "
                f"takes {width}"
            )

    def laid_out(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Items of ``observation.terms``, and the history of all of them together or None."""
        lengths = {term.length for term in self.terms}
        items = [item for term in self.terms for item in term.items]
        length = max(lengths)
        if length == 1:
            return items, None
        if self.by_frame:
            if len(lengths) > 1:
                raise ConfigError(
                    f"{self.where}: with {BY_FRAME} all terms need one history_length, found {sorted(lengths)}"
                )
            return items, _history(length, "time_major")
        if len(lengths) == 1 and all(len(term.items) == 1 for term in self.terms):
            return items, _history(length, "term_major")
        return [item for term in self.terms for item in _stacked(term)], None


def group_names(section: Section) -> list[str]:
    """The groups in which the terms stand; none where they stand in no group.

    The first mapping tells: a term has some of `_KEYS` or nothing, a group has the names of terms.
    """
    for key in section.keys():
        value = section.raw(key)
        if isinstance(value, Mapping):
            if not value or _KEYS & set(map(str, value)):
                return []
            return [key for key in section.keys() if key not in (SCALE_FIRST, BY_FRAME)]
    raise ConfigError(f"{section.where}: no term is named")


def read_groups(section: Section, names: Sequence[str], joints: int, actions: int) -> list[Group]:
    """Read the terms.

    Args:
        section: the ``observations``.
        names: the groups that are wanted; none for terms that stand in no group.
        joints: number of joints, in whose order terms per joint are.
        actions: width of the network's output.

    Raises:
        ConfigError: a term is unknown, or a key malformed.
    """
    parts = [(name, section.section(name)) for name in names] or [("", section)]
    # One flag for all groups in the origin's runner, wherever it stands.
    flags = {part.boolean(BY_FRAME) for part in (section, *(part for _, part in parts)) if BY_FRAME in part}
    if len(flags) > 1:
        raise ConfigError(f"{section.where}: '{BY_FRAME}' is true of one group and false of another; it holds for all")
    return [Group(name, _terms(part, joints, actions), flags == {True}, part.where) for name, part in parts]


def _terms(section: Section, joints: int, actions: int) -> tuple[Term, ...]:
    terms, scale_first = [], False
    for key in section.keys():
        if key == SCALE_FIRST:
            scale_first = section.boolean(key)
        elif key != BY_FRAME:
            terms.append(_term(section, key, joints, actions, "clip_scaled" if scale_first else "clip"))
    if not terms:
        raise ConfigError(f"{section.where}: no term is named")
    return tuple(terms)


def _term(section: Section, name: str, joints: int, actions: int, clip_key: str) -> Term:
    if name.startswith(MOTION):
        raise ConfigError(
            f"{section.where}: '{name}' shows a recorded motion: this policy follows that and not a velocity command"
        )
    if name not in TERMS:
        raise ConfigError(f"{section.where}: term '{name}' is not known; {did_you_mean(name, TERMS)}")
    own = section.section(name)
    params = own.section("params", {})
    elements = _subset(params, joints) if name in PER_JOINT else []
    width = {LAST_ACTION: actions, PHASE: 2, MASKED_PHASE: 2}.get(name, 3)
    if name in PER_JOINT:
        width = len(elements) or joints
    phase = name in (PHASE, MASKED_PHASE)
    period = params.number("period", above=0.0) if phase else None
    # They name what the origin looks its values up in, not what they are.
    for key in ("command_name", "asset_cfg", "sensor_cfg", "action_name"):
        params.raw(key, None)
    params.finish()
    scale = [1.0] * width if own.raw("scale", None) is None else per_joint(own, "scale", width)
    clip = own.numbers("clip", None, length=2, infinite=True)
    if clip is not None and not clip[0] < clip[1]:
        raise ConfigError(f"{own.where}: 'clip' contradicts itself: {clip.tolist()}")
    bounds = {} if clip is None else {clip_key: clip.tolist()}
    length = whole(own, "history_length", 1, least=1, most=MOST_FRAMES)
    own.finish()
    if phase:
        items = tuple({"term": ours, **_scaled([factor]), **bounds} for ours, factor in zip(_GAIT, scale, strict=True))
    else:
        ours = VECTORS.get(name) or PER_JOINT.get(name) or LAST_ACTION
        items = ({"term": ours, **({"elements": elements} if elements else {}), **_scaled(scale), **bounds},)
    return Term(name, items, width, length, period)


def _subset(params: Section, joints: int) -> list[int]:
    """Which joints a term shows; none for all."""
    if params.raw("asset_cfg", None) is None:
        return []
    asset = params.section("asset_cfg")
    listed = asset.raw("joint_ids", None)
    return [] if listed is None else indices(asset, "joint_ids", len(listed) if isinstance(listed, list) else 0, joints)


def _scaled(scale: Sequence[float]) -> dict[str, Any]:
    if set(scale) == {1.0}:
        return {}
    return {"scale": scale[0] if len(set(scale)) == 1 else list(scale)}


def _stacked(term: Term) -> list[dict[str, Any]]:
    if term.length == 1:
        return list(term.items)
    if len(term.items) == 1:
        return [{**term.items[0], "history": _history(term.length, "term_major")}]
    # Sine and cosine are one term of the origin: its frames alternate between them.
    return [{"history": _history(term.length, "time_major"), "terms": list(term.items)}]


def _history(length: int, layout: str) -> dict[str, Any]:
    return {"length": length, "layout": layout, "order": "oldest_first"}
