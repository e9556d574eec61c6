"""ActionSpec: from what the network says to what the joints should reach."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.joints import refuse_repeated

KINDS = ("position_offset", "position_absolute", "effort")
LAST_ACTIONS = ("raw", "clipped", "after_effort_clip")


@dataclass(frozen=True)
class ActionSpec:
    """How an action is read.

    raw → clip → (last action) → scale, offset → target limits → low-pass → delay.

    Attributes:
        joints: the driven joints, in the network's order.
        kind: ``position_offset``: target = offset + scale·action [rad]; ``position_absolute``: target = scale·action
            [rad]; ``effort``: effort = scale·action [N·m].
        scale: one for each driven joint.
        offset: one for each driven joint [rad]; the default pose as a rule.
        clip_lower, clip_upper: bounds of the raw action, one for each driven joint; ±inf for none.
        target_lower, target_upper: bounds of the target [rad or N·m], one for each driven joint; ±inf for none.
        last_action: what the next observation sees: the ``raw`` output, the ``clipped`` one, or the one
            ``after_effort_clip``, from which a target follows whose PD effort stays within the soft effort limit.
        low_pass: weight of the new target in y ← low_pass·x + (1 − low_pass)·y; 1 is no filter.
        delay: control steps by which a target is late.
    """

    joints: tuple[str, ...]
    kind: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    clip_lower: tuple[float, ...]
    clip_upper: tuple[float, ...]
    target_lower: tuple[float, ...]
    target_upper: tuple[float, ...]
    last_action: str = "clipped"
    low_pass: float = 1.0
    delay: int = 0

    def __post_init__(self) -> None:
        refuse_repeated(self.joints, "action", ConfigError)
        for name in ("scale", "offset", "clip_lower", "clip_upper", "target_lower", "target_upper"):
            if len(getattr(self, name)) != len(self.joints):
                raise ConfigError(f"action: {len(self.joints)} joints but {len(getattr(self, name))} values of {name}")
        if self.kind not in KINDS:
            raise ConfigError(f"action kind must be one of {', '.join(KINDS)}, found '{self.kind}'")
        if self.last_action not in LAST_ACTIONS:
            raise ConfigError(
                f"action last_action must be one of {', '.join(LAST_ACTIONS)}, found '{self.last_action}'"
            )
        if not 0.0 < self.low_pass <= 1.0:
            raise ConfigError(f"action low_pass must be in (0, 1], found {self.low_pass:g}")
        if self.delay < 0:
            raise ConfigError(f"action delay must be at least 0 steps, found {self.delay}")
        for name in ("scale", "offset"):
            for joint, value in zip(self.joints, getattr(self, name), strict=True):
                if not np.isfinite(value):
                    raise ConfigError(f"action {name} of joint '{joint}' is not finite")
        for low, high, what in (
            (self.clip_lower, self.clip_upper, "clip"),
            (self.target_lower, self.target_upper, "target limits"),
        ):
            for joint, a, b in zip(self.joints, low, high, strict=True):
                if not a < b:
                    raise ConfigError(f"action {what} of joint '{joint}' contradict each other: [{a:g}, {b:g}]")

    @property
    def size(self) -> int:
        """Width of the network's output."""
        return len(self.joints)


def plain_action(joints: tuple[str, ...], default_position: tuple[float, ...], scale: float = 1.0) -> ActionSpec:
    """A position-offset action around the default pose with no clip, filter or delay."""
    n = len(joints)
    low, high = (-np.inf,) * n, (np.inf,) * n
    return ActionSpec(joints, "position_offset", (scale,) * n, default_position, low, high, low, high)


