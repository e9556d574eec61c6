"""Where a policy's hands are asked to be: ranges, the target before anything is asked, and how fast a target moves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import EVERYONE, BoolArray, FloatArray, IndexArray, frozen
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.mirror import Mirroring

HANDS = ("left", "right")
AXES = ("x", "y", "z")
SIZE = 6
"""Numbers of a pair of targets: x y z of the left hand, then of the right one."""
MIRROR = Mirroring(np.array([3, 4, 5, 0, 1, 2]), np.array([1, -1, 1, 1, -1, 1], dtype=np.float32))
"""How a pair of targets looks in the left-right mirror."""
Point = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class HandRange:
    """The targets of one hand that a policy was trained on: a box, less what is too near or too far for the arm.

    All in the frame of the `HandTargetSpec`.

    Attributes:
        x, y, z: the box [m].
        neutral: the target while nothing is asked [m]; it need not be in the box.
        shoulder: the point that the arm turns about [m].
        distance: of a target from it [m].
    """

    x: Range
    y: Range
    z: Range
    neutral: Point
    shoulder: Point = (0.0, 0.0, 0.0)
    distance: Range = (0.0, math.inf)

    def __post_init__(self) -> None:
        for axis in (*AXES, "distance"):
            low, high = getattr(self, axis)
            if not low <= high:
                raise ConfigError(f"range of a hand's {axis} contradicts itself: [{low:g}, {high:g}]")
        if self.distance[0] < 0.0:
            raise ConfigError(f"a hand's distance must be at least 0, found {self.distance[0]:g}")

    def mirrored(self) -> HandRange:
        """The same of the other hand."""
        (x, y, z), (sx, sy, sz) = self.neutral, self.shoulder
        return HandRange(self.x, (-self.y[1], -self.y[0]), self.z, (x, -y, z), (sx, -sy, sz), self.distance)


@dataclass(frozen=True)
class HandTargetSpec:
    """The hand targets a policy was trained on.

    Attributes:
        frame: the link of the robot's description in which targets are given, which the robot carries along: its root.
        left, right: ranges.
        speed: at which the target that the policy sees moves to the one that is asked, on a straight line [m/s]; inf
            for at once.
    """

    frame: str
    left: HandRange
    right: HandRange
    speed: float = math.inf

    def __post_init__(self) -> None:
        if not self.frame:
            raise ConfigError("hand_targets: 'frame' must name a link of the robot")
        if not self.speed > 0.0:
            raise ConfigError(f"hand_targets: 'speed' must be above 0, found {self.speed:g}")

    @property
    def neutral(self) -> FloatArray:
        """The targets while nothing is asked [m; Shape (2, 3)]."""
        return frozen([self.left.neutral, self.right.neutral])

    def bounds(self) -> FloatArray:
        """Lower and upper corner of both boxes [m; Shape (2, 2, 3): low or high, hand, axis]."""
        boxes = [[getattr(hand, axis) for axis in AXES] for hand in (self.left, self.right)]
        return np.moveaxis(np.array(boxes, dtype=np.float64), 2, 0)

    def require_symmetric(self) -> None:
        """Refuse ranges that are not each other's mirror image.

        Raises:
            ContractError: they are not.
        """
        if self.left.mirrored() != self.right:
            raise ContractError("hand_targets: the ranges of the right hand are not the mirror image of the left one's")


class HandTargetBounds:
    """Brings targets into a `HandTargetSpec`."""

    def __init__(self, spec: HandTargetSpec) -> None:
        self.low, self.high = spec.bounds()
        hands = (spec.left, spec.right)
        self._shoulder = np.array([hand.shoulder for hand in hands])
        self._nearest, self._farthest = np.array([hand.distance for hand in hands]).T

    def contain(self, targets: FloatArray) -> BoolArray:
        """Whether targets are within box and distance [m; Shape (..., 2, 3) -> (..., 2)]."""
        boxed = ((targets >= self.low) & (targets <= self.high)).all(axis=-1)
        away = _length(targets - self._shoulder)
        return np.asarray(boxed & (away >= self._nearest) & (away <= self._farthest))

    def clamp(self, targets: FloatArray) -> FloatArray:
        """The targets, moved into the box, then along the arm to its distance, never out of the box.

        Args:
            targets: finite [m; Shape (..., 2, 3)].
        """
        boxed = np.clip(targets, self.low, self.high)
        arm = boxed - self._shoulder
        away = _length(arm)
        wanted = np.clip(away, self._nearest, self._farthest)
        scale = np.divide(wanted, away, out=np.ones_like(away), where=away > 0.0)
        moved = np.where((wanted == away)[..., None], boxed, self._shoulder + arm * scale[..., None])
        return np.clip(moved, self.low, self.high)


class HandTargetFilter:
    """The targets that a policy sees: those that are asked, within its ranges, approached at its speed.

    Args:
        spec: ranges and speed.
        period: time between two calls of `apply` [s].
        batch_shape: leading axes; ``()`` for one robot.

    Attributes:
        current: the targets of the last step [m; Shape (..., 2, 3)].
    """

    def __init__(self, spec: HandTargetSpec, period: float, batch_shape: tuple[int, ...] = ()) -> None:
        self._bounds = HandTargetBounds(spec)
        self._neutral = spec.neutral
        self._step = spec.speed * period
        self.current: FloatArray = np.broadcast_to(self._neutral, (*batch_shape, *self._neutral.shape)).copy()

    def reset(self, rows: IndexArray | slice = EVERYONE) -> None:
        """Begin at the neutral targets, of all robots or of some rows."""
        self.current[rows] = self._neutral

    def goal(self, asked: FloatArray | None) -> FloatArray:
        """Where the targets go to; the neutral ones, which need not be in the ranges, stay as they are."""
        if asked is None:
            return self._neutral
        neutral = (asked == self._neutral).all(axis=-1, keepdims=True)
        return np.where(neutral, asked, self._bounds.clamp(asked))

    def apply(self, asked: FloatArray | None, rows: IndexArray | slice = EVERYONE) -> FloatArray:
        """The targets of this control step.

        Args:
            asked: finite [m; Shape (..., 2, 3)]; None for the neutral ones.
            rows: the robots of a batch that they are of, all by default.

        Returns:
            [m; Shape (..., 2, 3)].
        """
        goal = self.goal(asked)
        before = self.current[rows]
        way = goal - before
        length = _length(way)
        share = np.divide(self._step, length, out=np.ones_like(length), where=length > self._step)
        self.current[rows] = np.where((length > self._step)[..., None], before + way * share[..., None], goal)
        return self.current[rows].copy()


def _length(vectors: FloatArray) -> FloatArray:
    """Euclidean length [Shape (..., 3) -> (...)]; added up in one order for any batch."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def hand_targets_from_section(section: Section) -> HandTargetSpec:
    """Read the ``hand_targets`` mapping of a policy YAML; it is not finished, a task has more in it."""
    return HandTargetSpec(
        frame=section.text("frame"),
        left=_hand(section.section("left")),
        right=_hand(section.section("right")),
        speed=section.number("speed", math.inf, above=0.0, infinite=True),
    )


def _hand(section: Section) -> HandRange:
    ranges = {}
    for axis in AXES:
        low, high = section.numbers(axis, length=2)
        ranges[axis] = (float(low), float(high))
    x, y, z = (float(v) for v in section.numbers("neutral", length=3))
    sx, sy, sz = (float(v) for v in section.numbers("shoulder", (0.0, 0.0, 0.0), length=3))
    near, far = (float(v) for v in section.numbers("distance", (0.0, math.inf), length=2, infinite=True))
    section.finish()
    return HandRange(**ranges, neutral=(x, y, z), shoulder=(sx, sy, sz), distance=(near, far))


def hand_targets_mapping(spec: HandTargetSpec) -> Mapping[str, Any]:
    """What `hand_targets_from_section` reads back as this."""

    def hand(of: HandRange) -> dict[str, Any]:
        keys = {key: list(getattr(of, key)) for key in (*AXES, "neutral")}
        changed = {k: list(getattr(of, k)) for k in ("shoulder", "distance") if getattr(of, k) != getattr(HandRange, k)}
        return keys | changed

    speed = {} if spec.speed == math.inf else {"speed": spec.speed}
    return {"frame": spec.frame, "left": hand(spec.left), "right": hand(spec.right), **speed}
