"""Makes the vector a network sees, as an ObservationSpec says.

This is the only place that assembles an observation: training, simulation, robot and replay all come here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.gait import is_standing
from humanoid_rl_ros.core.joints import indices_of
from humanoid_rl_ros.core.observation_spec import HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput, TermLayout, find_term

LARGEST = float(np.finfo(np.float32).max)


class _BoundTerm:
    """A `TermSpec` with its width, index arrays and bounds worked out."""

    def __init__(self, spec: TermSpec, layout: TermLayout, joints: Sequence[str]) -> None:
        term = find_term(spec.term)
        self.name = spec.term
        self._full_width = self.width = term.width(layout)
        self._elements: IndexArray | None = None
        if spec.elements:
            if not all(0 <= i < self.width for i in spec.elements):
                raise ConfigError(f"term '{spec.term}' has elements 0 to {self.width - 1}, found {list(spec.elements)}")
            if spec.masked_joints:
                raise ConfigError(f"term '{spec.term}': give either elements or masked_joints")
            self._elements = np.array(spec.elements, dtype=np.intp)
            self.width = len(spec.elements)
        self._compute = term.compute
        self._layout = layout
        self._clip = spec.clip
        self._clip_scaled = spec.clip_scaled
        self._zero_when_standing = spec.zero_when_standing
        if len(spec.scale) not in (1, self.width):
            raise ConfigError(f"term '{spec.term}' has {self.width} elements, but scale has {len(spec.scale)}")
        gain = np.broadcast_to(np.asarray(spec.scale, dtype=np.float64), (self.width,)).copy()
        self._mask: BoolArray | None = None
        if spec.masked_joints:
            if term.over != "observed":
                raise ConfigError(
                    f"term '{spec.term}' is not one number per observed joint; masked_joints cannot apply"
                )
            masked = indices_of(
                spec.masked_joints, joints, what=f"masked joint of term '{spec.term}'", where="the observed joints"
            )
            self._mask = np.zeros(self.width, dtype=bool)
            self._mask[masked] = True
        self.gain = gain

    def indices(self) -> list[int]:
        """Which elements of the registered term these are."""
        return list(range(self.width)) if self._elements is None else [int(i) for i in self._elements]

    @property
    def after_scale(self) -> bool:
        """Whether `finish` does anything."""
        return self._clip_scaled is not None or self._mask is not None or self._zero_when_standing

    def raw(self, inputs: ObservationInput) -> FloatArray:
        """The value before its scale [Shape (..., width)]."""
        value = self._compute(inputs, self._layout)
        if value.shape[-1] != self._full_width:
            raise StateError(
                f"observation term '{self.name}' gave {value.shape[-1]} numbers, expected {self._full_width}"
            )
        if self._elements is not None:
            value = value[..., self._elements]
        if self._clip is not None or self.after_scale:
            # What follows could hide it; otherwise the whole frame is looked at once.
            self.require_finite(value)
        return value if self._clip is None else np.clip(value, *self._clip)

    def require_finite(self, value: FloatArray) -> None:
        """Refuse NaN and Inf by the term's name."""
        if not np.isfinite(value).all():
            raise StateError(f"observation term '{self.name}' is not finite")

    def finish(self, value: FloatArray, inputs: ObservationInput) -> FloatArray:
        """What comes after the scale: clip, mask, zero when standing."""
        if self._clip_scaled is not None:
            value = np.clip(value, *self._clip_scaled)
        if self._mask is not None:
            value = np.where(self._mask, 0.0, value)
        if self._zero_when_standing:
            still = is_standing(inputs.command, self._layout.stand_threshold)
            value = np.where(still[..., None], 0.0, value)
        return value


class _BoundBlock:
    """Terms bound to a robot, with the frames they remember (newest last)."""

    def __init__(self, terms: list[_BoundTerm], history: HistorySpec | None, batch_shape: tuple[int, ...]) -> None:
        self.terms = terms
        self.history = history
        self.frame_width = sum(term.width for term in terms)
        self._edges = [int(edge) for edge in np.cumsum([0, *(term.width for term in terms)])]
        gain = np.concatenate([term.gain for term in terms])
        self._gain = None if np.all(gain == 1.0) else gain
        self._batch_shape = batch_shape
        length = history.length if history else 1
        self.width = self.frame_width * length
        self.frames = np.zeros((*batch_shape, length, self.frame_width))
        self.empty: BoolArray = np.ones(batch_shape, dtype=bool)

    def reset(self, which: BoolArray | None) -> None:
        if which is None:
            self.frames[...] = 0.0
            self.empty[...] = True
        else:
            self.frames[which] = 0.0
            self.empty |= which

    def frame(self, inputs: ObservationInput, rows: IndexArray | None) -> FloatArray:
        """The terms now [Shape (..., frame_width)].

        Raises:
            StateError: a term is NaN, Inf or too large; names it.
        """
        frame = np.empty((*(self._batch_shape if rows is None else rows.shape), self.frame_width))
        for term, start, stop in self._slices():
            frame[..., start:stop] = term.raw(inputs)
        with np.errstate(over="ignore", invalid="ignore"):
            if self._gain is not None:
                frame *= self._gain
        for term, start, stop in self._slices():
            if term.after_scale:
                frame[..., start:stop] = term.finish(frame[..., start:stop], inputs)
        if not np.abs(frame).max(initial=0.0) <= LARGEST:
            self._refuse(frame, inputs)
        return frame

    def _slices(self) -> Iterator[tuple[_BoundTerm, int, int]]:
        return zip(self.terms, self._edges[:-1], self._edges[1:], strict=True)

    def _refuse(self, frame: FloatArray, inputs: ObservationInput) -> None:
        for term, start, stop in self._slices():
            term.require_finite(term.raw(inputs))
            if not np.abs(frame[..., start:stop]).max(initial=0.0) <= LARGEST:
                raise StateError(f"observation term '{term.name}' is too large for the network's float32")

    def stacked(self, frame: FloatArray, rows: IndexArray | None) -> FloatArray:
        """The block with this frame as its newest, which it remembers [Shape (..., width)]."""
        if self.history is None:
            return frame
        here = ... if rows is None else rows
        frames, empty = self.frames[here], self.empty[here]
        if self.history.first_fill == "first_frame" and empty.any():
            frames = np.where(empty[..., None, None], frame[..., None, :], frames)
        newest = np.concatenate([frames[..., 1:, :], frame[..., None, :]], axis=-2)
        stacked = self._stack(newest if self.history.include_current else frames, self.history)
        self.frames[here], self.empty[here] = newest, False
        return stacked

    def _stack(self, frames: FloatArray, history: HistorySpec) -> FloatArray:
        frames = frames if history.order == "oldest_first" else frames[..., ::-1, :]
        batch = frames.shape[:-2]
        if history.layout == "time_major":
            return frames.reshape((*batch, self.width)).copy()
        parts = [frames[..., start:stop].reshape((*batch, -1)) for _, start, stop in self._slices()]
        return np.concatenate(parts, axis=-1)