class ActionProcessor:
    """Applies an `ActionSpec` step by step, for one robot or a batch.

    Args:
        spec: how the action is read.
        batch_shape: leading axes.
    """

    def __init__(self, spec: ActionSpec, batch_shape: tuple[int, ...] = ()) -> None:
        self.spec = spec
        self._shape = (*batch_shape, spec.size)
        self._scale = np.asarray(spec.scale, dtype=np.float64)
        self._offset = (
            np.asarray(spec.offset, dtype=np.float64) if spec.kind == "position_offset" else np.zeros(spec.size)
        )
        self._clip = _bounds(spec.clip_lower, spec.clip_upper)
        self._limits = _bounds(spec.target_lower, spec.target_upper)
        self.last_action: FloatArray = np.zeros(self._shape)
        self._filtered: FloatArray | None = None
        self._queue: deque[FloatArray] = deque(maxlen=spec.delay + 1)
        self._fresh: BoolArray = np.ones(batch_shape, dtype=bool)
        self._remembers = spec.low_pass != 1.0 or spec.delay > 0

    def reset(self, which: BoolArray | None = None) -> None:
        """Forget last action, filter and delay line, of all robots or those of a mask [Shape batch_shape]."""
        which = np.ones_like(self._fresh) if which is None else which
        self.last_action = np.where(which[..., None], 0.0, self.last_action)
        self._fresh = self._fresh | which

    def apply(self, raw: FloatArray, *, lower: FloatArray | None = None, upper: FloatArray | None = None) -> FloatArray:
        """One control step.

        Args:
            raw: the network's output [Shape (..., a)].
            lower, upper: for ``after_effort_clip``: bounds of the target [rad; Shape (..., a)] between which the PD
                effort stays within the soft limit at this moment.

        Returns:
            Target position [rad] or effort [N·m] of the driven joints [Shape (..., a)].

        Raises:
            PolicyError: the output has the wrong width, or holds NaN or Inf.
        """
        raw = np.array(raw, dtype=np.float64)  # a copy: it may be remembered as the last action
        if raw.shape != self._shape:
            raise PolicyError(f"the network gave an action of shape {raw.shape}, expected {self._shape}")
        if not np.isfinite(raw).all():
            bad = self.spec.joints[int(np.argwhere(~np.isfinite(raw))[0][-1])]
            raise PolicyError(f"the network's action for joint '{bad}' is not finite")
        action = raw if self._clip is None else np.minimum(np.maximum(raw, self._clip[0]), self._clip[1])
        if self.spec.last_action == "after_effort_clip" and lower is not None and upper is not None:
            a, b = self.invert(lower), self.invert(upper)
            # A joint of scale 0 stays at its offset whatever the action: nothing to clip.
            bounded = np.clip(action, np.fmin(a, b), np.fmax(a, b))
            action = np.where(self._scale == 0.0, action, bounded)
        self.last_action = raw if self.spec.last_action == "raw" else action
        target = self._offset + self._scale * action
        if self._limits is not None:
            target = np.minimum(np.maximum(target, self._limits[0]), self._limits[1])
        if not self._remembers:
            return target
        late = self._late(self._smooth(target))
        self._fresh = np.zeros_like(self._fresh)
        return late

    def invert(self, target: FloatArray) -> FloatArray:
        """The action that asks for this target, before any limit, filter or delay [Shape (..., a)].

        Not finite where the scale is 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((target - self._offset) / self._scale)

    def _smooth(self, target: FloatArray) -> FloatArray:
        if self.spec.low_pass == 1.0:
            return target
        before = target if self._filtered is None else np.where(self._fresh[..., None], target, self._filtered)
        self._filtered = self.spec.low_pass * target + (1.0 - self.spec.low_pass) * before
        return self._filtered

    def _late(self, target: FloatArray) -> FloatArray:
        if self.spec.delay == 0:
            return target
        if not self._queue:
            self._queue.extend([target] * self.spec.delay)
        if self._fresh.any():
            restarted = (np.where(self._fresh[..., None], target, late) for late in self._queue)
            self._queue = deque(restarted, self._queue.maxlen)
        self._queue.append(target)
        return self._queue[0]


def _bounds(lower: tuple[float, ...], upper: tuple[float, ...]) -> tuple[FloatArray, FloatArray] | None:
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if np.isinf(low).all() and np.isinf(high).all():
        return None
    return low, high
