"""Observation terms of the formats whose metadata is separated by commas, and how they become ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.csv_values import CsvMetadata, vector
from humanoid_rl_ros.policies.importers.draft import Draft

_GAIT = ("gait_phase_sin", "gait_phase_cos")
TERMS: Mapping[str, tuple[str, ...]] = {
    "base_lin_vel": ("base_lin_vel",),
    "base_ang_vel": ("base_ang_vel",),
    "projected_gravity": ("projected_gravity",),
    "command": ("velocity_commands",),
    "velocity_commands": ("velocity_commands",),
    "joint_pos": ("joint_pos_rel",),
    "joint_pos_rel": ("joint_pos_rel",),
    "joint_vel": ("joint_vel_rel",),
    "joint_vel_rel": ("joint_vel_rel",),
    "actions": ("last_action",),
    "last_action": ("last_action",),
    "phase": _GAIT,
    "gait_phase": _GAIT,
}
"""Names of a velocity task in ``observation_names``: mjlab's, and Isaac Lab's for the same."""
_WIDTHS = {
    "base_lin_vel": 3,
    "base_ang_vel": 3,
    "projected_gravity": 3,
    "velocity_commands": 3,
    "moving": 1,
    "gait_phase_sin": 1,
    "gait_phase_cos": 1,
}
_MOST_FRAMES = 1000
_HISTORIES = ("observation_terms_history_length", "observation_history_lengths")
_SCALE, _FLAT = "observation_terms_scale", "observation_terms_flatten_history_dim"
_CLIPS = ("observation_terms_clip", "observation_term_clip")
UNSAID = "the file names the terms only; their scales are 1 in every published task of this format"


@dataclass(frozen=True)
class CsvTerm:
    """A term as its origin names it.

    Attributes:
        name: for messages.
        parts: the terms of ours that stand for it.
        scale: one number, or one for each element.
        clip: bounds before the scale.
        frames: how many of it stand in the vector, the oldest first; all the first one until there are more.
    """

    name: str
    parts: tuple[str, ...]
    scale: tuple[float, ...] = (1.0,)
    clip: tuple[float, float] | None = None
    frames: int = 1

    def width(self, observed: int, driven: int) -> int:
        """Numbers of one frame, for so many observed and driven joints."""
        return sum(part_width(part, observed, driven) for part in self.parts)

    def items(self, observed: int, driven: int) -> list[dict[str, Any]]:
        """Items of ``observation.terms``."""
        plain, start = [], 0
        for part in self.parts:
            width = part_width(part, observed, driven)
            scale = self.scale if len(self.scale) == 1 else self.scale[start : start + width]
            start += width
            item: dict[str, Any] = {"term": part}
            if set(scale) != {1.0}:
                item["scale"] = scale[0] if len(set(scale)) == 1 else list(scale)
            if self.clip is not None:
                item["clip"] = list(self.clip)
            plain.append(item)
        if self.frames == 1:
            return plain
        # Frame after frame of the term as its origin has it, of which our terms are only parts.
        layout = "term_major" if len(plain) == 1 else "time_major"
        history = {"length": self.frames, "layout": layout, "order": "oldest_first", "first_fill": "first_frame"}
        return [{**plain[0], "history": history}] if len(plain) == 1 else [{"history": history, "terms": plain}]


def part_width(part: str, observed: int, driven: int) -> int:
    """Numbers of one frame of a term of ours."""
    return driven if part == "last_action" else _WIDTHS.get(part, observed)


def says_scales(metadata: CsvMetadata) -> bool:
    """Whether the file says what is done to its terms."""
    return _SCALE in metadata


def read_terms(metadata: CsvMetadata) -> list[CsvTerm]:
    """The terms of ``observation_names``.

    Raises:
        ConfigError: one is not known, or what is said of it is malformed.
    """
    names = metadata.texts("observation_names")
    for name in names:
        if name == "height_scan":
            raise ConfigError(
                f"{metadata.where}: it observes 'height_scan', the terrain around it, which nobody measures"
            )
        if name not in TERMS:
            raise ConfigError(f"{metadata.where}: observation '{name}' is not known; {did_you_mean(name, TERMS)}")
    histories = next((key for key in _HISTORIES if key in metadata), _HISTORIES[0])
    clips = next((key for key in _CLIPS if key in metadata), _CLIPS[0])
    rows = zip(
        names,
        metadata.each(histories, names, 1),
        metadata.each(_SCALE, names, 1.0),
        metadata.each(clips, names, None),
        metadata.each(_FLAT, names, 1.0),
        strict=True,
    )
    return [_term(metadata.where, *row) for row in rows]


def _term(where: str, name: str, history: Any, scale: Any, clip: Any, flat: Any) -> CsvTerm:
    frames = vector(history)
    if len(frames) != 1 or not 0 <= frames[0] <= _MOST_FRAMES or frames[0] != int(frames[0]):
        raise ConfigError(f"{where}: history length of '{name}' must be a whole number, found {history!r}")
    scales = vector(scale)
    if not all(math.isfinite(value) for value in scales):
        raise ConfigError(f"{where}: scale of '{name}' must be finite, found {scale!r}")
    if frames[0] > 1 and vector(flat) != [1.0]:
        raise ConfigError(f"{where}: the history of '{name}' is not flat; only one flat vector is understood")
    return CsvTerm(name, TERMS[name], tuple(scales), _bounds(where, name, clip), max(1, int(frames[0])))


def _bounds(where: str, name: str, clip: Any) -> tuple[float, float] | None:
    if clip is None or clip == "None":
        return None
    found = vector(clip)
    if len(found) != 2 or not found[0] < found[1]:
        raise ConfigError(f"{where}: clip of '{name}' must be a lower and an upper bound, found {clip!r}")
    return None if found == [-math.inf, math.inf] else (found[0], found[1])


def lay_terms(
    draft: Draft, where: str, terms: Sequence[CsvTerm], size: int | None, joints: Sequence[str], driven: int
) -> int:
    """Put the terms into the draft, in this order.

    Args:
        draft: takes them.
        where: at the head of every error.
        terms: in the order of the vector.
        size: of the network's input; None where it is free.
        joints: all joints the file names.
        driven: number of driven joints; where it is smaller, the size tells which of both is observed.

    Returns:
        Number of observed joints.

    Raises:
        ConfigError: the network takes another number.
    """
    choices = list(dict.fromkeys((len(joints), driven)))
    sizes = {count: sum(term.frames * term.width(count, driven) for term in terms) for count in choices}
    observed = next((count for count in choices if size in (None, sizes[count])), None)
    if observed is None:
        observed = _ask_for_frames(draft, terms, size or 0, sizes)
    if observed is None:
        raise ConfigError(f"{where}: {_sizes(terms, size, sizes[choices[0]], choices[0], driven)}")
    for term in terms:
        if len(term.scale) not in (1, term.width(observed, driven)):
            width = term.width(observed, driven)
            raise ConfigError(f"{where}: {len(term.scale)} scales for the {width} numbers of '{term.name}'")
    draft.say("observation.terms", [item for term in terms for item in term.items(observed, driven)])
    return observed


def _ask_for_frames(draft: Draft, terms: Sequence[CsvTerm], size: int, sizes: Mapping[int, int]) -> int | None:
    """Ask for the history where the input is a multiple of the terms; the number of observed joints, or None."""
    plain = all(term.frames == 1 and len(term.parts) == 1 for term in terms)
    observed = next((count for count, one in sizes.items() if plain and size % one == 0 and size > 0), None)
    if observed is not None:
        frames = size // sizes[observed]
        draft.ask(
            "observation.history",
            f"the input takes {size} numbers, {frames} times those of the terms: presumably "
            f"{{length: {frames}, layout: term_major, order: oldest_first}}",
        )
    return observed


def _sizes(terms: Sequence[CsvTerm], size: int | None, found: int, observed: int, driven: int) -> str:
    listed = ", ".join(
        f"{term.name} {term.width(observed, driven)}" + (f"x{term.frames}" if term.frames > 1 else "") for term in terms
    )
    return f"the network takes {size} numbers, the terms are {found}: {listed}"