class ObservationBuilder:
    """An `ObservationSpec` bound to a robot's joint order; remembers the history.

    Args:
        spec: the observation.
        robot_joints: joint names in the order of the states that will be given.
        n_actions: width of the last action.
        n_phases: phases of the gait clock.
        batch_shape: leading axes of the states; ``()`` for one robot.

    Raises:
        ConfigError: a term is unknown, or a scale or mask does not fit it.
        ContractError: the robot lacks an observed joint.
    """

    def __init__(
        self,
        spec: ObservationSpec,
        robot_joints: Sequence[str],
        *,
        n_actions: int,
        n_phases: int = 0,
        batch_shape: tuple[int, ...] = (),
    ) -> None:
        self.spec = spec
        joints = indices_of(spec.joints, robot_joints, what="observed joint", where="the robot")
        default = np.asarray(spec.default_position, dtype=np.float64)

        def bind(term: TermSpec) -> _BoundTerm:
            value = np.asarray(term.value, dtype=np.float64)
            layout = TermLayout(joints, default, n_actions, n_phases, value, spec.stand_threshold)
            return _BoundTerm(term, layout, spec.joints)

        self._blocks = [_BoundBlock([bind(t) for t in b.terms], b.history, batch_shape) for b in spec.blocks]
        self.size = sum(block.width for block in self._blocks)
        if self.size == 0:
            raise ConfigError("observation: no term is given")

    def reset(self, which: BoolArray | None = None) -> None:
        """Forget the history, of all robots or those of a mask [Shape batch_shape]."""
        for block in self._blocks:
            block.reset(which)

    def build(self, inputs: ObservationInput, rows: IndexArray | None = None) -> Float32Array:
        """The vector of this control step; call once a step, it advances the history.

        Args:
            inputs: state, command, last action and gait clock.
            rows: the robots of a batch that the inputs are of, all by default; nothing advances for the others
                [Shape (k,)].

        Returns:
            What the network sees [Shape (..., size); float32].

        Raises:
            StateError: a term is NaN, Inf or too large; names it. Nothing is remembered of this step then.
        """
        # All frames before the first is remembered: a refused measurement must not stay in a history.
        frames = [block.frame(inputs, rows) for block in self._blocks]
        stacked = [block.stacked(frame, rows) for block, frame in zip(self._blocks, frames, strict=True)]
        vector = stacked[0] if len(stacked) == 1 else np.concatenate(stacked, axis=-1)
        if self.spec.clip is not None:
            vector = np.clip(vector, *self.spec.clip)
        return vector.astype(np.float32)

    def state_dict(self) -> dict[str, list[FloatArray]]:
        """The history: frames, and where there are none yet."""
        return {
            "frames": [block.frames.copy() for block in self._blocks],
            "empty": [block.empty.astype(np.float64) for block in self._blocks],
        }

    def load_state_dict(self, state: dict[str, list[FloatArray]]) -> None:
        """Go on with the history of a `state_dict` of the same spec and batch."""
        for block, frames, empty in zip(self._blocks, state["frames"], state["empty"], strict=True):
            block.frames, block.empty = frames.copy(), empty.astype(bool)

    def labels(self) -> list[str]:
        """A name for every element, such as ``joint_pos_rel[3]`` or ``base_ang_vel[0]@-2`` for two steps ago."""
        names: list[str] = []
        for block in self._blocks:
            names += _block_labels(block)
        return names


def _block_labels(block: _BoundBlock) -> list[str]:
    plain = [[f"{term.name}[{i}]" for i in term.indices()] for term in block.terms]
    if block.history is None:
        return [label for term in plain for label in term]
    newest = 0 if block.history.include_current else 1
    ages = [newest + k for k in range(block.history.length)]
    if block.history.order == "oldest_first":
        ages.reverse()
    if block.history.layout == "time_major":
        return [f"{label}@-{age}" for age in ages for term in plain for label in term]
    return [f"{label}@-{age}" for term in plain for age in ages for label in term]
