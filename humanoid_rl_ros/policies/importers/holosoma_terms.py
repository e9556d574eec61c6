"""What a policy of holosoma sees, whichever of its files says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.bundle_observation import read_bounds
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.fields import command_ranges, fit_network
from humanoid_rl_ros.policies.importers.source import Source

_TERMS = {
    "actions": "last_action",
    "base_ang_vel": "base_ang_vel",
    "base_lin_vel": "base_lin_vel",
    "command_ang_vel": "velocity_commands_angular",
    "command_lin_vel": "velocity_commands_linear",
    "cos_phase": "gait_phase_cos",
    "dof_pos": "joint_pos_rel",
    "dof_vel": "joint_vel_rel",
    "projected_gravity": "projected_gravity",
    "sin_phase": "gait_phase_sin",
}
_WIDTHS = {
    "base_ang_vel": 3,
    "base_lin_vel": 3,
    "command_ang_vel": 1,
    "command_lin_vel": 2,
    "cos_phase": 2,
    "projected_gravity": 3,
    "sin_phase": 2,
}
"""Of the terms that are not one number for each joint; a phase has one for each leg."""
_PHASES = ("sin_phase", "cos_phase")
_AXES = {"lin_vel_x": "linear_x", "lin_vel_y": "linear_y", "ang_vel_yaw": "angular_z"}


@dataclass(frozen=True)
class HolosomaTerm:
    """A term as holosoma names it.

    Attributes:
        name: its key, which decides where it stands in the vector.
        meaning: the name of its function.
        scale: one number, or one for each element.
        clip: bounds after scaling.
    """

    name: str
    meaning: str
    scale: float | list[float] = 1.0
    clip: tuple[float, float] | None = None

    def width(self, joints: int) -> int:
        """How many numbers it is, on a robot of so many joints."""
        return _WIDTHS.get(self.meaning, joints)

    def item(self) -> dict[str, Any]:
        """Its item in ``observation.terms``."""
        scale = {} if self.scale == 1.0 else {"scale": self.scale}
        return {"term": _TERMS[self.meaning], **scale, **({} if self.clip is None else {"clip_scaled": [*self.clip]})}


def read_term(section: Section, name: str, joints: int) -> HolosomaTerm:
    """Read a term of ``experiment_config``.

    Args:
        section: its mapping.
        name: its key.
        joints: number of the robot's joints.

    Raises:
        ConfigError: it is malformed, belongs to a recorded motion, or is not known.
    """
    module, _, meaning = section.text("func").rpartition(":")
    if meaning.startswith("motion_") or module.endswith(".wbt"):
        raise ConfigError(f"{section.where}: it follows a recorded motion, no velocity command ('{meaning}')")
    if meaning not in _TERMS:
        raise ConfigError(f"{section.where}: no term is known for '{meaning}'; {did_you_mean(meaning, _TERMS)}")
    params = section.raw("params", None)
    if params:
        raise ConfigError(f"{section.where}: 'params' of '{meaning}' are not understood: {params!r}")
    section.raw("noise", None)
    width = HolosomaTerm(name, meaning).width(joints)
    scale: float | list[float]
    if isinstance(section.raw("scale", 1.0), list):
        scale = [float(value) for value in section.numbers("scale", length=width)]
    else:
        scale = section.number("scale", 1.0)
    clip = read_bounds(section, "clip")
    section.finish()
    return HolosomaTerm(name, meaning, scale, clip)


def lay_terms(
    draft: Draft, source: Source, terms: Sequence[HolosomaTerm], frames: int, joints: int, *, why: str = ""
) -> None:
    """Put the terms into the draft, in this order.

    Args:
        draft: takes them.
        source: the files; the network's widths must agree.
        terms: in the order of the vector.
        frames: of the whole vector.
        joints: number of the robot's joints.
        why: where no file says so, from what they follow.

    Raises:
        ConfigError: the network takes or gives other numbers.
    """
    fit_network(draft, source, [(term.name, term.width(joints)) for term in terms], frames, joints)
    items = [term.item() for term in terms]
    if why:
        draft.infer("observation.terms", items, why)
    else:
        draft.say("observation.terms", items)
    if frames > 1:
        # Missing frames are zeros, and every term is stacked by itself.
        history = {"length": frames, "layout": "term_major", "order": "oldest_first", "first_fill": "zeros"}
        draft.infer("observation.history", history, "length as the file says; layout and zeros as in the origin's code")
    if any(term.meaning == "base_lin_vel" for term in terms):
        draft.infer("base_velocity", "ground_truth", "it observes base_lin_vel, which training takes from simulation")


def read_ranges(section: Section) -> dict[str, list[float]]:
    """Bounds of the command by axis of ours; ``heading`` is never fed to the network.

    Raises:
        ConfigError: an axis is missing or contradicts itself.
    """
    return command_ranges(section, _AXES)


def lay_gait(
    draft: Draft, terms: Sequence[HolosomaTerm], period: float, *, why: str = "", standing_phase: float = math.pi
) -> None:
    """Put the clock of both legs into the draft, if one is observed.

    Args:
        draft: takes it.
        terms: what the policy sees.
        period: [s].
        why: where no file says the period, from what it follows.
        standing_phase: [rad].
    """
    if not any(term.meaning in _PHASES for term in terms):
        return
    if why:
        draft.infer("gait.period", period, why)
    else:
        draft.say("gait.period", period)
    draft.infer("gait.phases", [0.0, math.pi], "the origin's code: two legs, half a stride apart")
    stand = "the origin's code: both legs show one phase while speed and turn rate are below 0.01, then start over"
    draft.infer("gait.when_standing", "hold", stand)
    draft.say("gait.standing_phase", standing_phase)
    draft.say("gait.stand_threshold", 0.01)
