"""When each foot was on the ground, and for what share of its strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from humanoid_rl_ros.bags.series import RobotTime, Series
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray

LEAST_FORCE_N = 5.0
"""Force from which on a foot stands: above what a solver or a sensor leaves, far below the weight of any humanoid."""
_LEAST_CONTACT = 0.5
_LEAST_SWING_S = 0.05
"""No foot steps this fast: it has bounced."""
_LONGEST_STRIDE_S = 2.0
"""Between two touch-downs farther apart the robot stood."""
_PAUSE_S = 0.25
"""Without a message nobody knows whether a foot is still where it was."""


@dataclass(frozen=True)
class FootFindings:
    """One foot.

    Attributes:
        topic: that says its contacts.
        name: of the foot.
        stance: from when until when it was on the ground [s].
        walking: time in strides, from touch-down to touch-down, while the policy drove the robot [s].
        duty_factor: share of that time on the ground; None without strides.
        peak_force: [N]; None of a topic that says no forces.
    """

    topic: str
    name: str
    stance: tuple[tuple[float, float], ...]
    walking: float
    duty_factor: float | None
    peak_force: float | None


def foot_findings(series: Series, time: RobotTime, driven: Sequence[tuple[float, float]]) -> tuple[FootFindings, ...]:
    """Every foot of every topic of contacts.

    Args:
        series: of the bag.
        time: its clock.
        driven: times in which the policy drove the robot [s]; empty: all.
    """
    found = []
    for topic, contact in series.contacts.items():
        at = time.of_log(contact.log_ns)
        for name, values in zip(contact.names, np.asarray(contact.values, dtype=np.float64).T, strict=True):
            down = values > (LEAST_FORCE_N if contact.forces else _LEAST_CONTACT)
            stance = stance_spans(at, down)
            walking, duty_factor = _duty(stance, _touch_downs(at, down), driven)
            peak = float(np.nanmax(values)) if contact.forces and np.isfinite(values).any() else None
            found.append(FootFindings(topic, name, stance, walking, duty_factor, peak))
    return tuple(found)


def stance_spans(time: FloatArray, down: BoolArray) -> tuple[tuple[float, float], ...]:
    """Times on the ground [s]: each message holds until the next, and bounces are part of the stance.

    Args:
        time: of the messages, not falling [s; Shape (n,)].
        down: whether the foot was on the ground [Shape (n,)].
    """
    if not len(time):
        return ()
    usual = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    ends = np.minimum(np.append(time[1:], time[-1] + usual), time + max(_PAUSE_S, 2.0 * usual))
    spans: list[tuple[float, float]] = []
    for start, end in zip(time[down].tolist(), ends[down].tolist(), strict=True):
        if spans and start - spans[-1][1] < _LEAST_SWING_S:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(spans)


def _touch_downs(time: FloatArray, down: BoolArray) -> set[float]:
    """When the foot was seen to come down [s], and not just found there."""
    seen = down[1:] & ~down[:-1] & (np.diff(time) < _PAUSE_S)
    return set(time[1:][seen].tolist())


def _duty(
    stance: Sequence[tuple[float, float]], touch_downs: set[float], driven: Sequence[tuple[float, float]]
) -> tuple[float, float | None]:
    """Time in strides [s], and the share of it on the ground."""
    walking = loaded = 0.0
    for (down, up), (again, _) in pairwise(stance):
        whole = {down, again} <= touch_downs and again - down <= _LONGEST_STRIDE_S
        if whole and (not driven or any(start <= down and again <= end for start, end in driven)):
            walking += again - down
            loaded += up - down
    return walking, loaded / walking if walking else None
